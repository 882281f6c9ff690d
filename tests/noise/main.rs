//! The Noise handshake: every byte is that of another implementation, and every bit of it counts.

mod forged;
mod snow;
mod stage;

//! Sealing and opening messages between nodes: keys, randomness and an inner message come in, an outer message goes out,
//! and back.
//!
//! Everything here is a function of its input. Nothing is sent, awaited or looked up; who may talk to whom is decided
//! elsewhere. A suite is a set of cryptographic choices; [`suite1`] is Fed-BioMed's own.

mod error;
mod keys;
pub mod suite1;

pub use error::{OpenError, SealError};
pub use keys::ChannelKeys;
pub use suite1::{open, seal};

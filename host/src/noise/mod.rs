//! `Noise_KK_P256_ChaChaPoly_SHA256`: an authenticated key exchange between two parties that know each other's static keys.
//!
//! As the Noise Protocol Framework has it (revision 34), whose names are used here. P-256 is in none of its lists: a public key
//! is SEC 1, uncompressed; a DH output is the x coordinate of the shared point. `tests/noise` holds every byte against `snow`.
//!
//! ```text
//! -> s, <- s      both known before
//! -> e, es, ss    the first message
//! <- e, ee, se    the second
//! ```
//!
//! Functions of their input: nothing is drawn, sent or looked up. Reading a message that is not the other party's changes nothing, so
//! that forged ones can be thrown at a party for as long as anyone likes.

mod handshake;
mod statics;
mod symmetric_state;

pub use handshake::{Answering, AwaitingReply, Initiator, NoiseError, Responder, Transport};
pub use statics::Statics;

/// The length of a public key in a message, in bytes.
pub const PUBLIC_KEY_BYTES: usize = 65;

/// By how much an encrypted payload is longer than the payload, in bytes.
pub const TAG_BYTES: usize = 16;

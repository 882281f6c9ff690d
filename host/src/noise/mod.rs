//! Noise: an authenticated key exchange between two parties that know each other's static keys.
//!
//! `Noise_KK_P256_ChaChaPoly_SHA256`, as the Noise Protocol Framework has it (revision 34), whose names are used here. P-256 is in none
//! of its lists: a public key is SEC 1, uncompressed; a DH output is the x coordinate of the shared point.
//!
//! ```text
//! -> s, <- s              both known before
//! -> e, es, [e1,] ss      the first message
//! <- e, ee, [ekem1,] se   the second
//! ```
//!
//! `Noise_KKhfs_P256+MLKEM768_ChaChaPoly_SHA256` is the same with the tokens in brackets, of the framework's extension for hybrid
//! forward secrecy: `e1` is a public key of ML-KEM-768, `ekem1` a ciphertext for it, both encrypted, and its secret is mixed into the
//! chain beside those of the curve. So what was said stays secret if *either* holds. Who is whom is shown by the curve alone.
//!
//! `tests/noise` holds every byte of both against `snow`. Functions of their input: nothing is sent or looked up. Reading a message that
//! is not the other party's changes nothing, so that forged ones can be thrown at a party for as long as anyone likes.

mod handshake;
mod protocol;
mod statics;
mod symmetric_state;

pub use handshake::{Answering, AwaitingReply, Initiator, NoiseError, Responder, Transport};
pub use protocol::Protocol;
pub use statics::Statics;

/// The length of a public key in a message, in bytes.
pub const PUBLIC_KEY_BYTES: usize = 65;

/// By how much an encrypted payload is longer than the payload, in bytes.
pub const TAG_BYTES: usize = 16;

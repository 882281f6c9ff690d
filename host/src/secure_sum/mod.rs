//! Sums of secret numbers: what each party sends looks random, and only the sum of all comes out.
//!
//! [`lom`] adds masks that cancel out (scheme `dh`); [`quantize`] makes integers of real numbers and back; [`additive`]
//! splits a server key into shares (scheme `server-key`). All equal to Fed-BioMed 6.4 to the last bit.

pub mod additive;
pub mod lom;
pub mod quantize;

pub use additive::{ServerKey, Share, ShareError, commitments_sum_to_identity};
pub use lom::{LomError, aggregate, nonce_from_id, protect};
pub use quantize::QuantizeError;

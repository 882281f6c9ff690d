//! Sums of secret numbers: what each party sends looks random, and only the sum of all comes out.
//!
//! [`lom`] adds masks that cancel out (scheme `dh`); [`additive`] splits a server key into shares, and [`joye_libert`]
//! encrypts under such keys (scheme `server-key`); [`quantize`] makes integers of real numbers and back. All equal to
//! Fed-BioMed 6.4 to the last bit. [`fixed_point`] is ours: exact sums of decimal numbers.

pub mod additive;
pub mod fixed_point;
pub mod joye_libert;
pub mod lom;
pub mod quantize;

pub use additive::{ServerKey, Share, ShareError, commitments_sum_to_identity};
pub use lom::{LomError, aggregate, nonce_from_id, protect};
pub use quantize::QuantizeError;

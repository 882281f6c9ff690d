//! Two things that protocols of several parties begin with, once each: [`Transcript`], a hash of what all have to have
//! seen alike, and [`Beacon`], randomness that no party can choose.
//!
//! A package of its own, because a plugin is a `cdylib`, which no other package can depend on.

mod beacon;
mod transcript;

pub use beacon::{Beacon, Opening};
pub use transcript::{Digest, Transcript};

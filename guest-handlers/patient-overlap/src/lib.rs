#![doc = include_str!("../README.md")]

mod common;
mod params;
mod part;

#[cfg(test)]
mod runs;

pub use part::PatientOverlap;

use backchannel_sdk::export_rounds;

export_rounds!(PatientOverlap);

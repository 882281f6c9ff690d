#![doc = include_str!("../README.md")]

mod fixed_point;
mod graph;
mod keys;
mod leader;
mod mask;
mod mutual;
mod params;
mod parcels;
mod party;
mod place;
mod shamir;
mod tolerance;

#[cfg(test)]
mod runs;

pub use party::Party;

use backchannel_sdk::export_rounds;

export_rounds!(Party);

#![doc = include_str!("../README.md")]

mod part;

pub use part::CommonRandomness;

use backchannel_sdk::export_rounds;

export_rounds!(CommonRandomness);

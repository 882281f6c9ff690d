//! placeholder

pub mod message;
pub mod overlay;
pub mod primitives;
pub mod secure_sum;

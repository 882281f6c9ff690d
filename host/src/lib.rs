//! placeholder

pub mod message;
pub mod overlay;
pub mod primitives;
pub mod proto;
pub mod secure_sum;
pub mod transport;

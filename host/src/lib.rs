//! placeholder

pub mod message;
pub mod overlay;
pub mod primitives;
pub mod proto;
pub mod relay;
pub mod secure_sum;
pub mod transport;

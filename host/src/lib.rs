//! placeholder

pub mod message;
pub mod proto;
pub mod relay;
pub mod transport;

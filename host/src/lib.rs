//! placeholder

pub mod message;
pub mod proto;
pub mod transport;

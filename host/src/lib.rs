//! placeholder

pub mod channels;
pub mod cli;
mod control;
mod counters;
pub mod handlers;
pub mod key_store;
pub mod message;
pub mod node;
pub mod overlay;
mod post;
pub mod primitives;
pub mod proto;
pub mod randomness;
pub mod relay;
mod requests;
mod router;
pub mod secure_sum;
mod setups;
pub mod transport;

//! Nodes' transports and a relay, over real sockets.

mod certificates;
mod exchange;
mod harness;
mod hostile;
mod requests;

//! Nodes' transports and a relay, over real sockets.

mod asked;
mod certificates;
mod consortium;
mod exchange;
mod harness;
mod hostile;
mod lines;
mod proof;
mod requests;
mod rosters;

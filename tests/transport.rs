//! Nodes' transports and a relay, over real sockets.

#[path = "transport/certificates.rs"]
mod certificates;
#[path = "transport/exchange.rs"]
mod exchange;
#[path = "transport/harness.rs"]
mod harness;
#[path = "transport/hostile.rs"]
mod hostile;
#[path = "transport/requests.rs"]
mod requests;

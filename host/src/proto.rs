//! What `build.rs` generates from `proto/`, and nothing else.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

/// `proto/researcher.proto`: a node and its researcher's server.
pub mod researcher {
    tonic::include_proto!("researcher");
}

/// `proto/relay.proto`: a node and a relay of ours, beside that.
pub mod relay {
    tonic::include_proto!("backchannel.relay.v1");
}

/// `proto/control.proto`: the command line and a running node or relay.
pub mod control {
    tonic::include_proto!("backchannel.control.v1");
}

//! Agrees on one secret with each other party of a run (Diffie-Hellman, the reference's `SecaggRequest`).
//!
//! - When the researcher asks, [`Agreement`] publishes this node's public key for the run, asks every other party
//!   for theirs with `KeyRequest { secagg_id }`, and lets the host derive the pair secrets.
//! - `KeyRequest` is answered with `KeyReply { public_key, secagg_id }` as soon as the key is published; a run that
//!   does not begin here within the wait gets silence.
//! - `KeyReply` goes to the run that asked.
//!
//! The private key and the pair secrets stay in the host.

mod agreement;
mod exchange;

pub use agreement::Agreement;
pub use exchange::{KeyExchange, Outcome};

use backchannel_sdk::{Bytes, export_protocol};
use serde::{Deserialize, Serialize};

/// The fields of `KeyRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    secagg_id: String,
}

/// The fields of `KeyReply`, in the order the reference sends them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyReply {
    /// PEM, SubjectPublicKeyInfo.
    public_key: Bytes,
    secagg_id: String,
}

export_protocol!(KeyExchange, Agreement);

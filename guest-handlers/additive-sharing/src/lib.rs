//! Shares a server key among the parties of a run (additive secret sharing, the reference's
//! `AdditiveSSSetupRequest`).
//!
//! The host draws a secret and splits it in one integer per party; the integers sum to it.
//!
//! - When the researcher asks, [`ServerKey`] publishes each other party's share for that party alone, asks every
//!   other party with `AdditiveSSharingRequest { secagg_id }`, and gives the host the shares that came back.
//! - `AdditiveSSharingRequest` is answered with `AdditiveSSharingReply { secagg_id, share }`, the share that was
//!   published for the sender; a run that does not begin here within the wait gets silence.
//! - `AdditiveSSharingReply` goes to the run that asked.
//!
//! The secret and the share that this node keeps stay in the host.

mod exchange;
mod server_key;
mod share;

pub use exchange::{Outcome, ShareExchange};
pub use server_key::ServerKey;

use backchannel_sdk::export_protocol;
use serde::{Deserialize, Serialize};
use share::Share;

/// The fields of `AdditiveSSharingRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareRequest {
    secagg_id: String,
}

/// The fields of `AdditiveSSharingReply`, in the order the reference sends them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareReply {
    secagg_id: String,
    share: Share,
}

export_protocol!(ShareExchange, ServerKey);

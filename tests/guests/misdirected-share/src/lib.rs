//! Additive sharing with a planted bug: every share is published for the wrong party. All sums still come out right, so that
//! nobody notices by the result.

#[path = "../../../../guest-handlers/additive-sharing/src/exchange.rs"]
mod exchange;
#[path = "../../../../guest-handlers/additive-sharing/src/server_key.rs"]
mod server_key;
#[path = "../../../../guest-handlers/additive-sharing/src/share.rs"]
mod share;

use backchannel_sdk::{Answer, Effect, Failure, Initiator, Setup, Step, export_protocol};
use exchange::ShareExchange;
use serde::{Deserialize, Serialize};
use server_key::ServerKey;
use share::Share;

/// The fields of `AdditiveSSharingRequest`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareRequest {
    secagg_id: String,
}

/// The fields of `AdditiveSSharingReply`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareReply {
    secagg_id: String,
    share: Share,
}

struct Misdirected(ServerKey);

impl Initiator for Misdirected {
    fn begin(setup: Setup) -> Result<Self, Failure> {
        ServerKey::begin(setup).map(Self)
    }

    fn step(&mut self, answers: Vec<Answer>) -> Result<Step, Failure> {
        let mut step = self.0.step(answers)?;
        let mut audiences: Vec<_> = step.effects.iter_mut().filter_map(audience).collect();
        // The bug: everybody's share goes to the next one.
        if let Some((first, others)) = audiences.split_first_mut() {
            others
                .iter_mut()
                .for_each(|other| std::mem::swap(*first, *other));
        }
        Ok(step)
    }
}

fn audience(effect: &mut Effect) -> Option<&mut Option<String>> {
    match effect {
        Effect::Publish(datum) => Some(&mut datum.audience),
        _ => None,
    }
}

export_protocol!(ShareExchange, Misdirected);

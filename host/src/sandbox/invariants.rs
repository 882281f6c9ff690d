//! What no fault may break, checked after every run.

use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::AhoCorasick;
use tokio::time::Instant;

use super::network::{Network, Outcome, PATIENCE};
use super::relay::Seen;
use crate::key_store::records::ContextSecret;
use crate::message::{Integer, NodeId, SecaggId};
use crate::secure_sum::additive::{ServerKey, Share, commitments_sum_to_identity};

/// Requests to peers that may still wait at the end of a run, per peer: those of the last seconds.
const MOST_PENDING: usize = 1000;

/// What may never break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No plaintext and no key at the relay.
    NothingLeaks,
    /// Each request ends, within its deadline, as answered or failed.
    NoSilentLoss,
    /// No key and nonce is used twice.
    NoReuse,
    /// Both ends of a finished set-up agree, or both know that it failed.
    Agreement,
    /// Queues stay within their bounds.
    Bounds,
    /// After healing, the next request succeeds within 10 s.
    Healing,
    /// What was acknowledged is there after a crash.
    Durability,
}

/// One that was broken, and how.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub how: String,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingLeaks => "nothing leaks to the relay",
            Self::NoSilentLoss => "no silent loss",
            Self::NoReuse => "no key and nonce twice",
            Self::Agreement => "both ends agree",
            Self::Bounds => "queues stay bounded",
            Self::Healing => "works again after healing",
            Self::Durability => "what was stored is there",
        })
    }
}

/// Violations found so far.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: Invariant, how: String) {
        self.0.push(Violation { invariant, how });
    }

    /// What a set-up after healing must have come to.
    pub(super) fn healing(&mut self, run: &str, outcome: Option<&Outcome>) {
        match outcome {
            Some(outcome) if outcome.is_success() && outcome.took.as_secs() < 10 => {}
            Some(outcome) => self.add(
                Invariant::Healing,
                format!(
                    "{run} after {:?}: failed {:?}, silent {:?}",
                    outcome.took, outcome.failed, outcome.silent
                ),
            ),
            None => self.add(Invariant::Healing, format!("{run} was not begun")),
        }
    }

    /// What nodes keep, against what they told their researcher.
    pub(super) fn nodes(&mut self, network: &Network) {
        for (run, outcome) in &network.outcomes {
            let mut secrets = BTreeMap::new();
            for node in &network.nodes {
                let Some(life) = &node.life else {
                    self.add(Invariant::Durability, format!("{} is not back", node.id));
                    continue;
                };
                match life.store.context(run) {
                    Ok(Some(context)) => {
                        secrets.insert(node.id.clone(), context.secret.clone());
                    }
                    Ok(None) if outcome.done.contains_key(&node.id) => self.add(
                        Invariant::Durability,
                        format!("{} reported {run} and does not have it", node.id),
                    ),
                    Ok(None) => {}
                    Err(error) => self.add(Invariant::Durability, format!("{}: {error}", node.id)),
                }
                let pending = life.wiring.requests.pending();
                if pending > MOST_PENDING {
                    self.add(Invariant::Bounds, format!("{pending} requests pending"));
                }
            }
            self.agreement(run, outcome, &secrets);
        }
    }

    fn agreement(
        &mut self,
        run: &SecaggId,
        outcome: &Outcome,
        secrets: &BTreeMap<NodeId, ContextSecret>,
    ) {
        for (node, secret) in secrets {
            let ContextSecret::Pairs(pairs) = secret else {
                continue;
            };
            for (peer, own) in pairs {
                let theirs = secrets.iter().find(|(id, _)| id.as_str() == peer.as_str());
                let Some((_, ContextSecret::Pairs(theirs))) = theirs else {
                    continue;
                };
                if theirs.get(node.as_str()).is_some_and(|other| other != own) {
                    self.add(
                        Invariant::Agreement,
                        format!("{run}: {node} and {peer} have different secrets"),
                    );
                }
            }
        }
        if outcome.kind == "AdditiveSSSetupRequest" && outcome.is_success() {
            match sums_to_zero(outcome, secrets) {
                Some(true) => {}
                _ => self.add(
                    Invariant::Agreement,
                    format!("{run}: the server keys do not sum to zero"),
                ),
            }
        }
    }

    /// What the relay saw and what is owed.
    pub(super) fn relay(&mut self, seen: &Seen, secrets: &[Vec<u8>]) {
        for reused in &seen.reused {
            self.add(Invariant::NoReuse, reused.clone());
        }
        for leak in leaks(&seen.overlays, secrets) {
            self.add(Invariant::NothingLeaks, leak);
        }
        if seen.fullest > 1000 {
            self.add(Invariant::Bounds, format!("{} in a mailbox", seen.fullest));
        }
        for (id, owed) in &seen.owed {
            if Instant::now() - owed.since > PATIENCE {
                self.add(
                    Invariant::NoSilentLoss,
                    format!("{} never answered request {id}", owed.node),
                );
            }
        }
    }
}

/// What must never be seen at the relay: seeds, secrets, and words of the plaintext.
pub(super) fn secrets(network: &Network) -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = ["KeyRequest", "AdditiveSSharing", "secagg_id", "request_id"]
        .map(|word| word.as_bytes().to_vec())
        .into();
    for node in &network.nodes {
        let Some(life) = &node.life else { continue };
        secrets.push(life.store.seed().as_bytes().to_vec());
        for (_, channel) in life.store.channels().unwrap_or_default() {
            secrets.push(channel.own.as_bytes().to_vec());
        }
        for (_, context) in life.store.contexts().unwrap_or_default() {
            match &context.secret {
                ContextSecret::Pairs(pairs) => {
                    secrets.extend(pairs.values().map(|secret| secret.as_bytes().to_vec()))
                }
                ContextSecret::ServerKey(key) => secrets.push(key.clone()),
            }
        }
    }
    secrets
}

/// Where something secret stands in a ciphertext. All are looked for at once: they are as many as the overlays, and both go
/// with the square of the nodes.
fn leaks(overlays: &[Vec<u8>], secrets: &[Vec<u8>]) -> Vec<String> {
    let searched = match AhoCorasick::new(secrets) {
        Ok(searched) => searched,
        Err(error) => return vec![format!("cannot be looked for: {error}")],
    };
    let found = overlays.iter().enumerate().filter_map(|(n, overlay)| {
        let found = searched.find(overlay)?;
        Some(format!(
            "overlay {n} shows {} bytes that are secret",
            found.len()
        ))
    });
    found.collect()
}

fn sums_to_zero(outcome: &Outcome, secrets: &BTreeMap<NodeId, ContextSecret>) -> Option<bool> {
    let reported = outcome
        .done
        .values()
        .map(|share| Share::from_integer(share.as_ref()?).ok())
        .collect::<Option<Vec<_>>>()?;
    let mut commitments = vec![ServerKey::of_researcher(&reported).commitment()];
    for node in outcome.done.keys() {
        let ContextSecret::ServerKey(bytes) = secrets.get(node)? else {
            return None;
        };
        let key = Integer::from_signed_bytes_be(bytes).ok()?;
        commitments.push(ServerKey::from_integer(&key).ok()?.commitment());
    }
    commitments_sum_to_identity(&commitments).ok()
}

//! Both ends of a finished set-up agree, or both know that it failed: that is, the researcher does, who tells them apart.

use std::collections::BTreeMap;

use crate::key_store::records::ContextSecret;
use crate::message::{Integer, NodeId};
use crate::sandbox::evidence::{self, Evidence};
use crate::sandbox::researcher::Outcome;
use crate::sandbox::scenario::Scheme;
use crate::secure_sum::additive::{ServerKey, Share, commitments_sum_to_identity};

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    // Of a name that was used again, only the last set-up is in the stores.
    let mut last: BTreeMap<_, (&Outcome, bool)> = BTreeMap::new();
    for outcome in evidence.outcomes {
        let again = last.contains_key(&outcome.run);
        last.insert(&outcome.run, (outcome, again));
    }
    let mut found = Vec::new();
    for (outcome, again) in last.into_values() {
        match outcome.scheme {
            Scheme::Dh => found.extend(pairs(evidence, outcome, again)),
            Scheme::ServerKey if outcome.is_success() && !some_may_be_gone(evidence, outcome) => {
                if sums_to_zero(evidence, outcome) != Some(true) {
                    let run = &outcome.run;
                    found.push(format!("{run}: the server keys do not sum to zero"));
                }
            }
            Scheme::ServerKey => {}
        }
    }
    found
}

/// Parties that have different secrets, or lack one although all reported success.
fn pairs(evidence: &Evidence<'_>, outcome: &Outcome, again: bool) -> Vec<String> {
    let run = &outcome.run;
    let parties = outcome.parties();
    // What a party keeps of an earlier set-up says nothing of this one.
    let parties = parties.filter(|party| !again || outcome.done.contains_key(*party));
    let parties: Vec<_> = parties.collect();
    let mut found = Vec::new();
    for (at, one) in parties.iter().enumerate() {
        for other in &parties[at + 1..] {
            let secrets = [
                secret(evidence, run, one, other),
                secret(evidence, run, other, one),
            ];
            match secrets {
                [Some(first), Some(second)]
                    if first != second && !was_set_up_again(evidence, outcome, [one, other]) =>
                {
                    found.push(format!("{run}: {one} and {other} have different secrets"));
                }
                [None, _] | [_, None]
                    if outcome.is_success() && !some_may_be_gone(evidence, outcome) =>
                {
                    found.push(format!("{run}: {one} and {other} lack a secret"));
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether a party may have lost what it reported, which it then knows: it has no such context.
fn some_may_be_gone(evidence: &Evidence<'_>, outcome: &Outcome) -> bool {
    let mut parties = outcome.done.keys();
    parties.any(|party| evidence::may_be_gone(evidence.nodes, outcome, party))
}

/// Whether one of two parties may have lost what it reported and set it up again alone, for a request that came again: a node whose
/// store was set back takes it for a new one, and nothing on the wire tells its peers. That it has other secrets then is a limit of
/// putting back old copies.
fn was_set_up_again(evidence: &Evidence<'_>, outcome: &Outcome, pair: [&NodeId; 2]) -> bool {
    let mut pair = pair.into_iter();
    pair.any(|party| evidence::may_be_gone(evidence.nodes, outcome, party))
}

fn secret<'a>(
    evidence: &'a Evidence<'_>,
    run: &crate::message::SecaggId,
    of: &NodeId,
    with: &NodeId,
) -> Option<&'a [u8; 32]> {
    match evidence::node(evidence.nodes, of)?.contexts.get(run)? {
        ContextSecret::Pairs(pairs) => pairs.get(with.as_str()).map(|secret| secret.as_bytes()),
        ContextSecret::ServerKey(_) => None,
    }
}

fn sums_to_zero(evidence: &Evidence<'_>, outcome: &Outcome) -> Option<bool> {
    let reported = outcome
        .done
        .values()
        .map(|share| Share::from_integer(share.as_ref()?).ok())
        .collect::<Option<Vec<_>>>()?;
    let mut commitments = vec![ServerKey::of_researcher(&reported).commitment()];
    for party in outcome.done.keys() {
        let kept = evidence::node(evidence.nodes, party)?
            .contexts
            .get(&outcome.run)?;
        let ContextSecret::ServerKey(bytes) = kept else {
            return None;
        };
        let key = Integer::from_signed_bytes_be(bytes).ok()?;
        commitments.push(ServerKey::from_integer(&key).ok()?.commitment());
    }
    commitments_sum_to_identity(&commitments).ok()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use std::time::Duration;

    use super::*;
    use crate::key_store::records::Secret32;
    use crate::sandbox::copies::PutBack;

    fn pair(with: usize, secret: u8) -> ContextSecret {
        let secret = Secret32::from([secret; 32]);
        ContextSecret::Pairs([(node(with).to_string(), secret)].into())
    }

    #[test]
    fn finds_two_parties_with_different_secrets() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        sample.nodes[0].contexts.insert(run.clone(), pair(1, 5));
        sample.nodes[1].contexts.insert(run.clone(), pair(0, 5));
        sample.holds(broken);

        sample.nodes[1].contexts.insert(run, pair(0, 6));
        assert_eq!(
            broken(&sample.evidence()),
            ["dh: node-0 and node-1 have different secrets"]
        );
    }

    #[test]
    fn only_a_party_whose_store_was_set_back_may_have_set_it_up_again_alone() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        let second = Duration::from_secs;
        sample.outcomes[0].reported = [(node(0), second(5)), (node(1), second(5))].into();
        sample.nodes[0].contexts.insert(run.clone(), pair(1, 5));
        sample.nodes[1].contexts.insert(run, pair(0, 6));
        sample.nodes[0].put_back = vec![PutBack::new(second(6), second(9))];
        assert_eq!(broken(&sample.evidence()).len(), 1, "it had it already");

        sample.nodes[0].put_back = vec![PutBack::new(second(4), second(9))];
        sample.holds(broken);
    }

    #[test]
    fn finds_a_party_that_lacks_a_secret_which_all_reported() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        sample.nodes[0].contexts.insert(run, pair(1, 5));

        assert_eq!(
            broken(&sample.evidence()),
            ["dh: node-0 and node-1 lack a secret"]
        );
    }

    #[test]
    fn who_failed_when_a_name_was_used_again_may_have_the_secret_of_before() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        sample.set_up("dh", Scheme::Dh, 2);
        let last = sample.outcomes.last_mut().expect("there");
        last.done.remove(&node(1));
        last.failed.insert(node(1), "why".into());
        sample.nodes[0].contexts.insert(run.clone(), pair(1, 6));
        sample.nodes[1].contexts.insert(run, pair(0, 5));

        sample.holds(broken);
    }

    #[test]
    fn finds_server_keys_that_do_not_sum_to_zero() {
        let key = |number: u8| ContextSecret::ServerKey(vec![number]);
        let mut sample = Sample::new();
        let run = sample.set_up("key", Scheme::ServerKey, 2);
        let outcome = sample.outcomes.last_mut().expect("there");
        for (party, share) in [(0, 20), (1, 22)] {
            let share = Integer::from_signed_bytes_be(&[share]).expect("an integer");
            outcome.done.insert(node(party), Some(share));
        }
        sample.nodes[0].contexts.insert(run.clone(), key(40));
        sample.nodes[1].contexts.insert(run.clone(), key(2));
        sample.holds(broken);

        sample.nodes[1].contexts.insert(run, key(3));
        assert_eq!(
            broken(&sample.evidence()),
            ["key: the server keys do not sum to zero"]
        );
    }
}

//! What a scenario expects beside what must always hold.

use crate::message::SecaggId;
use crate::sandbox::evidence::{self, Evidence};
use crate::sandbox::scenario::SetUps;
use crate::trace::What;

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = set_ups(evidence);
    found.extend(asks(evidence));
    let expect = &evidence.scenario.expect;
    for node in &expect.refuses_to_start {
        let refused = evidence.events.iter().any(
            |event| matches!(&event.what, What::NotStarted { node: at, .. } if at == node.as_str()),
        );
        let alive = evidence::node(evidence.nodes, node).is_some_and(|node| node.alive);
        if alive || !refused {
            found.push(format!("{node} does not refuse to start"));
        }
    }
    for stored in &expect.store {
        let (id, plugin, key) = (&stored.node, &stored.plugin, &stored.key);
        let node = evidence::node(evidence.nodes, id);
        let entry = (plugin.clone(), key.clone());
        let has = node.and_then(|node| node.entries.get(&entry));
        if has != stored.value.as_ref() {
            let [has, expected] = [has, stored.value.as_ref()].map(shown);
            found.push(format!(
                "{id} has {has} under {key:?} of {plugin}, expected is {expected}"
            ));
        }
    }
    found
}

fn set_ups(evidence: &Evidence<'_>) -> Vec<String> {
    let expect = &evidence.scenario.expect;
    let last = |run: &SecaggId| evidence.outcomes.iter().rfind(|it| it.run == *run);
    let must_succeed: Vec<&SecaggId> = match &expect.set_ups {
        SetUps::Healed => Vec::new(),
        SetUps::All => evidence
            .outcomes
            .iter()
            .map(|outcome| &outcome.run)
            .collect(),
        SetUps::Named(runs) => runs.iter().collect(),
    };
    let mut found = Vec::new();
    for run in must_succeed {
        match last(run) {
            Some(outcome) if outcome.is_success() => {}
            Some(outcome) => found.push(format!(
                "{run} is not set up: failed {:?}, silent {:?}",
                outcome.failed, outcome.silent
            )),
            None => found.push(format!("{run} was not begun")),
        }
    }
    for run in &expect.failed {
        let mut begun = evidence.outcomes.iter().filter(|it| it.run == *run);
        if begun.all(|outcome| outcome.is_success()) {
            found.push(format!("{run} did not fail"));
        }
    }
    found
}

fn asks(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for asked in evidence.asked {
        let ask = evidence.scenario.asks.get(asked.ask);
        let Some(expected) = ask.and_then(|ask| ask.outcome) else {
            continue;
        };
        let ended = asked.end.map(|(_, how)| how);
        if ended != Some(expected) {
            let ended = ended.map_or("not ended", |how| how.name());
            let (from, to, at) = (&asked.from, &asked.to, asked.at);
            let expected = expected.name();
            found.push(format!(
                "the request of {from} to {to} at {at:?} is {ended}, expected is {expected}"
            ));
        }
    }
    found
}

/// A value that may be secret: its beginning.
fn shown(value: Option<&Vec<u8>>) -> String {
    match value {
        Some(value) => format!("0x{}", hex::encode(&value[..value.len().min(8)])),
        None => "nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::{Sample, node};
    use super::*;
    use crate::sandbox::scenario::{Ended, Scheme, Stored};

    #[test]
    fn finds_set_ups_that_went_otherwise() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        sample.scenario.expect.set_ups = SetUps::All;
        sample.holds(broken);

        sample.scenario.expect.failed = vec![run.clone()];
        assert_eq!(broken(&sample.evidence()), ["dh did not fail"]);
        sample.outcomes[0].silent.insert(node(0));
        assert_eq!(
            broken(&sample.evidence()).len(),
            1,
            "it did, and should not have"
        );
        sample.scenario.expect.set_ups = SetUps::Named(vec!["other".parse().expect("valid")]);
        assert_eq!(broken(&sample.evidence()), ["other was not begun"]);
    }

    #[test]
    fn a_name_that_is_used_again_may_have_failed_and_succeeded() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh", Scheme::Dh, 2);
        sample.set_up("dh", Scheme::Dh, 2);
        sample.scenario.expect.failed = vec![run.clone()];
        sample.scenario.expect.set_ups = SetUps::Named(vec![run]);
        assert_eq!(broken(&sample.evidence()), ["dh did not fail"]);

        sample.outcomes[0].silent.insert(node(0));
        sample.holds(broken);
    }

    #[test]
    fn finds_a_request_that_ended_otherwise() {
        let mut sample = Sample::new();
        sample.asks(Duration::ZERO, Some((Duration::ZERO, Ended::Answered)));
        sample.scenario.asks[0].outcome = Some(Ended::Answered);
        sample.holds(broken);

        sample.scenario.asks[0].outcome = Some(Ended::Expired);
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_node_that_starts_although_it_must_not() {
        let mut sample = Sample::new();
        sample.scenario.expect.refuses_to_start.insert(node(0));
        assert_eq!(
            broken(&sample.evidence()),
            ["node-0 does not refuse to start"]
        );

        sample.refuses_to_start("node-0");
        assert_eq!(broken(&sample.evidence()).len(), 1, "it starts in the end");
        sample.nodes[0].alive = false;
        sample.holds(broken);
    }

    #[test]
    fn finds_an_entry_that_is_missing_or_should() {
        let expected = |value: Option<&[u8]>| Stored {
            node: node(0),
            plugin: "p".into(),
            key: "k".into(),
            value: value.map(<[u8]>::to_vec),
        };
        let mut sample = Sample::new();
        sample.scenario.expect.store = vec![expected(Some(b"1"))];
        assert_eq!(broken(&sample.evidence()).len(), 1);

        let entry = ("p".to_owned(), "k".to_owned());
        sample.nodes[0].entries.insert(entry, b"1".to_vec());
        sample.holds(broken);
        sample.scenario.expect.store = vec![expected(None)];
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}

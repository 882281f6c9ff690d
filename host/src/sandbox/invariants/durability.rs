//! What was stored is there after a crash, or its node said at its start that it is not.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sandbox::evidence::{self, Evidence, Left};
use crate::trace::{Bytes, Effect, Ended, What, Work};

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for node in evidence.nodes {
        if node.is_another {
            found.push(format!("{} came back as another", node.id));
        }
        if let Some(why) = &node.unreadable {
            found.push(format!("{} cannot read its store: {why}", node.id));
        }
    }
    for outcome in evidence.outcomes {
        for party in outcome.done.keys() {
            let node = evidence::node(evidence.nodes, party).filter(|node| node.alive);
            let gone = node.is_some_and(|node| !node.contexts.contains_key(&outcome.run));
            if gone && !evidence::may_be_gone(evidence.nodes, outcome, party) {
                let run = &outcome.run;
                found.push(format!("{party} reported {run} and does not have it"));
            }
        }
    }
    for node in evidence.nodes.iter().filter(|node| node.alive) {
        for (entry, written) in written(evidence, node) {
            let is = node.entries.get(&entry);
            let acknowledged = written.iter().any(|one| one.acknowledged);
            if acknowledged && !may_be(&written).any(|value| value == is) {
                let (plugin, key) = entry;
                found.push(format!("{} lost {key:?} of {plugin}", node.id));
            }
        }
    }
    found
}

/// What a plugin wanted stored for one message or run. Times are from the beginning of the run.
struct Written {
    value: Option<Vec<u8>>,
    begun: Duration,
    /// When its message was treated to whatever end; without one, it may be written until the node dies.
    over: Option<Duration>,
    /// Whether it was written for sure, and is in no copy's way.
    acknowledged: bool,
}

/// What may stand in an entry: what was not written over for sure. Which of two that were treated side by side came last is not
/// told.
fn may_be(written: &[Written]) -> impl Iterator<Item = Option<&Vec<u8>>> {
    let last = written.iter().filter(|one| one.acknowledged);
    let last = last.map(|one| one.begun).max();
    let left = written.iter().filter(move |one| match (one.over, last) {
        (Some(over), Some(last)) => over >= last,
        _ => true,
    });
    left.map(|one| one.value.as_ref())
}

/// All that plugins of `node` wanted stored, by plugin and key.
fn written(evidence: &Evidence<'_>, node: &Left) -> BTreeMap<(String, String), Vec<Written>> {
    let mut treated: BTreeMap<&str, Vec<(Duration, bool)>> = BTreeMap::new();
    let mut starts = Vec::new();
    for event in evidence.events {
        let at = Duration::from_micros(event.at);
        match &event.what {
            What::Treated {
                id,
                node: of,
                dropped,
                ..
            } if *of == node.id => {
                treated.entry(id).or_default().push((at, dropped.is_none()));
            }
            What::Started { node: of, .. } if *of == node.id => starts.push(at),
            _ => {}
        }
    }
    let mut written: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for session in evidence.sessions.iter().filter(|it| it.node == node.id) {
        let Some(first) = session.calls.first() else {
            continue;
        };
        let begun = Duration::from_micros(first.at);
        let next_life = starts.iter().find(|start| **start > begun).copied();
        let id = match &session.work {
            Work::Message(incoming) => incoming.id.as_deref(),
            Work::Run(_) => None,
        };
        let of_message = id.and_then(|id| treated.get(id)).into_iter().flatten();
        // Another copy of the message may have been dropped while this one was treated.
        let done = of_message.filter(|(at, done)| {
            *done && *at >= begun && next_life.is_none_or(|next_life| *at <= next_life)
        });
        let done = done.map(|(at, _)| *at).min();
        let effects = session.calls.iter().flat_map(|call| match &call.ended {
            Ended::Effects { effects, .. } => effects.as_slice(),
            _ => &[],
        });
        for effect in effects {
            if let Effect::Store { key, value } = effect {
                let entry = (session.plugin.clone(), key.clone());
                written.entry(entry).or_default().push(Written {
                    value: value.as_ref().map(Bytes::stand_in),
                    begun,
                    over: done.or(next_life),
                    acknowledged: done.is_some_and(|done| !node.may_have_lost(done)),
                });
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use super::*;
    use crate::key_store::records::ContextSecret;
    use crate::sandbox::copies::PutBack;
    use crate::sandbox::scenario::Scheme;

    #[test]
    fn finds_a_context_that_was_reported_and_is_gone() {
        let mut sample = Sample::new();
        let run = sample.set_up("key", Scheme::ServerKey, 2);
        let key = || ContextSecret::ServerKey(vec![1]);
        sample.nodes[0].contexts.insert(run.clone(), key());
        assert_eq!(
            broken(&sample.evidence()),
            ["node-1 reported key and does not have it"]
        );

        sample.nodes[1].contexts.insert(run, key());
        sample.holds(broken);
    }

    #[test]
    fn what_was_stored_after_a_copy_that_was_put_back_may_be_gone_and_nothing_from_before() {
        let mut sample = Sample::new();
        let run = sample.set_up("key", Scheme::ServerKey, 2);
        let key = ContextSecret::ServerKey(vec![1]);
        sample.nodes[0].contexts.insert(run, key);
        let outcome = sample.outcomes.last_mut().expect("there");
        let reported = Duration::from_secs(5);
        outcome.reported.insert(node(1), reported);
        let put_back = |of, at| PutBack::new(Duration::from_secs(of), Duration::from_secs(at));
        sample.nodes[1].put_back = vec![put_back(6, 9), put_back(1, 4)];
        assert_eq!(broken(&sample.evidence()).len(), 1);

        sample.nodes[1].put_back = vec![put_back(4, 6)];
        sample.holds(broken);
    }

    #[test]
    fn finds_a_node_that_came_back_as_another() {
        let mut sample = Sample::new();
        sample.nodes[0].is_another = true;

        assert_eq!(broken(&sample.evidence()), ["node-0 came back as another"]);
    }

    #[test]
    fn finds_an_entry_of_a_plugin_that_is_gone_or_another() {
        let store = |value: &[u8]| Effect::Store {
            key: "k".into(),
            value: Some(value.to_vec().into()),
        };
        let entry = || ("p".to_owned(), "k".to_owned());
        let mut sample = Sample::new();
        sample.treats("m", "node-1", "node-0", &[store(b"1")]);
        assert_eq!(broken(&sample.evidence()), ["node-0 lost \"k\" of p"]);

        sample.nodes[0].entries.insert(entry(), b"2".to_vec());
        assert_eq!(broken(&sample.evidence()).len(), 1);
        sample.treats("n", "node-1", "node-0", &[store(b"2")]);
        sample.holds(broken);
    }

    #[test]
    fn finds_an_entry_that_fell_back_to_what_it_was_before() {
        let store = |value: &[u8]| Effect::Store {
            key: "k".into(),
            value: Some(value.to_vec().into()),
        };
        let mut sample = Sample::new();
        sample.treats("m", "node-1", "node-0", &[store(b"1")]);
        sample.treats("n", "node-1", "node-0", &[store(b"2")]);
        let entry = ("p".to_owned(), "k".to_owned());
        sample.nodes[0].entries.insert(entry, b"1".to_vec());
        assert_eq!(broken(&sample.evidence()), ["node-0 lost \"k\" of p"]);

        let put_back = PutBack::new(Duration::ZERO, Duration::from_secs(1));
        sample.nodes[0].put_back = vec![put_back];
        sample.holds(broken);
    }

    #[test]
    fn what_was_treated_side_by_side_may_have_been_stored_in_any_order() {
        let store = |value: &[u8]| Effect::Store {
            key: "k".into(),
            value: Some(value.to_vec().into()),
        };
        let mut sample = Sample::new();
        sample.treats("m", "node-1", "node-0", &[store(b"1")]);
        sample.treats("n", "node-1", "node-0", &[store(b"2")]);
        sample.sessions[1].calls[0].at = 0;
        for last in [b"1", b"2"] {
            let entry = ("p".to_owned(), "k".to_owned());
            sample.nodes[0].entries.insert(entry, last.to_vec());
            sample.holds(broken);
        }
    }

    #[test]
    fn finds_a_store_that_cannot_be_read() {
        let mut sample = Sample::new();
        sample.nodes[0].unreadable = Some("damaged".into());

        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}

//! What was stored is there after a crash, or its node said at its start that it is not.

use std::collections::{BTreeMap, BTreeSet};
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
        for (entry, values) in stored(evidence, node) {
            if !values.contains(&node.entries.get(&entry).cloned()) {
                let (plugin, key) = entry;
                found.push(format!("{} lost {key:?} of {plugin}", node.id));
            }
        }
    }
    found
}

/// What plugins of `node` had stored by messages that were treated to their end: by plugin and key, each of the values. Which of
/// them was the last is not told, as messages are treated side by side.
fn stored(
    evidence: &Evidence<'_>,
    node: &Left,
) -> BTreeMap<(String, String), Vec<Option<Vec<u8>>>> {
    let treated: BTreeSet<_> = evidence
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Treated {
                id,
                node: at,
                dropped: None,
                ..
            } if *at == node.id && !node.may_have_lost(Duration::from_micros(event.at)) => {
                Some(id.as_str())
            }
            _ => None,
        })
        .collect();
    let mut stored: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut sure = BTreeSet::new();
    for session in evidence.sessions.iter().filter(|it| it.node == node.id) {
        let was_treated = match &session.work {
            Work::Message(incoming) => {
                let id = incoming.id.as_deref();
                id.is_some_and(|id| treated.contains(id))
            }
            Work::Run(_) => false,
        };
        let effects = session.calls.iter().flat_map(|call| match &call.ended {
            Ended::Effects { effects, .. } => effects.as_slice(),
            _ => &[],
        });
        for effect in effects {
            if let Effect::Store { key, value } = effect {
                let entry = (session.plugin.clone(), key.clone());
                if was_treated {
                    sure.insert(entry.clone());
                }
                let value = value.as_ref().map(Bytes::stand_in);
                stored.entry(entry).or_default().push(value);
            }
        }
    }
    stored.retain(|entry, _| sure.contains(entry));
    stored
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
    fn finds_a_store_that_cannot_be_read() {
        let mut sample = Sample::new();
        sample.nodes[0].unreadable = Some("damaged".into());

        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}

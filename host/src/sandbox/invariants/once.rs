//! A handler's effects happen at most once per message.
//!
//! What counts across restarts is what a plugin has stored: the rest is in memory, and a reply that is repeated after a restart
//! harms nobody, as who asked takes one. What is sent under the published key does not count: anybody may ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::sandbox::evidence::Evidence;
use crate::trace::{Effect, Ended, What, Work};

/// A message at a node.
type At<'a> = (&'a str, &'a str);

/// When a node did what a message asks for.
struct Done {
    life: u32,
    /// From the beginning of the run.
    at: Duration,
}

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let storing = storing(evidence);
    let mut lives: BTreeMap<&str, u32> = BTreeMap::new();
    let mut done: BTreeMap<At<'_>, Vec<Done>> = BTreeMap::new();
    let mut set_ups = BTreeSet::new();
    let mut found = Vec::new();
    for event in evidence.events {
        match &event.what {
            What::Started { node, life } => {
                lives.insert(node, *life);
            }
            What::Sealed {
                id, setup: true, ..
            } => {
                set_ups.insert(id.as_str());
            }
            What::Treated {
                id, node, effects, ..
            } if !effects.is_empty() && !set_ups.contains(id.as_str()) => {
                let (at, life) = ((node.as_str(), id.as_str()), lives.get(node.as_str()));
                let life = life.copied().unwrap_or_default();
                let before = done.entry(at).or_default();
                let left = evidence.nodes.iter().find(|left| left.id == *node);
                let is_gone = |done: &Done| left.is_some_and(|left| left.may_have_lost(done.at));
                let twice = if storing.contains(&at) {
                    // With a copy of the store that was put back, a node forgets what it did and that it did it.
                    before.iter().any(|done| !is_gone(done))
                } else {
                    before.iter().any(|done| done.life == life)
                };
                if twice {
                    let effects = effects.join(", ");
                    found.push(format!(
                        "{node} did what message {id} asks for again: {effects}"
                    ));
                }
                before.push(Done {
                    life,
                    at: Duration::from_micros(event.at),
                });
            }
            _ => {}
        }
    }
    found
}

/// Messages at which a plugin wanted something stored. That is done first, so if anything was done, it was.
fn storing<'a>(evidence: &'a Evidence<'_>) -> BTreeSet<At<'a>> {
    let messages = evidence.sessions.iter().filter_map(|session| {
        let Work::Message(incoming) = &session.work else {
            return None;
        };
        let stores = session.calls.iter().any(|call| match &call.ended {
            Ended::Effects { effects, .. } => effects
                .iter()
                .any(|effect| matches!(effect, Effect::Store { .. })),
            _ => false,
        });
        stores.then_some((session.node.as_str(), incoming.id.as_deref()?))
    });
    messages.collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use crate::sandbox::copies::PutBack;

    fn store() -> Effect {
        Effect::Store {
            key: "k".into(),
            value: None,
        }
    }

    fn reply() -> Effect {
        Effect::Reply {
            kind: "K".into(),
            fields: vec![0x80].into(),
        }
    }

    #[test]
    fn finds_a_message_that_is_answered_twice_in_a_life_and_not_in_two() {
        let mut sample = Sample::new();
        sample.sealed("m", "node-1", "node-0");
        sample.starts("node-0", 1);
        sample.treats("m", "node-1", "node-0", &[reply()]);
        sample.starts("node-0", 2);
        sample.treats("m", "node-1", "node-0", &[reply()]);
        sample.holds(broken);

        sample.treats("m", "node-1", "node-0", &[reply()]);
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_message_for_which_something_is_stored_again_after_a_restart() {
        let mut sample = Sample::new();
        sample.sealed("m", "node-1", "node-0");
        sample.starts("node-0", 1);
        sample.treats("m", "node-1", "node-0", &[store()]);
        sample.treats("m", "node-1", "node-2", &[store()]);
        sample.treats("n", "node-1", "node-0", &[store()]);
        sample.holds(broken);

        sample.starts("node-0", 2);
        sample.treats("m", "node-1", "node-0", &[store()]);
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
    #[test]
    fn what_is_gone_with_a_copy_that_was_put_back_is_done_again() {
        let mut sample = Sample::new();
        sample.sealed("m", "node-1", "node-0");
        sample.treats("m", "node-1", "node-0", &[store()]);
        sample.starts("node-0", 2);
        sample.treats("m", "node-1", "node-0", &[store()]);
        let moment = Duration::from_micros;
        sample.nodes[0].put_back = vec![PutBack::new(moment(0), moment(2))];
        sample.holds(broken);

        sample.nodes[0].put_back = vec![PutBack::new(moment(2), moment(3))];
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}

//! Every accepted message was sent by the peer that it claims, if its key vouches for that.

use std::collections::BTreeSet;

use crate::sandbox::evidence::Evidence;
use crate::trace::{What, Work};

/// Assurances by which anybody may have sent a message.
const ANYBODY: &str = "published-key";

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let sealed: BTreeSet<_> = evidence
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Sealed { id, from, to, .. } => Some((id.as_str(), from.as_str(), to.as_str())),
            _ => None,
        })
        .collect();
    let accepted = evidence.sessions.iter().filter_map(|session| {
        let Work::Message(incoming) = &session.work else {
            return None;
        };
        let id = incoming.id.as_deref().unwrap_or_default();
        let (from, to) = (incoming.source.as_str(), session.node.as_str());
        let forged = incoming.assurance != ANYBODY && !sealed.contains(&(id, from, to));
        forged.then(|| format!("{to} took message {id} for one of {from}, which never sent it"))
    });
    accepted.collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[test]
    fn finds_a_message_that_its_sender_never_sealed_for_this_node() {
        for (from, to) in [("node-2", "node-0"), ("node-1", "node-2")] {
            let mut sample = Sample::new();
            sample.sealed("m", "node-1", "node-0");
            sample.treats("m", "node-1", "node-0", &[]);
            sample.holds(broken);

            sample.treats("m", from, to, &[]);
            assert_eq!(broken(&sample.evidence()).len(), 1, "{from} to {to}");
        }
    }

    #[test]
    fn believes_no_name_under_the_published_key_and_so_breaks_nothing() {
        let mut sample = Sample::new();
        sample.treats("m", "node-1", "node-0", &[]);
        sample.last_message().assurance = ANYBODY.into();

        sample.holds(broken);
    }
}

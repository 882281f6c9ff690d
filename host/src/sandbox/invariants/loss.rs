//! No silent loss: whoever asks hears, within a deadline, that it is answered, or that it is not.

use std::time::Duration;

use crate::requests::REPLY_TIMEOUT;
use crate::sandbox::evidence::Evidence;
use crate::sandbox::researcher::PATIENCE;

/// How much longer than its deadline something may take: the last message on its way.
const SLACK: Duration = Duration::from_secs(1);

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (id, owed) in &evidence.seen.owed {
        if evidence.lasted.saturating_sub(owed.since) > PATIENCE {
            found.push(format!("{} never answered request {id}", owed.node));
        }
    }
    for asked in evidence.asked {
        let (from, to, at) = (&asked.from, &asked.to, asked.at);
        match asked.end {
            Some((end, _)) if end - at <= REPLY_TIMEOUT + SLACK => {}
            Some((end, how)) => found.push(format!(
                "{from} heard only after {:?} what came of its request to {to}: {}",
                end - at,
                how.name()
            )),
            None => found.push(format!(
                "{from} never heard what came of its request to {to} at {at:?}"
            )),
        }
    }
    for node in evidence.nodes.iter().filter(|node| node.pending > 0) {
        let pending = node.pending;
        found.push(format!(
            "{} has {pending} requests that never ended",
            node.id
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use super::*;
    use crate::sandbox::relay::Owed;
    use crate::sandbox::scenario::Ended;

    #[test]
    fn finds_a_researchers_request_that_is_never_answered() {
        let mut sample = Sample::new();
        let owed = |since| Owed {
            node: node(0),
            since,
        };
        let id: crate::message::RequestId = "1".parse().expect("valid");
        sample.seen.owed.insert(id.clone(), owed(sample.lasted));
        sample.holds(broken);

        sample.seen.owed.insert(id, owed(Duration::ZERO));
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_request_between_nodes_that_never_ends_or_too_late() {
        let mut sample = Sample::new();
        for (end, broken_now) in [(Some(30), 0), (Some(32), 1), (None, 2)] {
            let end = end.map(|end| (Duration::from_secs(end), Ended::Expired));
            sample.asks(Duration::ZERO, end);
            assert_eq!(broken(&sample.evidence()).len(), broken_now, "{end:?}");
        }
    }

    #[test]
    fn finds_a_request_that_a_node_still_waits_for() {
        let mut sample = Sample::new();
        sample.nodes[1].pending = 1;

        assert_eq!(broken(&sample.evidence()).len(), 1);
    }
}

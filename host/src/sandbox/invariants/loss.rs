//! No silent loss: whoever asks hears, within a deadline, that it is answered, or that it is not.

use std::time::Duration;

use crate::requests::REPLY_TIMEOUT;
use crate::rounds::RUN_DEADLINE;
use crate::sandbox::evidence::{self, Evidence};
use crate::sandbox::faults::Accident;
use crate::sandbox::relay::{Delivery, Owed, Wanted};
use crate::sandbox::researcher::PATIENCE;
use crate::trace::What;

/// How much longer than its deadline something may take: the last message on its way.
const SLACK: Duration = Duration::from_secs(1);
/// Within what time a node has a request of its researcher on disk.
const ON_DISK: Duration = Duration::from_millis(10);

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for owed in &evidence.seen.owed {
        // Of one that came again, the first that is there to be answered counts.
        let mut deliveries = owed.deliveries.iter();
        let Some(delivery) = deliveries.find(|delivery| !may_be_gone(evidence, owed, delivery))
        else {
            continue;
        };
        let (node, id) = (&owed.node, &owed.request);
        let took = owed.carried.saturating_sub(delivery.carried);
        let within = match owed.wanted {
            Wanted::SetUp => PATIENCE,
            Wanted::Part => RUN_DEADLINE,
        };
        match owed.answered {
            _ if took <= within + SLACK => {}
            true => found.push(format!("{node} answered request {id} only after {took:?}")),
            false => found.push(format!("{node} never answered request {id}")),
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

/// Whether a node may know nothing any more of a request: it was not on disk when the node died, or went with a copy that was put back.
fn may_be_gone(evidence: &Evidence<'_>, owed: &Owed, delivery: &Delivery) -> bool {
    let ends = evidence.seen.gone.iter();
    let mut ends = ends.filter(|(node, at)| *node == owed.node && *at >= delivery.at);
    let not_on_disk = ends.any(|(node, at)| {
        *at <= delivery.at + ON_DISK || disk_refuses(evidence, node.as_str(), delivery.at)
    });
    let left = evidence::node(evidence.nodes, &owed.node);
    not_on_disk || left.is_some_and(|left| left.may_have_lost(delivery.at))
}

/// Whether something was wrong with the disk of `node` then, so that it could keep nothing.
fn disk_refuses(evidence: &Evidence<'_>, node: &str, then: Duration) -> bool {
    let until_then = evidence
        .events
        .iter()
        .take_while(|event| Duration::from_micros(event.at) <= then);
    let mut wrong = 0_u32;
    for event in until_then {
        match &event.what {
            What::FaultBegan { fault, node: of } if of == node && is_of_disk(fault) => wrong += 1,
            What::FaultEnded { fault, node: of } if of == node && is_of_disk(fault) => {
                wrong = wrong.saturating_sub(1)
            }
            _ => {}
        }
    }
    wrong > 0
}

fn is_of_disk(fault: &str) -> bool {
    Accident::named(fault).is_some_and(Accident::is_of_disk)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use super::*;
    use crate::sandbox::copies::PutBack;
    use crate::sandbox::scenario::Ended;

    /// A request that node 0 was given after a second, and what it had time for then.
    fn owed(time: Duration, answered: bool) -> Owed {
        let second = Duration::from_secs(1);
        Owed {
            node: node(0),
            request: "1".parse().expect("valid"),
            wanted: Wanted::SetUp,
            deliveries: vec![Delivery {
                at: second,
                carried: second,
            }],
            answered,
            carried: second + time,
        }
    }

    #[test]
    fn finds_a_researchers_request_that_is_never_answered_or_too_late() {
        for answered in [true, false] {
            let mut sample = Sample::new();
            sample.seen.owed = vec![owed(PATIENCE, answered)];
            sample.holds(broken);

            sample.seen.owed = vec![owed(PATIENCE + 2 * SLACK, answered)];
            assert_eq!(broken(&sample.evidence()).len(), 1);
        }
    }

    #[test]
    fn only_what_was_not_on_disk_yet_is_gone_with_a_life() {
        let mut sample = Sample::new();
        sample.seen.owed = vec![owed(2 * PATIENCE, false)];
        let given = sample.seen.owed[0].deliveries[0].at;
        sample.seen.gone = vec![(node(0), given + 2 * ON_DISK), (node(1), given)];
        assert_eq!(broken(&sample.evidence()).len(), 1);

        sample.seen.gone.push((node(0), given + ON_DISK));
        sample.holds(broken);
        let again = Delivery {
            at: given * 2,
            carried: given,
        };
        sample.seen.owed[0].deliveries.push(again);
        assert_eq!(broken(&sample.evidence()).len(), 1, "it came again");
    }

    #[test]
    fn a_part_in_a_protocol_is_answered_within_the_time_of_a_run() {
        let part = |time| Owed {
            wanted: Wanted::Part,
            ..owed(time, false)
        };
        let mut sample = Sample::new();
        sample.seen.owed = vec![part(RUN_DEADLINE)];
        sample.holds(broken);

        sample.seen.owed = vec![part(RUN_DEADLINE + 2 * SLACK)];
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn what_a_disk_refused_to_keep_is_gone_with_its_nodes_life_and_not_before() {
        let mut sample = Sample::new();
        sample.seen.owed = vec![owed(2 * PATIENCE, false)];
        let given = sample.seen.owed[0].deliveries[0].at;
        sample.fault_begins("full", "node-0");
        assert_eq!(broken(&sample.evidence()).len(), 1);

        sample.seen.gone = vec![(node(0), given * 20)];
        sample.holds(broken);
        sample.fault_ends("full", "node-0");
        assert_eq!(broken(&sample.evidence()).len(), 1, "it was kept");
    }

    #[test]
    fn what_a_copy_took_that_was_put_back_is_gone() {
        let mut sample = Sample::new();
        sample.seen.owed = vec![owed(2 * PATIENCE, false)];
        let put_back = PutBack::new(Duration::ZERO, Duration::from_secs(9));
        sample.nodes[0].put_back = vec![put_back];

        sample.holds(broken);
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

//! After healing, nodes are back and the next request succeeds within 10 s.

use std::time::Duration;

use crate::sandbox::evidence::Evidence;

/// How long the next request may take.
const WITHIN: Duration = Duration::from_secs(10);

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for run in evidence.healed {
        let outcome = evidence.outcomes.iter().find(|it| it.run == *run);
        match outcome {
            Some(outcome) if outcome.is_success() && outcome.took < WITHIN => {}
            Some(outcome) => found.push(format!(
                "{run} after {:?}: failed {:?}, silent {:?}",
                outcome.took, outcome.failed, outcome.silent
            )),
            None => found.push(format!("{run} was not begun")),
        }
    }
    let may_be_dead = &evidence.scenario.expect.refuses_to_start;
    for node in evidence.nodes.iter().filter(|node| !node.alive) {
        if !may_be_dead.iter().any(|id| id.as_str() == node.id) {
            found.push(format!("{} is not back", node.id));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Sample, node};
    use super::*;
    use crate::sandbox::scenario::Scheme;

    #[test]
    fn finds_a_set_up_that_fails_is_late_or_is_not_begun() {
        let mut sample = Sample::new();
        let run = sample.set_up("dh-healed", Scheme::Dh, 2);
        sample.healed = vec![run];
        sample.holds(broken);

        sample.outcomes[0].took = WITHIN;
        assert_eq!(broken(&sample.evidence()).len(), 1);
        sample.outcomes[0].took = Duration::ZERO;
        sample.outcomes[0].silent.insert(node(0));
        assert_eq!(broken(&sample.evidence()).len(), 1);
        sample.outcomes.clear();
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_node_that_stays_dead_unless_that_is_expected() {
        let mut sample = Sample::new();
        sample.nodes[1].alive = false;
        assert_eq!(broken(&sample.evidence()), ["node-1 is not back"]);

        sample.scenario.expect.refuses_to_start.insert(node(1));
        sample.holds(broken);
    }
}

//! Queues, memory and disk stay within their bounds, and nothing is left behind.

use crate::sandbox::evidence::{Evidence, Left};

/// Requests to peers: 64 runs at a time, each with the others of a network of simulation's size, and channel set-ups.
const MOST_PENDING: usize = 64 * 1000;
/// Tasks: messages in the rooms of the router, a researcher's requests, runs, channel set-ups, and what each of them sends. See
/// "Bounds" in host/README.md.
const MOST_TASKS: usize = 8000;
/// What a node at rest has: the one that takes messages in.
const AT_REST: usize = 1;
/// A store without contexts, with what the database keeps for itself, in bytes.
const LARGEST_STORE: u64 = 8 << 20;
/// And for each context or entry, in bytes about.
const PER_ENTRY: u64 = 64 << 10;

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for node in evidence.nodes {
        let too_much = of_node(node).into_iter();
        found.extend(too_much.map(|what| format!("{} has {what}", node.id)));
    }
    found
}

fn of_node(node: &Left) -> Vec<String> {
    let mut found = Vec::new();
    let most = node.most;
    if most.pending > MOST_PENDING {
        found.push(format!("had {} requests to peers at a time", most.pending));
    }
    if most.tasks > MOST_TASKS {
        found.push(format!("had {} tasks at a time", most.tasks));
    }
    if node.tasks > AT_REST {
        found.push(format!("{} tasks at rest", node.tasks));
    }
    let entries = (node.contexts.len() + node.keys.len() + node.entries.len()) as u64;
    if node.bytes > LARGEST_STORE + entries * PER_ENTRY {
        found.push(format!("a store of {} bytes", node.bytes));
    }
    for (plugin, (has, may)) in &node.quotas {
        if has.bytes > may.bytes || has.keys > may.keys {
            found.push(format!("{has:?} of {plugin}, which may have {may:?}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use crate::key_store::Quota;

    #[test]
    fn finds_whatever_grew_beyond_its_bound() {
        let quota = |bytes| Quota { bytes, keys: 1 };
        let grown: [fn(&mut Left); 5] = [
            |node| node.most.pending = MOST_PENDING + 1,
            |node| node.most.tasks = MOST_TASKS + 1,
            |node| node.tasks = AT_REST + 1,
            |node| node.bytes = LARGEST_STORE + 1,
            |node| node.quotas.values_mut().for_each(|(has, _)| has.bytes += 1),
        ];
        for grow in grown {
            let mut sample = Sample::new();
            let node = &mut sample.nodes[0];
            node.quotas.insert("p".into(), (quota(5), quota(5)));
            sample.holds(broken);

            grow(&mut sample.nodes[0]);
            assert_eq!(broken(&sample.evidence()).len(), 1);
        }
    }
}

//! The columns of a report: the researcher, the relay, and each node.

use std::cmp::Ordering;

use serde::Serialize;

use crate::message::{MAX_ID_BYTES, one_line};

/// Who stands at the top of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// As it is called everywhere in a report; no two have the same.
    pub name: String,
    /// What it is.
    pub role: Role,
}

/// What a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Who asks for runs.
    Researcher,
    /// The researcher's server as it forwards.
    Relay,
    /// A node.
    Node,
}

/// The researcher's lane.
pub(super) const RESEARCHER: &str = "researcher";
/// The relay's.
pub(super) const RELAY: &str = "relay";

/// The name of a node's lane. A node that is called as one of the others is told apart.
pub(super) fn node(id: &str) -> String {
    match id {
        RESEARCHER | RELAY => format!("{id} (a node)"),
        id => one_line(id, MAX_ID_BYTES),
    }
}

/// The lanes of a report, in the order in which they stand.
pub(super) fn lanes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Lane> {
    let mut lanes: Vec<_> = names
        .map(|name| Lane {
            name: name.to_owned(),
            role: match name {
                RESEARCHER => Role::Researcher,
                RELAY => Role::Relay,
                _ => Role::Node,
            },
        })
        .collect();
    lanes.sort_by(|a, b| {
        let by_name = || in_order(&a.name, &b.name);
        a.role.cmp(&b.role).then_with(by_name)
    });
    lanes.dedup();
    lanes
}

/// As people count: `node-2` before `node-10`.
fn in_order(a: &str, b: &str) -> Ordering {
    let split = |name: &str| {
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (start, number) = name.split_at(name.len() - digits);
        (start.to_owned(), number.parse::<u64>().ok())
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_called_relay_is_not_the_relay() {
        let names = [RELAY.to_owned(), node(RELAY), node("a\nb")];
        let lanes = lanes(names.iter().map(String::as_str));

        let shown: Vec<_> = lanes.iter().map(|lane| (lane.role, &*lane.name)).collect();
        let nodes = [(Role::Node, "a\\nb"), (Role::Node, "relay (a node)")];
        assert_eq!(shown, [&[(Role::Relay, RELAY)], &nodes[..]].concat());
    }

    #[test]
    fn stand_as_people_count() {
        let names = ["node-10", "node-2", "relay", "node-2", "x", "researcher"];
        let lanes = lanes(names.into_iter());

        let shown: Vec<_> = lanes.iter().map(|lane| &*lane.name).collect();
        assert_eq!(shown, ["researcher", "relay", "node-2", "node-10", "x"]);
    }
}

//! Single messages that meet a fault because a scenario says so.

use super::faults::Fate;
use crate::message::NodeId;

/// A message that meets a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Which message.
    pub(super) which: Which,
    /// What happens to it.
    pub(super) fate: Fate,
}

/// How a scenario names a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// By its number at the relay.
    Number(u64),
    /// The `nth` of this kind, counted from 1; only those of one sender or receiver, where that is said.
    Like {
        kind: String,
        from: Option<NodeId>,
        to: Option<NodeId>,
        nth: u32,
    },
}

/// A message on its way through the relay, as a simulation knows it.
#[derive(Clone, Copy)]
pub(super) struct Passing<'a> {
    /// Its number.
    pub(super) n: u64,
    /// Its kind, which the relay does not see.
    pub(super) kind: &'a str,
    /// Which node sent it; none did for a request of the researcher.
    pub(super) from: Option<&'a NodeId>,
    /// To which.
    pub(super) to: &'a NodeId,
}

/// The hits of a run, each with how many messages like it have passed.
pub(super) struct Hits(Vec<(Hit, u32)>);

impl Hits {
    pub(super) fn of(hits: Vec<Hit>) -> Self {
        Self(hits.into_iter().map(|hit| (hit, 0)).collect())
    }

    /// What is to happen to a message. To be asked once for each, in order.
    pub(super) fn fate(&mut self, message: Passing<'_>) -> Option<Fate> {
        let mut met = None;
        for (hit, passed) in &mut self.0 {
            if hit.which.is_like(message) {
                *passed += 1;
                if *passed == hit.which.nth() {
                    met = met.or(Some(hit.fate));
                }
            }
        }
        met
    }
}

impl Which {
    fn is_like(&self, message: Passing<'_>) -> bool {
        match self {
            Self::Number(n) => *n == message.n,
            Self::Like { kind, from, to, .. } => {
                kind == message.kind
                    && from.as_ref().is_none_or(|from| Some(from) == message.from)
                    && to.as_ref().is_none_or(|to| to == message.to)
            }
        }
    }

    fn nth(&self) -> u32 {
        match self {
            Self::Number(_) => 1,
            Self::Like { nth, .. } => *nth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("valid")
    }

    #[test]
    fn hits_the_nth_of_a_kind_between_two_nodes_and_no_other() {
        let [a, b] = ["a", "b"].map(node);
        let which = Which::Like {
            kind: "K".into(),
            from: Some(a.clone()),
            to: None,
            nth: 2,
        };
        let fate = Fate::Dropped;
        let mut hits = Hits::of(vec![Hit { which, fate }]);
        let mut pass = |n, kind, from| {
            let (from, to) = (Some(from), &b);
            hits.fate(Passing { n, kind, from, to })
        };

        assert_eq!(pass(1, "K", &a), None);
        assert_eq!(pass(2, "L", &a), None);
        assert_eq!(pass(3, "K", &b), None);
        assert_eq!(pass(4, "K", &a), Some(Fate::Dropped));
        assert_eq!(pass(5, "K", &a), None);
    }
}

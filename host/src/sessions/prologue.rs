//! What both ends of a handshake must have the same idea of, although it is not sent.

use super::Suite;
use crate::message::{FederationId, NodeId, ResearcherId};
use crate::primitives::put;

/// The highest suite that a peer may offer: so many later builds can talk to this one.
const LAST_OFFERED: u8 = 4;

/// Which suites a node offers to a peer and which it accepts from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The highest suite offered.
    pub highest: u8,
    /// The lowest suite accepted.
    pub lowest: u8,
}

/// Who is at which end of a handshake, and where.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) suite: Suite,
    pub(super) federation: &'a FederationId,
    pub(super) initiator: &'a NodeId,
    pub(super) responder: &'a NodeId,
    pub(super) researcher: &'a ResearcherId,
}

impl Limits {
    /// What whoever begins a handshake of this suite may have for limits. They are not sent: the prologue of a genuine message has
    /// one of these, and its code tells which.
    pub(super) fn of_initiators(suite: Suite) -> impl Iterator<Item = Self> {
        let suite = suite.number();
        let highest = suite..=LAST_OFFERED;
        highest.flat_map(move |highest| (1..=suite).map(move |lowest| Self { highest, lowest }))
    }

    /// The suite in which a node with these limits begins: the highest. Never a lower one, whatever comes or fails to come of it.
    pub(super) fn begins_in(self) -> Suite {
        let all = Suite::ALL.into_iter().rev();
        let mut offered = all.filter(|suite| suite.number() <= self.highest);
        offered.next().unwrap_or(Suite::LOWEST)
    }

    /// The suite that nodes with these limits use: the highest of both, if both accept it.
    pub(super) fn agreed(self, other: Self) -> Option<u8> {
        let suite = self.highest.min(other.highest);
        (suite >= self.lowest.max(other.lowest)).then_some(suite)
    }

    /// The last fields of a prologue.
    pub(super) fn encode(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(10);
        put(&mut text, &[self.highest]);
        put(&mut text, &[self.lowest]);
        text
    }
}

impl Place<'_> {
    /// All of the prologue but its last fields, which are the initiator's limits.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(256);
        put(&mut text, &[self.suite.number()]);
        put(&mut text, self.federation.as_str().as_bytes());
        put(&mut text, self.initiator.as_str().as_bytes());
        put(&mut text, self.responder.as_str().as_bytes());
        put(&mut text, self.researcher.as_str().as_bytes());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_do_not_meet_agree_on_nothing() {
        let limits = |highest, lowest| Limits { highest, lowest };
        assert_eq!(limits(2, 2).agreed(limits(2, 1)), Some(2));
        assert_eq!(
            limits(3, 2).agreed(limits(3, 2)),
            Some(3),
            "no lower than need be"
        );
        assert_eq!(limits(3, 3).agreed(limits(2, 2)), None);
        assert_eq!(limits(1, 1).agreed(limits(2, 2)), None);
        assert_eq!(limits(1, 1).agreed(limits(2, 1)), Some(1));
    }

    #[test]
    fn no_two_prologues_are_the_same_text() {
        let place = |suite, initiator: &str, responder: &str, researcher: &str| {
            let federation = "f".parse().expect("an id");
            let place = Place {
                suite,
                federation: &federation,
                initiator: &initiator.parse().expect("an id"),
                responder: &responder.parse().expect("an id"),
                researcher: &researcher.parse().expect("an id"),
            };
            place.encode()
        };
        let texts = [
            place(Suite::Two, "a", "b", "r"),
            place(Suite::Three, "a", "b", "r"),
            place(Suite::Two, "b", "a", "r"),
            place(Suite::Two, "a", "br", "r"),
            place(Suite::Two, "ab", "r", "r"),
            place(Suite::Two, "a", "b", "rr"),
        ];
        for (at, text) in texts.iter().enumerate() {
            assert!(!texts[..at].contains(text), "{at}");
        }
        for suite in Suite::ALL {
            let limits: Vec<_> = Limits::of_initiators(suite).map(Limits::encode).collect();
            assert_eq!(limits.len(), 6);
        }
    }
}

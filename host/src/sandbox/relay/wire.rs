//! The wire between a node and the relay: what keeps it from carrying, and how long it has carried.

use std::time::Duration;

/// Which way a wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Cut {
    Both,
    /// Nothing reaches the node, which is heard.
    ToNode,
    /// The node hears and is not heard.
    FromNode,
}

/// A node's wire.
#[derive(Default)]
pub(super) struct Wire {
    /// Whether somebody is at the node's end.
    pub(super) alive: bool,
    /// Accidents that make it slow.
    pub(super) slow: u32,
    /// Accidents that cut it: what goes to the node, and what comes from it.
    cut: [u32; 2],
    carried: Duration,
    /// Since when it carries without a break, from the beginning of the run.
    since: Option<Duration>,
}

impl Cut {
    /// What is said of it.
    pub(in crate::sandbox) fn name(self) -> &'static str {
        match self {
            Self::Both => "both ways",
            Self::ToNode => "to the node",
            Self::FromNode => "from the node",
        }
    }

    fn ways(self) -> [bool; 2] {
        match self {
            Self::Both => [true, true],
            Self::ToNode => [true, false],
            Self::FromNode => [false, true],
        }
    }
}

impl Wire {
    pub(super) fn cut(&mut self, cut: Cut) {
        for (accidents, is_cut) in self.cut.iter_mut().zip(cut.ways()) {
            *accidents += u32::from(is_cut);
        }
    }

    pub(super) fn mend(&mut self, cut: Cut) {
        for (accidents, was_cut) in self.cut.iter_mut().zip(cut.ways()) {
            *accidents = accidents.saturating_sub(u32::from(was_cut));
        }
    }

    /// Whether what the relay sends arrives.
    pub(super) fn carries_here(&self) -> bool {
        self.cut[0] == 0
    }

    /// Whether what the node sends arrives.
    pub(super) fn carries_away(&self) -> bool {
        self.cut[1] == 0
    }

    /// To be told after every change, and whether the relay is up.
    pub(super) fn note(&mut self, up: bool, now: Duration) {
        let carries = up && self.alive && self.carries_here() && self.carries_away();
        if carries {
            self.since.get_or_insert(now);
        } else if let Some(since) = self.since.take() {
            self.carried += now.saturating_sub(since);
        }
    }

    /// For how long both ends were there and heard each other.
    pub(super) fn carried(&self, now: Duration) -> Duration {
        let still = self.since.map(|since| now.saturating_sub(since));
        self.carried + still.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_that_was_cut_twice_carries_when_both_are_mended() {
        let mut wire = Wire::default();
        wire.cut(Cut::Both);
        wire.cut(Cut::ToNode);
        wire.mend(Cut::Both);
        assert!(!wire.carries_here() && wire.carries_away());

        wire.mend(Cut::ToNode);
        assert!(wire.carries_here());
    }

    #[test]
    fn only_time_counts_in_which_both_ends_are_there_and_hear_each_other() {
        let second = Duration::from_secs;
        let mut wire = Wire::default();
        wire.note(true, second(0));
        wire.alive = true;
        wire.note(true, second(1));
        wire.cut(Cut::FromNode);
        wire.note(true, second(4));
        wire.mend(Cut::FromNode);
        wire.note(false, second(5));
        wire.note(true, second(10));

        assert_eq!(wire.carried(second(12)), second(3 + 2));
    }
}

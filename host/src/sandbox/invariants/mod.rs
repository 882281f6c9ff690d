//! What no fault may break, checked after every run on what it left behind.

mod agreement;
mod bounds;
mod durability;
mod expected;
mod healing;
mod hindrance;
mod loss;
mod once;
mod origin;
mod protocols;
mod reuse;
#[cfg(test)]
mod sample;
mod secrecy;

use std::fmt;

use super::evidence::Evidence;

/// What may never break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No plaintext and no key at the relay, and nothing that is meant for one party at another.
    Secrecy,
    /// Every accepted message was sent by the peer that it claims.
    Origin,
    /// A handler's effects happen at most once per message, across restarts.
    Once,
    /// Each request ends, within its deadline, as answered, expired or failed.
    NoSilentLoss,
    /// No key and nonce is used twice.
    NoReuse,
    /// Both ends of a finished set-up agree, or both know that it failed.
    Agreement,
    /// Queues, memory and disk stay within their bounds, and nothing is left behind.
    Bounds,
    /// After healing, the next request succeeds within 10 s.
    Healing,
    /// What was stored is there after a crash, or its node said at its start that it is not.
    Durability,
    /// The 99th percentile of what other peers' requests take at most doubles while one peer floods.
    Fairness,
    /// A request that can never be answered delays nobody.
    Patience,
    /// The same seed gives the same run, byte for byte.
    Reproducible,
    /// What the scenario expects beside.
    Expected,
}

/// One that was broken, and how.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.how)
    }
}

/// Looks for something that must not be, and says each time that it is there.
type Check = fn(&Evidence<'_>) -> Vec<String>;

const CHECKS: [(Invariant, Check); 14] = [
    (Invariant::Secrecy, secrecy::at_the_relay),
    (Invariant::Secrecy, secrecy::at_other_parties),
    (Invariant::Origin, origin::broken),
    (Invariant::Once, once::broken),
    (Invariant::NoSilentLoss, loss::broken),
    (Invariant::NoReuse, reuse::broken),
    (Invariant::Agreement, agreement::broken),
    (Invariant::Bounds, bounds::broken),
    (Invariant::Healing, healing::broken),
    (Invariant::Durability, durability::broken),
    (Invariant::Fairness, hindrance::by_floods),
    (Invariant::Patience, hindrance::by_requests_in_vain),
    (Invariant::Expected, expected::broken),
    (Invariant::Expected, protocols::broken),
];

/// All that is broken.
pub(super) fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let found = CHECKS.iter().flat_map(|(invariant, check)| {
        let broken = check(evidence).into_iter();
        broken.map(|how| Violation {
            invariant: *invariant,
            how,
        })
    });
    found.collect()
}

/// Two runs of one seed that are not the same.
pub(super) fn not_the_same(first: &[u8; 32], second: &[u8; 32]) -> Option<Violation> {
    (first != second).then(|| Violation {
        invariant: Invariant::Reproducible,
        how: format!("{} and {}", hex::encode(first), hex::encode(second)),
    })
}

impl Invariant {
    /// All of them, in the order in which they are explained.
    pub const ALL: [Self; 13] = [
        Self::Secrecy,
        Self::Origin,
        Self::Once,
        Self::NoSilentLoss,
        Self::NoReuse,
        Self::Agreement,
        Self::Bounds,
        Self::Healing,
        Self::Durability,
        Self::Fairness,
        Self::Patience,
        Self::Reproducible,
        Self::Expected,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secrecy => "secrets stay where they belong",
            Self::Origin => "messages are from whom they claim",
            Self::Once => "effects happen once",
            Self::NoSilentLoss => "no silent loss",
            Self::NoReuse => "no key and nonce twice",
            Self::Agreement => "both ends agree",
            Self::Bounds => "everything stays bounded",
            Self::Healing => "it works again after healing",
            Self::Durability => "what was stored is there",
            Self::Fairness => "a peer that floods hardly delays others",
            Self::Patience => "a request in vain delays nobody",
            Self::Reproducible => "the same seed gives the same run",
            Self::Expected => "what the scenario expects",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_broken_where_nothing_happened() {
        sample::Sample::new()
            .holds(|evidence| check(evidence).into_iter().map(|it| it.how).collect());
    }

    #[test]
    fn two_runs_that_differ_are_told_of() {
        assert!(not_the_same(&[1; 32], &[1; 32]).is_none());
        let broken = not_the_same(&[1; 32], &[2; 32]).expect("found");
        assert_eq!(broken.invariant, Invariant::Reproducible);
    }
}

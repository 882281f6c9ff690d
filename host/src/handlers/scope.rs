use std::collections::BTreeSet;
use std::fmt;

use time::Date;

use super::{Setup, Start};
use crate::message::{ExperimentId, NodeId, ResearcherId};

/// For whom, for what and until when a plugin may work. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Researchers whose messages it treats and whose runs it drives.
    pub researchers: Option<BTreeSet<ResearcherId>>,
    /// Experiments whose runs it drives. A message does not say which experiment it is for, so messages are limited only
    /// by what the plugin's runs have published.
    pub experiments: Option<BTreeSet<ExperimentId>>,
    /// Nodes, besides this one, that may send it messages and take part in its runs.
    pub parties: Option<BTreeSet<NodeId>>,
    /// The last day, in UTC, on which it works.
    pub until: Option<Date>,
}

/// Why a message or a run is none of a plugin's business. The operator's decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfScope {
    /// Another researcher's.
    #[error("it may not work for the researcher {0}")]
    Researcher(ResearcherId),
    /// For another experiment.
    #[error("it may not work for the experiment {0}")]
    Experiment(ExperimentId),
    /// For none.
    #[error("it may work for some experiments only, and a protocol belongs to none")]
    NoExperiment,
    /// With another node.
    #[error("it may not work with the node {0}")]
    Party(NodeId),
    /// Too late.
    #[error("it may work until {0} only")]
    Past(Date),
}

impl OutOfScope {
    /// The setting that decides, as the policy names it.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Researcher(_) => "researchers",
            Self::Experiment(_) | Self::NoExperiment => "experiments",
            Self::Party(_) => "parties",
            Self::Past(_) => "until",
        }
    }
}

impl fmt::Display for Scope {
    /// In words; empty where nothing is limited.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(named("researchers", &self.researchers));
        parts.extend(named("experiments", &self.experiments));
        parts.extend(named("parties", &self.parties));
        parts.extend(self.until.map(|until| format!("until {until}")));
        f.write_str(&parts.join("; "))
    }
}

fn named<T: fmt::Display>(what: &str, allowed: &Option<BTreeSet<T>>) -> Option<String> {
    let ids: Vec<_> = allowed.as_ref()?.iter().map(ToString::to_string).collect();
    Some(format!("{what} {}", ids.join(", ")))
}

impl Scope {
    /// Whether the plugin may treat a message of `source` that came through `researcher` on the day `today`.
    pub fn admits_message(
        &self,
        researcher: &ResearcherId,
        source: &NodeId,
        today: Date,
    ) -> Result<(), OutOfScope> {
        self.admits(researcher, today)?;
        self.admits_party(source)
    }

    /// Whether the plugin may drive a run on the day `today`.
    pub fn admits_run(&self, setup: &Setup, today: Date) -> Result<(), OutOfScope> {
        self.admits(&setup.researcher, today)?;
        if outside(&self.experiments, &setup.experiment) {
            return Err(OutOfScope::Experiment(setup.experiment.clone()));
        }
        let mut others = setup.parties.iter().filter(|party| **party != setup.own);
        others.try_for_each(|party| self.admits_party(party))
    }

    /// Whether the plugin may take part in a protocol on the day `today`. It belongs to no experiment, so a plugin that is limited to
    /// some takes part in none.
    pub fn admits_part(&self, start: &Start, today: Date) -> Result<(), OutOfScope> {
        self.admits(&start.researcher, today)?;
        if self.experiments.is_some() {
            return Err(OutOfScope::NoExperiment);
        }
        let mut others = start.parties.iter().filter(|party| **party != start.own);
        others.try_for_each(|party| self.admits_party(party))
    }

    fn admits(&self, researcher: &ResearcherId, today: Date) -> Result<(), OutOfScope> {
        match self.until {
            Some(until) if today > until => Err(OutOfScope::Past(until)),
            _ if outside(&self.researchers, researcher) => {
                Err(OutOfScope::Researcher(researcher.clone()))
            }
            _ => Ok(()),
        }
    }

    fn admits_party(&self, party: &NodeId) -> Result<(), OutOfScope> {
        if outside(&self.parties, party) {
            return Err(OutOfScope::Party(party.clone()));
        }
        Ok(())
    }
}

fn outside<T: Ord>(allowed: &Option<BTreeSet<T>>, one: &T) -> bool {
    allowed
        .as_ref()
        .is_some_and(|allowed| !allowed.contains(one))
}

#[cfg(test)]
mod tests {
    use time::Month;

    use super::*;
    use crate::message::SecaggId;

    fn day(day: u8) -> Date {
        Date::from_calendar_date(2026, Month::November, day).expect("a day")
    }

    fn set<T: Ord + for<'a> TryFrom<&'a str>>(name: &str) -> Option<BTreeSet<T>> {
        Some(BTreeSet::from([T::try_from(name).ok().expect("an id")]))
    }

    fn run(researcher: &str, experiment: &str, parties: &[&str]) -> Setup {
        let node = |name: &&str| NodeId::try_from(*name).expect("an id");
        Setup {
            kind: "SecaggRequest",
            researcher: researcher.parse().expect("an id"),
            run: SecaggId::try_from("s").expect("an id"),
            experiment: experiment.parse().expect("an id"),
            own: node(&"own"),
            parties: parties.iter().map(node).collect(),
        }
    }

    #[test]
    fn nothing_is_outside_of_no_limits() {
        let run = run("r", "e", &["own", "a"]);
        assert_eq!(Scope::default().admits_run(&run, day(1)), Ok(()));
    }

    #[test]
    fn a_run_with_one_party_too_many_is_outside() {
        let scope = Scope {
            parties: set("a"),
            ..Scope::default()
        };
        let admitted = |parties: &[&str]| scope.admits_run(&run("r", "e", parties), day(1));
        assert_eq!(admitted(&["own", "a"]), Ok(()));
        let b = "b".parse().expect("an id");
        assert_eq!(admitted(&["own", "a", "b"]), Err(OutOfScope::Party(b)));
    }

    #[test]
    fn researchers_experiments_and_senders_are_told_apart() {
        let scope = Scope {
            researchers: set("r"),
            experiments: set("e"),
            parties: set("a"),
            until: None,
        };
        let why = |run| scope.admits_run(&run, day(1)).map_err(|out| out.setting());
        assert_eq!(why(run("r", "e", &["own", "a"])), Ok(()));
        assert_eq!(why(run("x", "e", &["own", "a"])), Err("researchers"));
        assert_eq!(why(run("r", "x", &["own", "a"])), Err("experiments"));
        let from = |researcher: &str, source: &str| {
            let (researcher, source) = (researcher.parse(), source.parse());
            let (researcher, source) = (researcher.expect("an id"), source.expect("an id"));
            let admitted = scope.admits_message(&researcher, &source, day(1));
            admitted.map_err(|out| out.setting())
        };
        assert_eq!(from("r", "a"), Ok(()));
        assert_eq!(from("x", "a"), Err("researchers"));
        assert_eq!(from("r", "x"), Err("parties"));
    }

    #[test]
    fn the_last_day_still_counts() {
        let scope = Scope {
            until: Some(day(23)),
            ..Scope::default()
        };
        let run = run("r", "e", &["own", "a"]);
        assert_eq!(scope.admits_run(&run, day(23)), Ok(()));
        assert_eq!(
            scope.admits_run(&run, day(24)),
            Err(OutOfScope::Past(day(23)))
        );
    }
}

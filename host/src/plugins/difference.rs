use std::collections::BTreeSet;
use std::fmt;

use crate::handlers::{Capability, Demand, Manifest};

/// What a new version of a plugin could do that the approved one cannot, and what it could no longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Capabilities it asks for and that were not granted.
    pub added: BTreeSet<Capability>,
    /// Capabilities that were granted and that it does not ask for.
    pub dropped: BTreeSet<Capability>,
    /// Message kinds that it treats and the approved one does not.
    pub kinds: Vec<String>,
    /// Researcher's requests that it begins runs for and the approved one does not.
    pub initiates: Vec<String>,
    /// Protocols that it runs and the approved one does not.
    pub protocols: Vec<String>,
    /// What the approved one demands of its peers, where this one demands less.
    pub demanded: Option<Demand>,
    /// It has the version of the approved one and is another file.
    pub same_version: bool,
}

impl Difference {
    /// From the approved `old` with its `grants` to `new`, which `asks` for capabilities.
    pub fn between(
        old: &Manifest,
        grants: &BTreeSet<Capability>,
        new: &Manifest,
        asks: &BTreeSet<Capability>,
    ) -> Self {
        let more = |new: &[String], old: &[String]| {
            let more = new.iter().filter(|kind| !old.contains(kind));
            more.cloned().collect()
        };
        Self {
            added: asks.difference(grants).copied().collect(),
            dropped: grants.difference(asks).copied().collect(),
            kinds: more(&new.kinds, &old.kinds),
            initiates: more(&new.initiates, &old.initiates),
            protocols: more(&new.protocols, &old.protocols),
            demanded: old.assurance.filter(|_| new.assurance < old.assurance),
            same_version: new.version == old.version,
        }
    }

    /// Whether it needs an approval of its own: it could do more, or cannot be told from the approved one by its version.
    pub fn needs_approval(&self) -> bool {
        self.same_version
            || !self.added.is_empty()
            || !self.kinds.is_empty()
            || !self.initiates.is_empty()
            || !self.protocols.is_empty()
            || self.demanded.is_some()
    }

    /// One line for each, in words.
    pub fn lines(&self) -> Vec<String> {
        let grant = |sign, one: &Capability| format!("{sign} {} [{}]", one.in_words(), one.name());
        let mut lines: Vec<_> = self
            .added
            .iter()
            .map(|one| grant("+ it could", one))
            .collect();
        lines.extend(
            self.kinds
                .iter()
                .map(|kind| format!("+ it would treat messages of kind {kind}")),
        );
        let requests = self.initiates.iter();
        lines.extend(
            requests
                .map(|kind| format!("+ it would begin runs when a researcher asks with {kind}")),
        );
        let protocols = self.protocols.iter();
        lines.extend(
            protocols.map(|name| format!("+ it would take part in runs of the protocol {name}")),
        );
        lines.extend(
            self.demanded
                .iter()
                .map(|demand| format!("+ it would have to do with peers without {demand}")),
        );
        lines.extend(
            self.dropped
                .iter()
                .map(|one| grant("- it could no longer", one)),
        );
        if self.same_version {
            lines.push("! it has the version of the approved file, and is another file".into());
        }
        lines
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines() {
            lines if lines.is_empty() => f.write_str("it could do nothing more and nothing less"),
            lines => f.write_str(&lines.join("\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(version: &str, kinds: &[&str], initiates: &[&str]) -> Manifest {
        let mut manifest = Manifest::read(backchannel_artifacts::KEY_REQUEST).expect("a manifest");
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        manifest.version = version.into();
        (manifest.kinds, manifest.initiates) = (texts(kinds), texts(initiates));
        manifest
    }

    #[test]
    fn what_could_do_no_more_needs_no_approval() {
        let old = manifest("1.0.0", &["A", "B"], &[]);
        let new = manifest("1.0.1", &["A"], &[]);
        let granted = [Capability::Log].into();
        let difference = Difference::between(&old, &granted, &new, &BTreeSet::new());
        assert!(!difference.needs_approval());
        assert_eq!(difference.lines().len(), 1, "{difference}");
    }

    #[test]
    fn every_kind_of_more_needs_an_approval_and_is_said() {
        let old = manifest("1.0.0", &["A"], &[]);
        let none = BTreeSet::new();
        for (new, asks, says) in [
            (
                manifest("1.0.1", &["A"], &[]),
                [Capability::Log].into(),
                "[log]",
            ),
            (manifest("1.0.1", &["A", "B"], &[]), none.clone(), "kind B"),
            (
                manifest("1.0.1", &["A"], &["R"]),
                none.clone(),
                "asks with R",
            ),
            (manifest("1.0.0", &["A"], &[]), none.clone(), "another file"),
        ] {
            let difference = Difference::between(&old, &none, &new, &asks);
            assert!(difference.needs_approval(), "{says}");
            assert!(difference.to_string().contains(says), "{difference}");
        }
    }
}

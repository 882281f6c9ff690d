//! What a plugin says of itself: a custom section of the component, readable without running or compiling anything.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use super::{Capability, Demand, Limit, Limits, LoadError};

/// The name of the custom section.
const SECTION: &str = "backchannel:manifest";

/// The kinds by which hosts carry what parties hand each other.
const HOSTS_OWN: [&str; 2] = ["RoundRequest", "RoundReply"];

/// Texts in a manifest are shown to operators: no longer than this.
const LONGEST_TEXT: usize = 1024;

/// A plugin's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// Who wrote it.
    #[serde(default)]
    pub authors: Vec<String>,
    /// What it does, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The contract it was built for.
    pub contract: String,
    /// The message kinds it treats.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The researcher's requests that it begins exchanges for.
    #[serde(default)]
    pub initiates: Vec<String>,
    /// The protocols that it runs together with other parties.
    #[serde(default)]
    pub protocols: Vec<String>,
    /// The capabilities it uses, by name, each with the author's reason or an empty text.
    #[serde(default)]
    pub capabilities: BTreeMap<String, String>,
    /// The limits it needs, by name, where the starting ones are too low.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// What it demands of each peer that it has to do with, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Demand>,
}

impl Manifest {
    /// Reads the manifest out of a component. Nothing is compiled; nested components and modules are skipped.
    pub fn read(component: &[u8]) -> Result<Self, LoadError> {
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(|error| LoadError::NotAComponent(error.message().into()))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                    let manifest: Self = serde_json::from_slice(section.data())
                        .map_err(|error| LoadError::Manifest(error.to_string()))?;
                    return manifest.checked();
                }
                _ => {}
            }
        }
        Err(LoadError::Manifest("there is none".into()))
    }

    /// The capabilities it declares, with the author's reasons.
    pub fn capabilities(&self) -> impl Iterator<Item = (Capability, &str)> {
        let known = |name: &str| Capability::ALL.into_iter().find(|one| one.name() == name);
        let declared = self.capabilities.iter();
        declared.filter_map(move |(name, reason)| Some((known(name)?, reason.as_str())))
    }

    /// Whether it declares the capability.
    pub fn declares(&self, capability: Capability) -> bool {
        self.capabilities.contains_key(capability.name())
    }

    /// The limits it wants: the starting ones, and its own wishes.
    pub fn wanted_limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            if let Ok(limit) = name.parse::<Limit>() {
                // Read within its range.
                let _ = limits.set(limit, *value);
            }
        }
        limits
    }

    pub(super) fn contract_version(&self) -> Result<Version, LoadError> {
        let version = Version::parse(&self.contract);
        version
            .map_err(|_| LoadError::Manifest("its contract is not a version such as 0.1.0".into()))
    }

    /// Refuses texts that must not reach an operator, and wishes that no host can meet.
    pub(crate) fn checked(self) -> Result<Self, LoadError> {
        let bad = |why: &str| Err(LoadError::Manifest(why.into()));
        if !is_line(&self.name) || !self.name.chars().all(is_of_name) {
            return bad("its name is not made of lower-case letters, digits and hyphens");
        }
        let texts = [&self.version, &self.licence, &self.contract];
        let lists = self
            .kinds
            .iter()
            .chain(&self.initiates)
            .chain(&self.protocols)
            .chain(&self.authors);
        if !texts.into_iter().chain(lists).all(|text| is_line(text)) {
            return bad("a text is empty, too long or holds control characters");
        }
        let optional = self.capabilities.values().chain([&self.description]);
        if !optional
            .into_iter()
            .all(|text| text.is_empty() || is_line(text))
        {
            return bad("the description or a reason is too long or holds control characters");
        }
        if self.kinds.is_empty() && self.protocols.is_empty() {
            return bad("it names no message kind and no protocol");
        }
        if self
            .kinds
            .iter()
            .any(|kind| HOSTS_OWN.contains(&kind.as_str()))
        {
            return bad("it names a message kind that is the host's own");
        }
        if self.capabilities().count() != self.capabilities.len() {
            return bad("it declares a capability that does not exist");
        }
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            let limit = name
                .parse::<Limit>()
                .map_err(|error| LoadError::Manifest(error.to_string()))?;
            limits
                .set(limit, *value)
                .map_err(|error| LoadError::Manifest(error.to_string()))?;
        }
        Ok(self)
    }
}

/// Whether a text is one line that can be shown.
fn is_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_component_without_a_manifest() {
        let empty = b"\0asm\x0d\0\x01\0";
        assert!(matches!(Manifest::read(empty), Err(LoadError::Manifest(_))));
    }

    #[test]
    fn refuses_what_is_no_wasm() {
        assert!(matches!(
            Manifest::read(b"#!/bin/sh\n"),
            Err(LoadError::NotAComponent(_))
        ));
    }

    #[test]
    fn refuses_texts_that_would_reach_the_terminal_as_commands() {
        let manifest = Manifest {
            name: "good".into(),
            version: "1\u{1b}[2J".into(),
            licence: "MIT".into(),
            authors: vec![],
            description: String::new(),
            contract: "0.1.0".into(),
            kinds: vec!["A".into()],
            initiates: vec![],
            protocols: vec![],
            capabilities: BTreeMap::new(),
            limits: BTreeMap::new(),
            assurance: None,
        };
        assert!(manifest.checked().is_err());
    }

    #[test]
    fn reads_the_built_in_plugins() {
        for (name, component) in backchannel_artifacts::ALL {
            let manifest = Manifest::read(component).expect("a manifest");
            assert_eq!(&manifest.name, name);
            assert!(!manifest.kinds.is_empty() || !manifest.protocols.is_empty());
        }
    }
}

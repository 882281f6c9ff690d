//! What a plugin says of itself: a custom section of the component, readable without running or compiling anything.

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use super::LoadError;

/// The name of the custom section.
const SECTION: &str = "backchannel:manifest";

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
    pub kinds: Vec<String>,
    /// The researcher's requests that it begins exchanges for.
    #[serde(default)]
    pub initiates: Vec<String>,
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

    fn checked(self) -> Result<Self, LoadError> {
        let bad = |why: &str| Err(LoadError::Manifest(why.into()));
        let simple = |text: &str| {
            !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control)
        };
        if !simple(&self.name)
            || !self
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            return bad("its name is not made of lower-case letters, digits and hyphens");
        }
        let texts = [&self.version, &self.licence, &self.contract];
        let lists = self
            .kinds
            .iter()
            .chain(&self.initiates)
            .chain(&self.authors);
        if !texts.into_iter().chain(lists).all(|text| simple(text)) {
            return bad("a text is empty, too long or holds control characters");
        }
        if self.description.len() > LONGEST_TEXT || self.description.chars().any(char::is_control) {
            return bad("the description is too long or holds control characters");
        }
        if self.kinds.is_empty() {
            return bad("it names no message kind");
        }
        Ok(self)
    }
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
        };
        assert!(manifest.checked().is_err());
    }

    #[test]
    fn reads_the_built_in_plugins() {
        for (name, component) in backchannel_artifacts::ALL {
            let manifest = Manifest::read(component).expect("a manifest");
            assert_eq!(&manifest.name, name);
            assert!(!manifest.kinds.is_empty());
        }
    }
}

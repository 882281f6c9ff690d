use std::collections::{BTreeMap, BTreeSet};

use toml::value::Datetime;

use super::{KeyName, PluginName, Setting};
use crate::handlers::{Capability, Limits, Scope};
use crate::inputs::{InputName, Inputs};
use crate::packages::Digest;

/// What the policy says of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of which.
    pub name: PluginName,
    /// What was approved; `None` for a built-in plugin, which comes with its grants.
    pub approved: Option<Approval>,
    /// Whether it is loaded.
    pub enabled: bool,
    /// Whether a node that records may record what it is given and does.
    pub record: bool,
    /// Keys that must have signed it, beside the number that the policy demands of every plugin.
    pub signed_by: Vec<KeyName>,
    /// For whom, for what and until when.
    pub scope: Scope,
    /// How much of everything it may use.
    pub limits: Limits,
    /// What its runs may use of this node's data. Files are as they are written: a relative one is in the policy's folder.
    pub inputs: Inputs,
    /// A version that was approved to come after this one.
    pub next: Option<Approval>,
    /// What was approved before, newest first.
    pub previous: Vec<Approval>,
    pub(super) lines: BTreeMap<Setting, usize>,
    pub(super) input_lines: BTreeMap<InputName, usize>,
}

impl Entry {
    /// The line of `policy.toml` that names an input, counted from 1.
    pub fn input_line(&self, input: &InputName) -> Option<usize> {
        self.input_lines.get(input).copied()
    }
}

/// An operator's decision: this very file may do that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Which file.
    pub digest: Digest,
    /// What it is granted.
    pub grants: BTreeSet<Capability>,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Datetime,
    /// Why.
    pub reason: String,
}

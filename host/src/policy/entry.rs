use std::collections::{BTreeMap, BTreeSet};

use toml::value::Datetime;

use super::{KeyName, PluginName, Setting};
use crate::handlers::{Capability, Limits, Scope};
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
    /// A version that was approved to come after this one.
    pub next: Option<Approval>,
    /// What was approved before, newest first.
    pub previous: Vec<Approval>,
    pub(super) lines: BTreeMap<Setting, usize>,
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

use std::collections::BTreeSet;

use super::{Capability, Limits};

/// On what terms a plugin is loaded: what its operator allows it, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it is granted.
    pub grants: BTreeSet<Capability>,
    /// What it may use up.
    pub limits: Limits,
}

impl Terms {
    /// These grants, and the starting limits.
    pub fn granting(grants: &[Capability]) -> Self {
        Self {
            grants: grants.iter().copied().collect(),
            limits: Limits::default(),
        }
    }
}

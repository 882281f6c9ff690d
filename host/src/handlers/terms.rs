use std::collections::BTreeSet;

use super::{Capability, Limits, Scope};

/// On what terms a plugin is loaded: what its operator allows it, how much of it, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it is granted.
    pub grants: BTreeSet<Capability>,
    /// What it may use up.
    pub limits: Limits,
    /// Whose messages it treats and whose runs it drives.
    pub scope: Scope,
}

impl Terms {
    /// These grants, the starting limits, and no limit of scope.
    pub fn granting(grants: &[Capability]) -> Self {
        Self {
            grants: grants.iter().copied().collect(),
            ..Self::default()
        }
    }
}

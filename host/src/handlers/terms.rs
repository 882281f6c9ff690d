use std::collections::BTreeSet;

use super::{Capability, Limits, LoadError, Scope, Surface};
use crate::inputs::Inputs;

/// On what terms a plugin is loaded: what its operator allows it, how much of it, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it is granted.
    pub grants: BTreeSet<Capability>,
    /// What it may use up.
    pub limits: Limits,
    /// Whose messages it treats and whose runs it drives.
    pub scope: Scope,
    /// What its runs may use of the node's data.
    pub inputs: Inputs,
}

impl Terms {
    /// These grants, the starting limits, and no limit of scope.
    pub fn granting(grants: &[Capability]) -> Self {
        Self {
            grants: grants.iter().copied().collect(),
            ..Self::default()
        }
    }

    /// All that `component` declares and wants: where nothing can come of it, in the sandbox. It may be as large as an operator
    /// could allow; nothing of it is compiled.
    pub fn as_asked(component: &[u8]) -> Result<Self, LoadError> {
        let manifest = Surface::read(component, &Limits::for_reading())?.into_manifest();
        let limits = manifest.wanted_limits().of_any_size();
        let declared = manifest.capabilities();
        Ok(Self {
            // More than its imports: effects need grants too.
            grants: declared.map(|(capability, _)| capability).collect(),
            limits,
            scope: Scope::default(),
            inputs: Inputs::new(),
        })
    }
}

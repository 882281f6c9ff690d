//! What a plugin asks to have stored: entries of its own, kept under its name and within its quota.

use super::{Body, CallError, Limit, Plugin};
use crate::key_store::{PluginChanges, Quota, StoreError};

/// The longest key, in bytes: as long as an id.
pub(super) const LONGEST_KEY: usize = 256;

/// A change of one entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// What it holds from now on; without, it is removed.
    pub value: Option<Body>,
}

impl Plugin {
    /// The changes that carry out `entries`, in order.
    pub fn changes(&self, entries: Vec<Entry>) -> PluginChanges {
        let limits = self.limits();
        PluginChanges {
            plugin: self.name().to_owned(),
            changes: entries
                .into_iter()
                .map(|Entry { key, value }| (key, value.map(Body::into_inner)))
                .collect(),
            quota: Quota {
                bytes: limits.bytes(Limit::StoreKib) as u64,
                keys: limits.get(Limit::StoreKeys),
            },
        }
    }

    /// The limit that made the store refuse [changes](Self::changes), if that was why.
    pub fn over_quota(&self, error: &StoreError) -> Option<CallError> {
        let StoreError::Quota { wanted, quota } = error else {
            return None;
        };
        let limit = if wanted.keys > quota.keys {
            Limit::StoreKeys
        } else {
            Limit::StoreKib
        };
        Some(CallError::Limit {
            plugin: self.name().into(),
            hit: self.limits().hit(limit),
        })
    }
}

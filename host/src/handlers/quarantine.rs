//! How many messages of each plugin are in work, and which plugins failed so often that they are out of service.
//!
//! Both are kept by the plugin's name, so that another version of it does not begin with a clean sheet in the middle of a
//! flood; a quarantine is of one version, named by its digest, so that an upgrade or a rollback is a way out too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{CallError, Limit, Plugin};
use crate::key_store::records::QuarantineRecord;
use crate::key_store::{KeyStore, StoreError};

/// So many failures …
const FAILURES: usize = 5;
/// … within this time take a plugin out of service.
const WITHIN: Duration = Duration::from_secs(60);

/// Keeps count of the plugins of one node. Clones are the same.
///
/// A failure is a trap, or a limit at which the host had to stop the plugin; not a [`CallError::Failure`], with which a
/// plugin declines, nor an effect that was refused.
///
/// A peer that knows how to make a plugin trap can thus have it taken out of service. That is meant: such a plugin has an
/// error which somebody is trying out beside the node's keys, and what it would answer meanwhile is not worth more than
/// that. Who was on the other side is in the reason, so that an operator can put the plugin back with `parties` that leave
/// that peer out. Only messages that anybody can forge, those of channel set-ups, do not count: or the relay could take
/// away the plugin that all others rest on. They are bounded by the router's rooms and dropped one by one.
#[derive(Clone, Default)]
pub(super) struct Wards {
    state: Arc<Mutex<State>>,
    store: Option<Arc<KeyStore>>,
}

#[derive(Default)]
struct State {
    in_work: HashMap<Arc<str>, u64>,
    failures: HashMap<Arc<str>, VecDeque<Instant>>,
    quarantined: BTreeMap<String, Quarantine>,
}

/// A plugin out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The version it is about: the SHA-256 of its component file, hex.
    pub digest: String,
    /// What it did last, and with whom.
    pub reason: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// A message or run of a plugin in work; dropping it ends that.
pub struct InWork {
    wards: Wards,
    plugin: Arc<str>,
}

impl Wards {
    /// As they were when the node stopped, and kept in `store` from now on.
    pub(super) fn restored(store: Arc<KeyStore>) -> Result<Self, StoreError> {
        let kept = store.quarantines()?.into_iter();
        let quarantined = kept.map(|(name, record)| {
            let QuarantineRecord {
                digest,
                reason,
                since,
            } = record;
            let quarantine = Quarantine {
                digest,
                reason,
                since,
            };
            (name, quarantine)
        });
        let state = State {
            quarantined: quarantined.collect(),
            ..State::default()
        };
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            store: Some(store),
        })
    }

    pub(super) fn enter(&self, plugin: &Plugin) -> Result<InWork, CallError> {
        let mut state = self.state();
        if let Some(quarantine) = state.quarantined.get(plugin.name())
            && quarantine.digest == hex::encode(plugin.digest())
        {
            return Err(CallError::Quarantined {
                plugin: plugin.name().into(),
                reason: quarantine.reason.clone(),
            });
        }
        let name = plugin.shared_name();
        let in_work = state.in_work.entry(name.clone()).or_default();
        if *in_work >= plugin.limits().get(Limit::InFlight) {
            return Err(CallError::Limit {
                plugin: plugin.name().into(),
                hit: plugin.limits().hit(Limit::InFlight),
            });
        }
        *in_work += 1;
        Ok(InWork {
            wards: self.clone(),
            plugin: name.clone(),
        })
    }

    pub(super) fn failed(
        &self,
        plugin: &Plugin,
        with: &str,
        error: &CallError,
    ) -> Option<Quarantine> {
        if !error.is_grave() {
            return None;
        }
        let mut state = self.state();
        let now = Instant::now();
        let failures = state
            .failures
            .entry(plugin.shared_name().clone())
            .or_default();
        failures.retain(|then| now.duration_since(*then) < WITHIN);
        failures.push_back(now);
        if failures.len() < FAILURES {
            return None;
        }
        failures.clear();
        let quarantine = Quarantine {
            digest: hex::encode(plugin.digest()),
            reason: format!(
                "{FAILURES} failures within {} s, the last with {with}: {error}",
                WITHIN.as_secs()
            ),
            since: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        };
        let name = plugin.name().to_owned();
        state.quarantined.insert(name, quarantine.clone());
        drop(state);
        self.keep(plugin.name(), Some(&quarantine));
        tracing::error!(
            plugin = plugin.name(),
            "out of service: {}; look into it, then put it back with `backchannel plugin enable {}`, or roll it back",
            quarantine.reason,
            plugin.name()
        );
        Some(quarantine)
    }

    pub(super) fn release(&self, name: &str) -> bool {
        let released = self.state().quarantined.remove(name).is_some();
        if released {
            self.keep(name, None);
        }
        released
    }

    pub(super) fn all(&self) -> BTreeMap<String, Quarantine> {
        self.state().quarantined.clone()
    }

    /// A node whose disk does not take it goes on with what it has in memory.
    fn keep(&self, name: &str, quarantine: Option<&Quarantine>) {
        let Some(store) = &self.store else { return };
        let record = quarantine.map(|quarantine| QuarantineRecord {
            digest: quarantine.digest.clone(),
            reason: quarantine.reason.clone(),
            since: quarantine.since,
        });
        if let Err(error) = store.put_quarantine(name, record.as_ref()) {
            tracing::error!(plugin = name, "the quarantine was not stored: {error}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let mut state = self.wards.state();
        if let Some(in_work) = state.in_work.get_mut(&self.plugin) {
            *in_work -= 1;
            if *in_work == 0 {
                state.in_work.remove(&self.plugin);
            }
        }
    }
}

//! How many messages of each plugin are in work, and which plugins failed so often that they are out of service.
//!
//! Both are kept by the plugin's name, so that another version of it does not begin with a clean sheet in the middle of a
//! flood; a quarantine is of one version, named by its digest, so that an upgrade or a rollback is a way out too.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
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
pub(super) struct Wards(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    store: Option<Arc<KeyStore>>,
    in_work: HashMap<Arc<str>, u64>,
    /// Told when one of them ends.
    freed: HashMap<Arc<str>, Arc<Notify>>,
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
    /// Goes on with the quarantines that are in `store`, and keeps them there from now on.
    pub(super) fn keep_in(&self, store: Arc<KeyStore>) -> Result<(), StoreError> {
        let kept = store.quarantines()?.into_iter().map(|(name, record)| {
            let quarantine = Quarantine {
                digest: record.digest,
                reason: record.reason,
                since: record.since,
            };
            (name, quarantine)
        });
        let mut state = self.state();
        state.quarantined.extend(kept);
        state.store = Some(store);
        Ok(())
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

    /// The same, and waits where there are as many as may be.
    pub(super) async fn enter_when_free(&self, plugin: &Plugin) -> Result<InWork, CallError> {
        let name = plugin.shared_name().clone();
        let freed = self.state().freed.entry(name).or_default().clone();
        loop {
            match self.enter(plugin) {
                // One that ends now is remembered until somebody waits.
                Err(CallError::Limit { .. }) => freed.notified().await,
                entered => return entered,
            }
        }
    }

    pub(super) fn failed(
        &self,
        plugin: &Plugin,
        with: &str,
        error: &CallError,
        since: SystemTime,
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
            since: since
                .duration_since(UNIX_EPOCH)
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
        let Some(store) = self.state().store.clone() else {
            return;
        };
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Some(freed) = state.freed.get(&self.plugin) {
            freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{BUILT_IN, LimitHit, Limits, Runtime, Terms};
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    fn plugin(limits: Limits) -> Plugin {
        let runtime = Runtime::new().expect("an engine");
        let mut terms = Terms::granting(BUILT_IN[0].grants);
        terms.limits = limits;
        Plugin::load(&runtime, BUILT_IN[0].component, terms).expect("loaded")
    }

    fn trap() -> CallError {
        CallError::Trap {
            plugin: "p".into(),
            why: "unreachable".into(),
        }
    }

    fn fail(wards: &Wards, plugin: &Plugin, times: usize) -> Option<Quarantine> {
        (0..times).find_map(|_| wards.failed(plugin, "peer", &trap(), SystemTime::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_fifth_failure_in_a_minute_takes_a_plugin_out_of_service_and_not_the_fourth() {
        let (wards, plugin) = (Wards::default(), plugin(Limits::default()));
        assert_eq!(fail(&wards, &plugin, FAILURES - 1), None);
        tokio::time::advance(WITHIN).await;
        assert_eq!(
            fail(&wards, &plugin, FAILURES - 1),
            None,
            "the first are too long ago"
        );
        assert!(wards.enter(&plugin).is_ok());

        let quarantine = fail(&wards, &plugin, 1).expect("out of service");

        assert!(quarantine.reason.contains("peer") && quarantine.reason.contains("unreachable"));
        assert!(matches!(
            wards.enter(&plugin),
            Err(CallError::Quarantined { .. })
        ));
        assert!(wards.release(plugin.name()));
        assert!(wards.enter(&plugin).is_ok());
        assert!(!wards.release(plugin.name()));
    }

    #[tokio::test(start_paused = true)]
    async fn declining_or_being_full_is_no_failure_and_another_limit_is() {
        let (wards, plugin) = (Wards::default(), plugin(Limits::default()));
        let hit = |limit| CallError::Limit {
            plugin: "p".into(),
            hit: LimitHit { limit, value: 1 },
        };
        let declined = CallError::Failure {
            plugin: "p".into(),
            kind: "refused",
            text: String::new(),
        };
        for error in [declined, hit(Limit::InFlight)] {
            assert!((0..99).all(|_| {
                wards
                    .failed(&plugin, "peer", &error, SystemTime::now())
                    .is_none()
            }));
        }
        let error = hit(Limit::MemoryMib);
        assert!((0..FAILURES).any(|_| {
            wards
                .failed(&plugin, "peer", &error, SystemTime::now())
                .is_some()
        }));
    }

    #[tokio::test]
    async fn a_quarantine_outlives_the_process_until_it_is_released() {
        let node = NodeId::try_from("a").expect("valid");
        let store = KeyStore::in_memory(&node, &Randomness::from_seed(1)).expect("a store");
        let (store, plugin) = (Arc::new(store), plugin(Limits::default()));
        let restarted = || {
            let wards = Wards::default();
            wards.keep_in(store.clone()).expect("read");
            wards
        };
        let quarantine = fail(&restarted(), &plugin, FAILURES).expect("out of service");

        assert_eq!(restarted().all().get(plugin.name()), Some(&quarantine));
        assert!(restarted().release(plugin.name()));
        assert!(restarted().all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_outside_is_let_in_when_another_has_ended() {
        let mut limits = Limits::default();
        limits.set(Limit::InFlight, 1).expect("in range");
        let (wards, plugin) = (Wards::default(), plugin(limits));
        let first = wards.enter(&plugin).expect("room");
        let enter = || wards.enter_when_free(&plugin);

        let waits = tokio::time::timeout(Duration::from_secs(1), enter()).await;
        assert!(waits.is_err(), "there is no room");
        drop(first);
        let second = enter().await.expect("room");
        let waiting = (0..2).map(|_| async { drop(enter().await.expect("room")) });
        let ends = async { drop(second) };

        let all = futures::future::join(futures::future::join_all(waiting), ends);
        let all = tokio::time::timeout(Duration::from_secs(1), all).await;
        assert!(all.is_ok(), "one after the other");
    }

    #[test]
    fn refuses_more_in_work_than_the_limit_and_forgets_what_has_ended() {
        let mut limits = Limits::default();
        limits.set(Limit::InFlight, 2).expect("in range");
        let (wards, plugin) = (Wards::default(), plugin(limits));
        let in_work: Vec<_> = (0..2).map(|_| wards.enter(&plugin)).collect();

        let refused = wards.enter(&plugin).err().expect("refused");
        assert_eq!(refused.limit().map(|hit| hit.limit), Some(Limit::InFlight));
        drop(in_work);
        assert!(wards.enter(&plugin).is_ok());
        assert!(wards.state().in_work.is_empty());
    }
}

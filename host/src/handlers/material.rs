//! Material: what this node has prepared for a run and peers may ask for. A peer's request can arrive before the
//! researcher's own (they travel separately), so it can be waited for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Body, Datum};
use crate::message::NodeId;

/// How long published material is kept (reference: 60 s).
pub const KEPT: Duration = Duration::from_secs(60);

/// How long a request may wait for material (reference: 30 s).
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often what has expired is taken away.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// The most bytes that one plugin may have published at a time.
const BYTES_PER_PLUGIN: usize = 64 << 20;

/// The material of one node, by plugin and run: a plugin sees only its own.
#[derive(Clone, Default)]
pub struct Materials(Arc<Mutex<Slots>>);

#[derive(Default)]
struct Slots {
    by_run: HashMap<Key, Slot>,
    /// When what had expired was taken away last.
    swept: Option<Instant>,
}

type Key = (Arc<str>, String);

#[derive(Default)]
struct Slot {
    published: Option<Published>,
    waiting: usize,
    changed: Arc<Notify>,
}

struct Published {
    parties: Vec<NodeId>,
    for_all: Option<Body>,
    for_one: BTreeMap<NodeId, Body>,
    until: Instant,
}

impl Published {
    /// Not expired.
    fn is_kept(&self) -> bool {
        self.until > Instant::now()
    }

    fn seen_by(&self, peer: &NodeId) -> Option<Body> {
        if !self.parties.contains(peer) {
            return None;
        }
        self.for_one.get(peer).or(self.for_all.as_ref()).cloned()
    }

    fn bytes(&self) -> usize {
        self.for_all
            .iter()
            .chain(self.for_one.values())
            .map(|body| body.len())
            .sum()
    }
}

impl Materials {
    /// Publishes all `data` of a run at once, for its `parties` only, in place of what was published for it before.
    /// `false`: the plugin has too much published already, nothing was added.
    pub fn publish(
        &self,
        plugin: &Arc<str>,
        run: &str,
        parties: &[NodeId],
        data: Vec<Datum>,
    ) -> bool {
        let mut slots = self.slots();
        let published = Published {
            parties: parties.to_vec(),
            for_all: data
                .iter()
                .rfind(|datum| datum.audience.is_none())
                .map(|datum| datum.body.clone()),
            for_one: data
                .into_iter()
                .filter_map(|datum| Some((datum.audience?, datum.body)))
                .collect(),
            until: Instant::now() + KEPT,
        };
        let kept: usize = slots
            .by_run
            .iter()
            .filter(|((owner, other), _)| owner == plugin && other != run)
            .filter_map(|(_, slot)| slot.published.as_ref().map(Published::bytes))
            .sum();
        if kept + published.bytes() > BYTES_PER_PLUGIN {
            return false;
        }
        let slot = slots
            .by_run
            .entry((plugin.clone(), run.to_owned()))
            .or_default();
        slot.published = Some(published);
        slot.changed.notify_waiters();
        true
    }

    /// Takes back what was published for a run. A run that failed must not give its keys to one that is begun again.
    pub fn withdraw(&self, plugin: &Arc<str>, run: &str) {
        if let Some(slot) = self
            .slots()
            .by_run
            .get_mut(&(plugin.clone(), run.to_owned()))
        {
            slot.published = None;
        }
    }

    /// What `peer` may see of a run's material; waits for it until `deadline`.
    pub async fn wait(
        &self,
        plugin: &Arc<str>,
        run: &str,
        peer: &NodeId,
        deadline: Instant,
    ) -> Option<Body> {
        let key = (plugin.clone(), run.to_owned());
        let waiting = Waiting::enter(self, &key);
        loop {
            let changed = waiting.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that nothing published in between is missed.
            changed.as_mut().enable();
            if let Some(published) = self
                .slots()
                .by_run
                .get(&key)
                .and_then(|slot| slot.published.as_ref())
                .filter(|published| published.is_kept())
            {
                return published.seen_by(peer);
            }
            timeout_at(deadline, changed).await.ok()?;
        }
    }

    /// All slots. Now and then without what has expired: to look at each one at every wait would be slow when thousands wait.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if slots.swept.is_none_or(|swept| now >= swept + SWEPT_EVERY) {
            slots.swept = Some(now);
            slots.by_run.retain(|_, slot| {
                slot.published.take_if(|published| !published.is_kept());
                slot.published.is_some() || slot.waiting > 0
            });
        }
        slots
    }
}

/// A wait under way: keeps the run's slot alive, and only as long.
struct Waiting<'a> {
    materials: &'a Materials,
    key: &'a Key,
    changed: Arc<Notify>,
}

impl<'a> Waiting<'a> {
    fn enter(materials: &'a Materials, key: &'a Key) -> Self {
        let mut slots = materials.slots();
        let slot = slots.by_run.entry(key.clone()).or_default();
        slot.waiting += 1;
        Self {
            materials,
            key,
            changed: slot.changed.clone(),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.materials.slots().by_run.get_mut(self.key) {
            slot.waiting -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("a valid id")
    }

    fn datum(audience: Option<&str>, body: &[u8]) -> Datum {
        Datum {
            audience: audience.map(node),
            body: body.to_vec().into(),
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(5)
    }

    #[tokio::test(start_paused = true)]
    async fn shows_nothing_to_a_node_that_is_no_party_to_another_plugin_or_of_another_run() {
        let materials = Materials::default();
        let (mine, other): (Arc<str>, Arc<str>) = ("mine".into(), "other".into());
        materials.publish(
            &mine,
            "run",
            &[node("a"), node("b")],
            vec![datum(None, b"key")],
        );

        assert_eq!(
            materials.wait(&mine, "run", &node("mallory"), soon()).await,
            None
        );
        assert_eq!(
            materials.wait(&other, "run", &node("b"), soon()).await,
            None
        );
        assert_eq!(
            materials.wait(&mine, "another", &node("b"), soon()).await,
            None
        );
        assert_eq!(
            materials.wait(&mine, "run", &node("b"), soon()).await,
            Some(b"key".to_vec().into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn shows_each_party_its_own_datum() {
        let materials = Materials::default();
        let plugin: Arc<str> = "p".into();
        let parties = [node("a"), node("b"), node("c")];
        materials.publish(
            &plugin,
            "run",
            &parties,
            vec![datum(Some("b"), b"for b"), datum(Some("c"), b"for c")],
        );

        assert_eq!(
            materials.wait(&plugin, "run", &node("b"), soon()).await,
            Some(b"for b".to_vec().into())
        );
        assert_eq!(
            materials.wait(&plugin, "run", &node("c"), soon()).await,
            Some(b"for c".to_vec().into())
        );
        assert_eq!(
            materials.wait(&plugin, "run", &node("a"), soon()).await,
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_whoever_waited_before_it_was_published() {
        let materials = Materials::default();
        let plugin: Arc<str> = "p".into();
        let waiter = tokio::spawn({
            let (materials, plugin) = (materials.clone(), plugin.clone());
            async move {
                materials
                    .wait(&plugin, "run", &node("b"), Instant::now() + LONGEST_WAIT)
                    .await
            }
        });
        tokio::time::sleep(Duration::from_secs(29)).await;
        materials.publish(&plugin, "run", &[node("b")], vec![datum(None, b"late")]);

        assert_eq!(
            waiter.await.expect("no panic"),
            Some(b"late".to_vec().into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn shows_nothing_that_was_withdrawn() {
        let materials = Materials::default();
        let plugin: Arc<str> = "p".into();
        materials.publish(&plugin, "run", &[node("b")], vec![datum(None, b"old")]);
        materials.withdraw(&plugin, "run");

        assert_eq!(
            materials.wait(&plugin, "run", &node("b"), soon()).await,
            None
        );
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_after_a_minute_and_leaves_no_trace_of_waits() {
        let materials = Materials::default();
        let plugin: Arc<str> = "p".into();
        materials.publish(&plugin, "run", &[node("b")], vec![datum(None, b"key")]);
        tokio::time::sleep(KEPT).await;

        assert_eq!(
            materials.wait(&plugin, "run", &node("b"), soon()).await,
            None
        );
        tokio::time::sleep(SWEPT_EVERY).await;
        assert!(materials.slots().by_run.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn refuses_a_plugin_that_publishes_without_end() {
        let materials = Materials::default();
        let plugin: Arc<str> = "p".into();
        let big = vec![0; BYTES_PER_PLUGIN / 2];
        assert!(materials.publish(&plugin, "one", &[node("b")], vec![datum(None, &big)]));
        assert!(materials.publish(&plugin, "two", &[node("b")], vec![datum(None, &big)]));

        assert!(!materials.publish(&plugin, "three", &[node("b")], vec![datum(None, b"x")]));
        assert!(
            materials.publish(&plugin, "two", &[node("b")], vec![datum(None, b"x")]),
            "replacing is no growth"
        );
    }
}

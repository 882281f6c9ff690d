//! What was treated lately: relays deliver a message again when an acknowledgement is lost, and anybody on the way can.
//!
//! The memory is gone with the process, as are the runs that messages belong to; a reply that is repeated after a restart harms
//! nobody, as who asked takes one. What a plugin stores is not gone: a message that changed it is remembered in the same
//! transaction, and known at the next start. That needs no clock, which may have jumped by then: it is known again for as long as if
//! it had come at the start.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::key_store::{KeyStore, MessageDigest, PluginChanges, StoreError};
use crate::message::{Inner, NodeId};

/// Twice as long as a relay keeps a message (reference: 300 s).
const REMEMBERED: Duration = Duration::from_secs(600);
/// The most messages remembered; beyond, the oldest of who sent the most of them goes: who floods makes nobody else's messages new
/// again. About 5 MiB, and 2 MiB on disk.
const MOST: usize = 1 << 16;

/// The messages treated lately.
#[derive(Default)]
pub(super) struct Seen(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// Each with its number on disk, if it is there.
    known: HashMap<MessageDigest, Option<u64>>,
    /// Each sender's, the oldest first; those of before the start, whose senders are not known any more, together.
    by_sender: BTreeMap<Option<NodeId>, VecDeque<(Instant, MessageDigest)>>,
    /// What is on disk and of no use there any more.
    forget: Vec<u64>,
}

impl Seen {
    /// Begins with what is on disk.
    pub(super) fn load(store: &KeyStore) -> Result<Self, StoreError> {
        let now = Instant::now();
        let mut memory = Memory::default();
        for (number, digest) in store.treated()? {
            memory.remember(now, None, digest);
            memory.known.insert(digest, Some(number));
        }
        Ok(Self(Mutex::new(memory)))
    }

    /// Remembers a message; `None` when it is known already. To be called with messages that were verified: only their
    /// sender can fill the memory, and its request ids tell messages apart.
    pub(super) fn first(&self, inner: &Inner) -> Option<MessageDigest> {
        let (digest, sender) = (digest(inner), Some(inner.source.clone()));
        self.memory()
            .remember(Instant::now(), sender, digest)
            .then_some(digest)
    }

    /// Makes the changes that a message asks for, and has it known after a crash: both or neither. Blocks for the disk.
    pub(super) fn change(
        &self,
        store: &KeyStore,
        message: &MessageDigest,
        changes: &PluginChanges,
    ) -> Result<(), StoreError> {
        let forget = std::mem::take(&mut self.memory().forget);
        let changed = store.change_plugin_entries_at(message, changes, &forget);
        let memory = &mut *self.memory();
        match changed {
            Ok(number) => match memory.known.get_mut(message) {
                Some(known) => *known = Some(number),
                // Pushed out meanwhile.
                None => memory.forget.push(number),
            },
            Err(_) => memory.forget.extend(forget),
        }
        changed.map(drop)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Remembers a message; `false` when it is known already.
    fn remember(&mut self, now: Instant, sender: Option<NodeId>, digest: MessageDigest) -> bool {
        for of in [&sender, &None] {
            while let Some((at, _)) = self.by_sender.get(of).and_then(VecDeque::front)
                && !is_remembered(*at, now)
            {
                self.forget_oldest(of);
            }
        }
        if self.known.contains_key(&digest) {
            return false;
        }
        if self.known.len() >= MOST {
            let most = self.by_sender.iter().max_by_key(|(_, all)| all.len());
            if let Some(most) = most.map(|(sender, _)| sender.clone()) {
                self.forget_oldest(&most);
            }
        }
        self.known.insert(digest, None);
        let of_sender = self.by_sender.entry(sender).or_default();
        of_sender.push_back((now, digest));
        true
    }

    fn forget_oldest(&mut self, sender: &Option<NodeId>) {
        let Some(of_sender) = self.by_sender.get_mut(sender) else {
            return;
        };
        if let Some((_, oldest)) = of_sender.pop_front() {
            self.forget.extend(self.known.remove(&oldest).flatten());
        }
        if of_sender.is_empty() {
            self.by_sender.remove(sender);
        }
    }
}

fn is_remembered(at: Instant, now: Instant) -> bool {
    now.duration_since(at) < REMEMBERED
}

/// Sender, kind and request id; all that is in it for a message without one.
fn digest(inner: &Inner) -> MessageDigest {
    let what = match &inner.request_id {
        Some(id) => id.as_str().as_bytes().to_vec(),
        None => inner.fields_msgpack(),
    };
    let mut hash = Sha256::new();
    for part in [
        inner.source.as_str().as_bytes(),
        inner.kind.as_bytes(),
        &what,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::Quota;
    use crate::message::{NodeId, RequestId, Value};
    use crate::randomness::Randomness;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("valid")
    }

    fn message(source: &str, id: Option<&str>) -> Inner {
        let id = id.map(|id| RequestId::try_from(id).expect("valid"));
        let fields = Value::Map(vec![("secagg_id".into(), "s".into())]);
        Inner::new(node(source), node("us"), id, "KeyRequest", fields).expect("a message")
    }

    fn is_first(seen: &Seen, source: &str, id: Option<&str>) -> bool {
        seen.first(&message(source, id)).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn knows_a_message_again_and_no_other() {
        let seen = Seen::default();
        assert!(is_first(&seen, "a", Some("1")));
        assert!(!is_first(&seen, "a", Some("1")));
        assert!(is_first(&seen, "b", Some("1")), "another sender's");
        assert!(is_first(&seen, "a", Some("2")), "another request");
        assert!(is_first(&seen, "a", None));
        assert!(!is_first(&seen, "a", None));
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_in_time_and_stays_bounded() {
        let seen = Seen::default();
        is_first(&seen, "a", Some("1"));
        tokio::time::advance(REMEMBERED).await;
        assert!(is_first(&seen, "a", Some("1")));
        for n in 0..MOST + 10 {
            is_first(&seen, "a", Some(&n.to_string()));
        }
        assert_eq!(seen.memory().known.len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn who_floods_makes_nobody_elses_messages_new() {
        let seen = Seen::default();
        is_first(&seen, "b", Some("1"));
        for n in 0..MOST + 10 {
            is_first(&seen, "a", Some(&n.to_string()));
        }

        assert!(!is_first(&seen, "b", Some("1")));
        assert!(
            is_first(&seen, "a", Some("1")),
            "its own oldest is forgotten"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn knows_after_a_restart_what_changed_the_store_and_forgets_it_in_time() {
        let store = KeyStore::in_memory(&node("us"), &Randomness::from_seed(1)).expect("a store");
        let changes = PluginChanges {
            plugin: "p".into(),
            changes: vec![("k".into(), Some(b"v".to_vec().into()))],
            quota: Quota { bytes: 9, keys: 1 },
        };
        let seen = Seen::load(&store).expect("loaded");
        let stored = seen.first(&message("a", Some("1"))).expect("new");
        seen.change(&store, &stored, &changes).expect("stored");
        assert!(is_first(&seen, "a", Some("2")), "stores nothing");

        let seen = Seen::load(&store).expect("loaded");
        assert!(!is_first(&seen, "a", Some("1")));
        assert!(is_first(&seen, "a", Some("2")));
        tokio::time::advance(REMEMBERED).await;
        let stored = seen.first(&message("a", Some("3"))).expect("new");
        seen.change(&store, &stored, &changes).expect("stored");
        assert_eq!(store.treated().expect("read").len(), 1);
        assert!(is_first(&seen, "a", Some("1")));
    }
}

//! Channels: which keys this node and each of its peers use with each other.
//!
//! A channel is *ready* when the peer's public key is known. This node's own key for a peer derives from the node's
//! seed and the peer's id until the channel is ready, and is stored with it from then on, unless one was brought along from
//! Fed-BioMed: that is stored before, and used instead. So answering a set-up request
//! stores nothing (anyone can forge one: it is signed with the published key), and yet the answer is the same
//! after a crash.
//!
//! What is not here: asking a peer for its key (`requests`, `post`), sealing and opening ([`crate::overlay`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

use crate::audit::{Audit, Event};
use crate::key_store::records::{ChannelRecord, Secret32};
use crate::key_store::{KeyStore, StoreError};
use crate::message::NodeId;
use crate::overlay::ChannelKeys;
use crate::primitives::{self, KeyFormatError};

/// The channels of one node.
pub struct Channels {
    store: Arc<KeyStore>,
    audit: Audit,
    published: &'static ChannelKeys,
    /// This node's keys for peers whose key is not known, where they are not derived.
    brought: BTreeMap<NodeId, SecretKey>,
    ready: RwLock<Ready>,
}

/// The channels whose peer's key is known.
#[derive(Default)]
struct Ready {
    kept: BTreeMap<NodeId, Arc<ChannelKeys>>,
    /// Of peers that this node had nothing to say to yet; the latest last.
    met: VecDeque<(NodeId, Arc<ChannelKeys>)>,
}

/// How many peers may be met without being kept. Anyone can have this node meet a peer of any name, so these are in
/// memory only, and the oldest makes room.
const MOST_MET: usize = 256;

/// Why a peer's key was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer's fault: not a P-256 public key in PEM (FB629 in the reference).
    #[error("FB629: {peer} sent something that is not a P-256 public key in PEM")]
    BadKey {
        /// Who sent it.
        peer: NodeId,
    },
    /// Ours: it could not be stored.
    #[error("FB631: the channel with {peer} cannot be stored: {source}")]
    Store {
        /// Whose channel.
        peer: NodeId,
        /// Why.
        source: StoreError,
    },
}

impl Channels {
    /// The channels that the store holds: those with a peer's key are ready at once.
    pub fn load(store: Arc<KeyStore>, audit: Audit) -> Result<Self, StoreError> {
        let mut kept = BTreeMap::new();
        let mut brought = BTreeMap::new();
        for (peer, record) in store.channels()? {
            let damaged = || StoreError::Damaged(format!("channel {peer}"));
            let own = SecretKey::from_slice(record.own.as_bytes()).map_err(|_| damaged())?;
            let Some(public) = &record.peer else {
                brought.insert(peer, own);
                continue;
            };
            let public = PublicKey::from_sec1_bytes(public).map_err(|_| damaged())?;
            kept.insert(peer, Arc::new(ChannelKeys::new(&own, &public)));
        }
        let published = ChannelKeys::published()
            .map_err(|_| StoreError::Damaged("the published key".into()))?;
        Ok(Self {
            store,
            audit,
            published,
            brought,
            ready: RwLock::new(Ready {
                kept,
                met: VecDeque::new(),
            }),
        })
    }

    /// The keys of the channel with `peer`, if it is ready.
    pub fn keys(&self, peer: &NodeId) -> Option<Arc<ChannelKeys>> {
        let ready = self.ready();
        let met = || {
            ready
                .met
                .iter()
                .find(|(met, _)| met == peer)
                .map(|(_, keys)| keys)
        };
        ready.kept.get(peer).or_else(met).cloned()
    }

    /// Whether the channel with `peer` is ready and stored: this node has had something to say to it.
    pub fn is_kept(&self, peer: &NodeId) -> bool {
        self.ready().kept.contains_key(peer)
    }

    /// The keys that channel set-ups are protected with, for what that is worth: they are published.
    pub fn published(&self) -> &'static ChannelKeys {
        self.published
    }

    /// The peers with a stored channel.
    pub fn peers(&self) -> Vec<NodeId> {
        self.ready().kept.keys().cloned().collect()
    }

    /// This node's public key on the channel with `peer`: PEM, SubjectPublicKeyInfo.
    pub fn own_public_key(&self, peer: &NodeId) -> Result<String, KeyFormatError> {
        let public = match self.keys(peer) {
            Some(keys) => keys.own_public_key(),
            None => self.own_key(peer).public_key(),
        };
        primitives::public_key_pem(&public)
    }

    /// Takes `pem` as the public key of a peer that this node has nothing to say to yet: the channel is ready, and
    /// forgotten at the next start unless it is [kept](Self::keep) before. The caller has checked that this node asked that
    /// peer for it.
    pub fn meet(&self, peer: &NodeId, pem: &[u8]) -> Result<(), ChannelError> {
        let public = primitives::parse_public_key_pem(pem)
            .map_err(|_| ChannelError::BadKey { peer: peer.clone() })?;
        let keys = Arc::new(ChannelKeys::new(&self.own_key(peer), &public));
        let mut ready = self.change();
        ready.met.retain(|(met, _)| met != peer);
        if ready.met.len() == MOST_MET {
            ready.met.pop_front();
        }
        ready.met.push_back((peer.clone(), keys));
        Ok(())
    }

    /// Stores the channel with a peer that was [met](Self::meet). On disk before this returns; blocks for that.
    pub fn keep(&self, peer: &NodeId) -> Result<(), ChannelError> {
        match self.keys(peer) {
            Some(keys) if !self.is_kept(peer) => self.store(peer, keys),
            _ => Ok(()),
        }
    }

    /// Takes `pem` as the peer's public key and makes the channel ready. The caller has checked that this node asked
    /// that peer for it. On disk before this returns; blocks for that, unless it is the key already known.
    pub fn set_peer_key(&self, peer: &NodeId, pem: &[u8]) -> Result<(), ChannelError> {
        let public = primitives::parse_public_key_pem(pem)
            .map_err(|_| ChannelError::BadKey { peer: peer.clone() })?;
        let own = match self.keys(peer) {
            Some(keys) if keys.peer_public_key() == public => return self.keep(peer),
            Some(keys) if self.is_kept(peer) => {
                // An operator may want to ask the peer's: a relay could have forged it (see `Post::renew`).
                tracing::warn!(
                    %peer,
                    "FB324: security: the peer has a new channel key, which replaces the one known; expected only if it lost its store"
                );
                keys.own_secret_key()
            }
            _ => self.own_key(peer),
        };
        self.store(peer, Arc::new(ChannelKeys::new(&own, &public)))
    }

    /// Remembers that `suite` was spoken with a peer. On disk before this returns; blocks for that.
    pub fn secured(&self, peer: &NodeId, suite: u8) -> Result<(), ChannelError> {
        let noted = self.store.note_suite(peer, suite);
        noted.map_err(|source| ChannelError::Store {
            peer: peer.clone(),
            source,
        })?;
        let peer = peer.to_string();
        self.audit.record(Event::ChannelSecured { peer, suite });
        Ok(())
    }

    fn store(&self, peer: &NodeId, keys: Arc<ChannelKeys>) -> Result<(), ChannelError> {
        let public = keys.peer_public_key().to_sec1_point(false);
        let before = self.ready().kept.get(peer).cloned();
        let record = ChannelRecord {
            own: Secret32::from(<[u8; 32]>::from(keys.own_secret_key().to_bytes())),
            peer: Some(public.as_bytes().to_vec()),
        };
        self.store
            .put_channel(peer, &record)
            .map_err(|source| ChannelError::Store {
                peer: peer.clone(),
                source,
            })?;
        let (peer_id, key) = (peer.to_string(), fingerprint(&keys));
        self.audit.record(match before {
            Some(before) => Event::ChannelKeyChanged {
                peer: peer_id,
                before: fingerprint(&before),
                key,
            },
            None => Event::ChannelSetUp { peer: peer_id, key },
        });
        let mut ready = self.change();
        ready.met.retain(|(met, _)| met != peer);
        ready.kept.insert(peer.clone(), keys);
        Ok(())
    }

    fn ready(&self) -> RwLockReadGuard<'_, Ready> {
        self.ready.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Ready> {
        self.ready.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node's key for a peer whose key is not known.
    fn own_key(&self, peer: &NodeId) -> SecretKey {
        if let Some(brought) = self.brought.get(peer) {
            return brought.clone();
        }
        let label = [b"backchannel channel key 1 ", peer.as_ref().as_bytes()].concat();
        primitives::derive_secret_key(self.store.seed().as_bytes(), &label)
    }
}

/// What a peer's key is called: SHA-256 of the public key, hex.
fn fingerprint(keys: &ChannelKeys) -> String {
    let public = keys.peer_public_key().to_sec1_point(false);
    hex::encode(Sha256::digest(public.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::Lock;
    use crate::randomness::Randomness;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("a valid id")
    }

    fn store(path: &std::path::Path) -> Arc<KeyStore> {
        Arc::new(
            KeyStore::open(path, &node("a"), &Lock::Off, &Randomness::from_seed(1))
                .expect("a store"),
        )
    }

    fn own_key(channels: &Channels, peer: &str) -> String {
        channels.own_public_key(&node(peer)).expect("a key")
    }

    #[test]
    fn refuses_a_key_that_is_none_and_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let channels =
            Channels::load(store(&folder.path().join("s")), Audit::none()).expect("loaded");

        assert!(matches!(
            channels.set_peer_key(
                &node("b"),
                b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
            ),
            Err(ChannelError::BadKey { .. })
        ));
        assert!(channels.keys(&node("b")).is_none());
    }

    #[test]
    fn a_peer_that_was_only_met_takes_no_place_on_disk_until_it_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let channels = Channels::load(store(&path), Audit::none()).expect("loaded");
        let public = primitives::derive_secret_key(&[9; 32], b"peer").public_key();
        let pem = primitives::public_key_pem(&public).expect("a key");
        for n in 0..=MOST_MET {
            channels
                .meet(&node(&format!("forged-{n}")), pem.as_bytes())
                .expect("met");
        }

        assert!(
            channels.keys(&node("forged-0")).is_none(),
            "the oldest made room"
        );
        assert!(channels.keys(&node("forged-1")).is_some());
        assert!(channels.peers().is_empty());
        channels.keep(&node("forged-1")).expect("kept");
        drop(channels);
        let channels = Channels::load(store(&path), Audit::none()).expect("loaded");
        assert_eq!(channels.peers(), vec![node("forged-1")]);
    }

    #[test]
    fn answers_the_same_key_before_and_after_a_crash_and_stores_nothing_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let first = own_key(
            &Channels::load(store(&path), Audit::none()).expect("loaded"),
            "b",
        );

        let kept = store(&path);
        assert!(kept.channels().expect("read").is_empty());
        let again = Channels::load(kept, Audit::none()).expect("loaded");
        assert_eq!(own_key(&again, "b"), first);
        assert_ne!(own_key(&again, "c"), first, "each peer sees another key");
    }

    #[test]
    fn a_peers_other_key_replaces_the_known_one_and_the_same_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let channels =
            Channels::load(store(&folder.path().join("s")), Audit::none()).expect("loaded");
        let set = |label: &[u8]| {
            let public = primitives::derive_secret_key(&[9; 32], label).public_key();
            let pem = primitives::public_key_pem(&public).expect("a key");
            channels
                .set_peer_key(&node("b"), pem.as_bytes())
                .expect("taken");
            channels.keys(&node("b")).expect("ready")
        };
        let (first, same, other) = (set(b"first"), set(b"first"), set(b"other"));

        assert!(Arc::ptr_eq(&first, &same));
        assert_ne!(first.peer_public_key(), other.peer_public_key());
        assert_eq!(
            first.own_public_key(),
            other.own_public_key(),
            "this node's own key stays"
        );
    }

    #[test]
    fn a_key_that_was_brought_along_is_used_before_the_channel_is_ready_and_after() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let brought = primitives::derive_secret_key(&[7; 32], b"brought along");
        let record = ChannelRecord {
            own: Secret32::from(<[u8; 32]>::from(brought.to_bytes())),
            peer: None,
        };
        let kept = store(&path);
        kept.put_channel(&node("b"), &record).expect("kept");
        let expected = primitives::public_key_pem(&brought.public_key()).expect("a key");
        let peer = primitives::derive_secret_key(&[9; 32], b"peer").public_key();
        let pem = primitives::public_key_pem(&peer).expect("a key");

        let channels = Channels::load(kept, Audit::none()).expect("loaded");
        assert!(channels.keys(&node("b")).is_none(), "not ready");
        assert!(channels.peers().is_empty());
        assert_eq!(own_key(&channels, "b"), expected);
        channels.meet(&node("b"), pem.as_bytes()).expect("met");
        assert_eq!(own_key(&channels, "b"), expected);
        channels
            .set_peer_key(&node("b"), pem.as_bytes())
            .expect("taken");
        drop(channels);

        let channels = Channels::load(store(&path), Audit::none()).expect("loaded");
        assert_eq!(own_key(&channels, "b"), expected);
        assert_eq!(channels.peers(), vec![node("b")]);
    }

    #[test]
    fn is_ready_after_a_restart_with_the_same_keys() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let peer = primitives::derive_secret_key(&[9; 32], b"peer").public_key();
        let channels = Channels::load(store(&path), Audit::none()).expect("loaded");
        let own = own_key(&channels, "b");
        let pem = primitives::public_key_pem(&peer).expect("a key");
        channels
            .set_peer_key(&node("b"), pem.as_bytes())
            .expect("taken");
        drop(channels);

        let channels = Channels::load(store(&path), Audit::none()).expect("loaded");
        assert_eq!(own_key(&channels, "b"), own);
        assert_eq!(channels.peers(), vec![node("b")]);
    }
}

//! The node's identity key, and what it knows of its peers' and where from.
//!
//! Stores of earlier versions have none of it; tables come with the first entry.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{ABOUT, KeyStore, StoreError, records};
use crate::identity::{IdentityKey, IdentitySecret};
use crate::message::NodeId;
use crate::randomness::Randomness;

/// The scalar, in `ABOUT`.
const IDENTITY: &str = "identity";

pub(super) const PINS: TableDefinition<&str, &[u8]> = TableDefinition::new("pins");
pub(super) const MET: TableDefinition<&str, &[u8]> = TableDefinition::new("met_peers");

/// A peer's key as an operator confirmed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRecord {
    /// The key.
    pub key: IdentityKey,
    /// When it was confirmed, in seconds since 1970.
    pub since: u64,
    /// By whom.
    pub by: String,
}

/// What this node has seen of a peer by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetRecord {
    /// The key that it came with first, where that is believed.
    pub first_use: Option<FirstUseRecord>,
    /// The highest suite that a message of it was opened in.
    pub highest_suite: Option<u8>,
}

/// A peer's key that nobody confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstUseRecord {
    /// The key.
    pub key: IdentityKey,
    /// When it came, in seconds since 1970.
    pub since: u64,
}

impl KeyStore {
    /// The node's identity key; drawn, and on disk before this returns, when it is asked for the first time.
    pub fn identity(&self, randomness: &Randomness) -> Result<IdentitySecret, StoreError> {
        if let Some(there) = self.get(ABOUT, IDENTITY)? {
            return read(&there);
        }
        let transaction = self.database.begin_write()?;
        let secret = {
            // Another thread may have been here first.
            match self.get_in(&transaction, ABOUT, IDENTITY)? {
                Some(there) => read(&there)?,
                None => {
                    let secret = IdentitySecret::draw(randomness);
                    self.put_in(&transaction, ABOUT, IDENTITY, secret.to_bytes().as_slice())?;
                    secret
                }
            }
        };
        transaction.commit()?;
        Ok(secret)
    }

    /// All pins, by peer.
    pub fn pins(&self) -> Result<Vec<(NodeId, PinRecord)>, StoreError> {
        self.of_peers(PINS, "pin")
    }

    /// Keeps a pin, in place of an earlier one of that peer.
    pub fn put_pin(&self, peer: &NodeId, pin: &PinRecord) -> Result<(), StoreError> {
        self.put(PINS, peer.as_ref(), &records::encode(pin)?)
    }

    /// Forgets a pin; `false` when there is none.
    pub fn remove_pin(&self, peer: &NodeId) -> Result<bool, StoreError> {
        self.remove(PINS, peer.as_ref())
    }

    /// All that was seen of peers.
    pub fn met_peers(&self) -> Result<Vec<(NodeId, MetRecord)>, StoreError> {
        self.of_peers(MET, "peer")
    }

    /// Remembers the key that a peer came with first, unless one is remembered; the one that is.
    pub fn put_first_use(
        &self,
        peer: &NodeId,
        first: FirstUseRecord,
    ) -> Result<FirstUseRecord, StoreError> {
        let met = self.change_met(peer, |met| {
            met.first_use.get_or_insert_with(|| first.clone());
        })?;
        Ok(met.first_use.unwrap_or(first))
    }

    /// Forgets the key that a peer came with first.
    pub fn remove_first_use(&self, peer: &NodeId) -> Result<(), StoreError> {
        self.change_met(peer, |met| met.first_use = None).map(drop)
    }

    /// Remembers that a message of a peer was opened in a suite. The highest stays.
    pub fn note_suite(&self, peer: &NodeId, suite: u8) -> Result<(), StoreError> {
        let higher = |met: &mut MetRecord| met.highest_suite = met.highest_suite.max(Some(suite));
        self.change_met(peer, higher).map(drop)
    }

    fn change_met(
        &self,
        peer: &NodeId,
        change: impl FnOnce(&mut MetRecord),
    ) -> Result<MetRecord, StoreError> {
        let transaction = self.database.begin_write()?;
        let met = {
            let there = self.get_in(&transaction, MET, peer.as_ref())?;
            let mut met = match there {
                Some(there) => records::decode(&there, || format!("peer {peer}"))?,
                None => MetRecord::default(),
            };
            change(&mut met);
            self.put_in(&transaction, MET, peer.as_ref(), &records::encode(&met)?)?;
            met
        };
        transaction.commit()?;
        Ok(met)
    }

    fn of_peers<T: serde::de::DeserializeOwned>(
        &self,
        table: TableDefinition<&str, &[u8]>,
        what: &str,
    ) -> Result<Vec<(NodeId, T)>, StoreError> {
        let of_peer = |(peer, bytes): super::tables::Entry| {
            let damaged = || format!("{what} {peer}");
            let node =
                NodeId::try_from(peer.as_str()).map_err(|_| StoreError::Damaged(damaged()))?;
            Ok((node, records::decode(&bytes, damaged)?))
        };
        self.scan(table)?.into_iter().map(of_peer).collect()
    }
}

fn read(bytes: &[u8]) -> Result<IdentitySecret, StoreError> {
    let scalar = Zeroizing::new(<[u8; 32]>::try_from(bytes).unwrap_or_default());
    // Zeros are no key.
    IdentitySecret::from_bytes(&scalar)
        .ok_or_else(|| StoreError::Damaged("the identity key".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::Lock;

    fn node(name: &str) -> NodeId {
        name.parse().expect("an id")
    }

    fn key(seed: u64) -> IdentityKey {
        IdentitySecret::draw(&Randomness::from_seed(seed)).public()
    }

    fn in_memory() -> KeyStore {
        KeyStore::in_memory(&node("a"), &Randomness::from_seed(1)).expect("a store")
    }

    #[test]
    fn a_damaged_identity_is_refused_and_never_replaced() {
        let store = in_memory();
        for damaged in [&[][..], &[0; 32], &[1; 31], &[0xff; 32]] {
            store.put(ABOUT, IDENTITY, damaged).expect("put");
            let refused = store.identity(&Randomness::from_seed(1));
            assert!(
                matches!(refused, Err(StoreError::Damaged(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_node_has_one_identity_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        // Another restart draws other randomness.
        let identity = |seed| {
            let randomness = Randomness::from_seed(seed);
            let store =
                KeyStore::open(&path, &node("a"), &Lock::Off, &randomness).expect("a store");
            [(); 2].map(|()| store.identity(&randomness).expect("a key").public())
        };
        let [first, again] = identity(1);
        assert_eq!([first, again], identity(2));
        assert_eq!(first, again);
    }

    #[test]
    fn the_highest_suite_and_the_first_key_of_a_peer_stay() {
        let store = in_memory();
        let first = |seed, since| FirstUseRecord {
            key: key(seed),
            since,
        };
        let kept = store.put_first_use(&node("b"), first(1, 10)).expect("kept");
        assert_eq!(kept, first(1, 10));
        let kept = store.put_first_use(&node("b"), first(2, 20)).expect("kept");
        assert_eq!(kept, first(1, 10), "not the later one");
        for suite in [2, 1] {
            store.note_suite(&node("b"), suite).expect("noted");
        }
        let met = |first_use| MetRecord {
            first_use,
            highest_suite: Some(2),
        };
        assert_eq!(
            store.met_peers().expect("read"),
            [(node("b"), met(Some(first(1, 10))))]
        );
        store.remove_first_use(&node("b")).expect("removed");
        assert_eq!(store.met_peers().expect("read"), [(node("b"), met(None))]);
    }

    #[test]
    fn a_pin_stays_until_it_is_taken_back() {
        let store = in_memory();
        let pin = PinRecord {
            key: key(1),
            since: 10,
            by: "Ada".into(),
        };
        assert_eq!(store.pins().expect("read"), []);
        store.put_pin(&node("b"), &pin).expect("kept");
        assert_eq!(store.pins().expect("read"), [(node("b"), pin)]);
        assert!(store.remove_pin(&node("b")).expect("removed"));
        assert!(!store.remove_pin(&node("b")).expect("none"));
    }
}

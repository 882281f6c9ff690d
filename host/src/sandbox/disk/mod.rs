//! A simulated disk with one node's store: what was synced survives a power cut, what was only written may not, or in part.
//!
//! It can refuse operations ([`Trouble`]), and end the life of whoever uses it in the middle of one: each write, sync and change
//! of length is a point at which a node can die.

mod mounted;
mod platter;
mod trouble;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::key_store::{KeyStore, StoreError};
use crate::message::NodeId;
use crate::randomness::Randomness;
pub(super) use mounted::Mounted;
use platter::Platter;
pub(super) use trouble::Trouble;
use trouble::Troubles;

/// One node's disk. Clones are the same disk; it outlives the node's crashes.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Inside>>);

struct Inside {
    /// Draws what is left of what failed to be synced.
    rng: ChaCha20Rng,
    life: u64,
    /// Whether a store was ever made here.
    made: bool,
    platter: Platter,
    troubles: Troubles,
    deaths: Vec<Death>,
    /// To be told of the death of the life that uses it.
    mourner: Option<Box<dyn FnOnce() + Send>>,
}

/// The end of a life over one of its operations.
pub(super) struct Death {
    /// By which it is called off.
    pub(super) id: usize,
    /// So many of its writes, syncs and changes of length still succeed.
    pub(super) after: u64,
    /// Whether the power fails with it; else what was written is there, synced or not.
    pub(super) power: bool,
    /// Draws what is left.
    pub(super) rng: ChaCha20Rng,
}

impl Disk {
    /// An empty one.
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            rng: ChaCha20Rng::seed_from_u64(seed),
            life: 0,
            made: false,
            platter: Platter::default(),
            troubles: Troubles::default(),
            deaths: Vec::new(),
            mourner: None,
        })))
    }

    /// The store, for a new life of its node; made first if none was ever made here, in the steps of a real one.
    pub(super) fn open(
        &self,
        node: &NodeId,
        randomness: &Randomness,
    ) -> (Mounted, Result<KeyStore, StoreError>) {
        let (mounted, made) = self.mount();
        let store = || {
            if !made {
                KeyStore::make_on(mounted.clone(), node, randomness)?;
                self.inside().made = true;
            }
            KeyStore::on(mounted.clone(), node)
        };
        let store = store();
        (mounted, store)
    }

    fn mount(&self) -> (Mounted, bool) {
        let mut inside = self.inside();
        inside.life += 1;
        inside.mourner = None;
        if !inside.made {
            // What a life left that died over making it has another name.
            inside.platter = Platter::default();
        }
        let mounted = Mounted {
            disk: self.clone(),
            life: inside.life,
        };
        (mounted, inside.made)
    }

    /// How large its store is, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.inside().platter.len() as u64
    }

    /// Ends the life that uses it: what was written is there, synced or not.
    pub(super) fn unmount(&self) {
        self.inside().life += 1;
    }

    /// Loses what was not synced.
    pub(super) fn cut_power(&self, rng: &mut impl Rng) {
        self.inside().platter.cut_power(rng);
    }

    /// From now on something is wrong; see [`Troubles::begin`].
    pub(super) fn begin(&self, id: usize, trouble: Trouble, after: u64, times: u64) {
        self.inside().troubles.begin(id, trouble, after, times);
    }

    /// It is over; whether it was felt.
    pub(super) fn end(&self, id: usize) -> bool {
        self.inside().troubles.end(id)
    }

    /// All troubles are over, and nobody dies any more.
    pub(super) fn heal(&self) {
        let mut inside = self.inside();
        inside.troubles = Troubles::default();
        inside.deaths.clear();
    }

    /// A copy of the store, as a file system's snapshot has it; `None` where there is none yet.
    pub(super) fn copy(&self) -> Option<Vec<u8>> {
        let inside = self.inside();
        inside.made.then(|| inside.platter.copy())
    }

    /// Puts a copy of the store in place of what is there. Nobody must be using it.
    pub(super) fn restore(&self, copy: Vec<u8>) {
        self.inside().platter.restore(copy);
    }

    /// Does damage to the store: what it was before, and what was done; `None` where there is none yet, or none of its bytes
    /// became another. Nobody must be using it.
    pub(super) fn damage(&self, rng: &mut impl Rng) -> Option<(Vec<u8>, String)> {
        let mut inside = self.inside();
        inside.made.then(|| inside.platter.damage(rng)).flatten()
    }

    /// Has the life that uses it, or the next one, die over an operation.
    pub(super) fn begin_death(&self, death: Death) {
        self.inside().deaths.push(death);
    }

    /// Calls that off, if it has not come by now.
    pub(super) fn end_death(&self, id: usize) {
        self.inside().deaths.retain(|death| death.id != id);
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::message::RequestId;

    fn node() -> NodeId {
        NodeId::try_from("a").expect("a valid id")
    }

    fn put(store: &KeyStore, der: &[u8]) -> Result<(), StoreError> {
        store.put_researcher_certificate("r:1", der)
    }

    fn kept(store: &KeyStore) -> Option<Vec<u8>> {
        store.researcher_certificate("r:1").expect("read")
    }

    /// A store with something in it.
    fn store(disk: &Disk, seed: u64) -> (Mounted, KeyStore) {
        let (mounted, store) = disk.open(&node(), &Randomness::from_seed(seed));
        let store = store.expect("a new store");
        put(&store, b"first").expect("kept");
        (mounted, store)
    }

    #[test]
    fn a_store_works_again_once_a_full_disk_has_room() {
        let disk = Disk::new(1);
        let (_, store) = store(&disk, 1);
        disk.begin(1, Trouble::Full, 0, u64::MAX);
        assert!(put(&store, b"second").is_err() && put(&store, b"second").is_err());
        let read = store.researcher_certificate("r:1");
        assert!(read.is_ok(), "reading needs no room: {read:?}");

        assert!(disk.end(1));
        put(&store, b"third").expect("kept");
        assert_eq!(kept(&store).as_deref(), Some(b"third".as_slice()));
    }

    #[test]
    fn a_store_is_there_after_any_power_cut() {
        for seed in 0..20 {
            let (disk, mut rng) = (Disk::new(seed), Randomness::from_seed(seed));
            let (_, before) = store(&disk, seed);
            let first = *before.seed().as_bytes();
            disk.unmount();
            drop(before);
            disk.cut_power(&mut rng);

            let (_, after) = disk.open(&node(), &rng);
            let after = after.expect("still a store");
            assert_eq!(*after.seed().as_bytes(), first);
            assert_eq!(kept(&after).as_deref(), Some(b"first".as_slice()));
        }
    }

    #[test]
    fn a_store_is_there_whichever_operation_its_node_dies_over() {
        let mut died = 0;
        for seed in 0..120 {
            let disk = Disk::new(seed);
            let (mounted, before) = store(&disk, seed);
            let first = *before.seed().as_bytes();
            let told = Arc::new(AtomicBool::new(false));
            let tell = told.clone();
            mounted.mourned_by(move || tell.store(true, Ordering::SeqCst));
            disk.begin_death(Death {
                id: 1,
                after: seed / 2,
                power: seed % 2 == 0,
                rng: ChaCha20Rng::seed_from_u64(seed),
            });
            let acknowledged = (0..10_u8)
                .take_while(|n| put(&before, &[*n]).is_ok())
                .last();
            assert_eq!(mounted.is_alive(), !told.load(Ordering::SeqCst));
            died += u32::from(!mounted.is_alive());
            disk.unmount();
            drop(before);

            let (_, after) = disk.open(&node(), &Randomness::from_seed(seed));
            let after = after.expect("still a store");
            assert_eq!(*after.seed().as_bytes(), first);
            // What it was told of is there, or what it was about to be told of.
            let kept = kept(&after).expect("something");
            match acknowledged {
                Some(last) => assert!(kept == [last] || kept == [last + 1], "{kept:?}"),
                None => assert!(kept == b"first" || kept == [0], "{kept:?}"),
            }
        }
        assert!(died > 60, "{died} of 120");
    }

    #[test]
    fn a_node_that_dies_over_making_its_store_starts_with_none() {
        for after in 0.. {
            let disk = Disk::new(after);
            disk.begin_death(Death {
                id: 1,
                after,
                power: true,
                rng: ChaCha20Rng::seed_from_u64(after),
            });
            let (mounted, store) = disk.open(&node(), &Randomness::from_seed(1));
            if mounted.is_alive() {
                store.expect("a new store");
                assert!(after > 10, "{after} operations");
                break;
            }
            assert!(store.is_err(), "dead over operation {after}");
            let (_, store) = disk.open(&node(), &Randomness::from_seed(2));
            store.expect("a new store");
        }
    }

    #[test]
    fn a_death_that_is_called_off_takes_no_other_with_it() {
        let disk = Disk::new(1);
        let (_, store) = store(&disk, 1);
        for id in [1, 2] {
            disk.begin_death(Death {
                id,
                after: 0,
                power: false,
                rng: ChaCha20Rng::seed_from_u64(1),
            });
        }

        disk.end_death(1);
        assert!(put(&store, b"second").is_err(), "the other is still due");
    }

    #[test]
    fn refuses_a_store_that_was_emptied_and_never_makes_another() {
        let disk = Disk::new(1);
        drop(store(&disk, 1));
        disk.unmount();
        disk.restore(Vec::new());

        let (_, refused) = disk.open(&node(), &Randomness::from_seed(2));
        assert!(matches!(refused, Err(StoreError::Unreadable(_))));
    }

    #[test]
    fn a_store_loses_nothing_over_failed_operations() {
        let (mut failed, id) = (0, RequestId::try_from("1").expect("a valid id"));
        for seed in 0..108 {
            let trouble = [Trouble::Writes, Trouble::Syncs, Trouble::Reads][seed as usize % 3];
            let times = if seed % 2 == 0 { 1 } else { u64::MAX };
            let disk = Disk::new(seed);
            let (_, before) = store(&disk, seed);
            disk.begin(1, trouble, seed % 12, times);
            for n in 0..10 {
                failed += u32::from(put(&before, &[n]).is_err());
            }
            disk.end(1);
            // Elsewhere, so that what failed to be written stays as it is.
            before.remember_answered(&id).expect("kept");
            let expected = kept(&before);
            disk.unmount();
            drop(before);
            disk.cut_power(&mut Randomness::from_seed(seed));

            let (_, after) = disk.open(&node(), &Randomness::from_seed(1));
            let after = after.unwrap_or_else(|error| panic!("{seed}, {trouble:?}: {error}"));
            assert_eq!(kept(&after), expected, "{seed}");
            assert!(after.was_answered(&id).expect("read"), "{seed}");
        }
        assert!(failed > 50, "{failed} failed");
    }
}

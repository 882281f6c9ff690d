//! A simulated disk: what was synced survives a power cut, what was only written may not, or in part.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_core::Rng;
use redb::StorageBackend;

/// What a disk writes in one piece, in bytes.
const SECTOR: usize = 512;

/// One node's disk. Clones are the same disk; it outlives the node's crashes.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

/// A disk as one life of its node uses it. What a dead one still writes goes nowhere.
#[derive(Clone)]
pub(super) struct Mounted {
    disk: Disk,
    life: u64,
}

/// What a disk does with what it is given to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Room {
    /// It takes it.
    #[default]
    Enough,
    /// It refuses it.
    None,
    /// It takes it and cannot keep it: a sync fails, and what was to be synced counts as clean from then on. So do volumes that
    /// are larger than the disk below them, and network file systems.
    Promised,
}

#[derive(Default)]
struct Platter {
    life: u64,
    /// What programs read.
    seen: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    room: Room,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, platter: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                platter[*offset..offset + bytes.len()].copy_from_slice(bytes)
            }
            Self::Length(length) => platter.resize(*length, 0),
        }
    }

    /// What of it reaches the platter when the power fails: all, nothing, or the first sectors.
    fn torn(self, rng: &mut impl Rng) -> Option<Self> {
        match (rng.next_u32() % 3, self) {
            (0, _) => None,
            (1, Self::Write { offset, mut bytes }) => {
                let sectors = bytes.len() / SECTOR;
                let kept = rng.next_u32() as usize % (sectors + 1);
                bytes.truncate(kept * SECTOR);
                Some(Self::Write { offset, bytes })
            }
            (_, whole) => Some(whole),
        }
    }
}

impl Disk {
    /// The disk for a new life of its node.
    pub(super) fn mount(&self) -> Mounted {
        let mut platter = self.platter();
        platter.life += 1;
        Mounted {
            disk: self.clone(),
            life: platter.life,
        }
    }

    /// Ends the life that uses it: what was written is there, synced or not.
    pub(super) fn unmount(&self) {
        self.platter().life += 1;
    }

    /// Loses what was not synced: each write wholly, in part, or not at all.
    pub(super) fn cut_power(&self, rng: &mut impl Rng) {
        let mut platter = self.platter();
        let unsynced = std::mem::take(&mut platter.unsynced);
        let mut left = std::mem::take(&mut platter.synced);
        for change in unsynced {
            match change {
                // File systems keep the length apart from the content, and grow it first.
                Change::Length(length) if length >= left.len() => left.resize(length, 0),
                change => {
                    if let Some(change) = change.torn(rng) {
                        change.apply(&mut left);
                    }
                }
            }
        }
        platter.seen.clone_from(&left);
        platter.synced = left;
    }

    /// From now on it has that much room.
    pub(super) fn set_room(&self, room: Room) {
        self.platter().room = room;
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn change(&mut self, change: Change) -> io::Result<()> {
        if self.room == Room::None {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.room {
            Room::Enough => {}
            Room::None => return Err(io::ErrorKind::StorageFull.into()),
            Room::Promised => {
                // File systems keep the length apart from the content.
                let lengths = |change: &Change| matches!(change, Change::Length(_));
                self.unsynced.retain(lengths);
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.synced);
        }
        Ok(())
    }
}

impl Mounted {
    /// The platter, for the life that has it.
    fn living(&self) -> Option<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        (platter.life == self.life).then_some(platter)
    }
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its content has secrets.
        f.write_str("Mounted(…)")
    }
}

impl StorageBackend for Mounted {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.platter().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.disk.platter();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = platter.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        match self.living() {
            Some(mut platter) => platter.change(Change::Length(length)),
            None => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.living() {
            Some(mut platter) => platter.sync(),
            None => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let Some(mut platter) = self.living() else {
            return Ok(());
        };
        if offset + data.len() > platter.seen.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        platter.change(Change::Write {
            offset,
            bytes: data.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_store::KeyStore;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    fn node() -> NodeId {
        NodeId::try_from("a").expect("a valid id")
    }

    #[test]
    fn a_power_cut_takes_only_what_was_not_synced() {
        let disk = Disk::default();
        let mounted = disk.mount();
        mounted.set_len(2048).expect("grown");
        mounted.write(0, &[1; 1024]).expect("written");
        mounted.sync_data().expect("synced");
        mounted.write(1024, &[2; 1024]).expect("written");

        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let copy = Disk::default();
            {
                let (mut to, from) = (copy.platter(), disk.platter());
                to.seen.clone_from(&from.seen);
                to.synced.clone_from(&from.synced);
                to.unsynced.push(Change::Write {
                    offset: 1024,
                    bytes: vec![2; 1024],
                });
            }
            copy.cut_power(&mut Randomness::from_seed(seed));
            let left = &copy.platter().seen;
            assert!(left[..1024].iter().all(|byte| *byte == 1));
            outcomes.insert(left[1024..].iter().filter(|byte| **byte == 2).count());
        }
        assert_eq!(outcomes, [0, 512, 1024].into());
    }

    #[test]
    fn a_store_works_again_once_a_full_disk_has_room() {
        let (disk, rng) = (Disk::default(), Randomness::from_seed(1));
        let store = KeyStore::on(disk.mount(), &node(), &rng).expect("a new store");
        disk.set_room(Room::None);
        let put = || store.put_researcher_certificate("r:1", b"der");
        assert!(put().is_err() && put().is_err());
        let read = store.researcher_certificate("r:1");
        assert!(read.is_ok(), "reading needs no room: {read:?}");

        disk.set_room(Room::Enough);
        put().expect("kept");
        let kept = store.researcher_certificate("r:1").expect("read");
        assert_eq!(kept.as_deref(), Some(b"der".as_slice()));
    }

    #[test]
    fn what_is_stored_after_a_disk_failed_to_sync_is_there_after_a_power_cut() {
        let (disk, mut rng) = (Disk::default(), Randomness::from_seed(1));
        let store = KeyStore::on(disk.mount(), &node(), &rng).expect("a new store");
        let first = *store.seed().as_bytes();
        let put = |name: &str| store.put_researcher_certificate(name, &[1; 9000]);
        for times in 0..5 {
            disk.set_room(Room::Promised);
            assert!(put(&format!("lost {times}")).is_err());
            disk.set_room(Room::Enough);
            put(&format!("kept {times}")).expect("kept");
        }
        disk.unmount();
        drop(store);
        disk.cut_power(&mut rng);

        let store = KeyStore::on(disk.mount(), &node(), &rng).expect("still a store");
        assert_eq!(*store.seed().as_bytes(), first);
        for times in 0..5 {
            let kept = store.researcher_certificate(&format!("kept {times}"));
            assert!(kept.expect("read").is_some(), "{times}");
        }
    }

    #[test]
    fn a_store_is_there_after_any_power_cut() {
        for seed in 0..20 {
            let (disk, mut rng) = (Disk::default(), Randomness::from_seed(seed));
            let store = KeyStore::on(disk.mount(), &node(), &rng).expect("a new store");
            let first = *store.seed().as_bytes();
            store
                .put_researcher_certificate("r:1", b"der")
                .expect("kept");
            disk.unmount();
            drop(store);
            disk.cut_power(&mut rng);

            let store = KeyStore::on(disk.mount(), &node(), &rng).expect("still a store");
            assert_eq!(*store.seed().as_bytes(), first);
            let kept = store.researcher_certificate("r:1").expect("read");
            assert_eq!(kept.as_deref(), Some(b"der".as_slice()));
        }
    }
}

//! Copies of a node's store, as its operator makes them, and what was put back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disk::Disk;

/// A copy of a store.
struct Copy {
    /// When it was made, from the beginning of the run.
    at: Duration,
    content: Vec<u8>,
}

/// The copies of one node's store.
#[derive(Default)]
pub(super) struct Copies {
    /// Before it was damaged, until that is over and the node has started or refused to.
    good: Option<Copy>,
    /// Whether its node refused to start with it after that; nothing before it tried.
    refused: Option<bool>,
    /// The damage is over, and its node has not tried yet: whether an older copy is to be put back if it refuses.
    over: Option<bool>,
    /// When it started last.
    at_start: Option<Copy>,
    /// To be put back later, by the accident that does.
    kept: BTreeMap<usize, Copy>,
    /// What was put back.
    pub(super) put_back: Vec<PutBack>,
}

/// A copy that was put in place of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PutBack {
    /// When it was made.
    of: Duration,
    /// When it was put back.
    at: Duration,
}

impl PutBack {
    /// One that was made at `of` and put back at `at`.
    pub(super) fn new(of: Duration, at: Duration) -> Self {
        Self { of, at }
    }

    /// Whether what was stored at that time may be gone with it.
    pub(super) fn takes(&self, stored: Duration) -> bool {
        (self.of..=self.at).contains(&stored)
    }
}

impl Copies {
    /// The node has started. A store that is damaged is no backup, although it was taken for whole.
    pub(super) fn started(&mut self, disk: &Disk, at: Duration) {
        self.refused = Some(false);
        if self.over.take().is_some() {
            self.good = None;
        }
        if self.good.is_none() {
            self.at_start = copy(disk, at);
        }
    }

    /// The node could not start, which is its store's fault if that was damaged. Nobody must be using it.
    pub(super) fn was_refused(&mut self, disk: &Disk, now: Duration) {
        self.refused = Some(true);
        if let Some(older) = self.over.take() {
            self.repair(disk, older, now);
        }
    }

    /// The store as it was before it was damaged, unless that is known from an earlier damage that is not over.
    pub(super) fn was_good(&mut self, content: Vec<u8>, whole: bool, at: Duration) {
        if whole || self.good.is_none() {
            self.good = Some(Copy { at, content });
        }
        (self.refused, self.over) = (None, None);
    }

    /// The damage is over: the store is put back if its node refuses it, as it was before or, if `older`, when its node started
    /// last. Nobody must be using it then.
    pub(super) fn repair(&mut self, disk: &Disk, older: bool, now: Duration) {
        if self.refused.is_none() {
            self.over = self.good.is_some().then_some(older);
            return;
        }
        let refused = self.refused == Some(true);
        if let Some(good) = self.good.take().filter(|_| refused) {
            let at_start = self.at_start.take().filter(|_| older);
            self.put_back(disk, at_start.unwrap_or(good), now);
        }
    }

    /// Keeps a copy for the accident `id`. What is damaged is no backup: its node would refuse it.
    pub(super) fn keep(&mut self, id: usize, disk: &Disk, at: Duration) {
        if let Some(copy) = copy(disk, at).filter(|_| self.good.is_none()) {
            self.kept.insert(id, copy);
        }
    }

    /// Whether a copy is kept for that accident.
    pub(super) fn has(&self, id: usize) -> bool {
        self.kept.contains_key(&id)
    }

    /// Puts the copy back that was kept for the accident `id`.
    pub(super) fn return_to(&mut self, id: usize, disk: &Disk, now: Duration) {
        if let Some(copy) = self.kept.remove(&id) {
            self.put_back(disk, copy, now);
        }
    }

    fn put_back(&mut self, disk: &Disk, copy: Copy, now: Duration) {
        self.put_back.push(PutBack::new(copy.at, now));
        disk.restore(copy.content);
    }
}

fn copy(disk: &Disk, at: Duration) -> Option<Copy> {
    disk.copy().map(|content| Copy { at, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::NodeId;
    use crate::randomness::Randomness;

    /// A node's disk with a store.
    fn disk() -> Disk {
        let (disk, node) = (Disk::new(1), NodeId::try_from("a").expect("a valid id"));
        let (_, store) = disk.open(&node, &Randomness::from_seed(1));
        drop(store.expect("a new store"));
        disk
    }

    #[test]
    fn only_a_store_that_its_node_refused_is_put_back() {
        let (disk, second) = (disk(), Duration::from_secs);
        let good = disk.copy().expect("made");
        for refuses in [true, false] {
            let mut copies = Copies::default();
            copies.was_good(good.clone(), true, second(1));
            disk.restore(vec![7]);
            copies.was_refused(&disk, second(2));
            if !refuses {
                copies.started(&disk, second(2));
            }
            copies.repair(&disk, false, second(3));

            let now = disk.copy().expect("there");
            assert_eq!(now == good, refuses);
            assert_eq!(copies.put_back.len(), usize::from(refuses));
        }
    }

    #[test]
    fn a_store_is_put_back_although_its_node_first_tries_when_the_damage_is_over() {
        let (disk, second) = (disk(), Duration::from_secs);
        let good = disk.copy().expect("made");
        let mut copies = Copies::default();
        copies.was_good(good.clone(), true, second(1));
        disk.restore(vec![7]);
        copies.repair(&disk, false, second(2));
        copies.was_refused(&disk, second(3));

        assert_eq!(disk.copy().expect("there"), good);
    }

    #[test]
    fn what_was_damaged_is_never_a_backup() {
        let (disk, second) = (disk(), Duration::from_secs);
        let good = disk.copy().expect("made");
        let mut copies = Copies::default();
        copies.started(&disk, second(0));
        copies.was_good(good.clone(), true, second(1));
        disk.restore(vec![7]);
        copies.started(&disk, second(2));
        copies.keep(9, &disk, second(2));
        copies.was_refused(&disk, second(2));
        copies.repair(&disk, true, second(3));

        assert_eq!(disk.copy().expect("there"), good);
        assert!(!copies.has(9));
    }
}

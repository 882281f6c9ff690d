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
    /// Before it was damaged, until that is over.
    good: Option<Copy>,
    /// When it started last.
    at_start: Option<Copy>,
    /// To be put back later, by the accident that does.
    kept: BTreeMap<u64, Copy>,
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
    /// The node has started.
    pub(super) fn started(&mut self, disk: &Disk, at: Duration) {
        self.at_start = copy(disk, at);
    }

    /// The store as it was before it was damaged, unless that is known from an earlier damage that is not over.
    pub(super) fn was_good(&mut self, content: Vec<u8>, whole: bool, at: Duration) {
        if whole || self.good.is_none() {
            self.good = Some(Copy { at, content });
        }
    }

    /// The damage is over: the store is put back if its node refuses it, as it was before or, if `older`, when its node
    /// started last. Whether it was.
    pub(super) fn repair(
        &mut self,
        disk: &Disk,
        refused: bool,
        older: bool,
        now: Duration,
    ) -> bool {
        let Some(good) = self.good.take().filter(|_| refused) else {
            return false;
        };
        let at_start = self.at_start.take().filter(|_| older);
        self.put_back(disk, at_start.unwrap_or(good), now);
        true
    }

    /// Keeps a copy for the accident `id`. What is damaged is no backup: its node would refuse it.
    pub(super) fn keep(&mut self, id: u64, disk: &Disk, at: Duration) {
        if let Some(copy) = copy(disk, at).filter(|_| self.good.is_none()) {
            self.kept.insert(id, copy);
        }
    }

    /// Whether a copy is kept for that accident.
    pub(super) fn has(&self, id: u64) -> bool {
        self.kept.contains_key(&id)
    }

    /// Puts the copy back that was kept for the accident `id`.
    pub(super) fn return_to(&mut self, id: u64, disk: &Disk, now: Duration) {
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

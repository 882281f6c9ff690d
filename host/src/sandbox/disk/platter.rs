//! What is on a disk: what programs read, what was synced, and what a power cut leaves of the rest.

use std::io;

use rand_core::Rng;

/// What a disk writes in one piece, in bytes.
const SECTOR: usize = 512;

/// The content of a disk.
#[derive(Default)]
pub struct Platter {
    /// What programs read.
    seen: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

/// A change of the content.
#[derive(Clone)]
pub enum Change {
    /// These bytes at that place.
    Write {
        /// The place.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Another length.
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if end > content.len() {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => content.resize(*length, 0),
        }
    }

    /// What of it is done when the power fails, or who writes dies: all, nothing, or the first sectors.
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

impl Platter {
    /// How much is on it.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Fills `out` with what is at `offset`.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len());
        let found = end.and_then(|end| self.seen.get(offset..end));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Makes a change, which is not synced yet.
    pub fn change(&mut self, change: Change) -> io::Result<()> {
        if let Change::Write { offset, bytes } = &change
            && offset + bytes.len() > self.seen.len()
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        change.apply(&mut self.seen);
        self.unsynced.push(change);
        Ok(())
    }

    /// Makes of a change what is done when who makes it dies over it.
    pub fn tear(&mut self, change: Change, rng: &mut impl Rng) {
        // One that is out of bounds would have failed anyway.
        let _ = change.torn(rng).map(|torn| self.change(torn));
    }

    /// Syncs all that was changed.
    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// Fails to sync. As on Linux, what was not synced by then is read back as if it were, and is not written any more; some
    /// of it was.
    pub fn fail_to_sync(&mut self, rng: &mut impl Rng) {
        settle(&mut self.synced, std::mem::take(&mut self.unsynced), rng);
        // A length that programs have seen stays.
        self.synced.resize(self.seen.len(), 0);
    }

    /// Loses what was not synced: each write wholly, in part, or not at all.
    pub fn cut_power(&mut self, rng: &mut impl Rng) {
        settle(&mut self.synced, std::mem::take(&mut self.unsynced), rng);
        self.seen.clone_from(&self.synced);
    }

    /// What a copy of it holds: what was synced, as a file system's snapshot has it.
    pub fn copy(&self) -> Vec<u8> {
        self.synced.clone()
    }

    /// Puts `content` in place of all that is on it.
    pub fn restore(&mut self, content: Vec<u8>) {
        self.unsynced.clear();
        self.synced.clone_from(&content);
        self.seen = content;
    }

    /// Does damage to what is on it, synced and all; what was there before, and what was done, unless it is all the same.
    pub fn damage(&mut self, rng: &mut impl Rng) -> Option<(Vec<u8>, String)> {
        let before = self.seen.clone();
        let mut content = before.clone();
        let done = damage(&mut content, rng);
        let changed = content != before;
        self.restore(content);
        changed.then_some((before, done))
    }
}

fn damage(content: &mut Vec<u8>, rng: &mut impl Rng) -> String {
    let length = content.len().max(1);
    // Where it hurts most: databases begin with what leads to the rest.
    let within = if rng.next_u32().is_multiple_of(2) {
        SECTOR
    } else {
        length
    };
    let mut place = || rng.next_u64() as usize % within.min(length);
    match place() % 4 {
        0 => {
            content.clear();
            "it is empty".into()
        }
        1 => {
            content.truncate(place());
            format!("cut off after {} bytes", content.len())
        }
        2 => {
            let sector = place() / SECTOR;
            let end = ((sector + 1) * SECTOR).min(content.len());
            content[sector * SECTOR..end].fill(0);
            format!("zeros in place of sector {sector}")
        }
        _ => {
            let flipped: Vec<_> = (0..=place() % 8).map(|_| place()).collect();
            for at in &flipped {
                if let Some(byte) = content.get_mut(*at) {
                    *byte ^= 1 << (at % 8);
                }
            }
            format!("a bit of each of the bytes {flipped:?} is another")
        }
    }
}

/// What becomes of changes that nobody synced.
fn settle(content: &mut Vec<u8>, unsynced: Vec<Change>, rng: &mut impl Rng) {
    for change in unsynced {
        match change {
            // File systems keep the length apart from the content, and grow it first.
            Change::Length(length) if length >= content.len() => content.resize(length, 0),
            change => {
                if let Some(change) = change.torn(rng) {
                    change.apply(content);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::randomness::Randomness;

    fn write(offset: usize, byte: u8) -> Change {
        Change::Write {
            offset,
            bytes: vec![byte; 1024],
        }
    }

    fn platter() -> Platter {
        let mut platter = Platter::default();
        platter.change(Change::Length(2048)).expect("grown");
        platter.change(write(0, 1)).expect("written");
        platter.sync();
        platter
    }

    fn count(content: &[u8], byte: u8) -> usize {
        content.iter().filter(|other| **other == byte).count()
    }

    #[test]
    fn a_power_cut_takes_only_what_was_not_synced() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..50 {
            let mut platter = platter();
            platter.change(write(1024, 2)).expect("written");
            platter.cut_power(&mut Randomness::from_seed(seed));

            assert_eq!(count(&platter.seen, 1), 1024);
            outcomes.insert(count(&platter.seen, 2));
        }
        assert_eq!(outcomes, [0, 512, 1024].into());
    }

    #[test]
    fn what_failed_to_be_synced_is_read_and_never_written_again() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..50 {
            let (mut platter, mut rng) = (platter(), Randomness::from_seed(seed));
            platter.change(write(1024, 2)).expect("written");
            platter.fail_to_sync(&mut rng);
            platter.sync();
            assert_eq!(count(&platter.seen, 2), 1024);
            platter.cut_power(&mut rng);

            outcomes.insert(count(&platter.seen, 2));
        }
        assert_eq!(outcomes, [0, 512, 1024].into());
    }

    #[test]
    fn who_dies_over_a_write_leaves_all_of_it_nothing_or_its_beginning() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..50 {
            let mut platter = platter();
            platter.tear(write(1024, 2), &mut Randomness::from_seed(seed));

            assert_eq!(platter.len(), 2048);
            outcomes.insert(count(&platter.seen, 2));
        }
        assert_eq!(outcomes, [0, 512, 1024].into());
    }

    #[test]
    fn a_copy_holds_what_was_synced_and_can_be_put_back() {
        let mut platter = platter();
        let copy = platter.copy();
        platter.change(write(0, 3)).expect("written");
        platter.sync();
        platter.restore(copy);
        platter.cut_power(&mut Randomness::from_seed(1));

        assert_eq!((count(&platter.seen, 1), platter.len()), (1024, 2048));
    }
}

//! What is wrong with a disk: which operations it refuses, and from when on.

use std::io;

/// What a program does to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    /// Another length.
    Resize,
    Sync,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has no room: whatever may need some fails.
    Full,
    /// It takes no writes.
    ReadOnly,
    /// Reading fails, as with a bad sector.
    Reads,
    /// Writing fails.
    Writes,
    /// Syncing fails.
    Syncs,
}

impl Trouble {
    /// The error of an operation that it refuses.
    fn error(self, operation: Operation) -> Option<io::Error> {
        use Operation::{Read, Resize, Sync, Write};
        // "Input/output error": the standard library has no name for it.
        let failed = || io::Error::from_raw_os_error(5);
        match (self, operation) {
            (Self::Full, Write | Resize | Sync) => Some(io::ErrorKind::StorageFull.into()),
            (Self::ReadOnly, Write | Resize) => Some(io::ErrorKind::ReadOnlyFilesystem.into()),
            (Self::Reads, Read) | (Self::Writes, Write | Resize) | (Self::Syncs, Sync) => {
                Some(failed())
            }
            _ => None,
        }
    }
}

/// The troubles of one disk.
#[derive(Default)]
pub struct Troubles(Vec<Pending>);

struct Pending {
    id: usize,
    trouble: Trouble,
    /// So many of the operations that it is about still succeed.
    after: u64,
    /// So many of them fail then.
    times: u64,
    struck: bool,
}

impl Troubles {
    /// Something is wrong after so many of the operations that it is about, for so many of them at most.
    pub fn begin(&mut self, id: usize, trouble: Trouble, after: u64, times: u64) {
        self.0.push(Pending {
            id,
            trouble,
            after,
            times,
            struck: false,
        });
    }

    /// It is over; whether it was felt.
    pub fn end(&mut self, id: usize) -> bool {
        let over: Vec<_> = self.0.extract_if(.., |pending| pending.id == id).collect();
        over.iter().any(|pending| pending.struck)
    }

    /// Lets an operation pass, or refuses it.
    pub fn check(&mut self, operation: Operation) -> io::Result<()> {
        for pending in &mut self.0 {
            let Some(error) = pending.trouble.error(operation) else {
                continue;
            };
            if pending.after > 0 {
                pending.after -= 1;
            } else if pending.times > 0 {
                pending.times -= 1;
                pending.struck = true;
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_after_so_many_operations_and_ends_after_so_many() {
        let mut troubles = Troubles::default();
        troubles.begin(1, Trouble::Writes, 2, 1);
        let mut failed = |operation| troubles.check(operation).is_err();

        assert!(!failed(Operation::Write) && !failed(Operation::Resize));
        assert!(!failed(Operation::Read) && !failed(Operation::Sync));
        assert!(failed(Operation::Write));
        assert!(!failed(Operation::Write));
        assert!(troubles.end(1), "felt");
    }

    #[test]
    fn each_refuses_its_operations_and_no_others() {
        use Operation::{Read, Resize, Sync, Write};
        for (trouble, refused) in [
            (Trouble::Full, &[Write, Resize, Sync][..]),
            (Trouble::ReadOnly, &[Write, Resize]),
            (Trouble::Reads, &[Read]),
            (Trouble::Writes, &[Write, Resize]),
            (Trouble::Syncs, &[Sync]),
        ] {
            let mut troubles = Troubles::default();
            troubles.begin(1, trouble, 0, u64::MAX);
            let all = [Read, Write, Resize, Sync];
            let found: Vec<_> = all
                .into_iter()
                .filter(|one| troubles.check(*one).is_err())
                .collect();
            assert_eq!(found, refused, "{trouble:?}");
        }
    }

    #[test]
    fn one_that_was_never_felt_says_so() {
        let mut troubles = Troubles::default();
        troubles.begin(1, Trouble::Full, 5, 1);
        troubles.begin(2, Trouble::ReadOnly, 0, 1);

        assert!(!troubles.end(1));
        assert!(troubles.check(Operation::Write).is_err());
        assert!(troubles.end(2));
        assert!(troubles.check(Operation::Write).is_ok());
    }
}

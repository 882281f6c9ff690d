use std::fmt;
use std::io;

use redb::StorageBackend;

use super::Disk;
use super::platter::{Change, Platter};
use super::trouble::Operation;

/// A disk as one life of its node uses it. To a dead one it does nothing any more.
#[derive(Clone)]
pub(in crate::sandbox) struct Mounted {
    pub(super) disk: Disk,
    pub(super) life: u64,
}

impl Mounted {
    /// Whether the life that uses it goes on.
    pub(in crate::sandbox) fn is_alive(&self) -> bool {
        self.disk.inside().life == self.life
    }

    /// Has `mourner` told when this life dies over an operation: at once, before the operation returns.
    pub(in crate::sandbox) fn mourned_by(&self, mourner: impl FnOnce() + Send + 'static) {
        let mut inside = self.disk.inside();
        if inside.life == self.life {
            inside.mourner = Some(Box::new(mourner));
        }
    }

    /// Does `work` if this life goes on and the disk does not refuse.
    fn operate<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut Platter) -> io::Result<T>,
    ) -> io::Result<T> {
        let inside = &mut *self.disk.inside();
        if inside.life != self.life {
            return Err(dead());
        }
        let refused = inside.troubles.check(operation);
        if refused.is_err() && operation == Operation::Sync {
            inside.platter.fail_to_sync(&mut inside.rng);
        }
        refused?;
        work(&mut inside.platter)
    }

    /// The same for what changes the disk, over which a life can end.
    fn alter(&self, operation: Operation, change: Option<Change>) -> io::Result<()> {
        let mourner = {
            let inside = &mut *self.disk.inside();
            if inside.life != self.life {
                return Err(dead());
            }
            let due = inside.deaths.iter().position(|death| death.after == 0);
            let due = due.map(|due| inside.deaths.remove(due));
            for death in &mut inside.deaths {
                death.after = death.after.saturating_sub(1);
            }
            due.map(|mut death| {
                inside.life += 1;
                if let Some(change) = &change {
                    inside.platter.tear(change.clone(), &mut death.rng);
                }
                if death.power {
                    inside.platter.cut_power(&mut death.rng);
                }
                inside.mourner.take()
            })
        };
        match mourner {
            Some(mourner) => {
                mourner.into_iter().for_each(|mourner| mourner());
                Err(dead())
            }
            None => self.operate(operation, |platter| match change {
                Some(change) => platter.change(change),
                None => {
                    platter.sync();
                    Ok(())
                }
            }),
        }
    }
}

fn dead() -> io::Error {
    io::Error::other("the node that used the disk is dead")
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its content has secrets.
        f.write_str("Mounted(…)")
    }
}

impl StorageBackend for Mounted {
    fn len(&self) -> io::Result<u64> {
        self.operate(Operation::Read, |platter| Ok(platter.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.operate(Operation::Read, |platter| platter.read(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.alter(Operation::Resize, Some(Change::Length(length)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.alter(Operation::Sync, None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = data.to_vec();
        self.alter(Operation::Write, Some(Change::Write { offset, bytes }))
    }
}

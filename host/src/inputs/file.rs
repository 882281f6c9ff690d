//! A file that is read no further than a bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::ReadError;

/// The largest file, in MiB: a million rows of 250 bytes.
pub(super) const MOST_MIB: u64 = 256;

/// What is left to be read of a file.
pub(super) struct Bounded {
    file: File,
    left: u64,
}

/// Opens a file. What is none is not opened: to open a pipe waits for somebody who writes.
pub(super) fn open(path: &Path) -> Result<Bounded, ReadError> {
    let of = || path.display().to_string();
    let failed = |source| ReadError::Io { of: of(), source };
    let there = fs::metadata(path).map_err(failed)?;
    if !there.is_file() {
        return Err(ReadError::NoFile(of()));
    }
    if there.len() > MOST_MIB << 20 {
        return Err(ReadError::TooLarge(of()));
    }
    Ok(Bounded {
        file: File::open(path).map_err(failed)?,
        left: MOST_MIB << 20,
    })
}

impl Read for Bounded {
    /// A file that grows while it is read is not read for ever.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, "it grew while it was read")
        })?;
        Ok(read)
    }
}

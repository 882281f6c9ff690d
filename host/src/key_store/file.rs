//! The store's file: made whole or not at all, private, and this process's alone while it is open.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use redb::backends::FileBackend;
use zeroize::Zeroizing;

use super::StoreError;
use super::database::{CACHE_BYTES, Database, Medium, Opened};
use crate::files::Draft;

/// Makes a store under a temporary name, fills it with `initialise`, and gives it its name only then. A crash in between
/// leaves no file that looks like a store without an identity; whatever came to have the name meanwhile stays.
pub(super) fn create(
    path: &Path,
    initialise: impl FnOnce(&redb::Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // A path of one component has the empty path as its parent.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let new = tempfile::Builder::new()
        .prefix("new-store-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    let (file, name) = new.into_parts();
    {
        let database = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(FileBackend::new(file)?)?;
        initialise(&database)?;
    }
    name.persist_noclobber(path)
        .map_err(|refused| refused.error)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// A store that is written nowhere else.
pub(super) fn written_to_memory(
    write: impl FnOnce(&redb::Database) -> Result<(), StoreError>,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // On a disk without a name, and not in memory: redb hands nothing back.
    let file = tempfile::tempfile()?;
    {
        let database = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(FileBackend::new(file.try_clone()?)?)?;
        write(&database)?;
    }
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut content = Zeroizing::new(vec![0; length]);
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// Writes a store anew, in a file that then takes the place of the one at `path`, which is open. It is there whole or not at all.
pub(super) fn replace(
    path: &Path,
    _open: &Database,
    write: impl FnOnce(&redb::Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // It may be a link, which is to stay.
    let draft = Draft::of(&path.canonicalize()?, 0o600)?;
    {
        let database = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(FileBackend::new(draft.file.try_clone()?)?)?;
        write(&database)?;
    }
    draft.put_in_place()?;
    Ok(())
}

/// Opens an existing store, which no other process can open until it is dropped. One that cannot be read stays as it is.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.metadata()?.len() == 0 {
        return Err(StoreError::Unreadable("the file is empty".into()));
    }
    lock(&file)?;
    let store = StoreFile {
        // It may be a link, which is to stay.
        path: path.canonicalize()?,
        file: Mutex::new(file),
    };
    Database::open(path.display().to_string(), store)
}

struct StoreFile {
    path: PathBuf,
    /// Locked.
    file: Mutex<File>,
}

impl StoreFile {
    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium for StoreFile {
    /// A copy of the file, which takes its place when it is opened. Writing the file over itself would not do: where ext4 could
    /// not write the first time, it does not note that it could the second time.
    fn disk(&self) -> Result<(Box<dyn StorageBackend>, Opened<'_>), StoreError> {
        let mut draft = Draft::of(&self.path, 0o600)?;
        draft.file.write_all(&self.content()?)?;
        draft.file.sync_all()?;
        lock(&draft.file)?;
        let file = draft.file.try_clone()?;
        let disk = FileBackend::new(draft.file.try_clone()?)?;
        let opened = move || {
            draft.put_in_place()?;
            *self.file() = file;
            Ok(())
        };
        Ok((Box::new(disk), Box::new(opened)))
    }

    fn content(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let file = self.file();
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut content = Zeroizing::new(vec![0; length]);
        file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }
}

/// Takes a file for this process alone.
fn lock(file: &File) -> Result<(), StoreError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::InUse,
        TryLockError::Error(error) => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_nothing_that_came_to_have_the_name_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");

        let refused = create(&path, |_| Ok(std::fs::write(&path, b"another's")?));

        assert!(matches!(refused, Err(StoreError::Io(_))));
        assert_eq!(std::fs::read(&path).expect("still there"), b"another's");
        let left = std::fs::read_dir(folder.path()).expect("read").count();
        assert_eq!(left, 1, "no secrets under another name");
    }
}

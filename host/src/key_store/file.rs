//! The store's file: made whole or not at all, private, and opened without trusting what it holds.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::Database;

use super::StoreError;

/// Pages that redb may keep in memory, in bytes. Small: the store is, and cached pages hold secrets.
const CACHE_BYTES: usize = 1 << 20;

/// Makes a store under a temporary name, fills it with `initialise`, and gives it its name only then. A crash in between
/// leaves no file that looks like a store without an identity.
pub(super) fn create(
    path: &Path,
    initialise: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    // Left by a crash while it was made; it never had a name, so nothing was signed with what it holds.
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(redb::backends::FileBackend::new(file)?)?;
        initialise(&database)?;
    }
    std::fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Opens an existing store and checks every page of it.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    if file.metadata()?.len() == 0 {
        return Err(StoreError::Unreadable("the file is empty".into()));
    }
    drop(file);
    // redb may panic on a file that was changed behind its back; here that is an operator's damaged disk, not our bug.
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let mut database = Database::builder().set_cache_size(CACHE_BYTES).open(path)?;
        database.check_integrity()?;
        Ok(database)
    }));
    checked.unwrap_or_else(|_| {
        Err(StoreError::Unreadable(
            "its pages contradict each other".into(),
        ))
    })
}

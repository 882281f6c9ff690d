//! The store's file: made whole or not at all, private, and opened without trusting what it holds.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use zeroize::Zeroizing;

use super::{StoreError, quiet_panic};

/// Pages that redb may keep in memory, in bytes. Small: the store is, and cached pages hold secrets.
const CACHE_BYTES: usize = 1 << 20;
/// What is read and written in one piece where the whole store is, in bytes.
const PIECE: usize = 64 << 10;

/// Makes a store under a temporary name, fills it with `initialise`, and gives it its name only then. A crash in between
/// leaves no file that looks like a store without an identity; whatever came to have the name meanwhile stays.
pub(super) fn create(
    path: &Path,
    initialise: impl FnOnce(&Database) -> Result<(), StoreError>,
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
    fill(FileBackend::new(file)?, initialise)?;
    name.persist_noclobber(path)
        .map_err(|refused| refused.error)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Makes a store of what is empty.
pub(super) fn fill(
    empty: impl StorageBackend,
    initialise: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(empty)?;
    initialise(&database)
}

/// Opens an existing store and checks every page of it. One that was damaged and could be repaired is said in the log.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    refuse_empty(file.metadata()?.len())?;
    write_anew_alone(file)?;
    checked(path.display(), |builder| builder.open(path))
}

/// The same with what is not a file.
pub(super) fn open_on(disk: impl StorageBackend) -> Result<Database, StoreError> {
    refuse_empty(disk.len()?)?;
    write_anew(&disk)?;
    checked("a simulated disk", |builder| {
        builder.create_with_backend(disk)
    })
}

/// redb would make a new database of it.
fn refuse_empty(length: u64) -> Result<(), StoreError> {
    match length {
        0 => Err(StoreError::Unreadable("the file is empty".into())),
        _ => Ok(()),
    }
}

/// The same for a file, while nobody else has it open.
fn write_anew_alone(file: File) -> Result<(), StoreError> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // Unlocked with the last of its handles: redb locks the file itself.
    write_anew(&FileBackend::new(file)?)
}

/// Writes all that is read once more, and syncs it.
///
/// After a sync that failed, Linux reads back what it could not write as if it had, and never writes it: what is built on it
/// is lost with it when the power fails. A store must know that nothing of it is in memory only, and this is the one way.
fn write_anew(store: &impl StorageBackend) -> Result<(), StoreError> {
    let (mut piece, length) = (Zeroizing::new(vec![0; PIECE]), store.len()?);
    for at in (0..length).step_by(PIECE) {
        let size = usize::try_from(length - at).map_or(PIECE, |left| left.min(PIECE));
        store.read(at, &mut piece[..size])?;
        store.write(at, &piece[..size])?;
    }
    Ok(store.sync_data()?)
}

fn checked(
    name: impl fmt::Display,
    open: impl FnOnce(&mut Builder) -> Result<Database, DatabaseError>,
) -> Result<Database, StoreError> {
    // redb may panic on a file that was changed behind its back; here that is an operator's damaged disk, not our bug.
    let checked = quiet_panic::catch(|| {
        let mut database = open(Database::builder().set_cache_size(CACHE_BYTES))?;
        let whole = database.check_integrity()?;
        Ok((database, whole))
    });
    let (database, whole) = checked.unwrap_or_else(|| {
        Err(StoreError::Unreadable(
            "its pages contradict each other".into(),
        ))
    })?;
    if !whole {
        warn_of_repair(name);
    }
    Ok(database)
}

fn warn_of_repair(name: impl fmt::Display) {
    tracing::warn!(
        path = %name,
        "the key store was damaged and has been repaired; the last changes may be lost: check the disk, and keep a backup"
    );
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

    #[test]
    fn writes_nothing_anew_that_somebody_else_has_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.redb");
        create(&path, |_| Ok(())).expect("made");
        let opened = open(&path).expect("opened");

        let file = || OpenOptions::new().read(true).write(true).open(&path);
        let refused = write_anew_alone(file().expect("a file"));
        assert!(matches!(refused, Err(StoreError::InUse)));
        drop(opened);
        write_anew_alone(file().expect("a file")).expect("written");
        open(&path).expect("not locked any more");
    }

    /// redb repairs by itself only what a test cannot bring about by changing bytes, so the warning is tested alone.
    #[test]
    fn says_in_the_log_that_a_store_was_repaired() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let writer = log.reopen().expect("opened");
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();

        tracing::subscriber::with_default(subscriber, || warn_of_repair("node.redb"));

        let said = std::fs::read_to_string(log.path()).expect("read");
        assert!(
            said.contains("WARN") && said.contains("node.redb"),
            "{said}"
        );
    }
}

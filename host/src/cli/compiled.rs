//! Compiled code that commands of the sandbox keep for their user: an interpreter of 18 MB takes a minute to compile, and a tenth of a
//! second to load.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use tempfile::NamedTempFile;

use crate::authoring::cache_folder;
use crate::handlers::CompiledCode;
use crate::key_store::records::Seed;
use crate::randomness::Randomness;

/// The most that is kept, in bytes: some dozen interpreters.
const MOST: u64 = 1 << 30;

/// What is kept below `~/.cache/backchannel`; `None` where nothing can be kept, which costs time and nothing else.
pub(super) fn compiled_code() -> Option<CompiledCode> {
    let kept = cache_folder().and_then(|cache| kept_in(&cache.join("compiled")));
    kept.inspect_err(|error| tracing::debug!("compiled code is not kept: {error}"))
        .ok()
}

fn kept_in(folder: &Path) -> io::Result<CompiledCode> {
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder)?;
    // Who may write there may have this user run native code: the seed in it is what the code is believed by.
    let about = fs::metadata(folder)?;
    if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o077 != 0 {
        let why = format!("{} is not this user's alone", folder.display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let seed = seed(folder)?;
    forget_oldest(folder, MOST)?;
    CompiledCode::new(folder, &seed)
}

/// The seed in `folder`, drawn if there is none. Of two commands that draw at a time, both have that of the first.
fn seed(folder: &Path) -> io::Result<Seed> {
    let file = folder.join("seed");
    if !file.exists() {
        let randomness = Randomness::from_system().map_err(io::Error::other)?;
        let mut drawn = NamedTempFile::new_in(folder)?;
        drawn.write_all(Seed::draw(&randomness).as_bytes())?;
        match drawn.persist_noclobber(&file) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => return Err(error.error),
            _ => {}
        }
    }
    Seed::try_from(fs::read(file)?.as_slice()).map_err(io::Error::other)
}

/// Removes what was not used for longest, until no more than `most` bytes of code are there.
fn forget_oldest(folder: &Path, most: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if entry.path().extension().is_some_and(|end| end == "cwasm") {
            let used = about.accessed().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((used.max(about.modified()?), about.len(), entry.path()));
        }
    }
    files.sort();
    let mut left: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if left <= most {
            break;
        }
        fs::remove_file(path)?;
        left -= size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn code_from_a_folder_that_others_may_write_to_is_not_believed() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = cache.path().join("compiled");
        kept_in(&folder).expect("kept");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("seed")), 0o600);

        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).expect("set");
        assert!(kept_in(&folder).is_err());
    }

    #[test]
    fn a_seed_is_drawn_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = seed(folder.path()).expect("drawn");
        let second = seed(folder.path()).expect("read");
        assert_eq!(first.as_bytes(), second.as_bytes());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for (name, used_s) in [("old.cwasm", 1), ("new.cwasm", 3), ("middle.cwasm", 2)] {
            fs::write(path(name), [0; 100]).expect("written");
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(used_s);
            let file = fs::File::options().write(true).open(path(name));
            let times = fs::FileTimes::new().set_modified(used).set_accessed(used);
            file.and_then(|file| file.set_times(times)).expect("set");
        }
        fs::write(path("seed"), [0; 32]).expect("written");

        forget_oldest(folder.path(), 250).expect("looked");

        assert!(!path("old.cwasm").exists());
        assert!(path("middle.cwasm").exists() && path("new.cwasm").exists());
        assert!(path("seed").exists());
    }
}

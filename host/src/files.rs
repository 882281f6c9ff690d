//! Files of which no half may ever be read: certificates and keys.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Writes a file that is there whole or not at all, whatever happens in between. It takes the place of one of that name.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::of(path, mode)?;
    draft.file.write_all(content)?;
    draft.put_in_place()
}

/// A file that has not got its name yet. It goes if it is dropped before.
pub(crate) struct Draft {
    pub(crate) file: File,
    path: PathBuf,
    name: Option<PathBuf>,
}

impl Draft {
    /// Begins a file that is to take the place of `path`, and its owner: root may run a command on what is a service's. What an
    /// earlier attempt has left goes.
    pub(crate) fn of(path: &Path, mode: u32) -> io::Result<Self> {
        // Not in place of an ending: files that differ in that only are written at the same time.
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let name = PathBuf::from(name);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&name)?;
        if let Ok(before) = fs::metadata(path) {
            // Only root may; and who may not had a right to replace the file all the same.
            let _ = fchown(&file, Some(before.uid()), Some(before.gid()));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            name: Some(name),
        })
    }

    /// Gives it its name, once all of it is on the disk.
    pub(crate) fn put_in_place(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(name) = &self.name {
            fs::rename(name, &self.path)?;
        }
        self.name = None;
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // The next attempt tries again.
            let _ = fs::remove_file(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replaces_a_key_whole_and_keeps_it_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_whole(&path, b"first", 0o600).unwrap();
        // Whoever reads while the file is replaced reads the old one to its end: it is never written in place.
        let reader = fs::File::open(&path).unwrap();

        write_whole(&path, b"second", 0o600).unwrap();

        assert_eq!(io::read_to_string(reader).unwrap(), "first");
        assert_eq!(fs::read(&path).unwrap(), b"second");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn drafts_of_files_that_differ_in_their_ending_are_two() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("node.a"), folder.path().join("node.b"));
        let mut draft = Draft::of(&one, 0o600).unwrap();
        draft.file.write_all(b"one").unwrap();

        write_whole(&other, b"other", 0o600).unwrap();
        draft.put_in_place().unwrap();

        assert_eq!(fs::read(&one).unwrap(), b"one");
        assert_eq!(fs::read(&other).unwrap(), b"other");
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing_and_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_whole(&path, b"first", 0o600).unwrap();

        drop(Draft::of(&path, 0o600).unwrap());

        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

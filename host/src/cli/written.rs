//! Files that commands write where they are told to: whole or not at all, and never in the place of something else.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Exit, Problem};

/// What is written. A file of that name is written anew only if it begins as one of the same kind, or is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A report as a page.
    Page,
    /// What was recorded.
    Trace,
    /// Results as JUnit XML.
    Results,
    /// The shortest scenario that breaks something.
    Scenario,
}

impl Kind {
    /// The beginning of every one that is written.
    pub(super) const fn start(self) -> &'static str {
        match self {
            Self::Page => "<!doctype html>",
            Self::Trace => "{\"trace\":",
            Self::Results => "<?xml",
            Self::Scenario => "# Breaks with seed ",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Trace => "trace",
            Self::Results => "JUnit XML",
            Self::Scenario => "scenario of an earlier run",
        }
    }

    /// Who may read it. What was recorded on a node is its operator's, and so is all that is made of it.
    const fn mode(self) -> u32 {
        match self {
            Self::Page | Self::Trace => 0o600,
            Self::Results | Self::Scenario => 0o644,
        }
    }
}

/// Where a file is to be written.
pub(super) struct Target {
    path: PathBuf,
    kind: Kind,
}

impl Target {
    /// Refuses a place where something else is: before the work whose result is to be written there.
    pub(super) fn of(path: &Path, kind: Kind) -> Result<Self, Problem> {
        let target = Self {
            // What a link points to is written, and the link stays.
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            kind,
        };
        target.expect_no_other()?;
        Ok(target)
    }

    /// Writes it; until all of it is there, what was there before stays.
    pub(super) fn write(
        &self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Problem> {
        self.expect_no_other()?;
        let written = match fs::metadata(&self.path) {
            // A device or a pipe.
            Ok(there) if !there.is_file() => File::options()
                .write(true)
                .open(&self.path)
                .and_then(|file| through(&file, content)),
            _ => self.put_in_place(content),
        };
        written.map_err(|error| {
            let todo = "check that its folder is there and writable, and that the disk has room";
            Problem::new(Exit::Input, self.what(), error, todo)
        })
    }

    fn put_in_place(
        &self,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let draft = tempfile::Builder::new()
            .permissions(Permissions::from_mode(self.kind.mode()))
            .tempfile_in(folder)?;
        through(draft.as_file(), content)?;
        draft.persist(&self.path)?;
        Ok(())
    }

    fn expect_no_other(&self) -> Result<(), Problem> {
        let has_content = |there: fs::Metadata| there.is_file() && there.len() > 0;
        if !fs::metadata(&self.path).is_ok_and(has_content) {
            return Ok(());
        }
        let start = self.kind.start();
        let there = || -> io::Result<Vec<u8>> {
            let mut there = Vec::new();
            let file = File::open(&self.path)?;
            file.take(start.len() as u64).read_to_end(&mut there)?;
            Ok(there)
        };
        if there().is_ok_and(|there| there == start.as_bytes()) {
            return Ok(());
        }
        let name = self.kind.name();
        Err(Problem::new(
            Exit::Input,
            self.what(),
            format!("there is a file of that name, and it is no {name}"),
            "name another file, or move this one away",
        ))
    }

    fn what(&self) -> String {
        format!("{} cannot be written", self.path.display())
    }
}

fn through(file: &File, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, kind: Kind, text: &str) -> Result<(), Problem> {
        Target::of(path, kind)?.write(|out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn what_is_of_another_kind_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let kinds = [Kind::Page, Kind::Trace, Kind::Results, Kind::Scenario];
        for kind in kinds {
            for other in kinds.iter().filter(|other| **other != kind) {
                fs::write(&path, other.start()).expect("written");
                assert!(write(&path, kind, "new").is_err(), "{kind:?} {other:?}");
                assert_eq!(fs::read_to_string(&path).expect("there"), other.start());
            }
            for earlier in [kind.start(), ""] {
                fs::write(&path, earlier).expect("written");
                write(&path, kind, "new").expect("written");
                assert_eq!(fs::read_to_string(&path).expect("there"), "new");
            }
        }
    }

    #[test]
    fn what_fails_half_way_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.trace");
        write(&path, Kind::Trace, Kind::Trace.start()).expect("written");

        let target = Target::of(&path, Kind::Trace).expect("a trace");
        let failed = target.write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });

        assert!(failed.is_err());
        let there = fs::read_to_string(&path).expect("there");
        assert_eq!(there, Kind::Trace.start());
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
    }

    #[test]
    fn pages_and_traces_are_their_owners_and_a_device_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        for kind in [Kind::Page, Kind::Trace] {
            let path = folder.path().join(kind.name());
            write(&path, kind, "new").expect("written");
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{kind:?}");
        }

        write(Path::new("/dev/null"), Kind::Page, "new").expect("written");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }
}

//! The files: `audit.jsonl`, what was rotated away before it, and the note of where the end is.
//!
//! ```text
//! {"seq":1,"prev":"000…","timestamp":…}      prev = SHA-256 of the line before, without its line break
//! {"seq":2,"prev":"5f1…","timestamp":…}
//! audit.head                                 seq, SHA-256 of the last line, length of audit.jsonl
//! ```
//!
//! A line that is changed, removed, inserted or moved breaks the chain. Lines removed at the end leave the chain whole, so the
//! head is noted beside it. Several processes may append, one at a time: each takes `audit.lock`, reads the head,
//! appends, syncs, and notes the new head.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Event;
use crate::files::write_whole;

/// From this size on a file is rotated away, in bytes.
const ROTATED_AT: u64 = 16 << 20;

/// Where the log ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last line's number; 0 when there is none.
    pub seq: u64,
    /// SHA-256 of the last line, hex; zeros when there is none.
    pub hash: String,
    /// Length of `audit.jsonl` in bytes.
    pub(super) bytes: u64,
    /// Whose log it is.
    #[serde(flatten)]
    pub(super) component: Component,
}

/// Whose log it is, as in Fed-BioMed's security log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// The node's id.
    pub component_id: String,
    /// The node's name.
    pub component_name: String,
}

/// What every line begins with.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    prev: &'a str,
    timestamp: String,
    #[serde(flatten)]
    component: &'a Component,
    backchannel_version: &'static str,
    status: &'static str,
    #[serde(flatten)]
    event: &'a Event,
}

/// What checking needs of a line.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) prev: String,
}

/// The audit log of a data directory.
pub(super) struct Log {
    pub(super) folder: PathBuf,
    rotated_at: u64,
}

impl Log {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            rotated_at: ROTATED_AT,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("audit.jsonl")
    }

    /// The files that were rotated away, the oldest first.
    pub(super) fn rotated(&self) -> io::Result<Vec<PathBuf>> {
        let mut rotated = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with("audit-") && name.ends_with(".jsonl")) {
                rotated.push(path);
            }
        }
        // Their numbers have leading zeros.
        rotated.sort();
        Ok(rotated)
    }

    /// Where the log ends, by the note; `None` when there is no note.
    pub(super) fn head(&self) -> io::Result<Option<Head>> {
        match fs::read(self.folder.join("audit.head")) {
            Ok(note) => serde_json::from_slice(&note).map(Some).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("audit.head: {error}"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps other processes from appending until the file is dropped.
    pub(super) fn lock(&self) -> io::Result<File> {
        let path = self.folder.join("audit.lock");
        let lock = private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        lock.lock()?;
        Ok(lock)
    }

    /// Appends a line for each event, on the disk when this returns. `component` is noted as the log's from then on.
    ///
    /// What an earlier process left unfinished is put in order first, with a line that says so. On an error nothing
    /// is appended, as far as the disk lets that be undone.
    pub(super) fn append(
        &self,
        component: Option<&Component>,
        events: &[Event],
    ) -> io::Result<Head> {
        let _lock = self.lock()?;
        let (mut head, mut found) = self.settled()?;
        if let Some(component) = component {
            head.component = component.clone();
        }
        if head.bytes >= self.rotated_at {
            fs::rename(
                self.path(),
                self.folder.join(format!("audit-{:012}.jsonl", head.seq)),
            )?;
            head.bytes = 0;
        }
        let begin = head.bytes;
        let mut text = String::new();
        found.events.extend_from_slice(events);
        for event in &found.events {
            let line = head.line(event)?;
            text.push_str(&line);
            text.push('\n');
            head.seq += 1;
            head.hash = hex::encode(Sha256::digest(&line));
        }
        head.bytes += text.len() as u64;
        let mut file = private().append(true).create(true).open(self.path())?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_data())
            .and_then(|()| self.note(&head));
        match written {
            // Lines without a note would be taken in by the next attempt, which writes them too. A note that is there but may
            // not last is as good as any.
            Err(error) if !self.head().is_ok_and(|note| note.as_ref() == Some(&head)) => {
                let _ = file.set_len(begin);
                Err(error)
            }
            _ => Ok(head),
        }
    }

    pub(super) fn note(&self, head: &Head) -> io::Result<()> {
        write_whole(
            &self.folder.join("audit.head"),
            &serde_json::to_vec(head)?,
            0o600,
        )
    }
}

impl Head {
    pub(super) fn none() -> Self {
        Self {
            seq: 0,
            hash: "0".repeat(64),
            bytes: 0,
            component: Component::default(),
        }
    }

    /// The line that comes next, without its line break.
    fn line(&self, event: &Event) -> io::Result<String> {
        let now = OffsetDateTime::now_utc();
        let timestamp = now.replace_millisecond(now.millisecond()).unwrap_or(now);
        let line = Line {
            seq: self.seq + 1,
            prev: &self.hash,
            timestamp: timestamp.format(&Rfc3339).map_err(io::Error::other)?,
            component: &self.component,
            backchannel_version: env!("CARGO_PKG_VERSION"),
            status: event.status(),
            event,
        };
        Ok(serde_json::to_string(&line)?)
    }
}

/// Files of the log are their owner's only.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{Check, read, verify};
    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        log: Log,
    }

    /// A log of `count` lines.
    fn fixture(count: usize) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::new(folder.path());
        let component = Component {
            component_id: "a".into(),
            component_name: "Hospital A".into(),
        };
        log.append(Some(&component), &vec![Event::NodeStopped; count])
            .expect("appended");
        Fixture { folder, log }
    }

    impl Fixture {
        fn text(&self) -> String {
            fs::read_to_string(self.log.path()).expect("a log")
        }

        fn lines(&self) -> Vec<String> {
            self.text().lines().map(str::to_owned).collect()
        }

        fn write(&self, lines: &[String]) {
            fs::write(self.log.path(), lines.join("\n") + "\n").expect("written");
        }

        /// What a check says is broken.
        fn broken(&self) -> Vec<String> {
            let verified = verify(self.folder.path(), &Check::default()).expect("readable");
            verified
                .broken
                .into_iter()
                .map(|broken| broken.what)
                .collect()
        }

        fn operations(&self) -> Vec<String> {
            let records = read(self.folder.path(), |_| true).expect("readable");
            let operation = |record: &super::super::Record| record.text("operation").to_owned();
            records.iter().map(operation).collect()
        }
    }

    #[test]
    fn is_its_owners_only_and_whole() {
        let fixture = fixture(3);
        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");

        assert_eq!(fixture.broken(), [""; 0]);
        assert!(fixture.lines()[3].contains("\"component_name\":\"Hospital A\""));
        for entry in fs::read_dir(fixture.folder.path()).expect("a folder") {
            let about = entry.expect("an entry").metadata().expect("metadata");
            assert_eq!(about.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn shows_a_changed_line() {
        let fixture = fixture(5);
        let mut lines = fixture.lines();
        lines[2] = lines[2].replace("success", "failure");
        fixture.write(&lines);
        assert_eq!(
            fixture.broken(),
            ["line 3 was changed: line 4 was written after another one"]
        );

        let mut lines = fixture.lines();
        lines[2] = lines[2].replace("failure", "success");
        lines[4] = lines[4].replace("success", "failure");
        fixture.write(&lines);
        assert_eq!(
            fixture.broken(),
            ["line 5 was changed: audit.head notes another"]
        );
    }

    #[test]
    fn shows_removed_lines_wherever_they_were() {
        let fixture = fixture(5);
        let lines = fixture.lines();
        fixture.write(&[&lines[..2], &lines[4..]].concat());
        assert_eq!(fixture.broken(), ["lines 3 to 4 are missing"]);
        fixture.write(&lines[1..]);
        assert_eq!(fixture.broken(), ["line 1 is missing"]);
        fixture.write(&lines[..3]);
        assert_eq!(fixture.broken(), ["lines 4 to 5 are missing at the end"]);
        fs::remove_file(fixture.log.path()).expect("removed");
        assert_eq!(fixture.broken(), ["lines 1 to 5 are missing at the end"]);
    }

    #[test]
    fn shows_inserted_and_moved_lines() {
        let fixture = fixture(5);
        let lines = fixture.lines();
        let mut moved = lines.clone();
        moved.swap(1, 2);
        fixture.write(&moved);
        assert!(!fixture.broken().is_empty());

        let mut inserted = lines.clone();
        inserted.insert(2, lines[1].replace("success", "failure"));
        fixture.write(&inserted);
        assert_eq!(fixture.broken()[0], "line 2 does not belong here");

        // One that goes on with the chain: only the head tells.
        let hash = hex::encode(Sha256::digest(&lines[4]));
        let forged = lines[4].replace("\"seq\":5", "\"seq\":6");
        let link: Link = serde_json::from_str(&forged).expect("a line");
        let mut appended = lines.clone();
        appended.push(forged.replace(&link.prev, &hash));
        fixture.write(&appended);
        assert!(fixture.broken()[0].contains("the last 1 lines were not noted"));
    }

    #[test]
    fn shows_a_log_written_anew_to_who_noted_a_line_of_the_old_one() {
        let fixture = fixture(5);
        let noted = fixture.log.head().expect("read").expect("a head");
        for name in ["audit.jsonl", "audit.head"] {
            fs::remove_file(fixture.folder.path().join(name)).expect("removed");
        }
        fixture
            .log
            .append(None, &vec![Event::NodeStopped; 9])
            .expect("appended");

        assert_eq!(fixture.broken(), [""; 0]);
        let check = Check {
            holds: Some((noted.seq, noted.hash)),
            ..Check::default()
        };
        let verified = verify(fixture.folder.path(), &check).expect("readable");
        assert!(verified.broken[0].what.contains("was noted with"));
    }

    #[test]
    fn takes_half_a_line_out_and_says_so() {
        let fixture = fixture(2);
        let mut file = OpenOptions::new()
            .append(true)
            .open(fixture.log.path())
            .expect("open");
        file.write_all(b"{\"seq\":3,\"pre").expect("written");
        let verified = verify(fixture.folder.path(), &Check::default()).expect("readable");
        assert_eq!((verified.broken.len(), verified.notes.len()), (0, 1));

        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");
        assert_eq!(fixture.broken(), [""; 0]);
        assert_eq!(fixture.operations()[2..], ["torn_line", "node_stopped"]);
        assert!(fixture.lines()[2].contains("{\\\"seq\\\":3,\\\"pre"));
    }

    #[test]
    fn takes_in_lines_whose_writer_was_killed_before_it_noted_them() {
        let fixture = fixture(2);
        let noted = fixture.log.head().expect("read").expect("a head");
        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");
        fixture.log.note(&noted).expect("noted");

        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");
        assert_eq!(fixture.broken(), [""; 0]);
        assert_eq!(
            fixture.operations()[3..],
            ["lines_recovered", "node_stopped"]
        );
    }

    #[test]
    fn writes_no_line_twice_when_only_the_note_fails() {
        let fixture = fixture(2);
        // In the place where the next note is drafted.
        let blocked = fixture.folder.path().join("audit.head.new");
        fs::create_dir(&blocked).expect("made");
        let append = || fixture.log.append(None, &[Event::NodeStopped]);
        assert!(append().is_err() && append().is_err());
        assert_eq!(fixture.lines().len(), 2);

        fs::remove_dir(blocked).expect("removed");
        append().expect("appended");
        assert_eq!(fixture.broken(), [""; 0]);
        assert_eq!(fixture.operations(), ["node_stopped"; 3]);
    }

    #[test]
    fn goes_on_after_its_end_was_cut_off_and_never_hides_it() {
        let fixture = fixture(4);
        let text = fixture.text();
        fs::write(fixture.log.path(), &text[..text.len() * 3 / 5]).expect("written");

        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");
        let broken = fixture.broken();
        assert!(
            broken.iter().any(|what| what == "lines 3 to 4 are missing"),
            "{broken:?}"
        );
        assert_eq!(fixture.operations()[2..], ["lines_missing", "node_stopped"]);

        fs::remove_file(fixture.folder.path().join("audit.head")).expect("removed");
        fixture.log.append(None, &[]).expect("appended");
        assert!(fixture.text().contains("audit.head is not there"));
    }

    #[test]
    fn goes_on_in_a_new_file_with_the_same_chain() {
        let mut fixture = fixture(3);
        fixture.log.rotated_at = 1000;
        for _ in 0..20 {
            fixture
                .log
                .append(None, &[Event::NodeStopped])
                .expect("appended");
        }

        let rotated = fixture.log.rotated().expect("listed");
        assert!(rotated.len() > 2, "{rotated:?}");
        assert_eq!(fixture.broken(), [""; 0]);
        assert_eq!(fixture.operations().len(), 23);

        // Ended between rotating and appending.
        let head = fixture.log.head().expect("read").expect("a head");
        let name = format!("audit-{:012}.jsonl", head.seq);
        fs::rename(fixture.log.path(), fixture.folder.path().join(name)).expect("renamed");
        assert_eq!(fixture.broken(), [""; 0]);
        fixture
            .log
            .append(None, &[Event::NodeStopped])
            .expect("appended");
        assert_eq!(fixture.broken(), [""; 0]);

        fs::remove_file(&rotated[0]).expect("removed");
        assert!(fixture.broken()[0].contains("are missing"));
        let first = Check {
            from: Some(first_of(&rotated[1])),
            ..Check::default()
        };
        assert_eq!(
            verify(fixture.folder.path(), &first)
                .expect("readable")
                .broken,
            []
        );
    }

    fn first_of(path: &Path) -> u64 {
        let text = fs::read_to_string(path).expect("a file");
        let link: Link = serde_json::from_str(text.lines().next().expect("a line")).expect("whole");
        link.seq
    }

    #[test]
    fn several_writers_make_one_chain() {
        let fixture = fixture(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let log = Log::new(fixture.folder.path());
                        log.append(None, &[Event::NodeStopped]).expect("appended");
                    }
                });
            }
        });
        assert_eq!(fixture.broken(), [""; 0]);
        assert_eq!(fixture.operations().len(), 100);
    }
}

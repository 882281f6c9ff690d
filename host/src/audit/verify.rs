use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::AuditError;
use super::log::{Head, Link, Log};

/// The most places that a check reports; one that is broken everywhere need not be listed.
const MOST_BROKEN: usize = 100;

/// What a log is held against beside itself.
#[derive(Debug, Clone, Default)]
pub struct Check {
    /// Its first line, where earlier ones were archived or their loss is known. Otherwise it must begin with line 1.
    pub from: Option<u64>,
    /// A line that must be in it, and its SHA-256 (hex): a head that was noted elsewhere.
    pub holds: Option<(u64, String)>,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Lines looked at.
    pub lines: u64,
    /// The first one's number.
    pub first: u64,
    /// The last one's number.
    pub last: u64,
    /// The last one's SHA-256, hex: to be noted elsewhere.
    pub hash: String,
    /// What is not as it was written. Empty: all is well.
    pub broken: Vec<Broken>,
    /// What is as it should be after a crash.
    pub notes: Vec<String>,
}

/// A place where the log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line of the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Checks the log in a data directory, or in a copy of one. A node that runs on it waits meanwhile.
///
/// Shows lines that were changed, removed (at the end, too), inserted or moved. Does not show that all of a log was written
/// anew, with its head: that is what [`Check::holds`] is for.
pub fn verify(data: &Path, check: &Check) -> Result<Verified, AuditError> {
    let log = Log::new(data);
    // A copy may be read-only, and nobody appends to it.
    let _lock = log.lock().ok();
    run(&log, check).map_err(|error| AuditError::new(&log, error))
}

fn run(log: &Log, check: &Check) -> io::Result<Verified> {
    let mut walk = Walk::new(check);
    let current = log.path();
    for path in log.rotated()? {
        walk.file(&path, u64::MAX)?;
    }
    let head = log.head()?;
    let acknowledged = head.as_ref().map_or(u64::MAX, |head| head.bytes);
    if current.try_exists()? {
        walk.file(&current, acknowledged)?;
    }
    walk.end(head, check);
    Ok(walk.verified)
}

/// A walk along the chain.
struct Walk {
    verified: Verified,
    from: u64,
    /// The next line's number, and the hash that it must name.
    next: u64,
    hash: String,
    /// The line before cannot be read, so that the next one does not fit is no news.
    unreadable: bool,
    /// The line that must be there, and its SHA-256 as it is.
    wanted: Option<u64>,
    held: Option<String>,
    /// The last line that was noted to be there.
    acknowledged: (u64, String),
    beyond: u64,
    /// Where the walk is.
    at: (String, u64),
}

impl Walk {
    fn new(check: &Check) -> Self {
        let start = Head::none();
        Self {
            verified: Verified::default(),
            from: check.from.unwrap_or(1),
            next: check.from.unwrap_or(1),
            hash: start.hash.clone(),
            unreadable: false,
            wanted: check.holds.as_ref().map(|(seq, _)| *seq),
            held: None,
            acknowledged: (0, start.hash),
            beyond: 0,
            at: (String::new(), 0),
        }
    }

    fn broken(&mut self, what: String) {
        if self.verified.broken.len() < MOST_BROKEN {
            let (file, line) = self.at.clone();
            self.verified.broken.push(Broken { file, line, what });
        }
    }

    /// A file's lines. Those from `acknowledged` bytes on were not noted by whoever wrote them.
    fn file(&mut self, path: &Path, acknowledged: u64) -> io::Result<()> {
        let text = fs::read(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        self.at = (name.to_string_lossy().into_owned(), 0);
        let mut position = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.at.1 += 1;
            let beyond = position >= acknowledged;
            position += line.len() as u64;
            match line.strip_suffix(b"\n") {
                Some(line) => self.line(line, beyond),
                None if beyond => self.verified.notes.push(format!(
                    "{}:{}: half a line, whose writer was killed; the next start takes it out and says so",
                    self.at.0, self.at.1
                )),
                None => self.line(line, false),
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], beyond: bool) {
        let hash = hex::encode(Sha256::digest(line));
        let link: Link = match serde_json::from_slice(line) {
            Ok(link) => link,
            Err(_) => {
                self.broken("this is no line of an audit log".into());
                self.unreadable = true;
                return;
            }
        };
        if link.seq < self.from && self.verified.lines == 0 {
            // Before the part to be looked at.
            return;
        }
        let (expected, first) = (self.next, self.verified.lines == 0);
        if link.seq > expected {
            self.broken(match link.seq - expected {
                1 => format!("line {expected} is missing"),
                _ => format!("lines {expected} to {} are missing", link.seq - 1),
            });
        } else if link.seq < expected {
            self.broken(format!("line {} does not belong here", link.seq));
        } else if link.prev != self.hash && !self.unreadable && !(first && self.from > 1) {
            self.broken(match expected {
                1 => "line 1 was changed: it names a line before it".into(),
                _ => format!(
                    "line {} was changed: line {expected} was written after another one",
                    expected - 1
                ),
            });
        }
        if first {
            self.verified.first = link.seq;
        }
        self.unreadable = false;
        self.verified.lines += 1;
        self.verified.last = link.seq;
        self.next = link.seq.saturating_add(1);
        self.hash = hash;
        if beyond {
            self.beyond += 1;
        } else {
            self.acknowledged = (link.seq, self.hash.clone());
        }
        // The first of that number: a second one is reported where it stands.
        if self.wanted == Some(link.seq) && self.held.is_none() {
            self.held = Some(self.hash.clone());
        }
    }

    /// Holds the end against the head that was noted, and what was noted elsewhere against what was found.
    fn end(&mut self, head: Option<Head>, check: &Check) {
        self.verified.hash = self.hash.clone();
        match head {
            None if self.verified.lines == 0 => {}
            None => self.broken(
                "audit.head is not there: whether lines are missing at the end cannot be told"
                    .into(),
            ),
            Some(head) => {
                let (seq, hash) = self.acknowledged.clone();
                if seq < head.seq {
                    self.broken(match head.seq - seq {
                        1 => format!("line {} is missing at the end", head.seq),
                        _ => format!("lines {} to {} are missing at the end", seq + 1, head.seq),
                    });
                } else if seq > head.seq {
                    self.broken(format!("line {} is the last that was noted", head.seq));
                } else if hash != head.hash {
                    self.broken(format!("line {seq} was changed: audit.head notes another"));
                }
            }
        }
        if self.beyond > 0 {
            let count = self.beyond;
            self.broken(format!(
                "the last {count} lines were not noted: their writer was killed in that moment, or somebody else wrote \
                 them; the next start takes them in and says so"
            ));
        }
        if let Some((seq, hash)) = &check.holds {
            match &self.held {
                Some(held) if held.eq_ignore_ascii_case(hash) => {}
                Some(held) => {
                    self.broken(format!(
                        "line {seq} has SHA-256 {held}, and was noted with {hash}"
                    ));
                }
                None => self.broken(format!("line {seq} is not there, and was noted elsewhere")),
            }
        }
    }
}

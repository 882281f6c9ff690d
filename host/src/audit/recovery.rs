//! What an earlier process left unfinished is put in order before a line is appended, with a line that says so.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::Event;
use super::log::{Head, Link, Log};
use crate::message::one_line;

/// How much of a torn line is kept, in bytes.
const TORN_KEPT: usize = 4096;

/// What has to be said of it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) events: Vec<Event>,
}

impl Log {
    /// The head as it really is, and what has to be said about how it was found.
    pub(super) fn settled(&self) -> io::Result<(Head, Found)> {
        let mut found = Found::default();
        let length = match fs::metadata(self.path()) {
            Ok(about) => about.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let mut head = match self.head()? {
            Some(head) => head,
            None => {
                let head = Head::none();
                if length > 0 || !self.rotated()?.is_empty() {
                    return self.without_note(length);
                }
                // Before the first line: a log without a note is one whose note was removed.
                self.note(&head)?;
                head
            }
        };
        if length == 0 && head.bytes > 0 {
            let last = self.folder.join(format!("audit-{:012}.jsonl", head.seq));
            if fs::metadata(last).is_ok_and(|about| about.len() == head.bytes) {
                // Ended between rotating and appending.
                head.bytes = 0;
            }
        }
        if length < head.bytes {
            let lost = head.bytes - length;
            found.events.push(Event::LinesMissing {
                why: format!(
                    "audit.jsonl is {lost} bytes shorter than when line {} was written",
                    head.seq
                ),
            });
            self.end_line(length)?;
            head.bytes = fs::metadata(self.path()).map_or(0, |about| about.len());
        } else if length > head.bytes {
            self.take_in(&mut head, &mut found)?;
        }
        Ok((head, found))
    }

    /// Takes in what was written after the head was noted: lines that go on with the chain, then perhaps half of one.
    fn take_in(&self, head: &mut Head, found: &mut Found) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path())?;
        file.seek(SeekFrom::Start(head.bytes))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let whole = tail
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut count = 0;
        for line in tail[..whole].split_inclusive(|byte| *byte == b'\n') {
            let line = &line[..line.len() - 1];
            // Whatever else stands there was not written by us; it stays, and shows.
            let next = serde_json::from_slice(line)
                .is_ok_and(|link: Link| link.seq == head.seq + 1 && link.prev == head.hash);
            if next {
                head.seq += 1;
                head.hash = hex::encode(Sha256::digest(line));
                count += 1;
            }
        }
        head.bytes += whole as u64;
        if count > 0 {
            found.events.push(Event::LinesRecovered { count });
        }
        if whole < tail.len() {
            file.set_len(head.bytes)?;
            let text = one_line(&String::from_utf8_lossy(&tail[whole..]), TORN_KEPT);
            found.events.push(Event::TornLine { text });
        }
        Ok(())
    }

    /// The head of a log whose note was removed: its last line that can be read.
    fn without_note(&self, length: u64) -> io::Result<(Head, Found)> {
        let mut head = Head::none();
        let mut files = self.rotated()?;
        files.push(self.path());
        for path in files.iter().rev() {
            let bytes = match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let last = bytes.split(|byte| *byte == b'\n').rev().find_map(|line| {
                let link: Link = serde_json::from_slice(line).ok()?;
                Some((link.seq, hex::encode(Sha256::digest(line))))
            });
            if let Some(last) = last {
                (head.seq, head.hash) = last;
                break;
            }
        }
        self.end_line(length)?;
        head.bytes = fs::metadata(self.path()).map_or(0, |about| about.len());
        let why = format!(
            "audit.head is not there; the last line that can be read is {}",
            head.seq
        );
        let events = vec![Event::LinesMissing { why }];
        Ok((head, Found { events }))
    }

    /// What was cut within a line stays as it is: the next line begins on a line of its own.
    fn end_line(&self, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(self.path())?;
        file.seek(SeekFrom::Start(length - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
        Ok(())
    }
}

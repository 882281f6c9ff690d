//! The file: JSON lines. The first says what it is, the last that it is whole.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Event, Session};

/// The format that this build writes, and the only one it reads.
const FORMAT: u32 = 1;

/// The contract whose values traces hold (`wit/0.1`).
const CONTRACT: &str = "0.1.0";

/// The longest line that is read, in bytes: above the largest message in hex with what its plugin made of it.
const LONGEST_LINE: u64 = 256 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// Who made the trace.
    pub made: Made,
    /// The version of backchannel that did.
    pub build: String,
    /// The version of the contract between host and guests.
    pub contract: String,
}

impl Header {
    /// Of a trace that this build makes.
    pub fn of_this_build(made: Made) -> Self {
        Self {
            made,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT.to_owned(),
        }
    }
}

/// Who made a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// A simulation: whoever has the same build and plugins can run it again.
    Sim(Simulated),
    /// Cases of a plugin's tests.
    Test,
    /// A fuzzer.
    Fuzz,
    /// A node at work: its secrets are left out.
    Node,
}

/// What a simulation was drawn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// The scenario, as a scenario file says it.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
}

/// A plugin of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// By its manifest.
    pub version: String,
    /// SHA-256 of the component, hex.
    pub digest: String,
    /// What it was granted.
    pub grants: Vec<String>,
    /// Its limits, by name.
    pub limits: BTreeMap<String, u64>,
}

/// A trace that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it says of itself.
    pub header: Header,
    /// The plugins in it, each version before its first session.
    pub plugins: Vec<Plugin>,
    /// What happened in the network; nothing in traces of tests, fuzzers and nodes.
    pub events: Vec<Event>,
    /// Every instance of a plugin, in the order in which they ended.
    pub sessions: Vec<Session>,
    /// Whether its end is there. A node that was killed leaves a trace without one, and one that left sessions out.
    pub whole: bool,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not a trace at all.
    #[error("its first line is not that of a trace")]
    NotATrace,
    /// Of another format.
    #[error(
        "it is of format {found}, made by backchannel {build}; this build reads format {FORMAT}"
    )]
    OtherFormat {
        /// Its format.
        found: u64,
        /// Who made it, as it says.
        build: String,
    },
    /// A line that means nothing.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It was changed, or cut in the middle.
    #[error("its last line does not fit what comes before: it was changed")]
    Changed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Trace {
        format: u32,
        #[serde(flatten)]
        header: Header,
    },
    Plugin(Plugin),
    Event(Event),
    Session(Session),
    End {
        sha256: String,
    },
}

/// Writes a trace, line by line.
pub struct Writer<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Writer<W> {
    /// Begins a trace.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let hash = Sha256::new();
        let mut writer = Self { out, hash };
        let header = header.clone();
        let format = FORMAT;
        writer.line(&Line::Trace { format, header })?;
        Ok(writer)
    }

    /// A plugin of which sessions follow.
    pub fn plugin(&mut self, plugin: Plugin) -> io::Result<()> {
        self.line(&Line::Plugin(plugin))
    }

    /// Something happened.
    pub fn event(&mut self, event: Event) -> io::Result<()> {
        self.line(&Line::Event(event))
    }

    /// An instance of a plugin has ended.
    pub fn session(&mut self, session: Session) -> io::Result<()> {
        self.line(&Line::Session(session))
    }

    /// Hands what was written over to the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the trace; hands the file back, and the SHA-256 of all before its last line.
    pub fn end(mut self) -> io::Result<(W, [u8; 32])> {
        let sha256: [u8; 32] = self.hash.clone().finalize().into();
        let end = Line::End {
            sha256: hex::encode(sha256),
        };
        self.line(&end)?;
        self.out.flush()?;
        Ok((self.out, sha256))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.out.write_all(&text)
    }
}

impl Trace {
    /// Writes a trace; hands back the SHA-256 of all before its last line. Two traces are the same if that is.
    pub fn write(&self, out: impl Write) -> io::Result<[u8; 32]> {
        let mut writer = Writer::new(out, &self.header)?;
        for plugin in &self.plugins {
            writer.plugin(plugin.clone())?;
        }
        for event in &self.events {
            writer.event(event.clone())?;
        }
        for session in &self.sessions {
            writer.session(session.clone())?;
        }
        Ok(writer.end()?.1)
    }

    /// Reads a trace.
    pub fn read(input: impl BufRead) -> Result<Self, TraceError> {
        let mut lines = Lines::of(input);
        let first = lines.next()?.ok_or(TraceError::NotATrace)?;
        let header = header(&first)?;
        let mut trace = Self {
            header,
            plugins: Vec::new(),
            events: Vec::new(),
            sessions: Vec::new(),
            whole: false,
        };
        loop {
            let so_far = lines.hash.clone();
            let Some(text) = lines.next()? else {
                return Ok(trace);
            };
            let wrong = |why: String| TraceError::Line {
                line: lines.number,
                why,
            };
            if trace.whole {
                return Err(wrong("there is more after the end".into()));
            }
            // What a node wrote last when it was killed may be cut.
            let line = match serde_json::from_slice(&text) {
                Err(_) if !text.ends_with(b"\n") => return Ok(trace),
                line => line.map_err(|error| wrong(error.to_string()))?,
            };
            match line {
                Line::Trace { .. } => return Err(wrong("a second beginning".into())),
                Line::Plugin(plugin) => trace.plugins.push(plugin),
                Line::Event(event) => trace.events.push(event),
                Line::Session(session) => trace.sessions.push(session),
                Line::End { sha256 } => {
                    if sha256 != hex::encode(so_far.finalize()) {
                        return Err(TraceError::Changed);
                    }
                    trace.whole = true;
                }
            }
        }
    }
}

/// The header, if it is one that this build understands: whatever else may have changed, `format` and `build` stay.
fn header(first: &[u8]) -> Result<Header, TraceError> {
    let value: serde_json::Value =
        serde_json::from_slice(first).map_err(|_| TraceError::NotATrace)?;
    let about = value.get("trace").ok_or(TraceError::NotATrace)?;
    let format = about.get("format").and_then(serde_json::Value::as_u64);
    let found = format.ok_or(TraceError::NotATrace)?;
    if found != u64::from(FORMAT) {
        let build = about.get("build").and_then(serde_json::Value::as_str);
        let build = crate::message::one_line(build.unwrap_or("of no name"), 100);
        return Err(TraceError::OtherFormat { found, build });
    }
    match serde_json::from_value(value) {
        Ok(Line::Trace { header, .. }) => Ok(header),
        Ok(_) => Err(TraceError::NotATrace),
        Err(error) => Err(TraceError::Line {
            line: 1,
            why: error.to_string(),
        }),
    }
}

/// Lines with their ends, counted and hashed.
struct Lines<R> {
    input: R,
    hash: Sha256,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    fn of(input: R) -> Self {
        Self {
            input,
            hash: Sha256::new(),
            number: 0,
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, TraceError> {
        let mut text = Vec::new();
        let limited = &mut io::Read::take(&mut self.input, LONGEST_LINE);
        limited.read_until(b'\n', &mut text)?;
        self.number += 1;
        self.hash.update(&text);
        if text.len() as u64 == LONGEST_LINE && !text.ends_with(b"\n") {
            return Err(TraceError::Line {
                line: self.number,
                why: format!("longer than {} MiB", LONGEST_LINE >> 20),
            });
        }
        Ok((!text.is_empty()).then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Call, Cost, Ended, Entry, HostCall, Incoming, Value, What, Work};
    use super::*;

    fn header() -> Header {
        Header {
            made: Made::Sim(Simulated {
                scenario: "nodes = 3\n".into(),
                seed: 7,
            }),
            build: "0.1.0".into(),
            contract: "0.1.0".into(),
        }
    }

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).expect("written");
        writer
            .plugin(Plugin {
                name: "p".into(),
                version: "1.0.0".into(),
                digest: "00".into(),
                grants: vec!["store".into()],
                limits: [("memory-mib".into(), 32)].into(),
            })
            .expect("written");
        let (n, to) = (1, "node-0".to_owned());
        let what = What::Delivered { n, to };
        writer.event(Event { at: 5, what }).expect("written");
        writer
            .session(Session {
                node: "node-0".into(),
                plugin: "p".into(),
                digest: "00".into(),
                work: Work::Message(Incoming {
                    id: None,
                    researcher: "r".into(),
                    source: "node-1".into(),
                    setup: false,
                    assurance: "channel-key".into(),
                    kind: "K".into(),
                    request: Some("1".into()),
                    fields: vec![0x80].into(),
                }),
                calls: vec![Call {
                    at: 6,
                    entry: Entry::Handle,
                    host_calls: vec![HostCall {
                        import: "store.get".into(),
                        given: vec![Value::Text("key".into())],
                        result: Value::Bytes("{1:8}".parse().expect("bytes")),
                    }],
                    ended: Ended::Nothing,
                    cost: Cost {
                        fuel: Some(9),
                        memory: 1,
                    },
                }],
            })
            .expect("written");
        writer.end().expect("written").0
    }

    #[test]
    fn refuses_what_is_no_trace_and_says_of_which_format_another_is() {
        assert!(matches!(Trace::read(&b""[..]), Err(TraceError::NotATrace)));
        assert!(matches!(
            Trace::read(&b"{}\n"[..]),
            Err(TraceError::NotATrace)
        ));
        let other = br#"{"trace":{"format":9,"build":"9.1.0","made":"renamed"}}"#;
        let error = Trace::read(&other[..]).expect_err("another format");
        assert!(
            error
                .to_string()
                .contains("format 9, made by backchannel 9.1.0")
        );
    }

    #[test]
    fn notices_a_changed_line_and_a_missing_end() {
        let text = String::from_utf8(written()).expect("text");
        let changed = text.replace("\"at\":5", "\"at\":6");
        assert!(matches!(
            Trace::read(changed.as_bytes()),
            Err(TraceError::Changed)
        ));

        let end = text.find("{\"end\"").expect("an end");
        for cut in [end, end - 10] {
            let trace = Trace::read(&text.as_bytes()[..cut]).expect("read as far as it goes");
            assert!(!trace.whole);
        }
        let longer = format!("{text}{text}");
        assert!(matches!(
            Trace::read(longer.as_bytes()),
            Err(TraceError::Line { .. })
        ));
    }

    #[test]
    fn reads_what_it_writes() {
        let trace = Trace::read(&written()[..]).expect("read");

        assert!(trace.whole);
        assert_eq!(trace.header, header());
        assert_eq!((trace.events.len(), trace.sessions.len()), (1, 1));
        assert_eq!(trace.plugins.len(), 1);
        let mut again = Vec::new();
        let hash = trace.write(&mut again).expect("written");
        assert_eq!(again, written());
        assert!(String::from_utf8_lossy(&again).contains(&hex::encode(hash)));
    }
}

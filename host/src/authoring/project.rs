//! A project's folder, and what its `backchannel.toml` says.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{AuthoringError, Fault};
use crate::handlers::{Capability, Demand, Limit, Limits, LoadError, Manifest, Setup};

/// The file that makes a folder a project.
pub const FILE: &str = "backchannel.toml";

/// Folders that hold what a project is made into, or what is not the author's to change.
const NOT_SOURCES: [&str; 6] = [
    "dist",
    "target",
    "node_modules",
    "cases",
    "scenarios",
    "__pycache__",
];

/// What a handler is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// JavaScript.
    Js,
}

/// The folder of one plugin in the making.
pub struct Project {
    folder: PathBuf,
    text: String,
    written: Written,
}

/// The file, as it stands there. Unknown keys are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Spanned<String>,
    version: Spanned<String>,
    licence: Spanned<String>,
    #[serde(default)]
    authors: Vec<Spanned<String>>,
    #[serde(default)]
    description: Option<Spanned<String>>,
    language: Language,
    #[serde(default)]
    kinds: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    initiates: Vec<Spanned<String>>,
    #[serde(default)]
    protocols: Vec<Spanned<String>>,
    #[serde(default)]
    capabilities: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    limits: BTreeMap<Spanned<String>, Spanned<u64>>,
    #[serde(default)]
    assurance: Option<Demand>,
}

impl Written {
    fn kinds(&self) -> &[Spanned<String>] {
        self.kinds.as_ref().map_or(&[], |kinds| kinds.as_ref())
    }
}

impl Project {
    /// The project at `folder`, if it is one.
    ///
    /// Refused: a file that cannot be read, or says what no host would take.
    pub fn find(folder: &Path) -> Result<Option<Self>, AuthoringError> {
        if !folder.join(FILE).exists() {
            return Ok(None);
        }
        Self::read(folder).map(Some)
    }

    /// The project at `folder`.
    ///
    /// Refused: a folder that is none, a file that cannot be read, or says what no host would take.
    pub fn read(folder: &Path) -> Result<Self, AuthoringError> {
        let file = folder.join(FILE);
        let text = fs::read_to_string(&file).map_err(|error| {
            AuthoringError::new(
                Fault::Project,
                format!("{} cannot be read", file.display()),
                error,
                "go to the folder of a project, or begin one: backchannel new NAME --lang rust",
            )
        })?;
        let written = toml::from_str(&text).map_err(|error| {
            let line = line_of(&text, &error.span().unwrap_or_default());
            AuthoringError::new(
                Fault::Project,
                format!("{}:{line} cannot be used", file.display()),
                error.message().replace('\n', " "),
                "correct that line; guest-handlers/README.md lists what a project's file says",
            )
        })?;
        let project = Self {
            folder: folder.to_owned(),
            text,
            written,
        };
        project.refuse_what_no_host_takes()?;
        Ok(project)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its folder, from the root: for programs that run elsewhere.
    pub(super) fn absolute_folder(&self) -> Result<PathBuf, AuthoringError> {
        let here = std::env::current_dir().map_err(|error| {
            let todo = "go to a folder that is there";
            AuthoringError::new(Fault::Project, "the project is nowhere", error, todo)
        })?;
        Ok(here.join(&self.folder))
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        self.written.name.as_ref()
    }

    /// What the handler is written in.
    pub fn language(&self) -> Language {
        self.written.language
    }

    /// Where its component is, once it is built.
    pub fn component(&self) -> PathBuf {
        self.folder
            .join("dist")
            .join(format!("{}.wasm", self.name()))
    }

    /// What operators will read, for a component of this version of the contract.
    pub fn manifest(&self, contract: String) -> Manifest {
        let written = &self.written;
        let texts = |list: &[Spanned<String>]| list.iter().map(text).collect();
        let description = written.description.as_ref();
        let declared = written.capabilities.iter();
        let wished = written.limits.iter();
        Manifest {
            name: text(&written.name),
            version: text(&written.version),
            licence: text(&written.licence),
            authors: texts(&written.authors),
            description: description.map(text).unwrap_or_default(),
            contract,
            kinds: texts(written.kinds()),
            initiates: texts(&written.initiates),
            protocols: texts(&written.protocols),
            capabilities: declared
                .map(|(name, why)| (text(name), text(why)))
                .collect(),
            limits: wished
                .map(|(name, value)| (text(name), *value.as_ref()))
                .collect(),
            assurance: written.assurance,
        }
    }

    /// The capabilities it declares, by name.
    pub(super) fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.written
            .capabilities
            .keys()
            .map(|name| name.as_ref().as_str())
    }

    /// Whether it treats messages.
    pub(super) fn treats(&self) -> bool {
        !self.written.kinds().is_empty()
    }

    /// Whether it begins exchanges.
    pub(super) fn initiates(&self) -> bool {
        !self.written.initiates.is_empty()
    }

    /// Whether it is a party of protocols of several.
    pub(super) fn takes_part(&self) -> bool {
        !self.written.protocols.is_empty()
    }

    /// The file and the line of a table, such as `capabilities`; the last line, where it would be added, if it is not there.
    pub(super) fn at_table(&self, table: &str) -> String {
        let header = format!("[{table}]");
        let mut lines = self.text.lines();
        let line = lines.position(|line| line.trim_start().starts_with(&header));
        let line = line.map_or(self.text.lines().count(), |before| before + 1);
        format!("{}:{line}", self.folder.join(FILE).display())
    }

    /// The file and the line of a capability that it declares.
    pub(super) fn at_capability(&self, capability: &str) -> String {
        let mut declared = self.written.capabilities.keys();
        match declared.find(|name| name.as_ref() == capability) {
            Some(name) => self.at(&name.span()),
            None => self.at_table("capabilities"),
        }
    }

    /// The file and the line of a kind, request or protocol that it names.
    pub(super) fn at_name(&self, name: &str) -> Option<String> {
        let written = &self.written;
        let mut names = written
            .kinds()
            .iter()
            .chain(&written.initiates)
            .chain(&written.protocols);
        let named = names.find(|it| it.as_ref() == name)?;
        Some(self.at(&named.span()))
    }

    fn at(&self, span: &Range<usize>) -> String {
        let line = line_of(&self.text, span);
        format!("{}:{line}", self.folder.join(FILE).display())
    }

    /// When one of its sources was last changed: all files but those of cases, scenarios and what is built.
    pub fn changed(&self) -> Option<SystemTime> {
        let here = self.folder.as_os_str().is_empty();
        newest(if here { Path::new(".") } else { &self.folder })
    }

    fn wrong<T>(
        &self,
        at: &Spanned<T>,
        why: impl std::fmt::Display,
        todo: impl Into<String>,
    ) -> AuthoringError {
        let what = format!("{} cannot be used", self.at(&at.span()));
        AuthoringError::new(Fault::Project, what, why, todo)
    }

    /// What [`Manifest`] refuses, with its line.
    fn refuse_what_no_host_takes(&self) -> Result<(), AuthoringError> {
        let written = &self.written;
        if !self.treats() && !self.takes_part() {
            let why = "it treats no kind of message and runs no protocol";
            let todo = "name the `kinds` of message that it treats and sends, or the `protocols` that it runs with others";
            return Err(match &written.kinds {
                Some(kinds) => self.wrong(kinds, why, todo),
                None => self.wrong(&written.name, why, todo),
            });
        }
        for (of, names) in [("kind", written.kinds()), ("protocol", &written.protocols)] {
            for (at, name) in names.iter().enumerate() {
                if names[..at].contains(name) {
                    let why = format!("{:?} is there twice", name.as_ref());
                    return Err(self.wrong(name, why, format!("name each {of} once")));
                }
            }
        }
        if !self.treats()
            && let Some(request) = written.initiates.first()
        {
            let why = "it begins exchanges, and has no kinds of message to exchange";
            return Err(self.wrong(request, why, "name its `kinds`"));
        }
        for request in &written.initiates {
            if !Setup::KINDS.contains(&request.as_ref().as_str()) {
                let why = format!("no researcher sends a {:?}", request.as_ref());
                let todo = format!("write one of {}, or none", Setup::KINDS.join(", "));
                return Err(self.wrong(request, why, todo));
            }
        }
        for name in written.capabilities.keys() {
            let known = Capability::ALL.map(Capability::name);
            if !known.contains(&name.as_ref().as_str()) {
                let why = format!("there is no capability {:?}", name.as_ref());
                let todo = format!("write one of {}", known.join(", "));
                return Err(self.wrong(name, why, todo));
            }
        }
        for (name, value) in &written.limits {
            let limit = Limit::from_str(name.as_ref()).map_err(|error| {
                let known = Limit::ALL.map(Limit::name).join(", ");
                self.wrong(name, error, format!("write one of {known}"))
            })?;
            let in_range = Limits::default().set(limit, *value.as_ref());
            in_range.map_err(|error| self.wrong(value, error, "write a number in that range"))?;
        }
        // The rest is about texts. Each is looked at in a manifest that is right but for it.
        for text in self.texts() {
            let alone = Manifest {
                name: "alone".into(),
                version: text.as_ref().clone(),
                licence: "MIT".into(),
                authors: Vec::new(),
                description: String::new(),
                contract: "0.1.0".into(),
                kinds: vec!["Alone".into()],
                initiates: Vec::new(),
                protocols: Vec::new(),
                capabilities: BTreeMap::new(),
                limits: BTreeMap::new(),
                assurance: None,
            };
            let fits = text.as_ref().is_empty() || alone.checked().is_ok();
            if !fits {
                let why = "the text is too long or holds control characters";
                return Err(self.wrong(text, why, "write one line of up to 1024 characters"));
            }
        }
        let Err(LoadError::Manifest(why)) = self.manifest("0.1.0".into()).checked() else {
            return Ok(());
        };
        Err(self.wrong(&written.name, why, "correct the texts of this file"))
    }

    fn texts(&self) -> impl Iterator<Item = &Spanned<String>> {
        let written = &self.written;
        [&written.version, &written.licence]
            .into_iter()
            .chain(&written.description)
            .chain(&written.authors)
            .chain(written.kinds())
            .chain(&written.protocols)
            .chain(written.capabilities.values())
    }
}

fn text(spanned: &Spanned<String>) -> String {
    spanned.as_ref().clone()
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// The newest change below a folder.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let changes = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Cargo writes its lock file itself.
        if name.starts_with('.') || name == "Cargo.lock" || NOT_SOURCES.contains(&name.as_ref()) {
            return None;
        }
        let about = entry.metadata().ok()?;
        if about.is_dir() {
            return newest(&entry.path());
        }
        about.modified().ok()
    });
    changes.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "name = \"hello\"\nversion = \"0.1.0\"\nlicence = \"MIT\"\nlanguage = \"rust\"\nkinds = [\"HelloRequest\"]\n";

    fn read(text: &str) -> Result<Project, AuthoringError> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), text).expect("written");
        Project::read(folder.path())
    }

    #[test]
    fn names_the_line_that_is_wrong_and_what_to_write() {
        for (lines, line, why, todo) in [
            ("colour = \"red\"\n", 6, "colour", "correct that line"),
            (
                "initiates = [\"TrainRequest\"]\n",
                6,
                "no researcher",
                "SecaggRequest",
            ),
            ("[capabilities]\nfiles = \"reads\"\n", 7, "files", "store"),
            ("[limits]\nmemory = 64\n", 7, "no limit", "memory-mib"),
            (
                "[limits]\nmemory-mib = 4096\n",
                7,
                "not 4096",
                "in that range",
            ),
            ("description = \"a\\u0007b\"\n", 6, "control", "one line"),
            ("protocols = [\n\"sum\",\n\"sum\"]\n", 8, "twice", "once"),
        ] {
            let error = read(&format!("{WHOLE}{lines}")).err().expect(lines);
            let at = format!("{FILE}:{line} ");
            assert!(error.what.contains(&at), "{lines}: {}", error.what);
            assert!(error.why.contains(why), "{lines}: {}", error.why);
            assert!(error.todo.contains(todo), "{lines}: {}", error.todo);
        }
        for (before, after, line) in [
            ("[\"HelloRequest\"]", "[]", 5),
            ("[\"HelloRequest\"]", "[\n\"A\",\n\"A\"]", 7),
            ("\"hello\"", "\"Hello World\"", 1),
            ("\"rust\"", "\"cobol\"", 4),
        ] {
            let error = read(&WHOLE.replace(before, after)).err().expect(after);
            let at = format!("{FILE}:{line} ");
            assert!(error.what.contains(&at), "{after}: {}", error.what);
        }
    }

    #[test]
    fn what_runs_a_protocol_with_others_needs_no_kinds_unless_it_begins_exchanges() {
        let kinds = "kinds = [\"HelloRequest\"]\n";
        let manifest = |lines: &str| {
            Some(
                read(&WHOLE.replace(kinds, lines))
                    .ok()?
                    .manifest("0.1.1".into()),
            )
        };
        let alone = manifest("protocols = [\"sum\"]\n").expect("read");
        assert_eq!(
            (alone.kinds.len(), &alone.protocols[..]),
            (0, &["sum".to_owned()][..])
        );
        assert!(manifest("").is_none());
        assert!(manifest("protocols = [\"sum\"]\ninitiates = [\"SecaggRequest\"]\n").is_none());
    }

    #[test]
    fn a_folder_without_the_file_is_no_project() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Project::find(folder.path()).expect("looked").is_none());
        assert!(Project::read(folder.path()).is_err());
    }

    #[test]
    fn what_is_written_is_what_operators_read() {
        let text = format!("{WHOLE}[capabilities]\nstore = \"keeps\"\n[limits]\nmemory-mib = 64\n");
        let manifest = read(&text).expect("read").manifest("0.1.0".into());
        assert_eq!(manifest.name, "hello");
        assert_eq!(manifest.capabilities["store"], "keeps");
        assert_eq!(manifest.wanted_limits().get(Limit::MemoryMib), 64);
    }
}

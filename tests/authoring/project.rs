//! A project in a folder of its own, and the commands run in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A folder that projects are begun in.
pub struct Folder {
    path: PathBuf,
    /// Removes it, where it is not kept.
    _temporary: Option<TempDir>,
    /// Held by the one test that has the folder.
    _turn: Option<File>,
}

/// A project.
pub struct Project<'a> {
    folder: &'a Folder,
    path: PathBuf,
}

impl Folder {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        Self {
            path: temporary.path().to_owned(),
            _temporary: Some(temporary),
            _turn: None,
        }
    }

    /// A folder for projects that are compiled. Its path is always the same, as Cargo would build all they depend on anew for another,
    /// so one test has it at a time.
    pub fn for_rust() -> Self {
        let path = target().join("projects");
        fs::create_dir_all(target()).expect("a folder");
        let turn = File::create(target().join("turn")).expect("a file");
        turn.lock().expect("a turn");
        if path.exists() {
            fs::remove_dir_all(&path).expect("removed");
        }
        fs::create_dir(&path).expect("a folder");
        Self {
            path,
            _temporary: None,
            _turn: Some(turn),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the program in a folder below, with these settings.
    pub fn run(&self, at: &Path, args: &[&str], settings: &[(&str, &str)]) -> Ended {
        let output = self.command(at, args, settings).output();
        let output = output.expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!err.contains("panicked"), "`backchannel {args:?}`: {err}");
        let code = output.status.code().expect("no signal");
        Ended { code, out, err }
    }

    /// The program. What Cargo builds is shared by all tests, in versions that this workspace has fetched.
    pub fn command(&self, at: &Path, args: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backchannel"));
        command.args(args).current_dir(at);
        command.env_remove("BACKCHANNEL_LOG");
        command.env("CARGO_NET_OFFLINE", "true");
        command.env("CARGO_TARGET_DIR", target());
        command.env("XDG_CACHE_HOME", self.path().join("cache"));
        command.envs(settings.iter().copied());
        command
    }

    /// Begins a project.
    pub fn begin(&self, name: &str, args: &[&str]) -> Project<'_> {
        let begun = self.run(self.path(), &[&["new", name][..], args].concat(), &[]);
        assert_eq!(begun.code, 0, "{begun:?}");
        Project {
            folder: self,
            path: self.path().join(name),
        }
    }
}

impl Project<'_> {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the program in its folder.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, &[])
    }

    pub fn run_with(&self, args: &[&str], settings: &[(&str, &str)]) -> Ended {
        self.folder.run(&self.path, args, settings)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.folder.command(&self.path, args, &[])
    }

    /// What a command says that succeeds.
    pub fn done(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "`backchannel {args:?}`: {ended:?}");
        ended.out
    }

    /// What a command says that fails with this exit code: what, why and what to do.
    pub fn problem(&self, code: i32, args: &[&str]) -> String {
        problem(code, self.run(&[args, &["-o", "json"]].concat()))
    }

    /// Has its component be of this time.
    pub fn date_component(&self, at: SystemTime) {
        let name = self.path.file_name().expect("a name").to_string_lossy();
        let component = self.path.join("dist").join(format!("{name}.wasm"));
        let component = File::options().write(true).open(component);
        component.expect("a file").set_modified(at).expect("set");
    }

    /// Puts `to` in the place of `from` in one of its files.
    pub fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.path.join(file);
        let text = fs::read_to_string(&path).expect("a text");
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).expect("written");
    }
}

/// What a command said with `-o json` that must have failed with this exit code: what, why and what to do, and before it what tools said.
pub fn problem(code: i32, ended: Ended) -> String {
    assert_eq!(ended.code, code, "{ended:?}");
    let object: Value = serde_json::from_str(&ended.out).expect("one object");
    let part = |name: &str| {
        let text = object["error"][name].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "no {name:?}: {ended:?}");
        text.to_owned()
    };
    [ended.err.clone(), part("what"), part("why"), part("to_do")].join("\n")
}

/// Where projects in Rust are built: in the place where Cargo lets tests keep things.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("authoring")
}

//! The program's commands, run to their end.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use super::until;

/// A command that was started.
pub struct Running {
    words: String,
    child: Child,
    out: Option<JoinHandle<String>>,
    err: Option<JoinHandle<String>>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// What a failed command said: what happened, why, what to do.
#[derive(Debug)]
pub struct Problem {
    pub what: String,
    pub why: String,
    pub to_do: String,
}

impl Running {
    /// Starts a command.
    pub fn start(args: &[&str]) -> Self {
        Self::of(program(), args)
    }

    /// Starts a command that writes into the folder it is in.
    pub fn start_in(folder: &Path, args: &[&str]) -> Self {
        let mut program = program();
        program.current_dir(folder);
        Self::of(program, args)
    }

    fn of(mut program: Command, args: &[&str]) -> Self {
        let mut child = program
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (out, err) = (child.stdout.take(), child.stderr.take());
        Self {
            words: args.join(" "),
            child,
            out: out.map(read_to_end),
            err: err.map(read_to_end),
        }
    }

    /// Waits for its end.
    pub fn outcome(mut self) -> Outcome {
        let words = std::mem::take(&mut self.words);
        let status = until(&format!("the end of `backchannel {words}`"), || {
            self.child.try_wait().expect("a child of ours")
        });
        let text =
            |reader: Option<JoinHandle<String>>| reader.and_then(|reader| reader.join().ok());
        let out = text(self.out.take()).expect("standard output");
        let err = text(self.err.take()).expect("standard error");
        assert!(!err.contains("panicked"), "`backchannel {words}`: {err}");
        Outcome {
            code: status
                .code()
                .unwrap_or_else(|| panic!("`backchannel {words}`: {status}: {err}")),
            out,
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The built program, free of what the tester's environment says.
pub(super) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backchannel"));
    command.env_remove("BACKCHANNEL_LOG");
    command
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe");
        String::from_utf8(bytes).expect("text")
    })
}

/// Runs a command.
pub fn run(args: &[&str]) -> Outcome {
    Running::start(args).outcome()
}

/// The JSON object of a command that succeeds.
pub fn json(args: &[&str]) -> Value {
    finished(Running::start(&[args, &["-o", "json"]].concat()))
}

/// The JSON object of a command started with `-o json` that succeeds.
pub fn finished(running: Running) -> Value {
    let words = running.words.clone();
    let outcome = running.outcome();
    assert_eq!(outcome.code, 0, "`backchannel {words}`: {outcome:?}");
    parsed(&outcome.out)
}

/// What a command says that fails with this exit code, for people and for programs alike. It is run twice.
pub fn problem(exit: i32, args: &[&str]) -> Problem {
    let words = args.join(" ");
    let text = run(args);
    assert_eq!(text.code, exit, "`backchannel {words}`: {text:?}");
    assert_eq!(
        text.out, "",
        "`backchannel {words}`: a result beside the error"
    );
    let parts = ["× ", "╰─▶ ", "help: "].map(|part| text.err.find(part));
    assert!(
        parts.is_sorted() && parts[0].is_some(),
        "`backchannel {words}` does not say what, why and what to do: {}",
        text.err
    );

    let for_programs = run(&[args, &["-o", "json"]].concat());
    assert_eq!(for_programs.code, exit, "{for_programs:?}");
    let object = parsed(&for_programs.out);
    assert_eq!(object["ok"], false, "{object}");
    let part = |name: &str| {
        let text = object["error"][name].as_str().unwrap_or_default();
        assert!(
            !text.is_empty(),
            "`backchannel {words}` says no {name:?}: {object}"
        );
        text.to_owned()
    };
    Problem {
        what: part("what"),
        why: part("why"),
        to_do: part("to_do"),
    }
}

/// One object on one line, and nothing else.
fn parsed(out: &str) -> Value {
    assert_eq!(out.lines().count(), 1, "more than one line: {out}");
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

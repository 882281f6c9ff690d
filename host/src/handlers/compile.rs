//! Compiling a component in a process of its own, which ends at a limit of memory or time.
//!
//! A file of 230 KiB can be made so that compiling it takes a minute and 12 GiB, and no check of the file tells which: what
//! a hostile one costs must be lost somewhere else than in the node.
#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstanceAllocationStrategy};

use super::LoadError;
use super::plugin::root_cause;

/// The first argument of such a process. Its limits follow: seconds of computing, and bytes.
const COMPILE: &str = "compile-component";

/// How often it is looked whether the process has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What compiling one file may take. Rust guests of 60 KB take 20 ms and some MiB; Python's of 18 MB take 6 s.
#[derive(Clone, Copy)]
struct Budget {
    computing_s: u64,
    /// Waiting for a busy machine included.
    wall: Duration,
    memory: u64,
}

impl Budget {
    fn of(component: &[u8]) -> Self {
        let mib = component.len() as u64 >> 20;
        let computing_s = 30 + 5 * mib;
        Self {
            computing_s,
            wall: Duration::from_secs(4 * computing_s),
            memory: (512 << 20) + (mib << 26),
        }
    }

    fn exceeded(self, what: &str) -> LoadError {
        LoadError::Compiling(format!(
            "it took more than {what}, of {} s of computing and {} MiB of memory",
            self.computing_s,
            self.memory >> 20
        ))
    }
}

/// Compiles in this very process: for components that this host comes with, and for tests.
pub(super) fn here(engine: &Engine, component: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, component)
        .map_err(|error| LoadError::NotAComponent(root_cause(&error)))
}

/// Compiles in a process of `program`, which [`serve`]s.
pub(super) fn elsewhere(
    program: &Path,
    engine: &Engine,
    component: &[u8],
) -> Result<Component, LoadError> {
    let budget = Budget::of(component);
    let failed = |error: io::Error| LoadError::Compiling(error.to_string());
    let (status, said) = ask(program, component, budget).map_err(failed)?;
    match (status, said.split_first()) {
        (Some(status), Some((&COMPILED, code))) if status.success() => {
            // SAFETY: `code` came out of `Engine::precompile_component` in a process of this very program, which takes its
            // engine from the same settings; only the component was from elsewhere.
            unsafe { Component::deserialize(engine, code) }
                .map_err(|error| LoadError::NotAComponent(root_cause(&error)))
        }
        (Some(status), Some((&REFUSED, why))) if status.success() => Err(LoadError::NotAComponent(
            String::from_utf8_lossy(why).into_owned(),
        )),
        (None, _) => Err(budget.exceeded("its time")),
        (Some(status), _) => Err(match status.signal().and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => budget.exceeded("its time"),
            // An allocation that fails aborts.
            Some(_) => budget.exceeded("its memory"),
            None => LoadError::Compiling(format!("the compiler failed: {status}")),
        }),
    }
}

/// Whether the answer is code or the reason why there is none: its first byte.
const COMPILED: u8 = 0;
const REFUSED: u8 = 1;

/// The process's answer, and how it ended: by itself or not in time.
fn ask(
    program: &Path,
    component: &[u8],
    budget: Budget,
) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg(COMPILE)
        .args([budget.computing_s.to_string(), budget.memory.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let deadline = Instant::now() + budget.wall;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A process that ends before it has read all says so by its end.
            let _ = stdin.map(|mut stdin| stdin.write_all(component));
        });
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            let stdout = stdout.map(|stdout| stdout.take(budget.memory));
            let read = stdout.map(|mut stdout| stdout.read_to_end(&mut said));
            read.transpose().map(|_| said)
        });
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(LOOK);
        };
        let said = said.join().map_err(|_| io::Error::other("no answer"))??;
        Ok((status, said))
    })
}

/// The other side, for the program's `main` to begin with: if its arguments say that a node started it for this, reads a
/// component from standard input, compiles it within limits, and writes the answer to standard output.
pub fn serve(arguments: impl IntoIterator<Item = String>) -> Option<ExitCode> {
    let arguments: Vec<String> = arguments.into_iter().skip(1).take(3).collect();
    let [word, computing_s, memory] = arguments.as_slice() else {
        return None;
    };
    if word != COMPILE {
        return None;
    }
    let (computing_s, memory) = (computing_s.parse().ok()?, memory.parse().ok()?);
    Some(match compile_and_answer(computing_s, memory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn compile_and_answer(computing_s: u64, memory: u64) -> io::Result<()> {
    let only = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Core, only(0))?;
    // Its first signal says that it was this limit; the one of the hard limit would not.
    let computing = Rlimit {
        current: Some(computing_s),
        maximum: Some(computing_s + 1),
    };
    setrlimit(Resource::Cpu, computing)?;
    // Not the address space: threads and allocators reserve much more of it than they use.
    setrlimit(Resource::Data, only(memory))?;
    let mut component = Vec::new();
    io::stdin().lock().read_to_end(&mut component)?;
    let compiled = engine().and_then(|engine| engine.precompile_component(&component));
    let (first, rest) = match compiled {
        Ok(code) => (COMPILED, code),
        Err(error) => (REFUSED, root_cause(&error).into_bytes()),
    };
    let mut out = io::stdout().lock();
    out.write_all(&[first])?;
    out.write_all(&rest)?;
    out.flush()
}

/// An engine whose code the node's loads: the same settings, without its pool.
fn engine() -> wasmtime::Result<Engine> {
    let mut config: Config = super::runtime::config();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;
    use crate::handlers::Runtime;

    fn hash(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn the_pool_makes_no_difference_to_the_code() {
        let runtime = Runtime::new().expect("an engine");
        assert_eq!(
            hash(runtime.engine()),
            hash(&engine().expect("another engine"))
        );
    }

    #[test]
    fn a_compiler_that_does_not_end_is_ended() {
        let mut budget = Budget::of(b"");
        budget.wall = Duration::from_millis(50);
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("endless");
        // Written by another process: a file that this one still has open, as it forks elsewhere, cannot be run.
        let make = r#"printf '#!/bin/sh\nexec sleep 1000\n' > "$0" && chmod 700 "$0""#;
        let made = Command::new("sh").args(["-c", make]).arg(&program).status();
        assert!(made.expect("a shell").success());

        let (status, said) = ask(&program, b"component", budget).expect("asked");

        assert!(status.is_none());
        assert!(said.is_empty());
    }
}

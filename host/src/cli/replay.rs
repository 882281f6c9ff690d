use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::output::{foreign, with_progress};
use super::{Exit, Format, Problem, tried};
use crate::handlers::{BUILT_IN, Capability, Limit, Plugin, Runtime};
use crate::replay::{self, Difference};
use crate::trace::{self, Made, Session, Trace, TraceError};

/// Differences that are shown whole.
const MOST_SHOWN: usize = 5;

/// Run what was recorded again, and say what is different.
#[derive(Debug, Args)]
#[command(
    after_help = "A plugin is taken from --plugin, by its name; else it is the built-in one of that name.\n\nExample:\n  backchannel sim --nodes 3 --seed 7 --record run.trace\n  backchannel replay run.trace\n  backchannel replay run.trace --plugin my-key-request.wasm"
)]
pub(super) struct Replay {
    /// What was recorded, by `sim`, `test` or a node.
    trace: PathBuf,
    /// Another version of a plugin, to be run in place of the recorded one: a component, a bundle, or the name of a built-in one.
    #[arg(long)]
    plugin: Vec<String>,
}

/// What came of it.
#[derive(Serialize)]
struct Replayed {
    ok: bool,
    made: &'static str,
    build: String,
    whole: bool,
    plugins: Vec<Player>,
    sessions: usize,
    different: usize,
    differences: Vec<Found>,
}

/// A plugin of the trace, and what plays it.
#[derive(Serialize)]
struct Player {
    name: String,
    recorded: String,
    version: String,
    played_by: String,
    same: bool,
}

/// A session that is not as it was.
#[derive(Serialize)]
struct Found {
    at_ms: u64,
    node: String,
    plugin: String,
    about: String,
    difference: String,
}

impl Replay {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        // Replays have a runtime of their own.
        let replaying = tokio::task::spawn_blocking(move || self.replay());
        let replayed = match with_progress("replaying", replaying).await {
            Ok(replayed) => replayed?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&replayed);
        if replayed.ok {
            return Ok(());
        }
        let first = replayed.differences.first();
        Err(Problem::new(
            Exit::Failed,
            format!(
                "{} of {} sessions are not as they were recorded",
                replayed.different, replayed.sessions
            ),
            first.map_or_else(String::new, |first| {
                format!("{} on {}: {}", first.about, first.node, first.difference)
            }),
            "look at the lines marked - and +: what was recorded, and what the plugin does now",
        )
        .beside_result())
    }

    fn replay(self) -> Result<Replayed, Problem> {
        let trace = read(&self.trace)?;
        let runtime = tried::runtime()?;
        let mut given = BTreeMap::new();
        for name in &self.plugin {
            let plugin = tried::plugin(&runtime, name, |_| {})?;
            given.insert(plugin.name().to_owned(), name.clone());
        }
        let mut replayed = Replayed {
            ok: true,
            made: made(&trace.header.made),
            build: trace.header.build.clone(),
            whole: trace.whole,
            plugins: Vec::new(),
            sessions: 0,
            different: 0,
            differences: Vec::new(),
        };
        for recorded in &trace.plugins {
            let plugin = player(&runtime, recorded, given.get(&recorded.name))?;
            let same = hex::encode(plugin.digest()) == recorded.digest;
            replayed.plugins.push(Player {
                name: foreign(&recorded.name),
                recorded: recorded.digest.clone(),
                version: foreign(&recorded.version),
                played_by: hex::encode(plugin.digest()),
                same,
            });
            let of_it = |session: &&Session| {
                (&session.plugin, &session.digest) == (&recorded.name, &recorded.digest)
            };
            let sessions: Vec<_> = trace.sessions.iter().filter(of_it).collect();
            // A node's engine counts no instructions, and stops a guest by the clock.
            replayed.compare(&plugin, &sessions, same)?;
        }
        if replayed.sessions < trace.sessions.len() {
            return Err(Problem::new(
                Exit::Input,
                format!("{} cannot be replayed", self.trace.display()),
                "it has sessions of plugins that it does not name",
                "record it again with this build",
            ));
        }
        replayed.ok = replayed.different == 0;
        Ok(replayed)
    }
}

impl Replayed {
    fn compare(
        &mut self,
        plugin: &Arc<Plugin>,
        sessions: &[&Session],
        same: bool,
    ) -> Result<(), Problem> {
        let again = replay::again(plugin, sessions.iter().copied()).map_err(no_runtime)?;
        for (then, now) in sessions.iter().zip(again) {
            self.sessions += 1;
            let found = match &now {
                Ok(now) => Difference::first(then, now, same).map(|found| found.to_string()),
                Err(error) => Some(format!("it cannot be run again: {error}")),
            };
            let Some(found) = found else { continue };
            self.different += 1;
            if self.differences.len() < MOST_SHOWN {
                self.differences.push(Found {
                    at_ms: then.calls.first().map_or(0, |call| call.at / 1000),
                    node: foreign(&then.node),
                    plugin: foreign(&then.plugin),
                    about: foreign(&then.work.to_string()),
                    difference: found,
                });
            }
        }
        Ok(())
    }
}

/// Reads a trace.
pub(super) fn read(path: &Path) -> Result<Trace, Problem> {
    let what = || format!("{} cannot be read as a trace", path.display());
    let file = File::open(path).map_err(|error| {
        let todo = "name a file that `--record` has written";
        Problem::new(Exit::Input, what(), error, todo)
    })?;
    Trace::read(BufReader::new(file)).map_err(|error| {
        let todo = match &error {
            TraceError::Io(_) => "check the file",
            TraceError::NotATrace => "name a file that `--record` has written",
            TraceError::OtherFormat { .. } => "use the build that made it, or record it again",
            TraceError::Line { .. } | TraceError::Changed => "get it again from where it was made",
        };
        Problem::new(Exit::Input, what(), foreign(&error.to_string()), todo)
    })
}

pub(super) fn no_runtime(error: std::io::Error) -> Problem {
    let todo = "raise the limits of threads and memory";
    Problem::new(Exit::Failed, "the sandbox does not start", error, todo)
}

/// What plays a plugin of the trace: what was given for it, or the built-in plugin of its name; with the grants and limits
/// that it was recorded with.
fn player(
    runtime: &Runtime,
    recorded: &trace::Plugin,
    given: Option<&String>,
) -> Result<Arc<Plugin>, Problem> {
    let as_recorded = |terms: &mut crate::handlers::Terms| {
        let granted = |one: &Capability| recorded.grants.iter().any(|name| name == one.name());
        terms
            .grants
            .extend(Capability::ALL.into_iter().filter(granted));
        for (name, value) in &recorded.limits {
            // The file may be larger than its node allowed; limits of another build are left as they are here.
            if let Ok(limit) = name.parse::<Limit>()
                && limit != Limit::FileKib
            {
                let _ = terms.limits.set(limit, *value);
            }
        }
    };
    let is_built_in = BUILT_IN.iter().any(|one| one.name == recorded.name);
    let Some(name) = given.or(is_built_in.then_some(&recorded.name)) else {
        return Err(Problem::new(
            Exit::Input,
            format!("the plugin {} is not at hand", foreign(&recorded.name)),
            format!("the trace was made with its component {}", recorded.digest),
            "give it, or another version of it, with --plugin FILE",
        ));
    };
    tried::plugin(runtime, name, as_recorded)
}

fn made(made: &Made) -> &'static str {
    match made {
        Made::Sim(_) => "a simulation",
        Made::Test => "a plugin's cases",
        Made::Fuzz => "a fuzzer",
        Made::Node => "a node",
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "recorded  by {} of backchannel {}",
            self.made,
            foreign(&self.build)
        )?;
        writeln!(
            f,
            "{}",
            if self.whole {
                ""
            } else {
                "; its end is missing"
            }
        )?;
        for plugin in &self.plugins {
            let by = if plugin.same {
                "the same".to_owned()
            } else {
                format!("now {}", short(&plugin.played_by))
            };
            let Player { name, version, .. } = plugin;
            writeln!(
                f,
                "plugin    {name} {version} {}, {by}",
                short(&plugin.recorded)
            )?;
        }
        writeln!(
            f,
            "sessions  {}, of which {} differ",
            self.sessions, self.different
        )?;
        for found in &self.differences {
            let seconds = found.at_ms / 1000;
            let Found { node, about, .. } = found;
            writeln!(f, "\n{seconds} s, {node}, {about}")?;
            for line in found.difference.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// The beginning of a digest, as people compare them.
pub(super) fn short(digest: &str) -> String {
    format!("sha256:{}…", digest.get(..12).unwrap_or(digest))
}

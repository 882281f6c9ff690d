use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::{Format, Problem};
use crate::cli::output::{foreign, table, with_progress};
use crate::cli::{Exit, replay as traces, tried};
use crate::handlers::Plugin;
use crate::plugins::Difference;
use crate::replay::{self, Comparison, Totals};
use crate::trace::Session;

/// Sessions with a difference that are shown.
const MOST_SHOWN: usize = 10;

#[derive(Debug, Args)]
#[command(
    after_help = "Both versions run every recorded session of the plugin; what they do is held against each other, not against the\nrecording. Exits with 1 when they differ.\n\nExample:\n  backchannel plugin diff key-request new-key-request.wasm --corpus run.trace"
)]
pub(in crate::cli) struct Diff {
    /// The version in use: a component, a bundle, or the name of a built-in plugin.
    old: String,
    /// The version in question; likewise.
    new: String,
    /// Recorded sessions that both are run with.
    #[arg(long, value_name = "TRACE", required = true, num_args = 1..)]
    corpus: Vec<PathBuf>,
}

/// What a reviewer signs.
#[derive(Serialize)]
struct Compared {
    ok: bool,
    old: Version,
    new: Version,
    /// What the new one could do that the old one cannot, and the other way round, in words.
    permissions: Vec<String>,
    sessions: usize,
    different: usize,
    not_as_recorded: usize,
    differences: Vec<Different>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Version {
    name: String,
    version: String,
    sha256: String,
}

#[derive(Serialize)]
struct Different {
    session: String,
    first: String,
}

/// A figure of both.
#[derive(Serialize)]
struct Row {
    of: String,
    old: u64,
    new: u64,
}

impl Diff {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        // Replays have a runtime of their own.
        let comparing = tokio::task::spawn_blocking(move || self.compare());
        let compared = match with_progress("comparing", comparing).await {
            Ok(compared) => compared?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&compared);
        if compared.ok {
            return Ok(());
        }
        let first = compared.differences.first();
        Err(Problem::new(
            Exit::Failed,
            format!(
                "the versions differ in {} of {} sessions",
                compared.different, compared.sessions
            ),
            first.map_or_else(String::new, |first| {
                format!("{}: {}", first.session, first.first)
            }),
            "decide whether the new version is meant to do that",
        )
        .beside_result())
    }

    fn compare(self) -> Result<Compared, Problem> {
        let runtime = tried::runtime()?;
        let old = tried::plugin(&runtime, &self.old, |_| {})?;
        let new = tried::plugin(&runtime, &self.new, |_| {})?;
        let mut sessions = Vec::new();
        for path in &self.corpus {
            let recorded = traces::read(path)?.sessions.into_iter();
            sessions.extend(recorded.filter(|session| session.plugin == old.name()));
        }
        if sessions.is_empty() {
            return Err(Problem::new(
                Exit::Input,
                "there is nothing to compare the versions with",
                format!("the corpus has no session of {}", old.name()),
                "record some: `backchannel sim --record`, or `record = true` for the plugin on a node",
            ));
        }
        let with_old = replay::again(&old, &sessions).map_err(traces::no_runtime)?;
        let with_new = replay::again(&new, &sessions).map_err(traces::no_runtime)?;
        let mut comparison = Comparison::default();
        for (recorded, (old, new)) in sessions.iter().zip(with_old.into_iter().zip(with_new)) {
            let (old, new) = match (old, new) {
                (Ok(old), Ok(new)) => (old, new),
                (Err(error), _) | (_, Err(error)) => return Err(unreadable(recorded, &error)),
            };
            comparison.add(recorded, &old, &new);
        }
        Ok(Compared::new(&old, &new, &comparison))
    }
}

fn unreadable(session: &Session, error: &crate::handlers::ReplayError) -> Problem {
    Problem::new(
        Exit::Input,
        format!(
            "a session of the corpus cannot be run: {}",
            foreign(&session.work.to_string())
        ),
        foreign(&error.to_string()),
        "record the corpus again with this build",
    )
}

impl Compared {
    fn new(old: &Arc<Plugin>, new: &Arc<Plugin>, comparison: &Comparison) -> Self {
        let version = |plugin: &Plugin| Version {
            name: plugin.name().to_owned(),
            version: plugin.manifest().version.clone(),
            sha256: hex::encode(plugin.digest()),
        };
        let permissions =
            Difference::between(old.manifest(), old.grants(), new.manifest(), new.grants());
        let shown = comparison.differences.iter().take(MOST_SHOWN);
        let same_file = old.digest() == new.digest();
        Self {
            ok: comparison.differences.is_empty(),
            old: version(old),
            new: version(new),
            permissions: if same_file {
                Vec::new()
            } else {
                permissions.lines()
            },
            sessions: comparison.sessions,
            different: comparison.differences.len(),
            not_as_recorded: comparison.not_as_recorded,
            differences: shown
                .map(|(session, first)| Different {
                    session: foreign(session),
                    first: first.to_string(),
                })
                .collect(),
            rows: rows(comparison),
        }
    }
}

fn rows(comparison: &Comparison) -> Vec<Row> {
    let Comparison { old, new, .. } = comparison;
    let row = |of: &str, figure: &dyn Fn(&Totals) -> u64| Row {
        of: of.to_owned(),
        old: figure(old),
        new: figure(new),
    };
    let mut rows = vec![
        row("instructions of a session, median", &|of| of.fuel.median()),
        row("instructions of a session, most", &|of| of.fuel.most()),
        row("memory of a session in bytes, median", &|of| {
            of.memory.median()
        }),
        row("memory of a session in bytes, most", &|of| of.memory.most()),
        row("failures of its own", &|of| of.failed),
        row("stopped by the host", &|of| of.stopped.values().sum()),
    ];
    for effect in comparison.effects() {
        let count = |of: &Totals| of.effects.get(effect).copied().unwrap_or_default();
        rows.push(row(&format!("effects: {effect}"), &count));
    }
    for import in comparison.imports() {
        let count = |of: &Totals| of.host_calls.get(import).copied().unwrap_or_default();
        rows.push(row(&format!("host calls: {}", foreign(import)), &count));
    }
    rows
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (which, version) in [("old", &self.old), ("new", &self.new)] {
            let Version {
                name,
                version,
                sha256,
            } = version;
            writeln!(f, "{which}  {name} {version}  sha256:{sha256}")?;
        }
        match self.permissions.as_slice() {
            [] => writeln!(f, "\nIt could do neither more nor less.")?,
            lines => writeln!(f, "\n{}", lines.join("\n"))?,
        }
        writeln!(f)?;
        match self.different {
            0 => writeln!(f, "In all {} sessions both do the same.", self.sessions)?,
            different => writeln!(
                f,
                "In {different} of {} sessions they differ:",
                self.sessions
            )?,
        }
        for Different { session, first } in &self.differences {
            writeln!(f, "  {session}")?;
            for line in first.lines() {
                writeln!(f, "    {line}")?;
            }
        }
        if self.not_as_recorded > 0 {
            writeln!(
                f,
                "In {} sessions the old version does not do what was recorded: that was another version, or was allowed other things.",
                self.not_as_recorded
            )?;
        }
        let rows = self.rows.iter().map(|row| {
            let change = if row.old == row.new {
                String::new()
            } else if row.old == 0 {
                "new".into()
            } else {
                format!("{:+.1} %", (row.new as f64 / row.old as f64 - 1.0) * 100.0)
            };
            vec![
                row.of.clone(),
                row.old.to_string(),
                row.new.to_string(),
                change,
            ]
        });
        writeln!(f, "\n{}", table(&["", "old", "new", ""], rows.collect()))
    }
}

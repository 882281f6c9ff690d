use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::node::{JOINED, component, failed, join_fedbiomed};
use super::output::{foreign, table};
use super::{Exit, Format, Problem};
use crate::fedbiomed::{self, ImportError, Imported, Outcome, TinyDb};
use crate::message::NodeId;
use crate::node::{NodeError, open_store};
use crate::randomness::Randomness;

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Bring a Fed-BioMed node's channel keys and secagg contexts into a key store. Its folder is read, never changed.
    Fedbiomed(Fedbiomed),
}

/// Bring a Fed-BioMed node's channel keys and secagg contexts into a key store. Its folder is read, never changed.
#[derive(Debug, Args)]
#[command(
    after_help = "Stop both nodes before. Doing it twice changes nothing.\n\nExample:\n  backchannel import fedbiomed fbm-node --data /var/lib/backchannel"
)]
pub(super) struct Fedbiomed {
    /// The component folder: it has etc/config.ini and var/db_*.json.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The data directory to bring it into; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The node's id [default: the folder's].
    #[arg(long)]
    id: Option<String>,
    /// The highest round that served at Fed-BioMed in any of the contexts: no round up to it will serve again.
    #[arg(long, value_name = "ROUND")]
    last_round: Option<u64>,
}

/// What was brought over and what was not.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    id: String,
    source: String,
    data: String,
    channels: Vec<ShownEntry>,
    contexts: Vec<ShownEntry>,
    not_read: Vec<ShownTable>,
    /// Whether rounds that served before may serve again.
    rounds_unknown: bool,
    /// Whether the policy was changed for it.
    suite_1_allowed: bool,
}

#[derive(Serialize)]
struct ShownEntry {
    id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct ShownTable {
    table: String,
    rows: usize,
}

impl Import {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Fedbiomed(command) => command.run(format),
        }
    }
}

impl Fedbiomed {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("nothing was brought over from {}", self.folder.display());
        let component = component(&self.folder)?;
        let missing = |what: &str, todo: &str| {
            let whole = format!(
                "the component folder {} cannot be used",
                self.folder.display()
            );
            Problem::new(
                Exit::Input,
                whole,
                format!("its etc/config.ini names no {what}"),
                todo,
            )
        };
        let id = self.id.or(component.id);
        let id = id.ok_or_else(|| missing("id", "give --id"))?;
        let id = NodeId::try_from(id.as_str()).map_err(|error| {
            let what = format!("{id:?} cannot be a node's id");
            Problem::new(Exit::Input, what, error, "give the node's id with --id")
        })?;
        let database = component
            .database
            .ok_or_else(|| missing("database", "name it there as `db` in [default]"))?;
        // First all that can be wrong with the source, so that a wrong folder makes no store.
        let source = TinyDb::read(&database).map_err(|error| of_source(&what, &error.into()))?;
        source
            .check()
            .map_err(|error| of_source(&what, &error.into()))?;
        let randomness =
            Randomness::from_system().map_err(|error| failed(&what, NodeError::from(error)))?;
        let store =
            open_store(&self.data, &id, &randomness).map_err(|error| failed(&what, error))?;
        let imported = fedbiomed::import(&source, &id, &store, self.last_round)
            .map_err(|error| of_source("not everything was brought over", &error))?;
        let suite_1_allowed = join_fedbiomed(&what, &self.data)?;
        let rounds_unknown = self.last_round.is_none() && !imported.contexts.is_empty();
        format.show(&Shown {
            ok: true,
            id: id.to_string(),
            source: database.display().to_string(),
            data: self.data.display().to_string(),
            rounds_unknown,
            suite_1_allowed,
            ..Shown::from(imported)
        });
        Ok(())
    }
}

fn of_source(what: &str, error: &ImportError) -> Problem {
    let (exit, todo) = match error {
        ImportError::Source(error) => (Exit::Input, error.advice()),
        ImportError::Store(error) => (Exit::Refused, error.advice()),
    };
    Problem::new(exit, what, error, todo)
}

impl From<Imported> for Shown {
    fn from(imported: Imported) -> Self {
        let entries =
            |entries: Vec<fedbiomed::Entry>| entries.into_iter().map(Into::into).collect();
        Self {
            ok: true,
            id: String::new(),
            source: String::new(),
            data: String::new(),
            channels: entries(imported.channels),
            contexts: entries(imported.contexts),
            not_read: imported
                .others
                .into_iter()
                .map(|(table, rows)| ShownTable {
                    table: foreign(&table),
                    rows,
                })
                .collect(),
            rounds_unknown: false,
            suite_1_allowed: false,
        }
    }
}

impl From<fedbiomed::Entry> for ShownEntry {
    fn from(entry: fedbiomed::Entry) -> Self {
        let (outcome, why) = match entry.outcome {
            Outcome::Taken => ("taken", None),
            Outcome::AlreadyThere => ("already there", None),
            Outcome::NotTaken(why) => ("not taken", Some(foreign(&why.to_string()))),
        };
        Self {
            id: foreign(&entry.id),
            outcome,
            why,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} from {} into {}", self.id, self.source, self.data)?;
        let row = |kind: &str, entry: &ShownEntry| {
            let id = if entry.id.is_empty() { "?" } else { &entry.id };
            let why = entry.why.clone().unwrap_or_default();
            vec![kind.into(), id.into(), entry.outcome.into(), why]
        };
        let channels = self.channels.iter().map(|entry| row("channel", entry));
        let contexts = self.contexts.iter().map(|entry| row("context", entry));
        let rows: Vec<_> = channels.chain(contexts).collect();
        if rows.is_empty() {
            writeln!(f, "\nit has neither channels nor secagg contexts")?;
        } else {
            writeln!(f, "\n{}", table(&["", "with or id", "outcome", ""], rows))?;
        }
        for table in &self.not_read {
            writeln!(f, "not read: {} rows of {}", table.rows, table.table)?;
        }
        if !self.channels.is_empty() {
            writeln!(
                f,
                "\nchannels are ready once the peers are asked for their keys, which happens by itself"
            )?;
        }
        if self.suite_1_allowed {
            writeln!(f, "\n{JOINED}")?;
        }
        if self.rounds_unknown {
            writeln!(
                f,
                "\nFed-BioMed does not record which rounds served: go on with rounds above those, or delete the contexts"
            )?;
        }
        Ok(())
    }
}

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{foreign, print};
use super::whom::Whom;
use super::{Exit, Format, Problem};
use crate::files::write_whole;
use crate::message::NodeId;

#[derive(Debug, Subcommand)]
pub(super) enum Identity {
    /// Show a node's id, the fingerprint that its peers' operators compare, and its public key.
    Show(Show),
    /// Write the file that peers and whoever makes a roster need. Nothing in it is secret.
    Export(Export),
}

/// Which node.
#[derive(Debug, Args)]
struct Which {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// For a node that never ran: the id that it will have. Its key store is made.
    #[arg(long)]
    id: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel identity show --data /var/lib/backchannel")]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel identity export --data /var/lib/backchannel --to hospital-a.toml"
)]
pub(super) struct Export {
    #[command(flatten)]
    which: Which,
    /// Where it goes [default: standard output].
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    ok: bool,
    id: String,
    fingerprint: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Identity {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Show(show) => {
                let (shown, _) = show
                    .which
                    .read("the node's identity cannot be shown")
                    .await?;
                format.show(&shown);
                Ok(())
            }
            Self::Export(export) => export.run(format).await,
        }
    }
}

impl Export {
    async fn run(self, format: Format) -> Result<(), Problem> {
        let what = "the node's identity is not exported";
        let (mut shown, text) = self.which.read(what).await?;
        let Some(file) = self.to else {
            match format {
                Format::Text => print(&text),
                Format::Json => format.show(&shown),
            }
            return Ok(());
        };
        write_whole(&file, text.as_bytes(), 0o644).map_err(|error| {
            let why = format!("{}: {error}", file.display());
            Problem::new(
                Exit::Input,
                what,
                why,
                "check the folder and its permissions",
            )
        })?;
        shown.file = Some(file);
        format.show(&shown);
        Ok(())
    }
}

impl Which {
    /// What is shown, and the file's text.
    async fn read(&self, what: &str) -> Result<(Shown, String), Problem> {
        let id = self
            .id
            .as_deref()
            .map(NodeId::try_from)
            .transpose()
            .map_err(|error| {
                Problem::new(
                    Exit::Input,
                    what,
                    format!("--id: {error}"),
                    "choose another id",
                )
            })?;
        let reply = Whom::reach(&self.data, id.as_ref(), what)
            .await?
            .identity()
            .await?;
        if let Some(id) = &self.id
            && *id != reply.node_id
        {
            let why = format!("the store belongs to node {}", foreign(&reply.node_id));
            return Err(Problem::new(
                Exit::Refused,
                what,
                why,
                "give each node its own data directory",
            ));
        }
        let shown = Shown {
            ok: true,
            id: foreign(&reply.node_id),
            fingerprint: foreign(&reply.fingerprint),
            key: foreign(&reply.key),
            file: None,
        };
        Ok((shown, reply.file))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "node         {}", self.id)?;
        writeln!(f, "fingerprint  {}", self.fingerprint)?;
        writeln!(f, "key          {}", self.key)?;
        if let Some(file) = &self.file {
            writeln!(f, "written      {}", foreign(&file.display().to_string()))?;
        }
        Ok(())
    }
}

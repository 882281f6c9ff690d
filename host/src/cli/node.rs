use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::daemon::{Ready, until_told_to_stop};
use super::telemetry::Telemetry;
use super::{Exit, Format, Problem};
use crate::control::{self, NodeControl};
use crate::fedbiomed::{ConfigIni, TinyDb};
use crate::key_store::StoreError;
use crate::logs::Logs;
use crate::message::NodeId;
use crate::node::{Node, NodeConfig, NodeError, make_private_folder};
use crate::policy::{Draft, PolicyError};
use crate::telemetry::Source;
use crate::transport::{ConnectError, ServerAddress};

/// Run a node beside a researcher.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel node --id hospital-a --researcher relay.example.org:50051 --data /var/lib/backchannel\n  backchannel node --config node.toml\n  backchannel node --fedbiomed fbm-node --data /var/lib/backchannel"
)]
pub(super) struct NodeCommand {
    /// A TOML file with the same settings: id, name, researcher, certificate, data. Flags go before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The component folder of a Fed-BioMed node: what flags and --config do not say is taken from its etc/config.ini and
    /// from FBM_* variables. Nothing in it is changed.
    #[arg(long, value_name = "DIR")]
    fedbiomed: Option<PathBuf>,
    /// The node's id, one of a kind in the network.
    #[arg(long)]
    id: Option<String>,
    /// The node's name for people [default: its id].
    #[arg(long)]
    name: Option<String>,
    /// Where the researcher's server listens.
    #[arg(long, value_name = "HOST:PORT")]
    researcher: Option<String>,
    /// The researcher's certificate, PEM. Without it the one met first is trusted from then on.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The data directory: keys, contexts, audit log, control socket.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Begin a trace of the plugins for which policy.toml says `record = true`. Keys, shares and long contents are left out.
    #[arg(long, value_name = "TRACE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    telemetry: Telemetry,
}

/// `node.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    id: Option<String>,
    name: Option<String>,
    researcher: Option<String>,
    certificate: Option<PathBuf>,
    data: Option<PathBuf>,
}

impl NodeCommand {
    pub(super) async fn run(mut self, format: Format, logs: Logs) -> Result<(), Problem> {
        let telemetry = std::mem::take(&mut self.telemetry);
        let joins = self.fedbiomed.is_some();
        let config = self.settings()?;
        let telemetry = telemetry.prepare("node", config.id.as_str()).await?;
        let data = config.data.clone();
        if joins && join_fedbiomed("the node cannot start", &data)? {
            tracing::warn!("{JOINED}");
        }
        // From here on a hangup ends nothing, not even a node that is starting.
        let hangups = signal(SignalKind::hangup());
        // The store's lock tells that a control socket that is there is dead.
        let opened = Node::open(config).map_err(problem)?;
        let socket = control::Socket::bind(&data).map_err(|error| {
            let todo = error.advice();
            Problem::new(Exit::Failed, "the node cannot start", error, todo)
        })?;
        let node = opened.start().await.map_err(problem)?;
        let stop = CancellationToken::new();
        let control = NodeControl::new(node.clone(), logs);
        let controlled = tokio::spawn(socket.serve_node(control, stop.clone()));
        match hangups {
            Ok(hangups) => drop(tokio::spawn(reload_on(hangups, node.clone(), stop.clone()))),
            Err(error) => tracing::warn!("SIGHUP is not waited for: {error}"),
        }
        let ready = Ready {
            event: "ready",
            id: node.id().to_string(),
            address: node.researcher_address(),
            fingerprint: node.researcher_fingerprint().to_string(),
            metrics: telemetry.address(),
        };
        let numbers = node.clone();
        let numbers: Source = Arc::new(move || numbers.families());
        telemetry.start(&numbers, &stop);
        until_told_to_stop(format, &ready).await?;
        stop.cancel();
        node.stop().await;
        // Somebody's open connection to the control socket must not keep the node alive.
        let _ = tokio::time::timeout(Duration::from_secs(1), controlled).await;
        Ok(())
    }

    /// What the flags, the file, the variables and the component folder say together.
    pub(super) fn settings(self) -> Result<NodeConfig, Problem> {
        let file = match &self.config {
            Some(path) => read_config(path)?,
            None => ConfigFile::default(),
        };
        let file = match &self.fedbiomed {
            Some(folder) => file.or(component(folder)?),
            None => file,
        };
        let missing = |what: &str| {
            let why = match &self.fedbiomed {
                Some(_) if what != "data" => {
                    format!("neither --{what} nor the component folder gives it")
                }
                _ => format!("neither --{what} nor `{what}` in a --config file is given"),
            };
            Problem::new(
                Exit::Input,
                format!("the node has no {what}"),
                why,
                format!("give --{what}"),
            )
        };
        let id = self.id.or(file.id).ok_or_else(|| missing("id"))?;
        let id = NodeId::try_from(id.as_str()).map_err(|error| {
            Problem::new(
                Exit::Input,
                format!("{id:?} cannot be a node's id"),
                error,
                "choose another id",
            )
        })?;
        let researcher = self
            .researcher
            .or(file.researcher)
            .ok_or_else(|| missing("researcher"))?;
        let researcher: ServerAddress = researcher.parse().map_err(|error| {
            Problem::new(
                Exit::Input,
                format!("{researcher:?} cannot be a researcher's address"),
                error,
                "write it as HOST:PORT, such as relay.example.org:50051",
            )
        })?;
        Ok(NodeConfig {
            name: self.name.or(file.name).unwrap_or_else(|| id.to_string()),
            id,
            researcher,
            certificate: self.certificate.or(file.certificate),
            data: self.data.or(file.data).ok_or_else(|| missing("data"))?,
            record: self.record,
            compiler: std::env::current_exe().ok(),
        })
    }
}

impl ConfigFile {
    /// What the file does not say, `component` does.
    fn or(self, component: ConfigIni) -> Self {
        Self {
            id: self.id.or(component.id),
            name: self.name.or(component.name),
            researcher: self.researcher.or(component.researcher),
            certificate: self.certificate.or(component.certificate),
            data: self.data,
        }
    }
}

/// Has the node read its policy again at each SIGHUP, as daemons do. What comes of it is in the log.
async fn reload_on(mut hangups: Signal, node: Arc<Node>, stop: CancellationToken) {
    while let Some(Some(())) = stop.run_until_cancelled(hangups.recv()).await {
        let node = node.clone();
        // Compiles; the outcome is logged where it is known.
        let _ = tokio::task::spawn_blocking(move || node.reload()).await;
    }
}

/// What is said when a node's policy was made fit for Fed-BioMed.
pub(super) const JOINED: &str = "policy.toml has suite-1 = \"any\" now: nodes of Fed-BioMed speak no other, and a relay can break into it; name the nodes there, or take it out where all are ours";

/// Allows suite 1 in a data directory, unless its policy says something of that. Whether it was changed.
pub(super) fn join_fedbiomed(what: &str, data: &Path) -> Result<bool, Problem> {
    let wrong = |error: PolicyError| {
        let todo = error.advice();
        Problem::new(Exit::Input, what, error, todo)
    };
    make_private_folder(data).map_err(|source| {
        let path = data.to_owned();
        failed(what, NodeError::Data { path, source })
    })?;
    let mut draft = Draft::open(data).map_err(wrong)?;
    let changed = draft.join_fedbiomed().map_err(wrong)?;
    if changed {
        draft.save().map_err(wrong)?;
    }
    Ok(changed)
}

/// What the component folder of a Fed-BioMed node says, and the environment. That node must not run: a researcher's server
/// gives each message to either of two nodes of one id.
pub(super) fn component(folder: &Path) -> Result<ConfigIni, Problem> {
    let what = || format!("the component folder {} cannot be used", folder.display());
    let variable = |name: &str| std::env::var(name).ok();
    let component = ConfigIni::read(folder, variable).map_err(|error| {
        let todo = error.advice();
        Problem::new(Exit::Input, what(), error, todo)
    })?;
    // A database that cannot be read is a matter of `import`.
    let database = component
        .database
        .as_deref()
        .map(TinyDb::read)
        .and_then(Result::ok);
    match database.and_then(|database| database.running()) {
        Some(process) => Err(Problem::new(
            Exit::Input,
            what(),
            format!("its Fed-BioMed node runs, as process {process}"),
            format!("stop it: fedbiomed node --path {} stop", folder.display()),
        )),
        None => Ok(component),
    }
}

fn read_config(path: &Path) -> Result<ConfigFile, Problem> {
    let what = || format!("the configuration {} cannot be used", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(
            Exit::Input,
            what(),
            error,
            "check the path and its permissions",
        )
    })?;
    toml::from_str(&text).map_err(|error| {
        let todo = "correct that line; the keys are id, name, researcher, certificate and data";
        Problem::new(Exit::Input, what(), error.to_string().trim_end(), todo)
    })
}

fn problem(error: NodeError) -> Problem {
    failed("the node cannot start", error)
}

/// What could not be done with a node's data directory, and why.
pub(super) fn failed(what: &str, error: NodeError) -> Problem {
    let exit = match &error {
        NodeError::Data { .. }
        | NodeError::Recording { .. }
        | NodeError::Store {
            source: StoreError::Io(_),
            ..
        }
        | NodeError::StoreKey { .. }
        | NodeError::Audit(_)
        | NodeError::Certificate(_)
        | NodeError::Policy(_) => Exit::Input,
        NodeError::Store { .. }
        | NodeError::Backup(_)
        | NodeError::OtherCertificate { .. }
        | NodeError::NotAsGiven { .. } => Exit::Refused,
        NodeError::Researcher(error) => match **error {
            ConnectError::BadCertificate { .. } | ConnectError::WrongCertificate { .. } => {
                Exit::Refused
            }
            _ => Exit::Unreachable,
        },
        NodeError::Randomness(_) | NodeError::Runtime(_) => Exit::Failed,
    };
    let todo = error.advice();
    Problem::new(exit, what, error, todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_line_of_an_unknown_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.toml");
        std::fs::write(&path, "id = \"a\"\nreseacher = \"r:1\"\n").expect("written");

        let problem = read_config(&path).expect_err("refused");
        let text = format!("{:?}", miette::Report::new(problem));
        assert!(
            text.contains("line 2") && text.contains("reseacher"),
            "{text}"
        );
    }
}

//! The demo's processes: this very program, as relay and as nodes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::cli::status::{connect, failed};
use crate::cli::{Exit, Problem};
use crate::node::make_private_folder;
use crate::proto::control::StatusRequest;
use crate::proto::control::relay_client::RelayClient;

/// From start to "ready".
const START_LIMIT: Duration = Duration::from_secs(60);
/// From the signal to the end; then it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A running network.
pub(super) struct Network {
    /// The relay's data directory.
    pub(super) relay: PathBuf,
    pub(super) nodes: Vec<NodeProcess>,
    processes: Vec<Child>,
}

pub(super) struct NodeProcess {
    pub(super) id: String,
    /// Its data directory.
    pub(super) data: PathBuf,
}

/// Where the processes write: a folder to keep, or one that is gone with the demo.
pub(super) enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    pub(super) fn new(keep: Option<PathBuf>) -> Result<Self, Problem> {
        let failed = |error| {
            let todo = "check free space and permissions, or name a directory with --keep";
            Problem::new(
                Exit::Input,
                "the demo has no directory to write to",
                error,
                todo,
            )
        };
        match keep {
            Some(path) => {
                make_private_folder(&path).map_err(failed)?;
                Ok(Self::Kept(path))
            }
            None => Ok(Self::Temporary(tempfile::tempdir().map_err(failed)?)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// What a daemon says when it is ready.
#[derive(Deserialize)]
struct Ready {
    address: String,
}

impl Network {
    /// Starts a relay and `nodes`, and waits until all nodes poll.
    pub(super) async fn start(folder: &Path, nodes: Vec<NodeProcess>) -> Result<Self, Problem> {
        let relay = folder.join("relay");
        let mut started = Started::default();
        let mut command = program(folder, "relay")?;
        command
            .args([
                "relay",
                "--researcher-id",
                "RESEARCHER_demo",
                "--listen",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(&relay);
        let relay_at = started.until_ready(vec![command]).await?.remove(0).address;
        let commands = nodes
            .iter()
            .map(|node| {
                let mut command = program(folder, &node.id)?;
                command
                    .args([
                        "node",
                        "--id",
                        &node.id,
                        "--researcher",
                        &relay_at,
                        "--data",
                    ])
                    .arg(&node.data);
                Ok(command)
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        started.until_ready(commands).await?;
        let network = Self {
            relay,
            nodes,
            processes: started.processes,
        };
        network.until_connected().await?;
        Ok(network)
    }

    async fn until_connected(&self) -> Result<(), Problem> {
        let mut client = RelayClient::new(connect(&self.relay).await?);
        let mut connected = 0;
        for _ in 0..START_LIMIT.as_millis() / 20 {
            let status = client.status(StatusRequest {}).await;
            let status = status
                .map_err(|status| failed("the relay does not answer", &status))?
                .into_inner();
            connected = status.nodes.iter().filter(|node| node.connected).count();
            if connected == self.nodes.len() {
                return Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
        let why = format!(
            "only {connected} of {} nodes reached the relay",
            self.nodes.len()
        );
        Err(Problem::new(
            Exit::Failed,
            "the demo's network does not come up",
            why,
            "run it again with --keep DIR and look at the logs there",
        ))
    }

    /// Asks all processes to end, and makes sure that they do.
    pub(super) async fn stop(mut self) {
        // Nodes first: a relay that is gone would have them reconnect.
        for process in self.processes.iter_mut().rev() {
            if let Some(pid) = process
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw)
            {
                // A process that has ended by itself is what is wanted.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        for process in &mut self.processes {
            if timeout(STOP_LIMIT, process.wait()).await.is_err() {
                let _ = process.kill().await;
            }
        }
    }
}

/// So many nodes, not started yet.
pub(super) fn nodes(folder: &Path, count: usize) -> Vec<NodeProcess> {
    let node = |at| NodeProcess {
        id: format!("hospital-{at}"),
        data: folder.join(format!("node-{at}")),
    };
    (1..=count).map(node).collect()
}

/// Processes so far; killed when dropped, should a later one fail.
#[derive(Default)]
struct Started {
    processes: Vec<Child>,
}

impl Started {
    /// Starts all, then waits for all to be ready.
    async fn until_ready(&mut self, commands: Vec<Command>) -> Result<Vec<Ready>, Problem> {
        let what = "the demo's processes do not start";
        let todo = "run it again with --keep DIR and look at the logs there";
        let first = self.processes.len();
        for mut command in commands {
            let process = command.spawn();
            self.processes.push(process.map_err(|error| {
                Problem::new(
                    Exit::Failed,
                    what,
                    error,
                    "raise the limits of processes and open files",
                )
            })?);
        }
        let mut all = Vec::new();
        for process in &mut self.processes[first..] {
            let Some(out) = process.stdout.take() else {
                return Err(Problem::new(Exit::Failed, what, "no standard output", todo));
            };
            let mut line = String::new();
            let read = timeout(START_LIMIT, BufReader::new(out).read_line(&mut line)).await;
            let ready = match read {
                Ok(Ok(_)) => {
                    serde_json::from_str::<Ready>(&line).map_err(|_| line.trim().to_owned())
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("not ready after {} s", START_LIMIT.as_secs())),
            };
            all.push(ready.map_err(|why| Problem::new(Exit::Failed, what, why, todo))?);
        }
        Ok(all)
    }
}

/// This program, with its log in `folder`.
fn program(folder: &Path, name: &str) -> Result<Command, Problem> {
    let failed = |error| {
        Problem::new(
            Exit::Failed,
            "the demo cannot start its processes",
            error,
            "check free space and permissions",
        )
    };
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).map_err(failed)?;
    let mut command = command().map_err(failed)?;
    command
        .args(["-o", "json", "--log", "info"])
        .stdout(Stdio::piped())
        .stderr(log);
    Ok(command)
}

/// This program.
pub(super) fn command() -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

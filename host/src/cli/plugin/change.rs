//! A change of the policy: written, then taken over by the node if one runs.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use toml::value::Datetime;

use super::{Exit, Problem};
use crate::audit::{self, Event};
use crate::cli::node::failed;
use crate::cli::output::{foreign, with_progress};
use crate::control::{self, ControlError};
use crate::handlers::{LoadError, PluginSet, Runtime};
use crate::node::tidy_stopped;
use crate::plugins::{Folder, Loader, NotLoaded, Refusal, ReloadError};
use crate::policy::{Draft, Policy, PolicyError};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{ReloadReply, ReloadRequest};

/// On which node, and who says so.
#[derive(Debug, Args)]
pub(in crate::cli) struct Operator {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data: PathBuf,
    /// Who decides, for the records [default: the user].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// What a node that runs made of a change.
#[derive(Serialize)]
pub(super) struct TakenOver {
    /// Whether a node runs on the data directory.
    pub(super) running: bool,
    /// What it treats otherwise.
    changes: Vec<String>,
}

/// A result that says no more than what was done.
#[derive(Serialize)]
pub(super) struct Done {
    ok: bool,
    plugin: String,
    done: String,
    #[serde(flatten)]
    taken_over: TakenOver,
}

impl Done {
    pub(super) fn new(plugin: &str, done: String, taken_over: TakenOver) -> Self {
        Self {
            ok: true,
            plugin: plugin.to_owned(),
            done,
            taken_over,
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.done)?;
        write!(f, "{}", self.taken_over)
    }
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.running {
            return write!(f, "no node runs here; the next start uses it");
        }
        if self.changes.is_empty() {
            return write!(f, "the running node goes on as before");
        }
        let changes: Vec<_> = self.changes.iter().map(|change| foreign(change)).collect();
        write!(f, "the running node took it over: {}", changes.join("; "))
    }
}

impl Operator {
    /// The user, on this data directory.
    pub(super) fn of(data: PathBuf) -> Self {
        Self { data, by: None }
    }

    /// Who decides: as said, or the person behind `sudo`, or the user.
    pub(in crate::cli) fn name(&self) -> String {
        let variable = |name| {
            let value: Option<String> = std::env::var(name).ok();
            value.filter(|name| !name.is_empty())
        };
        let by = self.by.clone();
        by.or_else(|| variable("SUDO_USER"))
            .or_else(|| variable("USER"))
            .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
    }

    /// Writes the draft and the record of it, and has a running node take it over.
    pub(super) async fn put_in_force(
        &self,
        draft: Draft,
        event: Event,
        request: ReloadRequest,
    ) -> Result<TakenOver, Problem> {
        draft
            .save()
            .map_err(|error| wrong_policy("policy.toml was not changed", error))?;
        self.record(event)?;
        take_over(&self.data, request).await
    }

    /// Records what was done. The node's own records go to the same log.
    pub(super) fn record(&self, event: Event) -> Result<(), Problem> {
        audit::append(&self.data, event).map_err(|error| {
            let what = "it is done, and could not be recorded";
            let todo = error.advice();
            Problem::new(Exit::Failed, what, error, todo)
        })
    }
}

/// Has a running node read the policy again.
pub(super) async fn take_over(data: &Path, request: ReloadRequest) -> Result<TakenOver, Problem> {
    let channel = match control::connect(data).await {
        Ok(channel) => channel,
        Err(ControlError::NotRunning(_)) => {
            if request != ReloadRequest::default() {
                let what = "it is done, and what the node has stored for it stays";
                tidy_stopped(data, &request.release, &request.forget)
                    .map_err(|error| failed(what, error))?;
            }
            return Ok(TakenOver {
                running: false,
                changes: Vec::new(),
            });
        }
        Err(error) => {
            let what = "policy.toml is written, and the running node cannot be told";
            let todo = error.advice();
            return Err(Problem::new(Exit::Unreachable, what, error, todo));
        }
    };
    let mut node = NodeClient::new(channel);
    let reply = with_progress("the node loads", node.reload(request)).await;
    let reply = reply.map_err(|status| {
        let what = "policy.toml is written, and the running node did not take it over";
        let todo = "look into the node's log; `backchannel plugin reload` tries again";
        Problem::new(Exit::Failed, what, status.message(), todo)
    })?;
    let ReloadReply {
        ok,
        changes,
        why,
        to_do,
    } = reply.into_inner();
    if ok {
        return Ok(TakenOver {
            running: true,
            changes,
        });
    }
    let kept = if changes.is_empty() {
        "the running node keeps what it had".to_owned()
    } else {
        format!("the running node only took back ({})", changes.join("; "))
    };
    let what = format!("policy.toml stays as it is written, and is refused: {kept}");
    Err(Problem::new(Exit::Refused, what, why, to_do))
}

/// Takes the policy to be changed.
pub(super) fn draft(data: &Path) -> Result<Draft, Problem> {
    Draft::open(data).map_err(|error| wrong_policy("policy.toml cannot be changed", error))
}

/// The plugins that the policy enables and that a node would not load.
pub(super) fn load(data: &Path, policy: &Policy) -> Result<Vec<NotLoaded>, Problem> {
    let loader = Loader::new(Folder::of(data), runtime()?);
    Ok(loader.load(policy, &PluginSet::default()).failed)
}

/// Refuses a change after which this plugin would not load. What is wrong with others is no reason.
pub(super) fn check(data: &Path, policy: &Policy, plugin: &str, what: &str) -> Result<(), Problem> {
    let concerns = |failed: &NotLoaded| {
        failed.plugin == plugin
            || matches!(&failed.why, Refusal::Load(LoadError::TwoForOneKind { first, .. }) if first == plugin)
    };
    let mut failed = load(data, policy)?;
    failed.retain(concerns);
    if failed.is_empty() {
        return Ok(());
    }
    Err(not_loaded(what, failed))
}

pub(super) fn not_loaded(what: &str, failed: Vec<NotLoaded>) -> Problem {
    let error = ReloadError::Plugins(failed);
    let todo = error.advice();
    Problem::new(Exit::Refused, what, error, todo)
}

/// The engine.
pub(super) fn runtime() -> Result<Runtime, Problem> {
    let runtime = Runtime::new().map_err(|error| {
        let todo = "raise the limit of address space (ulimit -v)";
        Problem::new(Exit::Failed, "the wasm engine does not start", error, todo)
    })?;
    Ok(runtime.compiling_in(std::env::current_exe().ok()))
}

pub(super) fn wrong_policy(what: &str, error: PolicyError) -> Problem {
    let exit = match error {
        PolicyError::Busy | PolicyError::Changed => Exit::Failed,
        _ => Exit::Input,
    };
    let todo = error.advice();
    Problem::new(exit, what, error, todo)
}

pub(super) fn refused(what: impl Into<String>, why: Refusal) -> Problem {
    let exit = match why {
        Refusal::Missing { .. } | Refusal::Io { .. } => Exit::Input,
        _ => Exit::Refused,
    };
    let todo = why.advice();
    Problem::new(exit, what, why, todo)
}

/// Now, as the policy records it: in UTC, to the second.
pub(super) fn now() -> Result<Datetime, Problem> {
    let now = time::OffsetDateTime::now_utc();
    let (date, time) = (now.date(), now.time());
    let text = format!(
        "{date}T{:02}:{:02}:{:02}Z",
        time.hour(),
        time.minute(),
        time.second()
    );
    text.parse().map_err(|error| {
        let todo = "set this machine's clock";
        Problem::new(Exit::Failed, "the time cannot be recorded", error, todo)
    })
}

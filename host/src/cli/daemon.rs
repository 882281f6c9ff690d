//! What running daemons share: their log, their "ready" line, and the signal that ends them.

use std::fmt;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_limit::LogLimit;
use super::{Exit, Format, Problem};
use crate::logs::Logs;

/// Logs to standard error, and to what this returns.
pub(super) fn log(filter: &str) -> Result<Logs, Problem> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Problem::new(
            Exit::Input,
            format!("the log filter {filter:?} cannot be used"),
            error,
            "give a level (error, warn, info, debug, trace) or pairs such as backchannel::router=debug",
        )
    })?;
    let logs = Logs::default();
    let to_people = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    tracing_subscriber::registry()
        .with(filter)
        .with(LogLimit::default())
        .with(to_people)
        .with(logs.clone())
        .init();
    Ok(logs)
}

/// The first line of a daemon's standard output: others may wait for it.
#[derive(Serialize)]
pub(super) struct Ready {
    pub(super) event: &'static str,
    pub(super) id: String,
    pub(super) address: String,
    pub(super) fingerprint: String,
    /// Where metrics are served, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<String>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            address,
            fingerprint,
            ..
        } = self;
        write!(
            f,
            "ready: {id} at {address} (certificate SHA-256 {fingerprint})"
        )
    }
}

/// Says that the daemon is ready, then waits for the signal to end.
pub(super) async fn until_told_to_stop(format: Format, ready: &Ready) -> Result<(), Problem> {
    let failed = |error| {
        Problem::new(
            Exit::Failed,
            "signals cannot be waited for",
            error,
            "start it again",
        )
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    format.show(ready);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    Ok(())
}

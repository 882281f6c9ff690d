use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output::{foreign, time_of, with_progress};
use super::status::{connect, failed};
use super::{Format, Problem};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{LogLine, LogsRequest};

/// Show the log of a running node, with what its plugins wrote.
#[derive(Debug, Args)]
#[command(
    after_help = "Shows what the node's --log lets through. With -o json, one object per line.\n\nExample:\n  \
                  backchannel logs --follow --plugin overlap --data /var/lib/backchannel"
)]
pub(super) struct Logs {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Go on with what comes, until interrupted.
    #[arg(short, long)]
    follow: bool,
    /// Only what this plugin wrote, or what is about it.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// The last so many lines first. A node keeps 2,000.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    lines: u64,
}

impl Logs {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let channel = with_progress("connecting", connect(&self.data)).await?;
        let request = LogsRequest {
            plugin: self.plugin.unwrap_or_default(),
            follow: self.follow,
            lines: self.lines,
        };
        let refused = |status| failed("the log cannot be shown", &status);
        let reply = NodeClient::new(channel).logs(request).await;
        let mut lines = reply.map_err(refused)?.into_inner();
        loop {
            let next = tokio::select! {
                next = lines.message() => next,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match next.map_err(refused)? {
                Some(line) => format.show(&Shown::from(line)),
                None => return Ok(()),
            }
        }
    }
}

#[derive(Serialize)]
struct Shown {
    time: String,
    level: String,
    target: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    plugin: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    text: String,
    #[serde(skip_serializing_if = "is_none")]
    missed: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl From<LogLine> for Shown {
    fn from(line: LogLine) -> Self {
        Self {
            time: time_of(line.at_ms),
            level: foreign(&line.level),
            target: foreign(&line.target),
            plugin: foreign(&line.plugin),
            message: foreign(&line.message_id),
            text: foreign(&line.text),
            missed: line.missed,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missed > 0 {
            writeln!(f, "… {} lines missed", self.missed)?;
        }
        write!(f, "{} {:>5} ", self.time, self.level)?;
        if !self.message.is_empty() {
            write!(f, "message {}: ", self.message)?;
        }
        write!(f, "{}: {}", self.target, self.text)
    }
}

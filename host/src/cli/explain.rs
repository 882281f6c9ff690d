use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tonic::Code;

use super::audit::{details, problem};
use super::output::{foreign, table, time_of, with_progress};
use super::status::{connect, failed};
use super::{Exit, Format, Problem};
use crate::audit::{self, Record};
use crate::message::MessageId;
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{ExplainRequest, Journey, Rule};

/// Say what became of a message: who treated it, or what stopped it and which line of which file decides that.
#[derive(Debug, Args)]
#[command(
    after_help = "A node remembers its last messages while it runs (5,000 that it could open, and 5,000 others). Of older ones the audit log \
                  tells what was refused or limited.\n\nExample:\n  backchannel explain 5f2d9c1e0a7b3344 --data /var/lib/backchannel"
)]
pub(super) struct Explain {
    /// The message's id, as logs and the audit log show it: 16 hexadecimal digits. Without one, the last messages are listed.
    id: Option<String>,
    /// How many of the last messages are listed.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 20,
        conflicts_with = "id"
    )]
    last: u64,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Explain {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match &self.id {
            Some(id) => self.one(id, format).await,
            None => self.list(format).await,
        }
    }

    async fn list(&self, format: Format) -> Result<(), Problem> {
        let channel = with_progress("connecting", connect(&self.data)).await?;
        let request = ExplainRequest {
            last: self.last,
            ..ExplainRequest::default()
        };
        let reply = NodeClient::new(channel).explain(request).await;
        let reply = reply.map_err(|status| refused("the last messages cannot be had", &status))?;
        let journeys = reply.into_inner().journeys;
        format.show(&Listed {
            messages: journeys.into_iter().map(Shown::from).collect(),
        });
        Ok(())
    }

    async fn one(&self, id: &str, format: Format) -> Result<(), Problem> {
        let what = || format!("the message {} cannot be explained", foreign(id));
        let id: MessageId = id.parse().map_err(|error| {
            let todo = "copy the id from a log line, an audit line, or `explain` without an id";
            Problem::new(Exit::Input, what(), error, todo)
        })?;
        let records = audit::read(&self.data, |line| line.contains(&id.to_string()))
            .map_err(|error| problem(&what(), &error))?;
        let journeys = match connect(&self.data).await {
            Ok(channel) => {
                let request = ExplainRequest {
                    message_id: id.to_string(),
                    ..ExplainRequest::default()
                };
                let reply = NodeClient::new(channel).explain(request).await;
                let reply = reply.map_err(|status| refused(&what(), &status))?;
                reply.into_inner().journeys
            }
            // A node that is down has its audit log.
            Err(unreachable) if records.is_empty() => return Err(unreachable),
            Err(_) => Vec::new(),
        };
        if journeys.is_empty() && records.is_empty() {
            return Err(Problem::new(
                Exit::Input,
                what(),
                "neither the node's memory nor its audit log knows it",
                "check the id and the node; what was treated without an incident is remembered for the last messages only",
            ));
        }
        format.show(&Explained {
            id: id.to_string(),
            journeys: journeys.into_iter().map(Shown::from).collect(),
            lines: records.iter().map(line).collect(),
            audit: records.into_iter().map(Record::into_json).collect(),
        });
        Ok(())
    }
}

fn refused(what: &str, status: &tonic::Status) -> Problem {
    match status.code() {
        Code::Unimplemented => Problem::new(
            Exit::Input,
            what,
            "this is a relay's data directory; a relay cannot read messages",
            "name a node's data directory",
        ),
        _ => failed(what, status),
    }
}

#[derive(Serialize)]
struct Listed {
    messages: Vec<Shown>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.messages.is_empty() {
            return f.write_str("no message came or left since the node started");
        }
        let rows = self.messages.iter().map(|message| {
            let outcome = match message.reason.as_str() {
                "" => message.outcome,
                reason => reason,
            };
            [
                &message.at,
                &message.id,
                message.direction,
                &message.peer,
                &message.kind,
                outcome,
            ]
            .map(str::to_owned)
            .into()
        });
        let headings = ["time", "message", "", "peer", "kind", "outcome"];
        f.write_str(&table(&headings, rows.collect()))
    }
}

#[derive(Serialize)]
struct Explained {
    id: String,
    journeys: Vec<Shown>,
    audit: Vec<Value>,
    #[serde(skip)]
    lines: Vec<String>,
}

fn line(record: &Record) -> String {
    format!(
        "line {}, {}: {} {}",
        record.seq(),
        foreign(record.text("timestamp")),
        foreign(record.text("operation")),
        details(record)
    )
}

#[derive(Serialize)]
struct Shown {
    id: String,
    direction: &'static str,
    at: String,
    bytes: u64,
    researcher: String,
    peer: String,
    setup: bool,
    assurance: String,
    kind: String,
    request_id: String,
    plugin: Option<ShownPlugin>,
    took: Option<ShownTook>,
    effects: Vec<String>,
    /// The reply to it, or what it replies to.
    other: String,
    outcome: &'static str,
    reason: String,
    why: String,
    rule: Option<ShownRule>,
}

#[derive(Serialize)]
struct ShownPlugin {
    name: String,
    version: String,
    sha256: String,
}

#[derive(Serialize)]
struct ShownTook {
    wall_us: u64,
    computing_us: u64,
    memory: u64,
    host_calls: u64,
}

#[derive(Serialize)]
struct ShownRule {
    name: String,
    value: String,
    place: String,
}

impl From<Rule> for ShownRule {
    fn from(rule: Rule) -> Self {
        Self {
            name: foreign(&rule.name),
            value: foreign(&rule.value),
            place: foreign(&rule.place),
        }
    }
}

impl From<Journey> for Shown {
    fn from(journey: Journey) -> Self {
        let outcome = match (journey.under_way, journey.left) {
            (true, _) => "under way",
            _ if !journey.reason.is_empty() => "dropped",
            (_, true) => "handed to the researcher's server",
            (_, false) => "treated",
        };
        Self {
            id: foreign(&journey.message_id),
            direction: if journey.left { "out" } else { "in" },
            at: time_of(journey.at_ms),
            bytes: journey.bytes,
            researcher: foreign(&journey.researcher_id),
            peer: foreign(&journey.peer),
            setup: journey.setup,
            assurance: foreign(&journey.assurance),
            kind: foreign(&journey.kind),
            request_id: foreign(&journey.request_id),
            plugin: journey.plugin.map(|plugin| ShownPlugin {
                name: foreign(&plugin.name),
                version: foreign(&plugin.version),
                sha256: foreign(&plugin.digest),
            }),
            took: journey.took.map(|took| ShownTook {
                wall_us: took.wall_us,
                computing_us: took.computing_us,
                memory: took.memory,
                host_calls: took.host_calls,
            }),
            effects: journey
                .effects
                .iter()
                .map(|effect| foreign(effect))
                .collect(),
            other: foreign(&journey.other),
            outcome,
            reason: foreign(&journey.reason),
            why: foreign(&journey.why),
            rule: journey.rule.map(ShownRule::from),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "message {}", self.id)?;
        for journey in &self.journeys {
            writeln!(f, "\n{journey}")?;
        }
        if !self.lines.is_empty() {
            writeln!(f, "\nin the audit log")?;
        }
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: &str| match value {
            "" => Ok(()),
            value => writeln!(f, "  {name:<11} {value}"),
        };
        let setup = if self.setup {
            ", part of a channel set-up"
        } else {
            ""
        };
        let (way, whom) = match self.direction {
            "out" => ("left", "to"),
            _ => ("came", "from"),
        };
        row(way, &format!("{} {whom} {}{setup}", self.at, self.peer))?;
        row("through", &self.researcher)?;
        row("size", &format!("{} bytes", self.bytes))?;
        row("opened", &self.assurance)?;
        row("kind", &self.kind)?;
        row("request", &self.request_id)?;
        if let Some(plugin) = &self.plugin {
            let named = format!(
                "{} {}, sha256:{}",
                plugin.name, plugin.version, plugin.sha256
            );
            row("plugin", &named)?;
        }
        if let Some(took) = &self.took {
            let ms = |us: u64| us as f64 / 1e3;
            let took = format!(
                "{:.1} ms, of it {:.1} ms computing; {} KiB of memory; {} host calls",
                ms(took.wall_us),
                ms(took.computing_us),
                took.memory >> 10,
                took.host_calls
            );
            row("took", &took)?;
        }
        row("effects", &self.effects.join("; "))?;
        let other = if self.direction == "out" {
            "replies to"
        } else {
            "reply"
        };
        row(other, &self.other)?;
        let outcome = match self.reason.as_str() {
            "" => self.outcome.to_owned(),
            reason => format!("dropped ({reason}): {}", self.why),
        };
        row("outcome", &outcome)?;
        if let Some(rule) = &self.rule {
            let decided = format!("{}: {} ({})", rule.name, rule.value, rule.place);
            row("decided by", &decided)?;
        }
        Ok(())
    }
}

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tonic::Code;

use super::output::{foreign, table, with_progress};
use super::{Exit, Format, Problem};
use crate::control;
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::relay_client::RelayClient;
use crate::proto::control::{NodeStatus, RelayStatus, StatusRequest};

/// Show how a running node or relay fares.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel status --data /var/lib/backchannel")]
pub(super) struct StatusCommand {
    /// The data directory of the node or relay.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl StatusCommand {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let channel = with_progress("connecting", connect(&self.data)).await?;
        match NodeClient::new(channel.clone())
            .status(StatusRequest {})
            .await
        {
            Ok(status) => format.show(&ShownNode::from(status.into_inner())),
            Err(status) if status.code() == Code::Unimplemented => {
                let status = RelayClient::new(channel).status(StatusRequest {}).await;
                format.show(&ShownRelay::from(
                    status
                        .map_err(|status| failed("the relay does not answer", &status))?
                        .into_inner(),
                ));
            }
            Err(status) => return Err(failed("the node does not answer", &status)),
        }
        Ok(())
    }
}

/// A channel to the control socket in `data`.
pub(super) async fn connect(data: &std::path::Path) -> Result<tonic::transport::Channel, Problem> {
    control::connect(data).await.map_err(|error| {
        let todo = error.advice();
        let what = format!("the node or relay of {} cannot be reached", data.display());
        Problem::new(Exit::Unreachable, what, error, todo)
    })
}

/// What a control interface refused. Its second line, if it has one, is advice.
pub(super) fn failed(what: &str, status: &tonic::Status) -> Problem {
    // What the other side says has no source; that the connection broke, has.
    if std::error::Error::source(status).is_some() {
        let todo = "check that it is running, and its log; then see with `backchannel status` what was done";
        let why = "it ended before it answered";
        return Problem::new(Exit::Unreachable, what, why, todo);
    }
    // A server that does not know the request says nothing more.
    let said = match status.code() {
        Code::Unimplemented => {
            "what runs there does not do this: it is a relay, or another version"
        }
        _ => status.message(),
    };
    let (why, todo) = said.split_once('\n').unwrap_or((said, ""));
    let (exit, default) = match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => (
            Exit::Input,
            "check the arguments against `backchannel status`",
        ),
        Code::PermissionDenied => (Exit::Refused, "look at its log"),
        Code::Unimplemented => (
            Exit::Input,
            "name the data directory of a node that this program runs",
        ),
        Code::Unavailable => (Exit::Unreachable, "check that it is running"),
        _ => (Exit::Failed, "look at its log"),
    };
    Problem::new(
        exit,
        what,
        foreign(why),
        if todo.is_empty() {
            default.to_owned()
        } else {
            foreign(todo)
        },
    )
}

#[derive(Serialize)]
struct ShownNode {
    role: &'static str,
    id: String,
    name: String,
    version: String,
    researcher: String,
    researcher_address: String,
    connected: bool,
    connection: String,
    uptime_ms: u64,
    channels: Vec<ShownChannel>,
    contexts: Vec<ShownContext>,
    plugins: Vec<ShownPlugin>,
    sent: BTreeMap<String, u64>,
    received: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    pending: u64,
    audit: Option<ShownAudit>,
    limit_hits: Vec<ShownHits>,
}

#[derive(Serialize)]
struct ShownChannel {
    peer: String,
    suite: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    researcher: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
}

#[derive(Serialize)]
struct ShownAudit {
    seq: u64,
    hash: String,
    lost: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    failing: String,
}

#[derive(Serialize)]
struct ShownHits {
    plugin: String,
    limit: String,
    count: u64,
}

#[derive(Serialize)]
struct ShownContext {
    secagg_id: String,
    scheme: String,
    experiment_id: String,
    parties: Vec<String>,
    last_round: Option<u64>,
}

#[derive(Serialize)]
struct ShownPlugin {
    name: String,
    version: String,
    sha256: String,
    kinds: Vec<String>,
    grants: Vec<String>,
}

impl From<NodeStatus> for ShownNode {
    fn from(status: NodeStatus) -> Self {
        Self {
            role: "node",
            id: foreign(&status.node_id),
            name: foreign(&status.name),
            version: foreign(&status.version),
            researcher: foreign(&status.researcher_id),
            researcher_address: foreign(&status.researcher_address),
            connected: status.connected,
            connection: foreign(&status.connection),
            uptime_ms: status.uptime_ms,
            channels: status
                .channels
                .into_iter()
                .map(|channel| ShownChannel {
                    peer: foreign(&channel.peer),
                    suite: channel.suite,
                    researcher: foreign(&channel.researcher_id),
                    since_ms: (channel.since_ms > 0).then_some(channel.since_ms),
                })
                .collect(),
            contexts: status
                .contexts
                .into_iter()
                .map(|context| ShownContext {
                    secagg_id: foreign(&context.secagg_id),
                    scheme: foreign(&context.scheme),
                    experiment_id: foreign(&context.experiment_id),
                    parties: all_foreign(&context.parties),
                    last_round: context.last_round,
                })
                .collect(),
            plugins: status
                .plugins
                .into_iter()
                .map(|plugin| ShownPlugin {
                    name: foreign(&plugin.name),
                    version: foreign(&plugin.version),
                    sha256: foreign(&plugin.digest),
                    kinds: all_foreign(&plugin.kinds),
                    grants: all_foreign(&plugin.grants),
                })
                .collect(),
            sent: foreign_counts(status.sent),
            received: foreign_counts(status.received),
            dropped: foreign_counts(status.dropped),
            pending: status.pending,
            audit: status.audit.map(|head| ShownAudit {
                seq: head.seq,
                hash: foreign(&head.hash),
                lost: head.lost,
                failing: foreign(&head.failing),
            }),
            limit_hits: status
                .limit_hits
                .into_iter()
                .map(|hits| ShownHits {
                    plugin: foreign(&hits.plugin),
                    limit: foreign(&hits.limit),
                    count: hits.count,
                })
                .collect(),
        }
    }
}

impl fmt::Display for ShownNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let linked = if self.connected {
            "connected"
        } else {
            "not connected"
        };
        writeln!(
            f,
            "node {} ({}), backchannel {}",
            self.id, self.name, self.version
        )?;
        writeln!(
            f,
            "researcher {} at {}: {linked} {}",
            self.researcher, self.researcher_address, self.connection
        )?;
        let channels = self.channels.iter().map(ToString::to_string);
        let channels = channels.collect::<Vec<_>>().join(", ");
        writeln!(f, "channels ready: {}", or_none(&channels))?;
        let contexts = self.contexts.iter().map(|context| {
            let round = context
                .last_round
                .map_or_else(|| "-".to_owned(), |round| round.to_string());
            vec![
                context.secagg_id.clone(),
                context.scheme.clone(),
                context.experiment_id.clone(),
                context.parties.join(", "),
                round,
            ]
        });
        writeln!(
            f,
            "\n{}",
            table(
                &[
                    "secagg context",
                    "scheme",
                    "experiment",
                    "parties",
                    "last round"
                ],
                contexts.collect()
            )
        )?;
        let plugins = self.plugins.iter().map(|plugin| {
            vec![
                format!("{} {}", plugin.name, plugin.version),
                plugin.sha256.chars().take(16).collect(),
                plugin.kinds.join(", "),
                plugin.grants.join(", "),
            ]
        });
        writeln!(
            f,
            "\n{}",
            table(
                &["plugin", "sha256", "treats", "granted"],
                plugins.collect()
            )
        )?;
        let kinds: std::collections::BTreeSet<_> =
            self.sent.keys().chain(self.received.keys()).collect();
        let count = |counts: &BTreeMap<String, u64>, kind: &str| {
            counts.get(kind).copied().unwrap_or_default().to_string()
        };
        let kinds = kinds.into_iter().map(|kind| {
            vec![
                kind.clone(),
                count(&self.sent, kind),
                count(&self.received, kind),
            ]
        });
        writeln!(
            f,
            "\n{}",
            table(&["message", "sent", "received"], kinds.collect())
        )?;
        writeln!(f, "\ndropped: {}", counts(&self.dropped))?;
        let hits = self.limit_hits.iter();
        let hits: Vec<_> = hits
            .map(|hits| format!("{} {} of {}", hits.count, hits.limit, hits.plugin))
            .collect();
        write!(f, "limits hit: {}", or_none(&hits.join(", ")))?;
        match &self.audit {
            Some(audit) => write!(f, "\n{audit}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ShownChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (suite {})", self.peer, self.suite)
    }
}

impl fmt::Display for ShownAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "audit head {}:{}", self.seq, self.hash)?;
        if self.lost > 0 {
            write!(f, "; {} records lost", self.lost)?;
        }
        match self.failing.as_str() {
            "" => Ok(()),
            why => write!(f, "; CANNOT BE WRITTEN: {why}"),
        }
    }
}

#[derive(Serialize)]
struct ShownRelay {
    role: &'static str,
    researcher: String,
    version: String,
    address: String,
    fingerprint: String,
    uptime_ms: u64,
    nodes: Vec<ShownMailbox>,
    forwarded: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
    /// Both only of a relay that was given a roster.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roster: Option<ShownRoster>,
}

#[derive(Serialize)]
struct ShownRoster {
    federation: String,
    version: u64,
    expires: String,
    nodes: u64,
    only_listed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    over: String,
}

#[derive(Serialize)]
struct ShownMailbox {
    id: String,
    connected: bool,
    queued: u64,
    last_seen_ms: u64,
    /// Both only of a node that the roster lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
}

impl From<RelayStatus> for ShownRelay {
    fn from(status: RelayStatus) -> Self {
        Self {
            role: "relay",
            researcher: foreign(&status.researcher_id),
            version: foreign(&status.version),
            address: foreign(&status.address),
            fingerprint: foreign(&status.fingerprint),
            uptime_ms: status.uptime_ms,
            nodes: status
                .nodes
                .into_iter()
                .map(|node| ShownMailbox {
                    id: foreign(&node.node_id),
                    connected: node.connected,
                    queued: node.queued,
                    last_seen_ms: node.last_seen_ms,
                    proven: node.proven,
                    refused: node.proven.map(|_| node.refused),
                })
                .collect(),
            forwarded: foreign_counts(status.forwarded),
            dropped: foreign_counts(status.dropped),
            refused: status
                .roster
                .is_some()
                .then(|| foreign_counts(status.refused)),
            roster: status.roster.map(|roster| ShownRoster {
                federation: foreign(&roster.federation),
                version: roster.version,
                expires: foreign(&roster.expires),
                nodes: roster.nodes,
                only_listed: roster.only_listed,
                over: foreign(&roster.over),
            }),
        }
    }
}

impl fmt::Display for ShownRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "relay of {} at {}, backchannel {}",
            self.researcher, self.address, self.version
        )?;
        writeln!(f, "certificate SHA-256 {}", self.fingerprint)?;
        if let Some(roster) = &self.roster {
            writeln!(f, "{roster}")?;
        }
        let nodes = self.nodes.iter().map(|node| {
            let mut cells = vec![node.id.clone(), node.state(), node.queued.to_string()];
            cells.extend(self.roster.is_some().then(|| node.identity()));
            cells
        });
        let mut head = vec!["node", "state", "queued"];
        head.extend(self.roster.is_some().then_some("identity"));
        writeln!(f, "\n{}", table(&head, nodes.collect()))?;
        writeln!(f, "\nforwarded: {}", counts(&self.forwarded))?;
        write!(f, "dropped: {}", counts(&self.dropped))?;
        match &self.refused {
            Some(refused) => write!(f, "\nrefused: {}", counts(refused)),
            None => Ok(()),
        }
    }
}

impl ShownMailbox {
    fn state(&self) -> String {
        match self.last_seen_ms {
            _ if self.connected => "connected".to_owned(),
            // It was never here: somebody was refused under its id, or messages wait for it.
            u64::MAX => "not seen".to_owned(),
            seen => format!("last seen {} s ago", seen / 1000),
        }
    }

    fn identity(&self) -> String {
        let proven = match self.proven {
            Some(true) => "proven",
            Some(false) => "NOT PROVEN",
            None => "not listed",
        };
        match self.refused {
            Some(refused @ 1..) => format!("{proven}, {refused} calls refused"),
            _ => proven.to_owned(),
        }
    }
}

impl fmt::Display for ShownRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            federation,
            version,
            expires,
            nodes,
            ..
        } = self;
        write!(
            f,
            "roster {version} of {federation}, until {expires}: {nodes} nodes"
        )?;
        if self.only_listed {
            write!(f, ", and no others are served")?;
        }
        match self.over.as_str() {
            "" => Ok(()),
            over => write!(f, "\nTHEY ARE NOT SERVED: {over}"),
        }
    }
}

fn all_foreign(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| foreign(text)).collect()
}

/// Counts under names that others may have chosen, as peers choose the kinds of their messages.
fn foreign_counts(counts: HashMap<String, u64>) -> BTreeMap<String, u64> {
    let mut shown = BTreeMap::new();
    for (name, count) in counts {
        // Long names may have become the same.
        *shown.entry(foreign(&name)).or_default() += count;
    }
    shown
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let shown: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    or_none(&shown.join(", ")).to_owned()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "KeyRequest\u{1b}[2J\nok\u{202e}";

    #[test]
    fn shows_what_peers_named_as_harmless_lines() {
        let status = NodeStatus {
            received: [(EVIL.to_owned(), 1)].into(),
            channels: vec![crate::proto::control::ChannelWith {
                peer: EVIL.into(),
                researcher_id: EVIL.into(),
                ..Default::default()
            }],
            connection: EVIL.into(),
            ..NodeStatus::default()
        };
        let relay = RelayStatus {
            nodes: vec![crate::proto::control::Mailbox {
                node_id: EVIL.into(),
                ..Default::default()
            }],
            roster: Some(crate::proto::control::RelayRoster {
                federation: EVIL.into(),
                over: EVIL.into(),
                ..Default::default()
            }),
            ..RelayStatus::default()
        };

        let (node, relay) = (ShownNode::from(status), ShownRelay::from(relay));

        let refused = failed(
            "it failed",
            &tonic::Status::internal(format!("{EVIL}\n{EVIL}")),
        );
        let refused = format!("{:?}", miette::Report::new(refused));
        for shown in [
            node.to_string(),
            relay.to_string(),
            serde_json::to_string(&node).unwrap(),
            serde_json::to_string(&relay).unwrap(),
        ] {
            assert!(shown.contains("KeyRequest"), "{shown}");
            assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
            assert!(!shown.lines().any(|line| line.starts_with("ok")), "{shown}");
        }
        assert!(!refused.contains('\u{202e}') && !refused.contains("\u{1b}[2J"));
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_core::Rng;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::whom::date;
use crate::files::write_whole;
use crate::message::researcher::{PAIR_SECRETS, SERVER_KEY};
use crate::message::{
    Integer, LONGEST_LINE, NodeId, ProtocolOutcome, ResearcherId, SecaggId, SecaggReply,
    ToResearcher, one_line,
};
use crate::node::make_private_folder;
use crate::proto::control::answer::Outcome;
use crate::proto::control::relay_server;
use crate::proto::control::{
    Answer, DeleteReply, DeleteRequest, Mailbox, RelayRoster, RelayStatus, RunProtocolReply,
    RunProtocolRequest, Scheme, SetUpReply, SetUpRequest, StatusRequest,
};
use crate::randomness::Randomness;
use crate::relay::{self, Answers, DropReason, REPLY_LIMIT, Relay, Run};
use crate::secure_sum::additive::{ServerKey, Share};

/// Answers the command line in a relay's, that is, a researcher's name.
pub struct RelayControl {
    pub(super) relay: Arc<Relay>,
    researcher: ResearcherId,
    data: PathBuf,
    randomness: Randomness,
    started: Instant,
}

impl RelayControl {
    /// For a running relay with this data directory.
    pub fn new(
        relay: Arc<Relay>,
        researcher: ResearcherId,
        data: PathBuf,
        randomness: Randomness,
    ) -> Self {
        Self {
            relay,
            researcher,
            data,
            randomness,
            started: Instant::now(),
        }
    }

    /// The researcher's server keys, by set-up.
    fn server_keys(&self) -> PathBuf {
        server_keys(&self.data)
    }

    /// The experiments' ids, by set-up: a deletion must name it.
    fn experiments(&self) -> PathBuf {
        self.data.join("experiments")
    }

    /// An id as given, or a new one.
    pub(super) fn drawn(&self, given: String, prefix: &str) -> String {
        if !given.is_empty() {
            return given;
        }
        let mut bytes = [0; 16];
        self.randomness.clone().fill_bytes(&mut bytes);
        format!(
            "{prefix}{}",
            uuid::Builder::from_random_bytes(bytes).into_uuid()
        )
    }

    /// The researcher's server key: minus the sum of what the nodes reported. Kept in a file of its own, as the researcher
    /// needs it to decrypt.
    fn keep_server_key(&self, id: &SecaggId, answers: &Answers) -> Result<Vec<u8>, Status> {
        let mut shares = Vec::with_capacity(answers.answered.len());
        for (node, answer) in &answers.answered {
            let ToResearcher::AdditiveSSSetupReply { share, .. } = answer else {
                return Err(Status::internal(format!(
                    "{node} answered with another message"
                )));
            };
            shares.push(
                Share::from_integer(share)
                    .map_err(|error| Status::internal(format!("{node}: {error}")))?,
            );
        }
        let key = ServerKey::of_researcher(&shares);
        let bytes = key.to_integer().to_signed_bytes_be();
        keep(&self.server_keys(), id, &bytes).map_err(|error| {
            Status::internal(format!("the researcher's key cannot be kept: {error}"))
        })?;
        Ok(key.commitment().to_vec())
    }
}

#[tonic::async_trait]
impl relay_server::Relay for RelayControl {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<RelayStatus>, Status> {
        let counts = self.relay.counts();
        let named = |counts: BTreeMap<&'static str, u64>| {
            counts
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect()
        };
        let nodes = self.relay.nodes().into_iter().map(|node| Mailbox {
            node_id: one_line(node.id.as_str(), LONGEST_LINE),
            connected: node.connected,
            queued: node.queued as u64,
            last_seen_ms: node.last_seen.map_or(u64::MAX, |seen| {
                u64::try_from(seen.elapsed().as_millis()).unwrap_or(u64::MAX)
            }),
            proven: node.proven,
            refused: node.refused,
        });
        let roster = self.relay.roster().map(|roster| RelayRoster {
            federation: roster.federation,
            version: roster.version,
            expires: date(roster.expires),
            nodes: roster.nodes as u64,
            only_listed: roster.only_listed,
            over: roster.over.unwrap_or_default(),
        });
        Ok(Response::new(RelayStatus {
            researcher_id: self.researcher.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            address: self.relay.local_addr().to_string(),
            fingerprint: self.relay.certificate().fingerprint().to_string(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            nodes: nodes.collect(),
            forwarded: named(counts.forwarded),
            dropped: counts
                .dropped_because
                .into_iter()
                .map(|(reason, count)| (words(reason).to_owned(), count))
                .collect(),
            refused: counts
                .refused
                .into_iter()
                .map(|(reason, count)| (reason.name().to_owned(), count))
                .collect(),
            roster,
        }))
    }

    async fn set_up(&self, request: Request<SetUpRequest>) -> Result<Response<SetUpReply>, Status> {
        let started = Instant::now();
        let scheme = request.get_ref().scheme();
        let request = request.into_inner();
        let parties = parties_of(request.parties)?;
        if parties.len() < 2 {
            return Err(Status::invalid_argument(
                "secure aggregation needs at least two parties\nname two or more",
            ));
        }
        let run = Run {
            secagg_id: id_of("secagg id", &self.drawn(request.secagg_id, "secagg_"))?,
            experiment_id: id_of("experiment id", &self.drawn(request.experiment_id, "exp_"))?,
            parties: parties.clone(),
        };
        let ask = match scheme {
            Scheme::Dh => relay::Request::PairSecrets(run.clone()),
            Scheme::ServerKey => relay::Request::ServerKey(run.clone()),
            Scheme::Unspecified => {
                return Err(Status::invalid_argument("no scheme\nname dh or server-key"));
            }
        };
        let answers = match self.absent(&parties) {
            Some(absent) => absent,
            None => {
                // First, so that what some nodes have finished can be deleted even if others fail.
                let experiment = run.experiment_id.as_str().as_bytes();
                keep(&self.experiments(), &run.secagg_id, experiment).map_err(|error| {
                    Status::internal(format!("the experiment's id cannot be kept: {error}"))
                })?;
                self.ask(&ask, &parties, REPLY_LIMIT).await
            }
        };
        let ok = answers
            .shown
            .iter()
            .all(|answer| answer.outcome() == Outcome::Done);
        let commitment = match scheme {
            Scheme::ServerKey if ok => self.keep_server_key(&run.secagg_id, &answers.answers)?,
            _ => Vec::new(),
        };
        Ok(Response::new(SetUpReply {
            ok,
            secagg_id: run.secagg_id.to_string(),
            experiment_id: run.experiment_id.to_string(),
            answers: answers.shown,
            commitment,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteReply>, Status> {
        let request = request.into_inner();
        let parties = parties_of(request.parties)?;
        let secagg_id: SecaggId = id_of("secagg id", &request.secagg_id)?;
        let key = key_path(&self.server_keys(), &secagg_id);
        let experiment = key_path(&self.experiments(), &secagg_id);
        let named = std::fs::read_to_string(&experiment).map_err(|_| {
            Status::not_found(format!(
                "this relay has set up no {secagg_id}\nname one that it has, and the relay's own data directory"
            ))
        })?;
        let ask = relay::Request::Delete {
            secagg_id,
            element: if key.exists() {
                SERVER_KEY
            } else {
                PAIR_SECRETS
            },
            // Nodes of the reference do not answer when it is missing or wrong.
            experiment_id: Some(id_of("experiment id", &named)?),
        };
        let answers = self.ask(&ask, &parties, REPLY_LIMIT).await.shown;
        let ok = answers
            .iter()
            .all(|answer| answer.outcome() == Outcome::Done);
        if ok {
            for file in [key, experiment] {
                remove(&file)
                    .map_err(|error| Status::internal(format!("{}: {error}", file.display())))?;
            }
        }
        Ok(Response::new(DeleteReply { ok, answers }))
    }

    async fn run_protocol(
        &self,
        request: Request<RunProtocolRequest>,
    ) -> Result<Response<RunProtocolReply>, Status> {
        self.run(request.into_inner()).await.map(Response::new)
    }
}

/// The answers, and what of them is shown, one for each party in the order asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) answers: Answers,
    pub(super) shown: Vec<Answer>,
}

impl RelayControl {
    /// A set-up needs all its parties: when one is not there, nobody is asked, and nobody waits for it in vain.
    pub(super) fn absent(&self, parties: &[NodeId]) -> Option<Asked> {
        let nodes = self.relay.nodes();
        let here = |party: &NodeId| nodes.iter().any(|node| node.connected && node.id == *party);
        if parties.iter().all(here) {
            return None;
        }
        let shown = parties.iter().map(|party| Answer {
            node_id: party.to_string(),
            outcome: if here(party) {
                Outcome::NotAsked
            } else {
                Outcome::NotConnected
            }
            .into(),
            text: String::new(),
        });
        Some(Asked {
            answers: Answers::default(),
            shown: shown.collect(),
        })
    }

    pub(super) async fn ask(
        &self,
        request: &relay::Request,
        parties: &[NodeId],
        limit: Duration,
    ) -> Asked {
        let asked = parties.iter().cloned().collect();
        let answers = self.relay.ask(request, &asked, limit).await;
        let shown = parties.iter().map(|party| shown(party, &answers)).collect();
        Asked { answers, shown }
    }
}

fn words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Full => "mailbox full",
        DropReason::Expired => "too old",
        DropReason::UnknownNode => "to unknown nodes",
        DropReason::Unreadable => "unreadable",
        DropReason::Foreign => "of another researcher",
        DropReason::Unasked => "not asked for",
    }
}

/// What a node answered, as it may be shown: its text is its own, and ends on the researcher's terminal.
fn shown(party: &NodeId, answers: &Answers) -> Answer {
    let (outcome, text) = if let Some(answer) = answers.answered.get(party) {
        match answer {
            ToResearcher::SecaggReply(reply)
            | ToResearcher::SecaggDeleteReply(reply)
            | ToResearcher::AdditiveSSSetupReply { reply, .. } => of_reply(reply),
            ToResearcher::ProtocolRunReply(reply) => match &reply.outcome {
                ProtocolOutcome::Done(_) => (Outcome::Done, String::new()),
                ProtocolOutcome::Failed { why, .. } => (Outcome::Failed, why.clone()),
            },
            _ => (Outcome::Done, String::new()),
        }
    } else if let Some(failure) = answers.failed.get(party) {
        (Outcome::Failed, failure.text.clone())
    } else if answers.not_connected.contains(party) {
        (Outcome::NotConnected, String::new())
    } else {
        (Outcome::Silent, String::new())
    };
    Answer {
        node_id: party.to_string(),
        outcome: outcome.into(),
        text: one_line(&text, LONGEST_LINE),
    }
}

fn of_reply(reply: &SecaggReply) -> (Outcome, String) {
    let outcome = if reply.success {
        Outcome::Done
    } else {
        Outcome::Failed
    };
    (outcome, reply.msg.clone().unwrap_or_default())
}

/// The parties, each named once.
pub(super) fn parties_of(names: Vec<String>) -> Result<Vec<NodeId>, Status> {
    let parties: Vec<NodeId> = names
        .iter()
        .map(|name| id_of("party", name))
        .collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    match parties.iter().find(|party| !seen.insert(*party)) {
        Some(twice) => Err(Status::invalid_argument(format!(
            "{twice} is named twice\nname each party once"
        ))),
        None => Ok(parties),
    }
}

pub(super) fn id_of<'a, T: TryFrom<&'a str, Error = crate::message::IdError>>(
    what: &str,
    text: &'a str,
) -> Result<T, Status> {
    T::try_from(text)
        .map_err(|error| Status::invalid_argument(format!("{what} {text:?}: {error}\ncorrect it")))
}

/// Ids may hold anything but control characters, slashes among them, so the file's name is the id in hex.
fn key_path(folder: &Path, id: &SecaggId) -> PathBuf {
    folder.join(hex::encode(id.as_str()))
}

fn server_keys(data: &Path) -> PathBuf {
    data.join("server-keys")
}

/// The researcher's key of a server-key set-up, out of a relay's data directory.
pub fn researcher_key(data: &Path, id: &SecaggId) -> std::io::Result<ServerKey> {
    let bytes = Zeroizing::new(std::fs::read(key_path(&server_keys(data), id))?);
    let damaged = |error: &dyn std::fmt::Display| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
    };
    let key = Integer::from_signed_bytes_be(&bytes).map_err(|error| damaged(&error))?;
    ServerKey::from_integer(&key).map_err(|error| damaged(&error))
}

fn keep(folder: &Path, id: &SecaggId, bytes: &[u8]) -> std::io::Result<()> {
    make_private_folder(folder)?;
    write_whole(&key_path(folder, id), bytes, 0o600)
}

fn remove(file: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_nodes_text_as_one_harmless_line() {
        let node = NodeId::try_from("a").unwrap();
        let failure = relay::Failure {
            errnum: None,
            text: format!("\u{1b}[2J\nb done{}", "x".repeat(1 << 20)),
        };
        let mut answers = Answers::default();
        answers.failed.insert(node.clone(), failure);

        let text = shown(&node, &answers).text;

        assert!(text.starts_with("\\u{1b}[2J\\nb done"), "{text}");
        assert!(text.len() < LONGEST_LINE + 10);
    }
}

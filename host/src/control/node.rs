use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::protect::{ProtectionContext, server_key};
use super::{Whom, seen};
use crate::audit::Event;
use crate::key_store::StoreError;
use crate::logs::Logs;
use crate::message::{NotAMessageId, SecaggId};
use crate::node::Node;
use crate::plugins::Change;
use crate::proto::control::node_server;
use crate::proto::control::{
    ApplyRosterReply, ApplyRosterRequest, BackupReply, BackupRequest, ChannelWith, CommitmentReply,
    CommitmentRequest, Context, ExplainReply, ExplainRequest, IdentityReply, IdentityRequest,
    LogLine, LogsRequest, NodeStatus, PeersReply, PeersRequest, PinReply, PinRequest, Plugin,
    ProtectReply, ProtectRequest, ProtectValuesReply, ProtectValuesRequest, ReloadReply,
    ReloadRequest, StatusRequest, TopReply, TopRequest, UnpinReply, UnpinRequest,
};
use crate::secure_channels::Suite;
use crate::secure_sum::quantize::Quantization;

/// Answers the command line in a node's name.
pub struct NodeControl {
    node: Arc<Node>,
    logs: Logs,
}

impl NodeControl {
    /// For a running node, whose log goes to `logs`.
    pub fn new(node: Arc<Node>, logs: Logs) -> Self {
        Self { node, logs }
    }

    /// Changes whom the node believes, and has it go by that.
    async fn believe<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Whom) -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let node = self.node.clone();
        self.whom(move |whom| {
            let done = work(whom);
            node.look_at_peers();
            done
        })
        .await
    }

    /// Does something about whom the node believes.
    async fn whom<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Whom) -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let whom = Whom::new(self.node.store().clone(), self.node.data().to_owned())?;
        let whom = whom.ruled_by(self.node.channel_rules());
        working(move || work(&whom)).await
    }
}

#[tonic::async_trait]
impl node_server::Node for NodeControl {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<NodeStatus>, Status> {
        let node = &self.node;
        let store = node.store().clone();
        let contexts = blocking(move || store.contexts()).await?;
        let counted = node.chronicle().metrics.messages();
        let connection = node.connection();
        let quarantined = node.plugins().quarantined();
        Ok(Response::new(NodeStatus {
            node_id: node.id().to_string(),
            name: node.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").into(),
            researcher_address: node.researcher_address().to_owned(),
            researcher_id: node.researcher_id().to_string(),
            connected: connection.connected,
            connection: connection.text,
            uptime_ms: u64::try_from(node.uptime().as_millis()).unwrap_or(u64::MAX),
            channels: channels(node),
            contexts: contexts
                .into_iter()
                .map(|(id, record)| Context {
                    secagg_id: id.to_string(),
                    scheme: record.secret.scheme().into(),
                    experiment_id: record.experiment.clone(),
                    parties: record.parties.clone(),
                    last_round: record.last_round,
                })
                .collect(),
            plugins: node
                .plugins()
                .current()
                .all()
                .into_values()
                .map(|plugin| Plugin {
                    name: plugin.name().into(),
                    version: plugin.manifest().version.clone(),
                    digest: hex::encode(plugin.digest()),
                    kinds: plugin.manifest().kinds.clone(),
                    grants: plugin
                        .grants()
                        .iter()
                        .map(|grant| grant.name().to_owned())
                        .collect(),
                    quarantine: quarantined
                        .get(plugin.name())
                        .filter(|one| one.digest == hex::encode(plugin.digest()))
                        .map_or_else(String::new, |one| one.reason.clone()),
                })
                .collect(),
            sent: counted.sent.into_iter().collect::<HashMap<_, _>>(),
            received: counted.received.into_iter().collect(),
            dropped: counted.dropped.into_iter().collect(),
            pending: node.requests().pending() as u64,
            audit: Some(seen::audit_head(node.chronicle())),
            limit_hits: seen::limit_hits(node.chronicle()),
        }))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainReply>, Status> {
        let ExplainRequest { message_id, last } = request.into_inner();
        let journeys = &self.node.chronicle().journeys;
        let found = if message_id.is_empty() {
            journeys.last(usize::try_from(last).unwrap_or(usize::MAX))
        } else {
            let id = message_id.parse();
            let bad = |error: NotAMessageId| Status::invalid_argument(error.to_string());
            journeys.of(id.map_err(bad)?)
        };
        Ok(Response::new(seen::explain(journeys, found)))
    }

    async fn top(&self, _: Request<TopRequest>) -> Result<Response<TopReply>, Status> {
        Ok(Response::new(seen::top(self.node.chronicle())))
    }

    type LogsStream = ReceiverStream<Result<LogLine, Status>>;

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let lines = seen::logs(&self.logs, request.into_inner());
        Ok(Response::new(ReceiverStream::new(lines)))
    }

    async fn protect(
        &self,
        request: Request<ProtectRequest>,
    ) -> Result<Response<ProtectReply>, Status> {
        let ProtectRequest {
            secagg_id,
            round,
            vector,
        } = request.into_inner();
        let id = secagg_of(&secagg_id)?;
        let node = self.node.clone();
        working(move || {
            let context = ProtectionContext::load(node.store(), node.id(), &id)?;
            let masked = context.mask(round, &vector)?;
            Ok(ProtectReply {
                node_id: node.id().to_string(),
                vector: masked,
                parties: context.parties(),
            })
        })
        .await
    }

    async fn protect_values(
        &self,
        request: Request<ProtectValuesRequest>,
    ) -> Result<Response<ProtectValuesReply>, Status> {
        let request = request.into_inner();
        let id = secagg_of(&request.secagg_id)?;
        let node = self.node.clone();
        working(move || {
            let context = ProtectionContext::load(node.store(), node.id(), &id)?;
            let quantization = Quantization {
                clipping_range: request.clipping_range,
                target_range: request.target_range,
            };
            let values = quantization
                .encode(&request.values, request.weight)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            let (masked, encrypted) = if context.is_pairs() {
                (context.mask(request.round, &values)?, Vec::new())
            } else {
                let bits = quantization.value_bits();
                let encrypted = context.encrypt(request.round, bits, &values)?;
                let encrypted = encrypted.iter().map(ToString::to_string).collect();
                (Vec::new(), encrypted)
            };
            Ok(ProtectValuesReply {
                node_id: node.id().to_string(),
                scheme: context.scheme().into(),
                parties: context.parties(),
                masked,
                encrypted,
            })
        })
        .await
    }

    async fn commitment(
        &self,
        request: Request<CommitmentRequest>,
    ) -> Result<Response<CommitmentReply>, Status> {
        let id = secagg_of(&request.into_inner().secagg_id)?;
        let store = self.node.store().clone();
        let asked = id.clone();
        let record = blocking(move || store.context(&asked)).await?;
        let record = record.ok_or_else(|| store_status(&StoreError::NoContext(id.clone())))?;
        let key = server_key(&id, &record)?;
        Ok(Response::new(CommitmentReply {
            commitment: key.commitment().to_vec(),
        }))
    }

    async fn reload(
        &self,
        request: Request<ReloadRequest>,
    ) -> Result<Response<ReloadReply>, Status> {
        let ReloadRequest { release, forget } = request.into_inner();
        let node = self.node.clone();
        let lines = |changes: Vec<Change>| changes.iter().map(ToString::to_string).collect();
        working(move || {
            let reloaded = node.reload();
            let forgotten = node.forget(&forget);
            forgotten.map_err(|error| store_status(&error))?;
            Ok(match reloaded {
                Ok(changes) => {
                    let mut changes: Vec<String> = lines(changes);
                    let quarantine = node.plugins().quarantined().remove(&release);
                    if node.plugins().release(&release) {
                        node.chronicle().audit.record(Event::PluginReleased {
                            plugin: release.clone(),
                            digest: quarantine.map(|was| was.digest).unwrap_or_default(),
                        });
                        changes.push(format!("{release} is out of quarantine"));
                    }
                    ReloadReply {
                        ok: true,
                        changes,
                        ..ReloadReply::default()
                    }
                }
                Err(kept) => ReloadReply {
                    ok: false,
                    why: kept.why.to_string(),
                    to_do: kept.why.advice(),
                    changes: lines(kept.taken_back),
                },
            })
        })
        .await
    }

    async fn identity(
        &self,
        _: Request<IdentityRequest>,
    ) -> Result<Response<IdentityReply>, Status> {
        self.whom(Whom::identity).await
    }

    async fn peers(&self, _: Request<PeersRequest>) -> Result<Response<PeersReply>, Status> {
        self.whom(Whom::peers).await
    }

    async fn backup(&self, _: Request<BackupRequest>) -> Result<Response<BackupReply>, Status> {
        self.whom(Whom::backup).await
    }

    async fn pin(&self, request: Request<PinRequest>) -> Result<Response<PinReply>, Status> {
        let request = request.into_inner();
        self.believe(move |whom| whom.pin(&request)).await
    }

    async fn unpin(&self, request: Request<UnpinRequest>) -> Result<Response<UnpinReply>, Status> {
        let request = request.into_inner();
        self.believe(move |whom| whom.unpin(&request)).await
    }

    async fn apply_roster(
        &self,
        request: Request<ApplyRosterRequest>,
    ) -> Result<Response<ApplyRosterReply>, Status> {
        let request = request.into_inner();
        self.believe(move |whom| whom.apply_roster(&request)).await
    }
}

/// Those in suite 2 or 3 that have a session, and those in suite 1 whose keys are stored.
fn channels(node: &Node) -> Vec<ChannelWith> {
    let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
    let secure = node.secure().live().into_iter().map(|live| ChannelWith {
        peer: live.peer.to_string(),
        suite: live.suite.number().into(),
        researcher_id: live.researcher.to_string(),
        since_ms: since_1970(live.since).map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        }),
    });
    let kept = node.channels().peers().into_iter();
    let kept = kept.filter(|peer| node.secure().suite_with(peer) == Suite::Suite1);
    let suite_1 = kept.map(|peer| ChannelWith {
        peer: peer.to_string(),
        suite: 1,
        ..ChannelWith::default()
    });
    let mut all: Vec<_> = secure.chain(suite_1).collect();
    all.sort_by(|a, b| (&a.peer, &a.researcher_id).cmp(&(&b.peer, &b.researcher_id)));
    all
}

fn secagg_of(text: &str) -> Result<SecaggId, Status> {
    SecaggId::try_from(text)
        .map_err(|error| Status::invalid_argument(format!("secagg id: {error}")))
}

/// Work that blocks: on the disk, or on arithmetic.
async fn working<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<Response<T>, Status> {
    let done = crate::tasks::blocking(work).await;
    done.ok_or_else(|| Status::unavailable("the node is stopping"))?
        .map(Response::new)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Status> {
    let done = crate::tasks::blocking(work).await;
    done.ok_or_else(|| Status::unavailable("the node is stopping"))?
        .map_err(|error| store_status(&error))
}

pub(super) fn store_status(error: &StoreError) -> Status {
    let text = format!("{error}\n{}", error.advice());
    match error {
        StoreError::NoContext(_) => Status::not_found(text),
        StoreError::RoundUsed { .. } => Status::failed_precondition(text),
        _ => Status::data_loss(text),
    }
}

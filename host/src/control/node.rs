use std::collections::HashMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::key_store::StoreError;
use crate::key_store::records::ContextSecret;
use crate::message::{Integer, NodeId, SecaggId};
use crate::node::Node;
use crate::proto::control::node_server;
use crate::proto::control::{
    CommitmentReply, CommitmentRequest, Context, NodeStatus, Plugin, ProtectReply, ProtectRequest,
    StatusRequest,
};
use crate::secure_sum::additive::ServerKey;
use crate::secure_sum::lom;

/// Answers the command line in a node's name.
pub struct NodeControl(pub Arc<Node>);

#[tonic::async_trait]
impl node_server::Node for NodeControl {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<NodeStatus>, Status> {
        let node = &self.0;
        let store = node.store().clone();
        let contexts = blocking(move || store.contexts()).await?;
        let counted = node.counters().now();
        let connection = node.connection();
        Ok(Response::new(NodeStatus {
            node_id: node.id().to_string(),
            name: node.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").into(),
            researcher_address: node.researcher_address().to_owned(),
            researcher_id: node.researcher_id().to_string(),
            connected: connection.connected,
            connection: connection.text,
            uptime_ms: u64::try_from(node.uptime().as_millis()).unwrap_or(u64::MAX),
            channels: node
                .channels()
                .peers()
                .iter()
                .map(ToString::to_string)
                .collect(),
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
                })
                .collect(),
            sent: counted.sent.into_iter().collect::<HashMap<_, _>>(),
            received: counted.received.into_iter().collect(),
            dropped: counted.dropped.into_iter().collect(),
            pending: node.requests().pending() as u64,
        }))
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
        let node = self.0.clone();
        let reply = tokio::task::spawn_blocking(move || {
            let store = node.store();
            let record = store.context(&id).map_err(|error| store_status(&error))?;
            let record = record.ok_or_else(|| store_status(&StoreError::NoContext(id.clone())))?;
            let ContextSecret::Pairs(pairs) = &record.secret else {
                return Err(Status::failed_precondition(format!(
                    "{id} is a server-key context: LOM masks with the pair secrets of a dh context"
                )));
            };
            let damaged = |_| Status::data_loss(format!("the record of {id} is damaged"));
            let parties = record
                .parties
                .iter()
                .map(|party| NodeId::try_from(party.as_str()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(damaged)?;
            let secrets = pairs
                .iter()
                .map(|(peer, secret)| {
                    Ok((
                        NodeId::try_from(peer.as_str())?,
                        Zeroizing::new(*secret.as_bytes()),
                    ))
                })
                .collect::<Result<_, _>>()
                .map_err(damaged)?;
            let nonce = lom::nonce_from_id(id.as_str());
            let protect = || lom::protect(node.id(), &secrets, &parties, &nonce, round, &vector);
            // Once to see that it can be done, so that a vector that is refused does not use the round up.
            let protected =
                protect().map_err(|error| Status::invalid_argument(error.to_string()))?;
            store
                .claim_round(&id, round)
                .map_err(|error| store_status(&error))?;
            Ok(ProtectReply {
                node_id: node.id().to_string(),
                vector: protected,
                parties: record.parties.clone(),
            })
        });
        let reply = reply
            .await
            .map_err(|_| Status::unavailable("the node is stopping"))?;
        reply.map(Response::new)
    }

    async fn commitment(
        &self,
        request: Request<CommitmentRequest>,
    ) -> Result<Response<CommitmentReply>, Status> {
        let id = secagg_of(&request.into_inner().secagg_id)?;
        let store = self.0.store().clone();
        let asked = id.clone();
        let record = blocking(move || store.context(&asked)).await?;
        let record = record.ok_or_else(|| store_status(&StoreError::NoContext(id.clone())))?;
        let ContextSecret::ServerKey(bytes) = &record.secret else {
            return Err(Status::failed_precondition(format!(
                "{id} is a dh context: it has no server key"
            )));
        };
        let damaged = || Status::data_loss(format!("the record of {id} is damaged"));
        let key = Integer::from_signed_bytes_be(bytes).map_err(|_| damaged())?;
        let key = ServerKey::from_integer(&key).map_err(|_| damaged())?;
        Ok(Response::new(CommitmentReply {
            commitment: key.commitment().to_vec(),
        }))
    }
}

fn secagg_of(text: &str) -> Result<SecaggId, Status> {
    SecaggId::try_from(text)
        .map_err(|error| Status::invalid_argument(format!("secagg id: {error}")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Status::unavailable("the node is stopping"))?
        .map_err(|error| store_status(&error))
}

fn store_status(error: &StoreError) -> Status {
    let text = format!("{error}\n{}", error.advice());
    match error {
        StoreError::NoContext(_) => Status::not_found(text),
        StoreError::RoundUsed { .. } => Status::failed_precondition(text),
        _ => Status::data_loss(text),
    }
}

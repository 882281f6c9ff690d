//! `NodeProof`: how nodes show a relay that was given a roster who they are.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::gate::{Denied, Gate, NotProven};
use super::nodes::Nodes;
use crate::message::NodeId;
use crate::proto::relay::node_proof_server::NodeProof;
use crate::proto::relay::{ChallengeReply, ChallengeRequest, ProveReply, ProveRequest};
use crate::transport::token;

pub(super) struct Proving {
    pub(super) gate: Arc<Gate>,
    pub(super) nodes: Arc<Nodes>,
}

#[tonic::async_trait]
impl NodeProof for Proving {
    async fn challenge(
        &self,
        request: Request<ChallengeRequest>,
    ) -> Result<Response<ChallengeReply>, Status> {
        let node = id_of(request.into_inner().node)?;
        let challenge = self.gate.challenge(&node);
        Ok(Response::new(ChallengeReply {
            nonce: challenge.nonce,
            relay_key: challenge.relay_key.to_vec(),
        }))
    }

    async fn prove(&self, request: Request<ProveRequest>) -> Result<Response<ProveReply>, Status> {
        let address = request.remote_addr();
        let ProveRequest { node, nonce, proof } = request.into_inner();
        let node = id_of(node)?;
        let is_here = self.nodes.is_polled_elsewhere(&node, address);
        let proven = self.gate.prove(&node, &nonce, &proof, address, is_here);
        let token = proven.map_err(|refused| match refused {
            NotProven::Denied(denied) => status_of(&denied),
            NotProven::InUse => Status::already_exists(refused.to_string()),
            _ => Status::unauthenticated(refused.to_string()),
        })?;
        Ok(Response::new(ProveReply {
            token: token.as_bytes().to_vec(),
        }))
    }
}

/// How a call is refused.
pub(super) fn status_of(denied: &Denied) -> Status {
    let text = denied.to_string();
    match denied {
        Denied::Unproven(_) => token::wanted(text),
        Denied::NotListed(_) => Status::permission_denied(text),
        // It is the relay's operator who can help, and until then nodes keep what they have to say.
        Denied::RosterOver(_) => Status::failed_precondition(text),
    }
}

fn id_of(node: String) -> Result<NodeId, Status> {
    NodeId::try_from(node).map_err(|error| Status::invalid_argument(error.to_string()))
}

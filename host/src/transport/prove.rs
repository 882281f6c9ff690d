//! A node proves to a relay of ours who it is. With which key and how, is not this module's to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::certificate::Certificate;
use super::state::LinkError;
use super::token::Token;
use crate::message::NodeId;
use crate::proto::relay::node_proof_client::NodeProofClient;
use crate::proto::relay::{ChallengeRequest, ProveRequest};

/// How long a relay may take for both calls.
const LIMIT: Duration = Duration::from_secs(20);

/// No answer is longer, in bytes.
const LONGEST_ANSWER: usize = 4096;

/// What a relay asks a node to prove itself with.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// The certificate that the node has pinned, of the relay that it talks to.
    pub certificate: &'a Certificate,
    /// The relay's nonce.
    pub nonce: &'a [u8],
    /// The relay's key.
    pub relay_key: &'a [u8],
}

type Answer = dyn Fn(&Challenge<'_>) -> Option<[u8; 32]> + Send + Sync;

/// Answers challenges in a node's name; `None` for one that makes no sense.
#[derive(Clone)]
pub struct Prover(Arc<Answer>);

impl Prover {
    /// One that answers so.
    pub fn new(
        answer: impl Fn(&Challenge<'_>) -> Option<[u8; 32]> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }

    /// The proof.
    pub fn answer(&self, challenge: &Challenge<'_>) -> Option<[u8; 32]> {
        (self.0)(challenge)
    }
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(…)")
    }
}

/// Asks for a challenge, answers it, and returns what the relay gives for that.
pub(super) async fn prove(
    channel: Channel,
    id: &NodeId,
    prover: &Prover,
    certificate: &Certificate,
) -> Result<Token, LinkError> {
    let mut client = NodeProofClient::new(channel).max_decoding_message_size(LONGEST_ANSWER);
    let exchange = async {
        let node = id.to_string();
        let asked = client.challenge(ChallengeRequest { node: node.clone() });
        let challenge = asked.await.map_err(failed)?.into_inner();
        let proof = prover.answer(&Challenge {
            certificate,
            nonce: &challenge.nonce,
            relay_key: &challenge.relay_key,
        });
        let proof = proof.ok_or(LinkError::BadChallenge)?;
        let request = ProveRequest {
            node,
            nonce: challenge.nonce,
            proof: proof.into(),
        };
        let proven = client
            .prove(request)
            .await
            .map_err(|status| match status.code() {
                Code::AlreadyExists => LinkError::IdInUse(id.clone()),
                _ => failed(status),
            })?;
        let proven = proven.into_inner();
        Token::from_bytes(&proven.token).ok_or(LinkError::BadChallenge)
    };
    match timeout(LIMIT, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let limit = LIMIT.as_secs();
            let late = format!("no answer to a proof of identity within {limit} s");
            Err(LinkError::Call(Status::deadline_exceeded(late)))
        }
    }
}

fn failed(status: Status) -> LinkError {
    match status.code() {
        Code::Unauthenticated => LinkError::ProofRefused(status),
        _ => LinkError::of_call(status),
    }
}

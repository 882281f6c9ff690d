//! Whoever makes rosters, and nodes that can prove who they are.

use std::path::{Path, PathBuf};

use backchannel::identity::{IdentityKey, IdentitySecret};
use backchannel::node_proof::{NodeHalf, Place};
use backchannel::packages::{Signature, SigningKey, Trust, write_signature};
use backchannel::proto::relay::node_proof_client::NodeProofClient;
use backchannel::proto::relay::{ChallengeReply, ChallengeRequest, ProveRequest};
use backchannel::randomness::Randomness;
use backchannel::relay::{Listing, Relay};
use backchannel::transport::connect::connect;
use backchannel::transport::token::Token;
use backchannel::transport::{Certificate, Prover};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tonic::Status;
use tonic::transport::Channel;

use crate::harness::{Node, address_of};

/// The identity key of a node, by the first letter of its id or any other.
pub fn secret(letter: &str) -> IdentitySecret {
    IdentitySecret::draw(&Randomness::from_seed(letter.as_bytes()[0].into()))
}

/// A consortium of one key.
pub struct Consortium {
    key: SigningKey,
    folder: PathBuf,
}

impl Consortium {
    pub fn new(folder: &Path) -> Self {
        Self {
            key: SigningKey::draw().unwrap(),
            folder: folder.to_owned(),
        }
    }

    /// Signs a roster of the nodes, each with its key.
    pub fn publish(&self, version: u64, nodes: &[&str]) {
        let keys: Vec<_> = nodes.iter().map(|id| (*id, secret(id).public())).collect();
        self.publish_keys(version, &keys);
    }

    pub fn publish_keys(&self, version: u64, nodes: &[(&str, IdentityKey)]) {
        let now = OffsetDateTime::now_utc();
        let times = (now - Duration::HOUR, now + Duration::days(100));
        self.publish_text(&text("heart-eu", version, times, nodes));
    }

    /// Signs what it is given, in place of what was there.
    pub fn publish_text(&self, text: &str) {
        let file = self.file();
        std::fs::write(&file, text).unwrap();
        let signature = Signature::of_file(text.as_bytes(), "a roster", &self.key).unwrap();
        let beside = file.with_extension("toml.minisig");
        let _ = std::fs::remove_file(beside);
        write_signature(&file, &signature).unwrap();
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("roster.toml")
    }

    pub fn listing(&self, only_listed: bool) -> Option<Listing> {
        let keys = [("kim".to_owned(), self.key.public_key().unwrap())];
        Some(Listing {
            file: self.file(),
            trust: Trust::new(1, keys.into()).unwrap(),
            only_listed,
        })
    }
}

pub fn text(
    federation: &str,
    version: u64,
    (issued, expires): (OffsetDateTime, OffsetDateTime),
    nodes: &[(&str, IdentityKey)],
) -> String {
    let [issued, expires] = [issued, expires].map(|time| time.format(&Rfc3339).unwrap());
    let mut text = format!(
        "format = 1\nfederation = \"{federation}\"\nversion = {version}\nissued = {issued}\nexpires = {expires}\n"
    );
    for (id, key) in nodes {
        text += &format!("[[node]]\nid = \"{id}\"\nsite = \"{id}\"\nkey = \"{key}\"\n");
    }
    text
}

/// What a node called `id` answers that has this key.
pub fn prover(id: &str, secret: IdentitySecret) -> Prover {
    let half = NodeHalf::new(id.parse().unwrap(), secret);
    Prover::new(move |challenge| {
        half.prove(
            &place(challenge.certificate),
            challenge.nonce,
            challenge.relay_key,
        )
    })
}

pub fn place(certificate: &Certificate) -> Place {
    Place {
        researcher: certificate.researcher_id().clone(),
        certificate: certificate.fingerprint().to_bytes(),
    }
}

/// A node that has the key which the roster says.
pub fn listed(id: &str, relay: &Relay) -> Node {
    let prover = prover(id, secret(id));
    let certificate = relay.certificate().clone();
    Node::start_proving(id, address_of(relay), certificate, Some(prover))
}

/// A client that proves only what a test tells it to.
pub struct Prove(NodeProofClient<Channel>);

impl Prove {
    pub async fn connect(relay: &Relay) -> Self {
        let channel = connect(&address_of(relay), relay.certificate())
            .await
            .unwrap();
        Self(NodeProofClient::new(channel))
    }

    pub async fn challenge(&mut self, node: &str) -> ChallengeReply {
        let request = ChallengeRequest {
            node: node.to_owned(),
        };
        self.0.challenge(request).await.unwrap().into_inner()
    }

    pub async fn prove(
        &mut self,
        node: &str,
        challenge: &ChallengeReply,
        proof: [u8; 32],
    ) -> Result<Token, Status> {
        let request = ProveRequest {
            node: node.to_owned(),
            nonce: challenge.nonce.clone(),
            proof: proof.to_vec(),
        };
        let proven = self.0.prove(request).await?.into_inner();
        Ok(Token::from_bytes(&proven.token).unwrap())
    }

    /// Does all that it takes.
    pub async fn token(&mut self, node: &str, certificate: &Certificate) -> Token {
        let challenge = self.challenge(node).await;
        let proof = answer(node, secret(node), certificate, &challenge);
        self.prove(node, &challenge, proof).await.unwrap()
    }
}

/// What a node called `id` that has this key, and has pinned this certificate, answers.
pub fn answer(
    id: &str,
    secret: IdentitySecret,
    pinned: &Certificate,
    challenge: &ChallengeReply,
) -> [u8; 32] {
    NodeHalf::new(id.parse().unwrap(), secret)
        .prove(&place(pinned), &challenge.nonce, &challenge.relay_key)
        .unwrap()
}

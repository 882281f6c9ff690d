//! A relay that puts itself between two nodes: it answers each one's channel set-up in the other's name, under the key that is published with
//! Fed-BioMed, reads what they say then, and has them agree on keys with itself.

use std::collections::BTreeMap;

use backchannel::message::{
    Inner, NodeId, OverlayMessage, RequestId, SetupRequest, ToNode, ToResearcher, Value,
};
use backchannel::overlay::{ChannelKeys, open};
use backchannel::primitives::{
    concat_kdf, derive_secret_key, ecdh, parse_public_key_pem, sorted_ids,
};
use p256::{PublicKey, SecretKey};
use tokio::time::timeout;

use crate::harness::{Daemon, Folder, PATIENCE, RESEARCHER, introduce, kept_in, pem, sealed};
use crate::relay::AnyRelay;

const RUN: &str = "run";

/// See the [module](self).
struct Middle {
    relay: AnyRelay,
    own: SecretKey,
    published: &'static ChannelKeys,
    /// The keys that it has with each node, which takes it for the other.
    keys: BTreeMap<NodeId, ChannelKeys>,
    /// What it could not pass on yet, for want of the receiver's key.
    waiting: Vec<Inner>,
    /// The keys of the run that it has read, by the node that said them.
    read: BTreeMap<NodeId, PublicKey>,
}

impl Middle {
    async fn between(folder: &Folder, nodes: &[&str]) -> Self {
        Self {
            relay: AnyRelay::start(folder, nodes).await,
            own: derive_secret_key(&[66; 32], b"middle"),
            published: ChannelKeys::published().expect("the published key"),
            keys: BTreeMap::new(),
            waiting: Vec::new(),
            read: BTreeMap::new(),
        }
    }

    /// As the researcher, has the nodes agree on keys; in between, does what it can. Ends with both nodes' answers: whether they succeeded.
    async fn set_up(&mut self, [a, b]: [&NodeId; 2]) -> Vec<bool> {
        for (node, peer) in [(a, b), (b, a)] {
            self.ask_for_key(node, peer).await;
        }
        let request = ToNode::SecaggSetup(SetupRequest {
            request_id: Some("request_of-the-run".parse().expect("an id")),
            researcher_id: RESEARCHER.parse().expect("an id"),
            secagg_id: RUN.parse().expect("an id"),
            experiment_id: "experiment".parse().expect("an id"),
            parties: vec![a.clone(), b.clone()],
        });
        for node in [a, b] {
            self.relay.hand(node.as_str(), &request).await;
        }
        let mut answers = Vec::new();
        while answers.len() < 2 {
            let said = timeout(PATIENCE, self.relay.hear()).await;
            match said.expect("an answer in time") {
                ToResearcher::Overlay(message) => self.tamper(message).await,
                ToResearcher::SecaggReply(reply) => answers.push(reply.success),
                ToResearcher::Error { .. } => answers.push(false),
                _ => {}
            }
        }
        answers
    }

    /// Asks a node for its key, in its peer's name.
    async fn ask_for_key(&self, node: &NodeId, peer: &NodeId) {
        let id = RequestId::try_from("request_of-the-middle").expect("an id");
        let asked = sealed(
            self.published,
            (peer, node),
            "ChannelSetupRequest",
            &id,
            vec![],
        );
        self.hand(asked).await;
    }

    async fn tamper(&mut self, message: OverlayMessage) {
        let keys = match message.setup {
            true => Some(self.published),
            false => self.keys.get(&message.source),
        };
        let opened = keys.and_then(|keys| open(keys, &message).ok());
        let Some(inner) = opened else {
            // What it cannot read it passes on, as it is.
            return self.hand(message).await;
        };
        match inner.kind.as_str() {
            // In the name of whom it was for: with its own key.
            "ChannelSetupRequest" => {
                let id = inner.request_id.as_ref().expect("a request");
                let key = vec![("public_key".into(), pem(&self.own.public_key()))];
                let ends = (&inner.dest, &inner.source);
                let answer = sealed(self.published, ends, "ChannelSetupReply", id, key);
                self.hand(answer).await;
            }
            "ChannelSetupReply" => {
                let key = public_key(&inner);
                let keys = ChannelKeys::new(&self.own, &key);
                self.keys.insert(inner.source.clone(), keys);
                for waiting in std::mem::take(&mut self.waiting) {
                    self.pass_on(waiting).await;
                }
            }
            _ => self.pass_on(inner).await,
        }
    }

    /// Passes on what it has read, with another key in it.
    async fn pass_on(&mut self, inner: Inner) {
        let Some(keys) = self.keys.get(&inner.dest) else {
            self.waiting.push(inner);
            return;
        };
        let mut fields = inner.fields.as_map().expect("fields").to_vec();
        if inner.kind == "KeyReply" {
            self.read.insert(inner.source.clone(), public_key(&inner));
            let is_key = |(name, _): &&mut (Value, Value)| name.as_str() == Some("public_key");
            let (_, key) = fields.iter_mut().find(is_key).expect("a key");
            *key = pem(&self.own.public_key());
        }
        let id = inner.request_id.clone().expect("an id");
        let ends = (&inner.source, &inner.dest);
        let forged = sealed(keys, ends, &inner.kind, &id, fields);
        self.hand(forged).await;
    }

    async fn hand(&self, message: OverlayMessage) {
        let to = message.dest.to_string();
        self.relay.hand(&to, &ToNode::Overlay(message)).await;
    }

    /// The secret that `node` would share with `peer`, as far as it knows.
    fn secret(&self, node: &NodeId, peer: &NodeId) -> Option<[u8; 32]> {
        let shared = ecdh(&self.own, self.read.get(node)?);
        let ids = sorted_ids(node.as_str(), peer.as_str());
        Some(*concat_kdf(&*shared, &[RUN.as_bytes(), &ids]))
    }
}

fn public_key(inner: &Inner) -> PublicKey {
    let pem = inner.fields.get("public_key").and_then(Value::as_bin);
    parse_public_key_pem(pem.expect("a key")).expect("a key")
}

/// Starts both nodes of this relay.
async fn started(
    folder: &Folder,
    address: &str,
    start: fn(&std::path::Path, &str, &str) -> Daemon,
) -> [Daemon; 2] {
    let (path, address) = (folder.path().to_owned(), address.to_owned());
    let both = move || ["a", "b"].map(|id| start(&path, id, &address));
    tokio::task::spawn_blocking(both).await.expect("two nodes")
}

/// What the node shares with its peer for the run, from its disk.
fn shared(folder: &Folder, node: &mut Daemon, peer: &NodeId) -> [u8; 32] {
    use backchannel::key_store::records::ContextSecret;
    let (status, _) = node.stop();
    assert!(status.success(), "{status}");
    let contexts = kept_in(folder.path(), &node.id).contexts;
    let context = &contexts[&RUN.parse().expect("an id")];
    let ContextSecret::Pairs(secrets) = &context.secret else {
        panic!("pair secrets");
    };
    *secrets[peer.as_str()].as_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_suite_1_a_relay_in_the_middle_reads_and_forges_key_replies_and_has_the_secrets_of_a_run()
 {
    let folder = Folder::new();
    let mut middle = Middle::between(&folder, &["a", "b"]).await;
    let [a, b] = ["a", "b"].map(|id| NodeId::try_from(id).expect("an id"));
    let mut nodes = started(&folder, &middle.relay.address, Daemon::node).await;

    let answers = middle.set_up([&a, &b]).await;

    assert_eq!(answers, [true, true], "both report success");
    let [of_a, of_b] = &mut nodes;
    let (with_b, with_a) = (shared(&folder, of_a, &b), shared(&folder, of_b, &a));
    assert_eq!(middle.secret(&a, &b), Some(with_b));
    assert_eq!(middle.secret(&b, &a), Some(with_a));
    assert_ne!(with_b, with_a, "the nodes share nothing with each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_suite_2_a_relay_in_the_middle_reads_nothing_and_what_it_forges_is_dropped() {
    let folder = Folder::new();
    let mut middle = Middle::between(&folder, &["a", "b"]).await;
    let [a, b] = ["a", "b"].map(|id| NodeId::try_from(id).expect("an id"));
    introduce(&folder, &["a", "b"]);
    let mut nodes = started(&folder, &middle.relay.address, Daemon::secure_node).await;

    let answers = middle.set_up([&a, &b]).await;

    assert_eq!(
        answers,
        [true, true],
        "the relay can only pass on what it cannot read"
    );
    assert!(middle.read.is_empty() && middle.keys.is_empty());
    for node in &nodes {
        let dropped = &node.status()["dropped"];
        assert_eq!(
            dropped["suite 1 refused"], 1,
            "its request for a key: {dropped}"
        );
    }
    let [of_a, of_b] = &mut nodes;
    let (with_b, with_a) = (shared(&folder, of_a, &b), shared(&folder, of_b, &a));
    assert_eq!(with_b, with_a, "the nodes share a secret with each other");
    for (node, peer) in [(&a, &b), (&b, &a)] {
        assert_eq!(middle.secret(node, peer), None);
    }
}

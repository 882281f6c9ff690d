//! Speaking for others, and reading what is theirs.

use backchannel_sdk::{
    Bytes, Datum, Effect, Failure, Outgoing, PeerKey, SecaggContext, material, store,
};
use serde::Serialize;

use crate::Finale;

/// A reply that names a receiver, as the wire does.
#[derive(Serialize)]
struct ToOther {
    loot: Bytes,
    dest_node_id: String,
}

/// A reply that names a sender, as the wire does.
#[derive(Serialize)]
struct FromOther {
    loot: Bytes,
    node_id: String,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reply(kind: &str, fields: &impl Serialize) -> Result<Finale, Failure> {
    let outgoing = Outgoing::new(kind, fields)?;
    Ok(Finale::Effects(vec![Effect::Reply(outgoing)]))
}

pub fn reply_elsewhere(receiver: &[u8]) -> Result<Finale, Failure> {
    let (loot, dest_node_id) = (b"for another".to_vec().into(), text(receiver));
    reply("AttackReply", &ToOther { loot, dest_node_id })
}

pub fn reply_as(sender: &[u8]) -> Result<Finale, Failure> {
    let (loot, node_id) = (b"from another".to_vec().into(), text(sender));
    reply("AttackReply", &FromOther { loot, node_id })
}

pub fn reply_as_another_plugin() -> Result<Finale, Failure> {
    #[derive(Serialize)]
    struct Key {
        public_key: Bytes,
        secagg_id: String,
    }
    let (public_key, secagg_id) = (b"PEM".to_vec().into(), "run".into());
    reply(
        "KeyReply",
        &Key {
            public_key,
            secagg_id,
        },
    )
}

pub fn read_run(run: Vec<u8>) -> Finale {
    Finale::Show(material::wait(&text(&run)).unwrap_or_default())
}

pub fn publish(run: Vec<u8>) -> Finale {
    let run = text(&run);
    Finale::Effects(vec![Effect::Publish(Datum {
        run,
        audience: None,
        body: b"forged".into(),
    })])
}

pub fn establish(peer: &str, pem: Vec<u8>) -> Finale {
    let key = PeerKey {
        peer: peer.to_owned(),
        pem,
    };
    let context = SecaggContext::PairSecrets(vec![key]);
    Finale::Effects(vec![Effect::Establish(context)])
}

/// All keys that can be seen, and what another plugin keeps under a name that is known.
pub fn read_store() -> Result<Vec<u8>, Failure> {
    let mut found = store::keys("")?.concat().into_bytes();
    found.extend(store::get("secret")?.unwrap_or_default());
    Ok(found)
}

//! No key, share or plaintext at the relay, and nothing that is meant for one party at another.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;

use crate::key_store::records::ContextSecret;
use crate::message;
use crate::sandbox::evidence::Evidence;
use crate::trace::{Bytes, Effect, Ended, HostCall, Session, Value, Work};

/// What is shorter is found by chance where it is not.
const SHORTEST: usize = 8;
/// Words of the plaintext of messages between nodes.
const WORDS: [&str; 6] = [
    "KeyRequest",
    "AdditiveSSharing",
    "RoundRequest",
    "RoundReply",
    "secagg_id",
    "request_id",
];

/// Secrets in what nodes gave the relay.
pub(super) fn at_the_relay(evidence: &Evidence<'_>) -> Vec<String> {
    let words = WORDS.map(|word| (format!("the word {word:?}"), word.as_bytes().to_vec()));
    let secrets = secrets(evidence);
    let overlays = evidence.seen.overlays.iter().map(|overlay| {
        let what = format!("message #{} of {}", overlay.n, overlay.message.source);
        (what, overlay.message.overlay.as_slice())
    });
    let answers = evidence.seen.answers.iter().enumerate();
    let answers = answers.map(|(n, answer)| (format!("answer {n}"), answer.as_slice()));
    let sealed: Vec<_> = words.into_iter().chain(secrets.iter().cloned()).collect();
    let mut found = looked_for(&sealed, overlays);
    found.extend(looked_for(&secrets, answers));
    found
}

/// Where some of `secrets` stand. All are looked for at once: they are as many as the messages, and both go with the square of
/// the nodes.
fn looked_for<'a>(
    secrets: &[(String, Vec<u8>)],
    texts: impl Iterator<Item = (String, &'a [u8])>,
) -> Vec<String> {
    let searched = match AhoCorasick::new(secrets.iter().map(|(_, bytes)| bytes)) {
        Ok(searched) => searched,
        Err(error) => return vec![format!("cannot be looked for: {error}")],
    };
    let found = texts.filter_map(|(text, bytes)| {
        let found = searched.find(bytes)?;
        let (what, _) = secrets.get(found.pattern().as_usize())?;
        Some(format!("{text} shows {what}"))
    });
    found.collect()
}

/// What must never be seen at the relay, each with what it is.
fn secrets(evidence: &Evidence<'_>) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    for node in evidence.nodes {
        let of_node = |what: &str| format!("a secret of {}: {what}", node.id);
        secrets.extend(
            node.keys
                .iter()
                .map(|(what, key)| (of_node(what), key.clone())),
        );
        for (run, secret) in &node.contexts {
            match secret {
                ContextSecret::Pairs(pairs) => {
                    secrets.extend(pairs.iter().map(|(peer, secret)| {
                        let what = format!("its secret with {peer} for {run}");
                        (of_node(&what), secret.as_bytes().to_vec())
                    }));
                }
                ContextSecret::ServerKey(key) => {
                    secrets.push((of_node(&format!("its key for {run}")), key.clone()));
                }
            }
        }
    }
    for session in evidence.sessions {
        for call in host_calls(session) {
            if ["random.bytes", "sharing.share-for"].contains(&call.import.as_str())
                && let Value::Bytes(bytes) = &call.result
            {
                let what = format!("what {} was given by {}", session.plugin, call.import);
                secrets.push((
                    format!("a secret of {}: {what}", session.node),
                    bytes.stand_in(),
                ));
            }
        }
    }
    secrets.retain(|(_, bytes)| bytes.len() >= SHORTEST);
    secrets
}

/// Shares and material of one party in what was made for another.
pub(super) fn at_other_parties(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (node, sessions) in by_node(evidence.sessions) {
        let (shares, published) = (shares(&sessions), published(&sessions));
        for session in sessions {
            for made in made_for_one(session) {
                let known = if made.published {
                    vec![&shares]
                } else {
                    vec![&shares, &published]
                };
                for leaf in leaves(made.bytes) {
                    let meant = known.iter().find_map(|known| known.get(&leaf));
                    let wrong = meant.filter(|parties| !parties.contains(made.party));
                    if let Some(party) = wrong.and_then(|parties| parties.first()) {
                        let (plugin, to) = (&session.plugin, made.party);
                        found.push(format!(
                            "{node}: {plugin} makes for {to} what is meant for {party}"
                        ));
                    }
                }
            }
        }
    }
    found
}

/// Bytes, and the parties that they are meant for.
type Meant<'a> = BTreeMap<Vec<u8>, BTreeSet<&'a str>>;

/// Something that was made for one party.
struct Made<'a> {
    party: &'a str,
    bytes: &'a Bytes,
    published: bool,
}

/// Who may have what was published for everybody.
const EVERYBODY: &str = "everybody";

fn by_node(sessions: &[Session]) -> BTreeMap<&str, Vec<&Session>> {
    let mut by_node: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
    for session in sessions {
        by_node.entry(&session.node).or_default().push(session);
    }
    by_node
}

/// Shares that the host gave out.
fn shares<'a>(sessions: &[&'a Session]) -> Meant<'a> {
    let mut shares = Meant::new();
    for call in sessions.iter().flat_map(|session| host_calls(session)) {
        if let ("sharing.share-for", [Value::Text(party)], Value::Bytes(share)) =
            (call.import.as_str(), call.given.as_slice(), &call.result)
        {
            shares.entry(share.stand_in()).or_default().insert(party);
        }
    }
    shares.retain(|bytes, _| bytes.len() >= SHORTEST);
    shares
}

/// What was published for some parties only.
fn published<'a>(sessions: &[&'a Session]) -> Meant<'a> {
    let mut published = Meant::new();
    for session in sessions {
        for made in made_for_one(session).filter(|made| made.published) {
            let bytes = made.bytes.stand_in();
            published.entry(bytes).or_default().insert(made.party);
        }
    }
    published.retain(|bytes, parties| bytes.len() >= SHORTEST && !parties.contains(EVERYBODY));
    published
}

/// What an instance made for one party: its replies and requests, and what it published.
fn made_for_one(session: &Session) -> impl Iterator<Item = Made<'_>> {
    let ends = session.calls.iter().map(|call| &call.ended);
    ends.map(|ended| match ended {
        Ended::Effects { effects, ask } => (effects.as_slice(), ask.as_slice()),
        _ => (&[][..], &[][..]),
    })
    .flat_map(|(effects, ask)| {
        let asked = ask.iter().map(|asked| Made {
            party: &asked.to,
            bytes: &asked.fields,
            published: false,
        });
        let made = effects
            .iter()
            .filter_map(|effect| match (effect, &session.work) {
                (Effect::Reply { fields, .. }, Work::Message(incoming)) => Some(Made {
                    party: &incoming.source,
                    bytes: fields,
                    published: false,
                }),
                (Effect::Publish { audience, body, .. }, _) => Some(Made {
                    party: audience.as_deref().unwrap_or(EVERYBODY),
                    bytes: body,
                    published: true,
                }),
                _ => None,
            });
        asked.chain(made)
    })
}

/// The parts of something: itself, and where it is MessagePack, what is in it.
fn leaves(bytes: &Bytes) -> Vec<Vec<u8>> {
    let bytes = bytes.stand_in();
    let mut leaves = Vec::new();
    if let Ok(value) = message::Value::decode(&bytes) {
        gather(&value, &mut leaves);
    }
    leaves.push(bytes);
    leaves
}

fn gather(value: &message::Value, leaves: &mut Vec<Vec<u8>>) {
    match value {
        message::Value::Str(text) => leaves.push(text.clone().into_bytes()),
        message::Value::Bin(bytes) => leaves.push(bytes.clone()),
        message::Value::Int(integer) => leaves.push(integer.to_signed_bytes_be().to_vec()),
        message::Value::List(items) | message::Value::Tuple(items) | message::Value::Set(items) => {
            items.iter().for_each(|item| gather(item, leaves))
        }
        message::Value::Map(entries) => entries.iter().for_each(|(_, it)| gather(it, leaves)),
        _ => {}
    }
}

fn host_calls(session: &Session) -> impl Iterator<Item = &HostCall> {
    session.calls.iter().flat_map(|call| &call.host_calls)
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use crate::message::Integer;

    const SHARE: &[u8] = b"\x11a share of a server key\x22";

    #[test]
    fn finds_a_key_a_share_and_a_word_in_what_the_relay_saw() {
        let mut sample = Sample::new();
        sample.nodes[0].keys = vec![("its seed".into(), vec![7; 32])];
        sample.given(0, "sharing.share-for", &["node-1"], SHARE);
        sample.relayed(b"nothing of it");
        sample.holds(at_the_relay);

        sample.relayed(&[&b"noise"[..], &[7; 32]].concat());
        sample.relayed(&[b"noise", SHARE, b"noise"].concat());
        sample.relayed(b"\x81\xa9secagg_id");
        sample
            .seen
            .answers
            .push([b"an answer with ", SHARE].concat());
        let found = at_the_relay(&sample.evidence());
        let shows = [
            "its seed",
            "sharing.share-for",
            "secagg_id",
            "sharing.share-for",
        ];
        assert_eq!(found.len(), shows.len(), "{found:?}");
        assert!(
            found
                .iter()
                .zip(shows)
                .all(|(found, shows)| found.contains(shows))
        );
    }

    #[test]
    fn finds_a_share_in_what_was_made_for_another_party() {
        let share = message::Value::Int(Integer::from_signed_bytes_be(SHARE).expect("an integer"));
        let fields = message::Value::Map(vec![("share".into(), share)]).encode();
        let mut sample = Sample::new();
        sample.given(0, "sharing.share-for", &["node-1"], SHARE);
        sample.replies(0, "node-1", &fields);
        sample.holds(at_other_parties);

        sample.replies(0, "node-2", &fields);
        let found = at_other_parties(&sample.evidence());
        let how = "node-0: p makes for node-2 what is meant for node-1";
        assert_eq!(found, [how]);
    }

    #[test]
    fn finds_what_was_published_for_one_party_in_a_reply_to_another() {
        let body = b"material of node-1".as_slice();
        let fields = message::Value::Map(vec![("m".into(), message::Value::Bin(body.to_vec()))]);
        let mut sample = Sample::new();
        sample.publishes(0, Some("node-1"), body);
        sample.replies(0, "node-1", &fields.encode());
        sample.holds(at_other_parties);

        sample.replies(0, "node-2", &fields.encode());
        assert_eq!(at_other_parties(&sample.evidence()).len(), 1);
        sample.publishes(0, None, body);
        sample.holds(at_other_parties);
    }

    #[test]
    fn finds_a_share_that_is_published_for_everybody_or_the_wrong_party() {
        for audience in [None, Some("node-2")] {
            let mut sample = Sample::new();
            sample.given(0, "sharing.share-for", &["node-1"], SHARE);
            sample.publishes(0, Some("node-1"), SHARE);
            sample.holds(at_other_parties);

            sample.publishes(0, audience, SHARE);
            assert_eq!(at_other_parties(&sample.evidence()).len(), 1);
        }
    }
}

//! Effects: what a guest asks the host to do, checked here before the router carries any of them out.

use super::bindings::backchannel::n2n::types;
use super::entry::LONGEST_KEY;
use super::state::{RunState, Subject};
use super::{Body, CallError, Capability, Entry, Limit, Plugin, Usage};
use crate::message::{NodeId, Value, is_reserved};

/// An effect that the plugin may have.
#[derive(Debug)]
pub enum Effect {
    /// Answer the sender of the message at hand.
    Reply(Outgoing),
    /// Complete the request that the message at hand answers.
    Deliver(Body),
    /// Make the channel with the sender of the message at hand ready with this public key (PEM), if this node asked for it.
    SetPeerKey(Vec<u8>),
    /// Publish material of the run at hand.
    Publish(Datum),
    /// Keep the result of the run at hand.
    Establish(SecaggResult),
    /// Change an entry of the plugin's own.
    Store(Entry),
}

impl Effect {
    /// The grant that it needs.
    fn grant(&self) -> Option<Capability> {
        match self {
            Self::Reply(_) | Self::Deliver(_) => None,
            Self::SetPeerKey(_) => Some(Capability::ChannelKeys),
            Self::Store(_) => Some(Capability::Store),
            Self::Publish(_) => Some(Capability::Material),
            Self::Establish(SecaggResult::PairSecrets(_)) => Some(Capability::Agreement),
            Self::Establish(SecaggResult::ServerKey(_)) => Some(Capability::Sharing),
        }
    }
}

/// A message in the making: the host adds sender, receiver and request id.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Its kind, one of the plugin's.
    pub kind: String,
    /// Its own fields: a map with text keys.
    pub fields: Value,
}

/// Something published for a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Datum {
    /// The one party that may have it, or all.
    pub audience: Option<NodeId>,
    /// What it gets.
    pub body: Body,
}

/// What a run found out, from every other party exactly once.
#[derive(Debug, PartialEq, Eq)]
pub enum SecaggResult {
    /// The parties' public keys, PEM.
    PairSecrets(Vec<(NodeId, Body)>),
    /// The parties' shares, big-endian two's complement.
    ServerKey(Vec<(NodeId, Body)>),
}

/// Why an effect is refused; with one of them, all of the call's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than one of what there can be one of.
    #[error("a second {0}")]
    Second(&'static str),
    /// A reply to a reply would go on for ever; a reply is for messages that came from a peer.
    #[error("{0} does not belong here")]
    OutOfPlace(&'static str),
    /// Needs a grant.
    #[error("{effect} needs the grant `{grant}`", grant = capability.name())]
    NotGranted {
        /// The effect.
        effect: &'static str,
        /// The missing grant.
        capability: Capability,
    },
    /// A kind that the manifest does not name.
    #[error("{0} is none of the plugin's kinds")]
    ForeignKind(String),
    /// Not a MessagePack map with text keys, or it sets a field that is the host's.
    #[error("the fields of {kind} {why}")]
    Fields {
        /// The message's kind.
        kind: String,
        /// What is wrong with them.
        why: &'static str,
    },
    /// A node that takes no part in the run.
    #[error("{0:?} is not another party of the run")]
    NotAParty(String),
    /// Another run than the one at hand.
    #[error("{0:?} is not the run at hand")]
    OtherRun(String),
    /// A key that cannot be stored under.
    #[error("a key of {0} bytes: it has 1 to {LONGEST_KEY}")]
    Key(usize),
    /// A round that cannot be gathered.
    #[error("a gather in which {0}")]
    Gather(&'static str),
    /// The result lacks a party.
    #[error("the result does not name every other party once")]
    Incomplete,
}

/// Checks all effects of a call: all are good, or the first that is not is named. Their number, size and grants go to `usage`.
pub(super) fn check(
    raw: Vec<types::Effect>,
    plugin: &Plugin,
    subject: &Subject,
    usage: &mut Usage,
) -> Result<Vec<Effect>, CallError> {
    let limits = plugin.limits();
    let bytes: usize = raw.iter().map(size).sum();
    (usage.effects, usage.effect_bytes) = (raw.len(), bytes);
    let over = [
        (Limit::Effects, raw.len() > limits.count(Limit::Effects)),
        (Limit::EffectKib, bytes > limits.bytes(Limit::EffectKib)),
    ];
    if let Some((limit, _)) = over.into_iter().find(|(_, over)| *over) {
        return Err(CallError::Limit {
            plugin: plugin.name().into(),
            hit: limits.hit(limit),
        });
    }
    let effects = permitted(raw, plugin, subject).map_err(|why| CallError::Effect {
        plugin: plugin.name().into(),
        why,
    })?;
    usage
        .grants
        .extend(effects.iter().filter_map(Effect::grant));
    Ok(effects)
}

fn permitted(
    raw: Vec<types::Effect>,
    plugin: &Plugin,
    subject: &Subject,
) -> Result<Vec<Effect>, Refused> {
    let effects = raw
        .into_iter()
        .map(|effect| match subject {
            Subject::Message(_) => of_message(effect, plugin),
            Subject::Run(run) => of_run(effect, plugin, run),
            Subject::Part(_) => Err(Refused::OutOfPlace("an effect of a message or a set-up")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (name, single) in SINGLE {
        if effects.iter().filter(|effect| single(effect)).count() > 1 {
            return Err(Refused::Second(name));
        }
    }
    Ok(effects)
}

type IsOne = fn(&Effect) -> bool;
const SINGLE: [(&str, IsOne); 4] = [
    ("reply", |effect| matches!(effect, Effect::Reply(_))),
    ("deliver", |effect| matches!(effect, Effect::Deliver(_))),
    ("set-peer-key", |effect| {
        matches!(effect, Effect::SetPeerKey(_))
    }),
    ("establish", |effect| matches!(effect, Effect::Establish(_))),
];

fn of_message(effect: types::Effect, plugin: &Plugin) -> Result<Effect, Refused> {
    match effect {
        types::Effect::Reply(outgoing) => outgoing_of(outgoing, plugin).map(Effect::Reply),
        types::Effect::Deliver(body) => Ok(Effect::Deliver(body.into())),
        types::Effect::SetPeerKey(pem) => {
            granted(plugin, "set-peer-key", Capability::ChannelKeys)?;
            Ok(Effect::SetPeerKey(pem))
        }
        types::Effect::Store(entry) => stored(entry, plugin).map(Effect::Store),
        types::Effect::Publish(_) => Err(Refused::OutOfPlace("publish")),
        types::Effect::Establish(_) => Err(Refused::OutOfPlace("establish")),
    }
}

fn of_run(effect: types::Effect, plugin: &Plugin, run: &RunState) -> Result<Effect, Refused> {
    match effect {
        types::Effect::Publish(datum) => {
            granted(plugin, "publish", Capability::Material)?;
            if datum.run != run.run {
                return Err(Refused::OtherRun(datum.run));
            }
            let audience = datum
                .audience
                .map(|name| other_party(&name, run))
                .transpose()?;
            Ok(Effect::Publish(Datum {
                audience,
                body: datum.body.into(),
            }))
        }
        types::Effect::Establish(types::SecaggContext::PairSecrets(keys)) => {
            granted(plugin, "establish(pair-secrets)", Capability::Agreement)?;
            let keys = keys.into_iter().map(|key| (key.peer, key.pem));
            every_other_party(keys, run)
                .map(|keys| Effect::Establish(SecaggResult::PairSecrets(keys)))
        }
        types::Effect::Establish(types::SecaggContext::ServerKey(shares)) => {
            granted(plugin, "establish(server-key)", Capability::Sharing)?;
            let shares = shares.into_iter().map(|share| (share.peer, share.share));
            every_other_party(shares, run)
                .map(|shares| Effect::Establish(SecaggResult::ServerKey(shares)))
        }
        types::Effect::Store(entry) => stored(entry, plugin).map(Effect::Store),
        types::Effect::Reply(_) => Err(Refused::OutOfPlace("reply")),
        types::Effect::Deliver(_) => Err(Refused::OutOfPlace("deliver")),
        types::Effect::SetPeerKey(_) => Err(Refused::OutOfPlace("set-peer-key")),
    }
}

fn granted(plugin: &Plugin, effect: &'static str, capability: Capability) -> Result<(), Refused> {
    if plugin.grants().contains(&capability) {
        Ok(())
    } else {
        Err(Refused::NotGranted { effect, capability })
    }
}

/// A change of an entry that the plugin may make.
pub(super) fn stored(entry: types::Entry, plugin: &Plugin) -> Result<Entry, Refused> {
    granted(plugin, "store", Capability::Store)?;
    let types::Entry { key, value } = entry;
    if !(1..=LONGEST_KEY).contains(&key.len()) {
        return Err(Refused::Key(key.len()));
    }
    let value = value.map(Body::from);
    Ok(Entry { key, value })
}

/// A message of one of the plugin's own kinds, with fields that are its own.
pub(super) fn outgoing_of(raw: types::Outgoing, plugin: &Plugin) -> Result<Outgoing, Refused> {
    let kind = raw.kind;
    if !plugin.manifest().kinds.contains(&kind) {
        return Err(Refused::ForeignKind(kind));
    }
    let fields = Value::decode(&raw.fields)
        .ok()
        .filter(|value| value.encode() == raw.fields);
    let why = match &fields {
        None => "are not canonical MessagePack",
        Some(Value::Map(entries)) => {
            let mut names = entries.iter().map(|(key, _)| key.as_str());
            match names.find(|name| name.is_none_or(is_reserved)) {
                None => "",
                Some(None) => "are not a map with text keys",
                Some(Some(_)) => {
                    "name a sender, receiver, request, kind or version, which are the host's"
                }
            }
        }
        Some(_) => "are not a map with text keys",
    };
    match fields {
        Some(fields) if why.is_empty() => Ok(Outgoing { kind, fields }),
        _ => Err(Refused::Fields { kind, why }),
    }
}

/// The id of another party of the run.
pub(super) fn other_party(name: &str, run: &RunState) -> Result<NodeId, Refused> {
    run.parties
        .iter()
        .find(|party| party.as_ref() == name && **party != run.own)
        .cloned()
        .ok_or_else(|| Refused::NotAParty(name.to_owned()))
}

fn every_other_party(
    given: impl Iterator<Item = (String, Vec<u8>)>,
    run: &RunState,
) -> Result<Vec<(NodeId, Body)>, Refused> {
    let given = given
        .map(|(name, body)| Ok((other_party(&name, run)?, Body::from(body))))
        .collect::<Result<Vec<_>, _>>()?;
    let distinct: std::collections::BTreeSet<_> = given.iter().map(|(party, _)| party).collect();
    if distinct.len() == given.len() && given.len() + 1 == run.parties.len() {
        Ok(given)
    } else {
        Err(Refused::Incomplete)
    }
}

fn size(effect: &types::Effect) -> usize {
    match effect {
        types::Effect::Reply(outgoing) => outgoing.kind.len() + outgoing.fields.len(),
        types::Effect::Deliver(bytes) | types::Effect::SetPeerKey(bytes) => bytes.len(),
        types::Effect::Store(entry) => entry.key.len() + entry.value.as_ref().map_or(0, Vec::len),
        types::Effect::Publish(datum) => datum.run.len() + datum.body.len(),
        types::Effect::Establish(types::SecaggContext::PairSecrets(keys)) => {
            keys.iter().map(|key| key.pem.len()).sum()
        }
        types::Effect::Establish(types::SecaggContext::ServerKey(shares)) => {
            shares.iter().map(|share| share.share.len()).sum()
        }
    }
}

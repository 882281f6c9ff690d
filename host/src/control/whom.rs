//! Who is whom, for the command line: the same of a node that runs, through the control socket, and of one that does not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::node::store_status;
use crate::audit::{self, Event};
use crate::clock::Clock;
use crate::identity::{Fingerprint, Identity};
use crate::key_store::KeyStore;
use crate::message::NodeId;
use crate::packages::{Digest, Signature};
use crate::peers::{
    self, InForce, Peer, Peers, PeersError, Source, Standing, pin, suite_with, unpin,
};
use crate::policy::{ChannelRules, Policy};
use crate::proto::control as wire;
use crate::randomness::Randomness;

/// What a node is known by, and whom it believes. Calls block for the disk. Errors are for people: why, and on a second line what to do.
pub struct Whom {
    store: Arc<KeyStore>,
    data: PathBuf,
    randomness: Randomness,
    clock: Clock,
    /// Those that the node goes by, while it runs.
    rules: Option<ChannelRules>,
}

impl Whom {
    /// Of the node with this store, in this data directory.
    pub fn new(store: Arc<KeyStore>, data: PathBuf) -> Result<Self, Status> {
        let randomness = Randomness::from_system();
        Ok(Self {
            randomness: randomness.map_err(|error| Status::internal(error.to_string()))?,
            clock: Clock::of_system(),
            store,
            data,
            rules: None,
        })
    }

    /// Of a node that runs, and goes by these rules, whatever its policy file says meanwhile.
    pub fn ruled_by(self, rules: ChannelRules) -> Self {
        Self {
            rules: Some(rules),
            ..self
        }
    }

    /// What the node is known by.
    pub fn identity(&self) -> Result<wire::IdentityReply, Status> {
        let secret = self.store.identity(&self.randomness);
        let identity = Identity {
            node: self.store.owner().clone(),
            key: secret.map_err(|error| store_status(&error))?.public(),
        };
        Ok(wire::IdentityReply {
            node_id: identity.node.to_string(),
            key: identity.key.to_string(),
            fingerprint: identity.fingerprint().to_string(),
            file: identity.to_file(),
        })
    }

    /// All that is in its key store.
    pub fn backup(&self) -> Result<wire::BackupReply, Status> {
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        let made = now.map_or(0, |since| since.as_secs());
        let file = self.store.backup(made);
        let mut file = file.map_err(|error| store_status(&error))?;
        let encrypted = self.store.is_encrypted();
        self.record(Event::BackupMade { encrypted })?;
        Ok(wire::BackupReply {
            file: std::mem::take(&mut *file),
            encrypted,
        })
    }

    /// What it believes of its peers.
    pub fn peers(&self) -> Result<wire::PeersReply, Status> {
        let rules = match &self.rules {
            Some(rules) => rules.clone(),
            None => self.policy()?.channels,
        };
        let peers = Peers::load(&self.store, rules, self.clock.now());
        let peers = peers.map_err(|error| store_status(&error))?;
        Ok(wire::PeersReply {
            node_id: self.store.owner().to_string(),
            roster: peers.roster().map(roster),
            peers: peers.all().map(|peer| shown(peer, peers.rules())).collect(),
        })
    }

    /// Pins a peer, and records that, or that it was refused.
    pub fn pin(&self, request: &wire::PinRequest) -> Result<wire::PinReply, Status> {
        let peer = node(&request.node_id)?;
        let identity = Identity::from_file(&request.file).map_err(|error| {
            let todo = "ask its operator for the file that `backchannel identity export` writes";
            Status::invalid_argument(format!("{error}\n{todo}"))
        })?;
        let said: Fingerprint = request.fingerprint.parse().map_err(|error| {
            let todo = "give what its operator reads out: 10 groups of 5 digits";
            Status::invalid_argument(format!("{error}\n{todo}"))
        })?;
        let by = request.by.clone();
        let done = if identity.node == peer {
            let now = self.clock.now();
            pin(&self.store, &identity, said, &by, now, &self.randomness)
        } else {
            Err(PeersError::OtherNode {
                wanted: peer.clone(),
                found: identity.node.clone(),
            })
        };
        let pinned = done.map_err(|error| {
            self.refused(&error, |why| Event::PinRefused {
                peer: peer.to_string(),
                why,
                by: by.clone(),
            })
        })?;
        let key = identity.key.to_string();
        if !pinned.already {
            self.record(Event::PeerPinned {
                peer: peer.to_string(),
                key: key.clone(),
                by,
            })?;
        }
        Ok(wire::PinReply {
            key,
            already: pinned.already,
            met_otherwise: pinned.met_otherwise,
        })
    }

    /// Takes a pin back, and records that.
    pub fn unpin(&self, request: &wire::UnpinRequest) -> Result<wire::UnpinReply, Status> {
        let peer = node(&request.node_id)?;
        let key = unpin(&self.store, &peer)
            .map_err(|error| status(&error))?
            .to_string();
        self.record(Event::PeerUnpinned {
            peer: peer.to_string(),
            key: key.clone(),
            by: request.by.clone(),
        })?;
        Ok(wire::UnpinReply { key })
    }

    /// Puts a roster in force, and records that, or that it was refused.
    pub fn apply_roster(
        &self,
        request: &wire::ApplyRosterRequest,
    ) -> Result<wire::ApplyRosterReply, Status> {
        let consortium = self.policy()?.consortium;
        let signatures = request.signatures.iter().map(|text| text.parse());
        let signatures = signatures.collect::<Result<Vec<Signature>, _>>();
        let signatures = signatures.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let digest = Digest::of(&request.file).hex();
        let applied = peers::apply(
            &self.store,
            &request.file,
            &signatures,
            &consortium,
            &request.by,
            self.clock.now(),
            &self.randomness,
        );
        let applied = applied.map_err(|error| {
            self.refused(&error, |why| Event::RosterRefused {
                digest: digest.clone(),
                why,
                by: request.by.clone(),
            })
        })?;
        if !applied.already {
            self.record(Event::RosterApplied {
                federation: applied.federation.to_string(),
                version: applied.version,
                digest,
                signed_by: applied.signed_by.clone(),
                nodes: applied.nodes,
                added: applied.added.len(),
                removed: applied.removed.len(),
                changed: applied.changed.len(),
                by: request.by.clone(),
            })?;
        }
        let names = |nodes: Vec<NodeId>| nodes.into_iter().map(String::from).collect();
        Ok(wire::ApplyRosterReply {
            federation: applied.federation.into(),
            version: applied.version,
            signed_by: applied.signed_by,
            nodes: applied.nodes as u64,
            already: applied.already,
            added: names(applied.added),
            removed: names(applied.removed),
            changed: names(applied.changed),
            lists_this_node: applied.lists_this_node,
        })
    }

    fn policy(&self) -> Result<Policy, Status> {
        Policy::read(&self.data)
            .map_err(|error| Status::failed_precondition(format!("{error}\n{}", error.advice())))
    }

    /// Records that something was refused, where that is more than a slip, and says so.
    fn refused(&self, error: &PeersError, event: impl FnOnce(String) -> Event) -> Status {
        if error.is_refusal()
            && let Err(failed) = audit::append(&self.data, event(error.to_string()))
        {
            tracing::error!("a refusal could not be recorded: {failed}");
        }
        status(error)
    }

    fn record(&self, event: Event) -> Result<(), Status> {
        audit::append(&self.data, event).map_err(|error| {
            let text = format!(
                "it is done, and could not be recorded: {error}\n{}",
                error.advice()
            );
            Status::internal(text)
        })
    }
}

fn node(id: &str) -> Result<NodeId, Status> {
    NodeId::try_from(id).map_err(|error| {
        let todo = "give the id that the peer's node was started with";
        Status::invalid_argument(format!("{error}\n{todo}"))
    })
}

fn status(error: &PeersError) -> Status {
    let text = format!("{error}\n{}", error.advice());
    match error {
        PeersError::Store(error) => store_status(error),
        error if error.is_refusal() => Status::permission_denied(text),
        _ => Status::invalid_argument(text),
    }
}

fn roster(in_force: &InForce) -> wire::Roster {
    let InForce {
        roster,
        record,
        standing,
    } = in_force;
    wire::Roster {
        federation: roster.federation.to_string(),
        version: roster.version,
        expires: date(roster.expires),
        signed_by: record.signed_by.clone(),
        since_ms: record.since.saturating_mul(1000),
        by: record.by.clone(),
        amiss: match standing {
            Standing::Counts => String::new(),
            Standing::Expired => "it has expired".into(),
            Standing::Outdated { highest } => {
                format!("version {highest} was applied before the key store was set back")
            }
        },
    }
}

fn shown(peer: &Peer, rules: &ChannelRules) -> wire::Peer {
    let allowed = suite_with(peer, rules);
    let believed = peer.believed(rules.trust_on_first_use).ok();
    let suites = allowed
        .limits
        .map_or((0, 0), |limits| (limits.highest, limits.lowest));
    let fingerprint = believed.as_ref().map(|believed| {
        let (node, key) = (peer.node.clone(), believed.key);
        Identity { node, key }.fingerprint().to_string()
    });
    let source = believed.as_ref().map(|believed| match believed.source {
        Source::Roster(_) => "roster",
        Source::Pin(_) => "pin",
        Source::FirstUse => "first-use",
    });
    let (key, since, until) = match &believed {
        Some(believed) => (
            believed.key.to_string(),
            believed.since,
            believed.valid_until,
        ),
        None => (String::new(), 0, None),
    };
    let listed = peer.listed.as_ref();
    wire::Peer {
        node_id: peer.node.to_string(),
        highest: suites.0.into(),
        lowest: suites.1.into(),
        key,
        fingerprint: fingerprint.unwrap_or_default(),
        source: source.unwrap_or_default().into(),
        why: allowed.why.to_string(),
        to_do: allowed.why.advice().unwrap_or_default().into(),
        since_ms: since.saturating_mul(1000),
        valid_until: until.map(date).unwrap_or_default(),
        minimum_suite: listed.map_or(0, |listed| listed.minimum_suite.into()),
        site: listed.map(|listed| listed.site.clone()).unwrap_or_default(),
        highest_seen: peer.met.highest_suite.unwrap_or_default().into(),
        pinned: peer.pin.is_some(),
    }
}

/// For programs and people.
pub(super) fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

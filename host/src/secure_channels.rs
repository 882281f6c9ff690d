//! Suites 2 and 3 at work: a node's [`Sessions`] with the peers whose identity keys it knows, the time they go by, and who waits for
//! one; and in which suite each peer is talked to, which a message never chooses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use p256::SecretKey;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::identity::IdentityKey;
use crate::introduction::Introduction;
use crate::message::{Inner, NodeId, OverlayMessage, ResearcherId};
use crate::randomness::Randomness;
use crate::sessions::{
    self, Agreed, ENDS_AFTER, Hello, Known, Moment, Opened, RENEWED_AFTER, Refused, SealError,
    Sealed, Sessions,
};

/// Who a node is, and whom it knows.
#[derive(Clone)]
pub struct Identities {
    /// Its own identity key.
    pub own: SecretKey,
    /// What it says of itself in handshakes.
    pub hello: Hello,
    /// How it talks to those of whom it knows anything.
    pub peers: BTreeMap<NodeId, SuiteWith>,
    /// How it talks to all others.
    pub others: SuiteWith,
}

impl Identities {
    /// Whether there is nobody that this node talks to.
    pub fn is_alone(&self) -> bool {
        let all = self.peers.values().chain([&self.others]);
        all.into_iter()
            .all(|suite| matches!(suite, SuiteWith::None { .. }))
    }
}

/// In which suite a peer is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuiteWith {
    /// In suite 2 or 3, as this is its identity key.
    Secure {
        /// What is known of it.
        known: Known,
        /// Whether a person or a roster has said so.
        confirmed: bool,
    },
    /// In suite 1.
    Suite1,
    /// In suite 2 or 3, once it has said its identity key: the first that it says is believed.
    FirstUse,
    /// In none.
    None {
        /// Why, in words.
        why: String,
        /// Whether it was right to talk to it until now: then sessions live out their time.
        lapsed: bool,
    },
}

/// Where a message to or from a peer goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suite {
    /// In suite 2 or 3.
    Secure,
    /// In suite 1.
    Suite1,
    /// In suite 2 or 3, once each has said its identity key.
    FirstUse,
    /// Nowhere: why, in words.
    None(String),
}

/// Takes a key for that of a peer that has come with it first, and gives what is known then; or says why not. Blocks for the disk.
pub type Acquaint = Arc<dyn Fn(&NodeId, IdentityKey) -> Result<Identities, String> + Send + Sync>;

/// A session that there is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// With whom.
    pub peer: NodeId,
    /// Through whom.
    pub researcher: ResearcherId,
    /// In which suite.
    pub suite: sessions::Suite,
    /// Since when there was one after the other.
    pub since: SystemTime,
}

/// The channels of one node that are secure against the relay.
pub struct SecureChannels {
    own: NodeId,
    identity: IdentityKey,
    sessions: Mutex<Sessions>,
    whom: RwLock<Whom>,
    acquaint: Option<Acquaint>,
    /// Told whenever a peer's key was learned.
    met: Notify,
    began: Instant,
    clock: Clock,
    randomness: Randomness,
    links: Mutex<BTreeMap<(NodeId, ResearcherId), Link>>,
}

/// See [`Identities`].
struct Whom {
    peers: BTreeMap<NodeId, SuiteWith>,
    others: SuiteWith,
}

/// What there is with a peer at a researcher, beside its sessions.
#[derive(Default)]
struct Link {
    established: Arc<Notify>,
    /// When it was the last time, and the highest suite of all times.
    last: Option<(Instant, sessions::Suite)>,
    since: Option<SystemTime>,
}

/// What is new about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// Its suite, if it is the first with this peer, at any researcher, since the node started, or of a higher suite than those before.
    pub higher: Option<sessions::Suite>,
    /// It came before the one before it was to be replaced, by its age or its messages: that may be lost to the peer.
    pub early: bool,
}

/// What is to be handed over now, and what comes next.
pub struct Handing {
    /// The sealed message, unless there is no session yet.
    pub message: Option<OverlayMessage>,
    /// A handshake that goes out in any case.
    pub handshake: Option<OverlayMessage>,
    /// Without a session: when another handshake can be begun.
    pub again: Instant,
}

impl SecureChannels {
    /// Of node `own`. Without `acquaint`, no key is believed on first use.
    pub fn new(
        own: NodeId,
        identities: Identities,
        acquaint: Option<Acquaint>,
        clock: Clock,
        randomness: Randomness,
    ) -> Self {
        let nobody = Whom {
            peers: BTreeMap::new(),
            others: SuiteWith::Suite1,
        };
        let identity = identities.own.public_key().into();
        let sessions = Sessions::new(own.clone(), identities.own.clone(), identities.hello);
        let channels = Self {
            own,
            identity,
            acquaint,
            met: Notify::new(),
            sessions: Mutex::new(sessions),
            whom: RwLock::new(nobody),
            began: Instant::now(),
            clock,
            randomness,
            links: Mutex::default(),
        };
        channels.know(identities);
        channels
    }

    /// Takes this as what is known from now on, whoever the node is. What there is with a peer stays where the same is known of it.
    pub fn know(&self, identities: Identities) {
        let Identities {
            own: _,
            hello,
            peers,
            others,
        } = identities;
        let now = self.now();
        let mut whom = self.whom.write().unwrap_or_else(PoisonError::into_inner);
        let mut sessions = self.sessions();
        sessions.say(hello);
        for gone in whom.peers.keys().filter(|peer| !peers.contains_key(*peer)) {
            sessions.forget(gone);
        }
        for (peer, suite) in &peers {
            let before = whom.peers.get(peer).unwrap_or(&whom.others);
            if let SuiteWith::None { why, .. } = suite
                && !matches!(before, SuiteWith::None { .. })
            {
                tracing::warn!(%peer, "it is not talked to: {why}");
            }
            match suite {
                SuiteWith::Secure { known, .. } => sessions.know(peer.clone(), known.clone(), now),
                SuiteWith::None { lapsed: true, .. } => sessions.retire(peer),
                SuiteWith::Suite1 | SuiteWith::FirstUse | SuiteWith::None { .. } => {
                    sessions.forget(peer);
                }
            }
        }
        *whom = Whom { peers, others };
    }

    /// In which suite a peer is talked to.
    pub fn suite_with(&self, peer: &NodeId) -> Suite {
        let whom = self.whom();
        match whom.peers.get(peer).unwrap_or(&whom.others) {
            SuiteWith::Secure { .. } => Suite::Secure,
            SuiteWith::Suite1 => Suite::Suite1,
            SuiteWith::FirstUse => Suite::FirstUse,
            SuiteWith::None { lapsed: true, .. } if self.sessions().knows(peer) => Suite::Secure,
            SuiteWith::None { why, .. } => Suite::None(why.clone()),
        }
    }

    /// Whether a person or a roster has confirmed the identity key that a peer is talked to by: also one whose sessions live out their time.
    pub fn is_confirmed(&self, peer: &NodeId) -> bool {
        let whom = self.whom();
        match whom.peers.get(peer).unwrap_or(&whom.others) {
            SuiteWith::Secure { confirmed, .. } => *confirmed,
            SuiteWith::None { lapsed, .. } => *lapsed,
            SuiteWith::Suite1 | SuiteWith::FirstUse => false,
        }
    }

    /// Why a peer is not talked to, if it is not: also one with whom sessions live out their time.
    pub fn why_not(&self, peer: &NodeId) -> Option<String> {
        let whom = self.whom();
        match whom.peers.get(peer).unwrap_or(&whom.others) {
            SuiteWith::None { why, .. } => Some(why.clone()),
            SuiteWith::Secure { .. } | SuiteWith::Suite1 | SuiteWith::FirstUse => None,
        }
    }

    /// What this node says of itself to a peer that does not know its key.
    pub fn introduction(
        &self,
        researcher: &ResearcherId,
        to: &NodeId,
        asks: bool,
    ) -> OverlayMessage {
        let key = self.identity;
        Introduction { key, asks }.message(researcher, &self.own, to, &self.randomness)
    }

    /// A peer says that this is its key. An error says why it is not taken for that. Blocks for the disk.
    pub fn introduced(&self, peer: &NodeId, key: IdentityKey) -> Result<(), String> {
        let known = match self.whom().peers.get(peer) {
            Some(SuiteWith::Secure { known, .. }) => Some(IdentityKey::from(known.identity)),
            _ => None,
        };
        match (known, &self.acquaint) {
            (Some(known), _) if known == key => Ok(()),
            (Some(_), _) | (None, None) => Err("it is not the one that is known".into()),
            (None, Some(acquaint)) => {
                self.know(acquaint(peer, key)?);
                self.met.notify_waiters();
                Ok(())
            }
        }
    }

    /// To be told when a peer's key was learned, whosever it is.
    pub fn met(&self) -> Notified<'_> {
        self.met.notified()
    }

    /// All sessions that there are.
    pub fn live(&self) -> Vec<Live> {
        let now = self.now();
        let mut sessions = self.sessions();
        let links = self.links();
        let live = links.iter().filter_map(|((peer, researcher), link)| {
            let since = link.since?;
            let suite = sessions.session(peer, researcher, now)?;
            Some(Live {
                peer: peer.clone(),
                researcher: researcher.clone(),
                suite,
                since,
            })
        });
        live.collect()
    }

    /// Told at every new session with a peer at a researcher.
    pub fn established(&self, peer: &NodeId, researcher: &ResearcherId) -> Arc<Notify> {
        let mut links = self.links();
        let link = links.entry((peer.clone(), researcher.clone()));
        link.or_default().established.clone()
    }

    /// Seals a message, or begins a handshake for it.
    pub fn seal(&self, researcher: &ResearcherId, inner: &Inner) -> Result<Handing, SealError> {
        let now = self.now();
        let mut rng = self.randomness.clone();
        let sealed = self.sessions().seal(researcher, inner, now, &mut rng)?;
        Ok(match sealed {
            Sealed::Message { message, handshake } => Handing {
                message: Some(message),
                handshake,
                again: self.began + now.running,
            },
            Sealed::NeedsHandshake { handshake, again } => Handing {
                message: None,
                handshake,
                again: self.began + again,
            },
        })
    }

    /// Begins a handshake with a peer that seems to have forgotten its session; `None` when one is under way.
    pub fn begin(
        &self,
        peer: &NodeId,
        researcher: &ResearcherId,
    ) -> Result<Option<OverlayMessage>, SealError> {
        let now = self.now();
        let mut rng = self.randomness.clone();
        self.sessions().begin(peer, researcher, now, &mut rng)
    }

    /// Opens what came from the relay. To be called once for each message.
    pub fn open(&self, message: &OverlayMessage) -> Result<Opened, Refused> {
        let now = self.now();
        let mut rng = self.randomness.clone();
        self.sessions().open(message, now, &mut rng)
    }

    /// To be told when a message has established a session.
    pub fn is_established(
        &self,
        peer: &NodeId,
        researcher: &ResearcherId,
        agreed: Agreed,
    ) -> Established {
        let Agreed { suite, in_turn, .. } = agreed;
        let wall = self.clock.now();
        let mut links = self.links();
        let with_peer = links.iter().filter(|((met, _), _)| met == peer);
        let spoken = with_peer.filter_map(|(_, link)| Some(link.last?.1)).max();
        let link = links.entry((peer.clone(), researcher.clone())).or_default();
        let highest = spoken.map_or(suite, |spoken| spoken.max(suite));
        let last = link.last.replace((Instant::now(), highest));
        let last = last.map(|(at, _)| at);
        // When one came so late that there was none in between, a new series begins.
        if last.is_none_or(|last| last.elapsed() > ENDS_AFTER) {
            link.since = Some(wall);
        }
        link.established.notify_waiters();
        Established {
            higher: (spoken < Some(suite)).then_some(suite),
            early: !in_turn && last.is_some_and(|last| last.elapsed() < RENEWED_AFTER),
        }
    }

    /// Forgets what is too old. To be called every minute or so.
    pub fn tidy(&self) {
        let now = self.now();
        self.sessions().tidy(now);
    }

    fn now(&self) -> Moment {
        let since_1970 = self.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        Moment {
            running: self.began.elapsed(),
            wall: since_1970.unwrap_or(Duration::ZERO),
        }
    }

    fn whom(&self) -> RwLockReadGuard<'_, Whom> {
        self.whom.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<(NodeId, ResearcherId), Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SecureChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecureChannels").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::derive_secret_key;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_early_only_if_none_before_it_explains_it() {
        let alone = Identities {
            own: derive_secret_key(&[1; 32], b"identity"),
            hello: Hello::default(),
            peers: BTreeMap::new(),
            others: SuiteWith::Suite1,
        };
        let (own, clock) = ("a".parse().expect("an id"), Clock::of_system());
        let randomness = Randomness::from_seed(1);
        let channels = SecureChannels::new(own, alone, None, clock, randomness);
        let (peer, researcher) = ("b".parse().expect("an id"), "r".parse().expect("an id"));
        let is_early = |in_turn| {
            let agreed = Agreed {
                suite: sessions::Suite::Two,
                peer: Hello::default(),
                in_turn,
            };
            let established = channels.is_established(&peer, &researcher, agreed);
            established.early
        };

        assert!(!is_early(false), "there was none before");
        assert!(is_early(false));
        assert!(!is_early(true), "the one before was used up");
        tokio::time::advance(RENEWED_AFTER).await;
        assert!(!is_early(false), "the one before was old");
    }
}

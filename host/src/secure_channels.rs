//! Suite 2 at work: a node's [`Sessions`] with the peers whose identity keys it knows, the time they go by, and who waits for one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use p256::SecretKey;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::message::{Inner, NodeId, OverlayMessage, ResearcherId};
use crate::randomness::Randomness;
use crate::sessions::{
    Hello, Known, Moment, Opened, RENEWED_AFTER, Refused, SealError, Sealed, Sessions,
};

/// Who a node is, and whom it knows.
#[derive(Clone)]
pub struct Identities {
    /// Its own identity key.
    pub own: SecretKey,
    /// What it says of itself in handshakes.
    pub hello: Hello,
    /// Whom it talks to in suite 2. It talks to others in suite 1.
    pub peers: BTreeMap<NodeId, Known>,
}

/// The channels of one node that are secure against the relay.
pub struct SecureChannels {
    sessions: Mutex<Sessions>,
    began: Instant,
    clock: Clock,
    randomness: Randomness,
    links: Mutex<BTreeMap<(NodeId, ResearcherId), Link>>,
}

/// What there is with a peer at a researcher, beside its sessions.
#[derive(Default)]
struct Link {
    established: Arc<Notify>,
    /// When it was the last time.
    last: Option<Instant>,
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
    /// Of node `own`.
    pub fn new(own: NodeId, identities: Identities, clock: Clock, randomness: Randomness) -> Self {
        let Identities {
            own: key,
            hello,
            peers,
        } = identities;
        let channels = Self {
            sessions: Mutex::new(Sessions::new(own, key, hello)),
            began: Instant::now(),
            clock,
            randomness,
            links: Mutex::default(),
        };
        let now = channels.now();
        let mut sessions = channels.sessions();
        for (peer, known) in peers {
            sessions.know(peer, known, now);
        }
        drop(sessions);
        channels
    }

    /// Whether this suite is the one for a peer: then no other is.
    pub fn knows(&self, peer: &NodeId) -> bool {
        self.sessions().knows(peer)
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

    /// To be told when a message has established a session. Says whether the one before may be lost to the peer: it was not to be
    /// replaced yet.
    pub fn is_established(&self, peer: &NodeId, researcher: &ResearcherId) -> bool {
        let mut links = self.links();
        let link = links.entry((peer.clone(), researcher.clone())).or_default();
        let last = link.last.replace(Instant::now());
        link.established.notify_waiters();
        last.is_some_and(|last| last.elapsed() < RENEWED_AFTER)
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

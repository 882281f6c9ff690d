//! Who may speak and listen at a relay that was given a roster: nodes that it lists once they have proven who they are, others as they
//! come or not at all.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::challenges::{Challenge, Challenges};
use super::counts::{Refusal, Tally};
use super::service::HOLD;
use crate::identity::IdentityKey;
use crate::message::NodeId;
use crate::node_proof::Place;
use crate::roster::{Member, Roster};
use crate::transport::token::Token;

/// For how long polls may be begun with a token. Then the node proves itself anew.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// For how long longer messages may come with it: as long as the last poll that was begun with it may be held.
const GRACE: Duration = HOLD.saturating_add(Duration::from_secs(60));

/// Refused calls under one id are logged at most so often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// The node is listed, and did not prove that it is the one.
    #[error("prove that you are {0}")]
    Unproven(NodeId),
    /// Only listed nodes are served.
    #[error("{0} is not in this relay's roster, and no other nodes are served here")]
    NotListed(NodeId),
    /// The roster counts no more, or not yet.
    #[error("this relay knows its nodes by a roster that does not count now: {0}")]
    RosterOver(String),
}

/// Why a proof is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotProven {
    /// It may not come in anyway.
    #[error("{0}")]
    Denied(Denied),
    /// Nobody needs to prove that.
    #[error("{0} is not in this relay's roster")]
    NotListed(NodeId),
    /// It answers nothing that was asked.
    #[error("this is no challenge of this relay to {0}, or it is used or over")]
    NoChallenge(NodeId),
    /// It is not by the node's key.
    #[error("this is no proof by the key that this relay's roster has for {0}")]
    Wrong(NodeId),
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Poll,
    Message,
}

/// What a relay shows of its roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterStatus {
    /// Of which federation.
    pub federation: String,
    /// Its version.
    pub version: u64,
    /// It does not count from then on.
    pub expires: OffsetDateTime,
    /// How many nodes it lists.
    pub nodes: usize,
    /// Why it does not count now, if so: then its nodes are not served.
    pub over: Option<String>,
    /// Whether only they are served.
    pub only_listed: bool,
}

pub(super) struct Gate {
    place: Place,
    only_listed: bool,
    tally: Arc<Tally>,
    state: Mutex<State>,
}

struct State {
    roster: Roster,
    challenges: Challenges,
    rng: ChaCha20Rng,
    /// Whether the log says already that the roster does not count.
    told: bool,
    /// Of listed nodes only, each by its present key.
    known: BTreeMap<NodeId, Known>,
}

/// What a relay remembers of a listed node.
struct Known {
    key: IdentityKey,
    token: Option<Issued>,
    /// The last challenge that it has answered: none before it counts any more.
    answered: u64,
    /// Whether a call came without a proof since the last proof. That is how a node hears that one is wanted.
    asked: bool,
    /// How many calls were refused since the relay's start, such first ones apart.
    refused: u64,
    logged: Option<Instant>,
    not_logged: u64,
}

struct Issued {
    /// A token is known by its hash: how long it takes to compare them tells nothing of it.
    hash: [u8; 32],
    since: Instant,
}

impl Gate {
    /// For the relay of this place. `rng` must be cryptographically secure.
    pub(super) fn new(
        place: Place,
        roster: Roster,
        only_listed: bool,
        tally: Arc<Tally>,
        rng: &mut impl Rng,
    ) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let mut rng = ChaCha20Rng::from_seed(*seed);
        let state = State {
            challenges: Challenges::new(&mut rng),
            rng,
            told: false,
            known: BTreeMap::new(),
            roster,
        };
        let gate = Self {
            place,
            only_listed,
            tally,
            state: Mutex::new(state),
        };
        gate.lock().know();
        gate
    }

    /// Goes by another roster from now on. Nodes whose key is another have to prove themselves anew.
    pub(super) fn change(&self, roster: Roster) {
        let mut state = self.lock();
        state.roster = roster;
        state.told = false;
        state.know();
    }

    /// Says in the log, once, that the roster does not count any more. To be called now and then.
    pub(super) fn look_at_roster(&self) {
        let mut state = self.lock();
        if let Err(over) = state.counts()
            && !std::mem::replace(&mut state.told, true)
        {
            tracing::error!(
                "{over}; its nodes are not served until the relay is given the next one"
            );
        }
    }

    /// Whether a node may make this call with what it shows. A refusal is counted.
    pub(super) fn admit(
        &self,
        node: &NodeId,
        token: Option<&Token>,
        call: Call,
        address: Option<SocketAddr>,
    ) -> Result<(), Denied> {
        let admitted = self.admits(node, token, call);
        match &admitted {
            Ok(()) | Err(Denied::RosterOver(_)) => {}
            Err(Denied::NotListed(_)) => {
                tracing::warn!(security = true, %node, ?address, "a node that the roster does not list is refused");
                self.tally.refused(Refusal::NotListed);
            }
            Err(Denied::Unproven(_)) => {
                if let Some(known) = self.lock().known.get_mut(node) {
                    if known.asked {
                        known.refuse(node, address, &self.tally, "a call without a proof");
                    }
                    known.asked = true;
                }
            }
        }
        admitted
    }

    /// The same, of a call that was admitted already.
    pub(super) fn admits(
        &self,
        node: &NodeId,
        token: Option<&Token>,
        call: Call,
    ) -> Result<(), Denied> {
        let state = self.lock();
        let Some(known) = state.known.get(node) else {
            return if self.only_listed {
                Err(Denied::NotListed(node.clone()))
            } else {
                Ok(())
            };
        };
        state.counts()?;
        let life = match call {
            Call::Poll => TOKEN_LIFE,
            Call::Message => TOKEN_LIFE + GRACE,
        };
        let is_its = token.is_some_and(|token| known.has(token, life));
        is_its
            .then_some(())
            .ok_or_else(|| Denied::Unproven(node.clone()))
    }

    /// Asks a node to prove itself, whether it is listed or not.
    pub(super) fn challenge(&self, node: &NodeId) -> Challenge {
        let State {
            challenges, rng, ..
        } = &mut *self.lock();
        challenges.ask(node, rng)
    }

    /// Gives a token for a proof. The one given to this node before counts no more.
    pub(super) fn prove(
        &self,
        node: &NodeId,
        nonce: &[u8],
        proof: &[u8],
        address: Option<SocketAddr>,
    ) -> Result<Token, NotProven> {
        let state = &mut *self.lock();
        state.counts().map_err(NotProven::Denied)?;
        let Some(known) = state.known.get_mut(node) else {
            return Err(NotProven::NotListed(node.clone()));
        };
        let number = state.challenges.number(node, nonce);
        let Some(number) = number.filter(|number| *number > known.answered) else {
            known.refuse(node, address, &self.tally, "an answer to no challenge");
            return Err(NotProven::NoChallenge(node.clone()));
        };
        let (place, key) = (&self.place, known.key);
        if !state.challenges.answers(node, place, &key, nonce, proof) {
            known.refuse(node, address, &self.tally, "a wrong proof");
            return Err(NotProven::Wrong(node.clone()));
        }
        let token = Token::draw(&mut state.rng);
        known.answered = number;
        known.asked = false;
        known.token = Some(Issued {
            hash: Sha256::digest(token.as_bytes()).into(),
            since: Instant::now(),
        });
        tracing::info!(%node, ?address, "a node has proven its identity");
        Ok(token)
    }

    /// Of each listed node: whether it has proven itself, and how many calls under its id were refused.
    pub(super) fn standing(&self) -> BTreeMap<NodeId, (bool, u64)> {
        let state = self.lock();
        let counts = state.counts().is_ok();
        let standing = |(node, known): (&NodeId, &Known)| {
            let proven = counts && known.is_proven(TOKEN_LIFE + GRACE);
            (node.clone(), (proven, known.refused))
        };
        state.known.iter().map(standing).collect()
    }

    /// Whether nobody of this id may be listening: it is listed and nobody has proven to be it, or it is not and would have to be.
    pub(super) fn is_closed_to(&self, node: &NodeId) -> bool {
        match self.lock().known.get(node) {
            Some(known) => !known.is_proven(TOKEN_LIFE + GRACE),
            None => self.only_listed,
        }
    }

    pub(super) fn status(&self) -> RosterStatus {
        let state = self.lock();
        let over = state.counts().err();
        RosterStatus {
            federation: state.roster.federation.to_string(),
            version: state.roster.version,
            expires: state.roster.expires,
            nodes: state.known.len(),
            over: over.map(|denied| denied.to_string()),
            only_listed: self.only_listed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers listed nodes, and of them what is still true.
    fn know(&mut self) {
        let mut before = std::mem::take(&mut self.known);
        let known = |member: &Member| {
            let same = before
                .remove(&member.node)
                .filter(|known| known.key == member.key);
            let known = same.unwrap_or_else(|| Known::new(member.key));
            (member.node.clone(), known)
        };
        self.known = self.roster.members.iter().map(known).collect();
    }

    fn counts(&self) -> Result<(), Denied> {
        let in_time = self.roster.is_in_time(SystemTime::now());
        in_time.map_err(|error| Denied::RosterOver(error.to_string()))
    }
}

impl Known {
    fn new(key: IdentityKey) -> Self {
        Self {
            key,
            token: None,
            answered: 0,
            asked: false,
            refused: 0,
            logged: None,
            not_logged: 0,
        }
    }

    fn is_proven(&self, life: Duration) -> bool {
        let token = self.token.as_ref();
        token.is_some_and(|token| token.since.elapsed() < life)
    }

    fn has(&self, token: &Token, life: Duration) -> bool {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let issued = self.token.as_ref();
        self.is_proven(life) && issued.is_some_and(|issued| issued.hash == hash)
    }

    fn refuse(&mut self, node: &NodeId, address: Option<SocketAddr>, tally: &Tally, what: &str) {
        self.refused += 1;
        tally.refused(Refusal::NotProven);
        let now = Instant::now();
        let lately = |then: Instant| now.saturating_duration_since(then) < LOG_INTERVAL;
        if self.logged.is_some_and(lately) {
            self.not_logged += 1;
            return;
        }
        let not_logged = std::mem::take(&mut self.not_logged);
        self.logged = Some(now);
        tracing::warn!(security = true, %node, ?address, what, not_logged, "identity not proven: somebody uses this node's id without its key, or the node has another key than the roster");
    }
}

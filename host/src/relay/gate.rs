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

/// For so long calls over a connection may have been under way when it heard that a proof is wanted.
const ASKING: Duration = Duration::from_secs(5);

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
    /// The node is here already. Its token must not end by somebody who has a copy of its key store.
    #[error("another connection polls under this node id")]
    InUse,
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
    /// The first call without a proof since the last proof: when, and where from. That is how a node hears that one is wanted.
    asked: Option<(Instant, Option<SocketAddr>)>,
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
                    known.ask(node, address, &self.tally);
                }
            }
        }
        admitted
    }

    /// The same, and counts nothing.
    fn admits(&self, node: &NodeId, token: Option<&Token>, call: Call) -> Result<(), Denied> {
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

    /// Gives a token for a proof, unless the node `is_here` over another connection. The one given to it before counts no more.
    pub(super) fn prove(
        &self,
        node: &NodeId,
        nonce: &[u8],
        proof: &[u8],
        address: Option<SocketAddr>,
        is_here: bool,
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
        known.answered = number;
        known.asked = None;
        if is_here {
            return Err(NotProven::InUse);
        }
        let token = Token::draw(&mut state.rng);
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
        let answered = self.challenges.last();
        let known = |member: &Member| {
            let same = before
                .remove(&member.node)
                .filter(|known| known.key == member.key);
            let known = same.unwrap_or_else(|| Known::new(member.key, answered));
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
    /// One of which nothing is known yet. No challenge up to `answered` counts: it may be an answered one of before the key was changed.
    fn new(key: IdentityKey, answered: u64) -> Self {
        Self {
            key,
            token: None,
            answered,
            asked: None,
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

    /// Answers a call without a proof by asking for one.
    fn ask(&mut self, node: &NodeId, address: Option<SocketAddr>, tally: &Tally) {
        let now = Instant::now();
        match self.asked {
            None => self.asked = Some((now, address)),
            Some((then, same))
                if same == address && now.saturating_duration_since(then) < ASKING => {}
            Some(_) => self.refuse(node, address, tally, "a call without a proof"),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentitySecret;
    use crate::node_proof::NodeHalf;
    use crate::randomness::Randomness;

    fn id(text: &str) -> NodeId {
        text.parse().expect("an id")
    }

    fn place() -> Place {
        Place {
            researcher: "R".parse().expect("an id"),
            certificate: [1; 32],
        }
    }

    fn secret(node: &str) -> IdentitySecret {
        IdentitySecret::draw(&Randomness::from_seed(node.len() as u64))
    }

    fn roster(version: u64, expires: &str, nodes: &[(&str, &str)]) -> Roster {
        let mut text = format!(
            "format = 1\nfederation = \"f\"\nversion = {version}\nissued = 2020-01-01T00:00:00Z\nexpires = {expires}\n"
        );
        for (node, key) in nodes {
            let key = secret(key).public();
            text += &format!("[[node]]\nid = \"{node}\"\nsite = \"s\"\nkey = \"{key}\"\n");
        }
        Roster::parse(&text).expect("a roster")
    }

    const LATE: &str = "2999-01-01T00:00:00Z";
    const OVER: &str = "2021-01-01T00:00:00Z";

    fn gate(roster: Roster, only_listed: bool) -> Gate {
        let mut rng = Randomness::from_seed(9);
        Gate::new(place(), roster, only_listed, Arc::default(), &mut rng)
    }

    fn token(gate: &Gate, node: &str) -> Token {
        let challenge = gate.challenge(&id(node));
        let half = NodeHalf::new(id(node), secret(node));
        let proof = half
            .prove(&place(), &challenge.nonce, &challenge.relay_key)
            .expect("a point");
        gate.prove(&id(node), &challenge.nonce, &proof, None, false)
            .expect("a proof")
    }

    fn refused(gate: &Gate) -> u64 {
        let refused = gate.tally.read().refused;
        refused.get(&Refusal::NotProven).copied().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_after_an_hour_and_for_messages_when_the_last_poll_begun_with_it_does() {
        let gate = gate(roster(1, LATE, &[("a", "a")]), false);
        let token = token(&gate, "a");
        let may = |call| gate.admits(&id("a"), Some(&token), call).is_ok();
        tokio::time::advance(TOKEN_LIFE - Duration::from_millis(1)).await;
        assert!(may(Call::Poll) && may(Call::Message));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!may(Call::Poll) && may(Call::Message));
        tokio::time::advance(GRACE).await;
        assert!(!may(Call::Message));
        assert_eq!(gate.standing()[&id("a")], (false, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_under_way_when_a_proof_was_wanted_is_no_theft_and_the_rest_is() {
        let gate = gate(roster(1, LATE, &[("a", "a")]), false);
        let from = |port: u16| Some(([127, 0, 0, 1], port).into());
        let call = |port| gate.admit(&id("a"), None, Call::Message, from(port));
        for _ in 0..3 {
            assert_eq!(call(1), Err(Denied::Unproven(id("a"))));
        }
        assert_eq!(refused(&gate), 0);
        assert!(call(2).is_err());
        assert_eq!(refused(&gate), 1);
        tokio::time::advance(ASKING).await;
        assert!(call(1).is_err());
        assert_eq!(refused(&gate), 2);
        // A proof settles it.
        token(&gate, "a");
        assert!(call(3).is_err());
        assert_eq!(refused(&gate), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thief_fills_the_counters_and_not_the_log() {
        let gate = gate(roster(1, LATE, &[("a", "a")]), false);
        let logged = || {
            let state = gate.lock();
            let known = &state.known[&id("a")];
            known.refused - known.not_logged
        };
        let try_it = |times: u16| {
            for port in 0..times {
                let from = Some(([127, 0, 0, 1], port).into());
                assert!(gate.admit(&id("a"), None, Call::Poll, from).is_err());
            }
        };
        try_it(1001);
        assert_eq!((refused(&gate), logged()), (1000, 1));
        tokio::time::advance(LOG_INTERVAL).await;
        try_it(1000);
        // One line, which says how many there were.
        assert_eq!(gate.lock().known[&id("a")].not_logged, 999);
        assert_eq!(refused(&gate), 2000);
    }

    #[test]
    fn a_roster_that_is_over_lets_none_of_its_nodes_in_and_nobody_in_their_place() {
        let gate = gate(roster(1, LATE, &[("a", "a")]), false);
        let token = token(&gate, "a");
        gate.change(roster(2, OVER, &[("a", "a")]));
        for token in [None, Some(&token)] {
            let denied = gate.admit(&id("a"), token, Call::Poll, None);
            assert!(matches!(denied, Err(Denied::RosterOver(_))));
        }
        let challenge = gate.challenge(&id("a"));
        assert!(matches!(
            gate.prove(&id("a"), &challenge.nonce, &[0; 32], None, false),
            Err(NotProven::Denied(Denied::RosterOver(_)))
        ));
        assert!(gate.status().over.is_some());
        assert_eq!(gate.admit(&id("c"), None, Call::Poll, None), Ok(()));
    }

    #[test]
    fn another_roster_keeps_the_proofs_of_those_whose_key_is_the_same() {
        let gate = gate(roster(1, LATE, &[("a", "a"), ("bb", "bb")]), true);
        let tokens = ["a", "bb"].map(|node| (id(node), token(&gate, node)));
        gate.change(roster(2, LATE, &[("a", "a"), ("bb", "ccc")]));
        let [a, b] = tokens.map(|(node, token)| gate.admits(&node, Some(&token), Call::Poll));
        assert_eq!((a, b), (Ok(()), Err(Denied::Unproven(id("bb")))));
        gate.change(roster(3, LATE, &[]));
        assert_eq!(
            gate.admit(&id("a"), None, Call::Poll, None),
            Err(Denied::NotListed(id("a")))
        );
        assert!(gate.is_closed_to(&id("a")));
    }
}

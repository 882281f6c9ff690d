use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use p256::SecretKey;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::bucket::Bucket;
use super::frame::Index;
use super::hello::Timestamp;
use super::marks::Marks;
use super::pair::Pair;
use super::session::{Answered, Begun, Established, Receiving, Superseded};
use super::{Known, Limits, Moment, Suite};
use crate::message::{NodeId, ResearcherId};
use crate::noise::Statics;

/// What this node knows of a peer and has with it.
pub(super) struct Peer {
    pub(super) known: Known,
    /// The highest suite that there was a session in: no lower one is accepted, even before that is known from elsewhere.
    spoken: Option<Suite>,
    /// Whether no session is begun any more.
    pub(super) retired: bool,
    pub(super) statics: Arc<Statics>,
    pub(super) marks: Marks,
    pub(super) bucket: Bucket,
    pub(super) links: BTreeMap<ResearcherId, Link>,
}

/// What two nodes have at one researcher.
#[derive(Default)]
pub(super) struct Link {
    /// What was begun has a place of its own, so that no copy of its ephemeral key is left where it was.
    pub(super) pair: Pair<Box<Begun>, Answered, Established, Superseded>,
    /// Of the peer's latest handshake. Those that come must be later.
    pub(super) latest: Timestamp,
}

/// What a session is that opens messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The how manieth of those.
    Answered(usize),
    Current,
    Previous,
}

impl Peer {
    pub(super) fn new(own: &SecretKey, known: Known, now: Moment) -> Self {
        let statics = Statics::new(own.clone(), known.identity);
        Self {
            known,
            spoken: None,
            retired: false,
            marks: Marks::new(statics.shared()),
            statics: Arc::new(statics),
            bucket: Bucket::new(now.running),
            links: BTreeMap::new(),
        }
    }

    /// Whether these are the same ends, whatever suites they talk in.
    pub(super) fn is(&self, known: &Known) -> bool {
        (&self.known.identity, &self.known.federation) == (&known.identity, &known.federation)
    }

    /// How it is to be talked to, after all that was spoken with it.
    pub(super) fn limits(&self) -> Limits {
        let Limits { highest, lowest } = self.known.limits;
        let spoken = self.spoken.map_or(0, Suite::number);
        Limits {
            highest: highest.max(spoken),
            lowest: lowest.max(spoken),
        }
    }

    /// There is a session in this suite, proven by both ends.
    pub(super) fn spoke(&mut self, suite: Suite) {
        self.spoken = self.spoken.max(Some(suite));
    }

    /// Takes these as the limits from now on. What there is in a suite below them is forgotten, as is what was begun under others.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.retired = false;
        if self.known.limits == limits {
            return;
        }
        self.known.limits = limits;
        let accepted = |suite: Suite| suite.number() >= limits.lowest;
        for link in self.links.values_mut() {
            link.pair.keep(
                |answered| accepted(answered.suite()),
                |current| accepted(current.suite()),
                |previous| accepted(previous.suite()),
            );
        }
    }

    pub(super) fn hash(&self, name: &NodeId, hash: &mut Sha256) {
        hash.update(name.as_str());
        for (researcher, link) in &self.links {
            hash.update(researcher.as_str());
            link.hash(hash);
        }
    }
}

impl Link {
    /// The session with this index, if it opens messages.
    pub(super) fn find(&mut self, index: Index) -> Option<(Stage, &mut Receiving)> {
        let (answered, current, previous) = self.pair.opening();
        let answered = answered.enumerate();
        let answered =
            answered.map(|(place, session)| (Stage::Answered(place), session.receiving()));
        let current = current.map(|session| (Stage::Current, session.receiving()));
        let previous = previous.map(|session| (Stage::Previous, session.receiving()));
        let mut all = answered.chain(current).chain(previous);
        all.find(|(_, receiving)| receiving.index() == index)
    }

    /// Whether the peer's handshake of this suite is to be left alone, because this node's own goes on. One of another suite does not:
    /// `suite` is the one that both offer.
    pub(super) fn goes_first(&self, suite: Suite, lower_id: bool, now: Duration) -> bool {
        let same = self.pair.begun().is_some_and(|begun| begun.suite == suite);
        same && self.pair.goes_first(lower_id, now)
    }

    /// Whether either end is about to replace the current session.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let current = self.pair.current();
        current.is_some_and(|session| session.is_due_at_either_end(now))
    }

    /// An index that no session here has.
    pub(super) fn fresh_index(&mut self, rng: &mut impl CryptoRng) -> Index {
        loop {
            let mut bytes = [0; 4];
            rng.fill_bytes(&mut bytes);
            if let Some(index) = Index::new(bytes)
                && self.find(index).is_none()
                && self.pair.begun().is_none_or(|begun| begun.index != index)
            {
                return index;
            }
        }
    }

    fn hash(&self, hash: &mut Sha256) {
        hash.update(self.latest.encode());
        for (state, at) in self.pair.times() {
            hash.update(state.to_be_bytes());
            hash.update(at.as_nanos().to_be_bytes());
        }
        if let Some(begun) = self.pair.begun() {
            begun.hash(hash);
        }
        for answered in self.pair.answered() {
            answered.hash(hash);
        }
        if let Some(current) = self.pair.current() {
            current.hash(hash);
        }
        for previous in self.pair.previous() {
            previous.hash(hash);
        }
    }
}

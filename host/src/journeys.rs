//! The messages that came and went lately, and what became of each: for `explain`.
//!
//! Bounded, in memory only, and without a word of what the messages said. What could not be opened has a room of its own, as
//! anybody can send such messages: they drive out nobody else's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use crate::message::{MessageId, OverlayMessage};
use crate::metrics::Took;

/// Messages remembered in each room. Together some 10 MiB.
const MOST: usize = 5000;

/// The messages of one node. Clones are the same messages.
#[derive(Clone, Default)]
pub struct Journeys {
    rooms: Arc<Mutex<Rooms>>,
    observer: Arc<OnceLock<Observer>>,
}

type Observer = Box<dyn Fn(&Journey) + Send + Sync>;

#[derive(Default)]
struct Rooms {
    known: VecDeque<Shared>,
    unopened: VecDeque<Shared>,
}

type Shared = Arc<Mutex<Journey>>;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Which.
    pub id: MessageId,
    /// Whether it came to this node or left it.
    pub direction: Direction,
    /// When it came or left.
    pub at: SystemTime,
    /// Size of its ciphertext in bytes.
    pub bytes: usize,
    /// Through whose server.
    pub researcher: String,
    /// Who sent it, by its own word until it is opened; or to whom it went.
    pub peer: String,
    /// Whether it belongs to a channel set-up: then it is protected with the published key.
    pub setup: bool,
    /// How sure this node is of its sender; nothing until it is opened.
    pub assurance: Option<&'static str>,
    /// What the inner message says it is.
    pub kind: Option<String>,
    /// The exchange it belongs to.
    pub request: Option<String>,
    /// The plugin that treated it.
    pub plugin: Option<PluginVersion>,
    /// What that took.
    pub took: Option<Took>,
    /// The effects, in words.
    pub effects: Vec<String>,
    /// The reply to it.
    pub reply: Option<MessageId>,
    /// The limit or rule that stopped it, if one did.
    pub rule: Option<Rule>,
    /// How it ended; nothing while it is under way.
    pub end: Option<End>,
}

/// The way of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To this node.
    In,
    /// From this node.
    Out,
}

/// A plugin as it was when it treated a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// Its name.
    pub name: String,
    /// By its manifest.
    pub version: String,
    /// SHA-256 of the component, hex.
    pub digest: String,
}

/// How a message's journey ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Treated, its effects carried out; or handed to the transport.
    Done,
    /// Dropped.
    Dropped {
        /// The counter's name.
        reason: &'static str,
        /// All that is known.
        why: String,
    },
}

/// A limit or rule that decided something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it is set to.
    pub value: String,
    /// The line that sets it; or that it is the default, and where to write another.
    pub place: String,
}

/// A message on its way. Whoever drops it without an [`end`](Self::end) leaves it as dropped by a node that stopped.
pub struct Trip {
    journeys: Journeys,
    journey: Shared,
}

impl Journeys {
    /// From now on `observer` is told of each message: of one that leaves before it does, of one that came when its journey has
    /// ended. The first observer stays.
    pub fn observed_by(&self, observer: impl Fn(&Journey) + Send + Sync + 'static) {
        let _ = self.observer.set(Box::new(observer));
    }

    /// A message has come.
    pub fn came(&self, id: MessageId, message: &OverlayMessage) -> Trip {
        let journey = Journey::new(id, Direction::In, message, message.source.as_str());
        let journey = Arc::new(Mutex::new(journey));
        push(&mut self.rooms().unopened, journey.clone());
        Trip {
            journeys: self.clone(),
            journey,
        }
    }

    /// A message of `kind` is about to leave.
    pub fn leaves(&self, message: &OverlayMessage, kind: &str, request: Option<String>) -> Trip {
        let mut journey =
            Journey::new(message.id(), Direction::Out, message, message.dest.as_str());
        journey.kind = Some(kind.to_owned());
        journey.request = request;
        self.tell(&journey);
        let journey = Arc::new(Mutex::new(journey));
        push(&mut self.rooms().known, journey.clone());
        Trip {
            journeys: self.clone(),
            journey,
        }
    }

    /// The journeys of messages with this id, the oldest first: more than one when somebody repeated it.
    pub fn of(&self, id: MessageId) -> Vec<Journey> {
        let rooms = self.rooms();
        let all = rooms.known.iter().chain(&rooms.unopened);
        let mut found: Vec<_> = all
            .map(|one| locked(one).clone())
            .filter(|one| one.id == id)
            .collect();
        found.sort_by_key(|one| one.at);
        found
    }

    /// The last `count` messages, the oldest first.
    pub fn last(&self, count: usize) -> Vec<Journey> {
        let rooms = self.rooms();
        let of = |room: &VecDeque<Shared>| -> Vec<_> {
            let last = room.iter().rev().take(count);
            last.map(|one| locked(one).clone()).collect()
        };
        let mut last = of(&rooms.known);
        last.append(&mut of(&rooms.unopened));
        last.sort_by_key(|one| one.at);
        last.split_off(last.len().saturating_sub(count))
    }

    /// The message that the one with this id is the reply to.
    pub fn answered_by(&self, id: MessageId) -> Option<MessageId> {
        let rooms = self.rooms();
        let mut known = rooms.known.iter().rev().map(locked);
        known.find(|one| one.reply == Some(id)).map(|one| one.id)
    }

    fn tell(&self, journey: &Journey) {
        if let Some(observer) = self.observer.get() {
            observer(journey);
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trip {
    /// Notes something about the message.
    pub fn note(&self, change: impl FnOnce(&mut Journey)) {
        change(&mut locked(&self.journey));
    }

    /// The message was opened: its sender is who it says.
    pub fn opened(&self, kind: &str, request: Option<String>, assurance: &'static str) {
        self.note(|journey| {
            journey.kind = Some(kind.to_owned());
            journey.request = request;
            journey.assurance = Some(assurance);
        });
        let mut rooms = self.journeys.rooms();
        // Near the end, as it came just now.
        let at = rooms
            .unopened
            .iter()
            .rposition(|other| Arc::ptr_eq(other, &self.journey));
        at.and_then(|at| rooms.unopened.remove(at));
        push(&mut rooms.known, self.journey.clone());
    }

    /// The message's id.
    pub fn id(&self) -> MessageId {
        locked(&self.journey).id
    }

    /// The end of the journey.
    pub fn end(&self, end: End) {
        let mut journey = locked(&self.journey);
        journey.end = Some(end);
        if journey.direction == Direction::In {
            self.journeys.tell(&journey);
        }
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        let under_way = locked(&self.journey).end.is_none();
        if under_way {
            self.end(End::Dropped {
                reason: "stopping",
                why: "the node is stopping".into(),
            });
        }
    }
}

impl Journey {
    fn new(id: MessageId, direction: Direction, message: &OverlayMessage, peer: &str) -> Self {
        Self {
            id,
            direction,
            at: SystemTime::now(),
            bytes: message.overlay.len(),
            researcher: message.researcher_id.to_string(),
            peer: peer.to_owned(),
            setup: message.setup,
            assurance: None,
            kind: None,
            request: None,
            plugin: None,
            took: None,
            effects: Vec::new(),
            reply: None,
            rule: None,
            end: None,
        }
    }
}

fn push(room: &mut VecDeque<Shared>, journey: Shared) {
    if room.len() >= MOST {
        room.pop_front();
    }
    room.push_back(journey);
}

fn locked(journey: &Shared) -> MutexGuard<'_, Journey> {
    journey.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{NodeId, ResearcherId};

    fn message(overlay: &[u8]) -> OverlayMessage {
        OverlayMessage {
            researcher_id: ResearcherId::try_from("r").expect("valid"),
            source: NodeId::try_from("b").expect("valid"),
            dest: NodeId::try_from("a").expect("valid"),
            overlay: overlay.to_vec(),
            setup: false,
            salt: Vec::new(),
            nonce: Vec::new(),
        }
    }

    #[test]
    fn forged_messages_drive_out_nothing_but_each_other() {
        let (journeys, genuine) = (Journeys::default(), message(b"genuine"));
        let trip = journeys.came(genuine.id(), &genuine);
        trip.opened("KeyRequest", None, "channel-key");
        trip.end(End::Done);
        for n in 0..2 * MOST {
            let forged = message(&n.to_be_bytes());
            journeys.came(forged.id(), &forged);
        }

        assert_eq!(journeys.of(genuine.id())[0].end, Some(End::Done));
        assert_eq!(journeys.rooms().unopened.len(), MOST);
        assert_eq!(journeys.rooms().known.len(), 1);
        assert!(journeys.of(message(&0_usize.to_be_bytes()).id()).is_empty());
    }

    #[test]
    fn a_repeated_message_has_several_journeys() {
        let (journeys, message) = (Journeys::default(), message(b"again"));
        let first = journeys.came(message.id(), &message);
        drop(first);
        let second = journeys.came(message.id(), &message);

        let found = journeys.of(message.id());
        assert!(matches!(
            found[0].end,
            Some(End::Dropped {
                reason: "stopping",
                ..
            })
        ));
        assert_eq!(found[1].end, None);
        drop(second);
    }
}

//! How much this node takes in at a time, by what vouches for a message's sender.
//!
//! Anyone who reaches the relay can send messages under any name. So those of senders whose key is not known wait in rooms
//! of their own: they can fill those, and cannot take the place of known peers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::turns::{Turn, Turns};
use super::{Dropped, IN_WORK};
use crate::message::{NodeId, OverlayMessage};

/// Messages of known peers that wait for their turn (reference: a queue of 1000), and as many of those only met.
const QUEUE: usize = 1000;
/// Of those in work, so many more may wait for material, which takes no sandbox.
const WAITING: usize = 10_000;
/// The size of either's messages together, in KiB.
const QUEUE_KIB: usize = 256 << 10;
/// Messages in work for one peer. What its unanswerable requests can block is its own turn.
const IN_WORK_PER_PEER: usize = 200;
/// Messages of one peer, those that wait for its turn included: a peer that floods leaves most of the room to others.
const PLACES_PER_PEER: usize = 1000;
/// Messages of strangers, for each of their rooms.
const STRANGERS: usize = 512;
/// Messages of one stranger, by the name it claims.
const PER_STRANGER: usize = 32;
/// The largest message of a stranger, in bytes. A set-up or a first request has some hundred.
const STRANGERS_LARGEST: usize = 64 << 10;

/// What vouches for a message's sender, before it is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// This node has a channel with it, or wants one: forgeries fail quickly.
    Known,
    /// A key that it gave when this node asked, which anyone can under a name that is free.
    Met,
    /// Nothing, and to open the message the sender must be asked for its key: slow.
    Stranger,
    /// Nothing but the published key: quick.
    SetUp,
}

pub(super) struct Rooms {
    known: Room,
    met: Room,
    strangers: Arc<Semaphore>,
    set_ups: Arc<Semaphore>,
    peers_places: Turns,
    peers_turns: Turns,
    strangers_turns: Turns,
    set_ups_turns: Turns,
}

/// A room that is bounded in bytes, too.
struct Room {
    messages: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

impl Room {
    fn new() -> Self {
        Self {
            messages: Arc::new(Semaphore::new(QUEUE + IN_WORK + WAITING)),
            kib: Arc::new(Semaphore::new(QUEUE_KIB)),
        }
    }
}

/// A message's place in this node, until it is treated.
pub(super) struct Place {
    standing: Standing,
    _room: OwnedSemaphorePermit,
    _kib: Option<OwnedSemaphorePermit>,
}

impl Rooms {
    pub(super) fn new() -> Self {
        Self {
            known: Room::new(),
            met: Room::new(),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            set_ups: Arc::new(Semaphore::new(STRANGERS)),
            peers_places: Turns::new(PLACES_PER_PEER),
            peers_turns: Turns::new(IN_WORK_PER_PEER),
            strangers_turns: Turns::new(PER_STRANGER),
            set_ups_turns: Turns::new(PER_STRANGER),
        }
    }

    /// A place for a message. Never waits.
    pub(super) fn enter(
        &self,
        standing: Standing,
        message: &OverlayMessage,
    ) -> Result<Place, Dropped> {
        let size = message.overlay.len();
        let (room, kib) = match standing {
            Standing::Known | Standing::Met => {
                let room = if standing == Standing::Known {
                    &self.known
                } else {
                    &self.met
                };
                let kib = u32::try_from(size / 1024 + 1).map_err(|_| Dropped::NoRoom)?;
                let kib = room.kib.clone().try_acquire_many_owned(kib);
                (&room.messages, Some(kib.map_err(|_| Dropped::NoRoom)?))
            }
            _ if size > STRANGERS_LARGEST => return Err(Dropped::LargeFromStranger(size)),
            Standing::Stranger => (&self.strangers, None),
            Standing::SetUp => (&self.set_ups, None),
        };
        let room = room.clone().try_acquire_owned();
        Ok(Place {
            standing,
            _room: room.map_err(|_| Dropped::NoRoom)?,
            _kib: kib,
        })
    }

    /// The sender's turn. Who has more messages here than it may loses the rest; who has less waits for its turn.
    pub(super) async fn turn(
        &self,
        place: &Place,
        sender: &NodeId,
    ) -> Result<[Turn<'_>; 2], Dropped> {
        let turns = match place.standing {
            Standing::Known | Standing::Met => &self.peers_places,
            Standing::Stranger => &self.strangers_turns,
            Standing::SetUp => &self.set_ups_turns,
        };
        let own = turns.try_take(sender).ok_or(Dropped::NoRoom)?;
        Ok([own, self.peers_turns.take(sender).await])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ResearcherId;

    fn message(source: &str, bytes: usize) -> OverlayMessage {
        OverlayMessage {
            researcher_id: ResearcherId::try_from("r").expect("valid"),
            source: NodeId::try_from(source).expect("valid"),
            dest: NodeId::try_from("us").expect("valid"),
            overlay: vec![0; bytes],
            setup: false,
            salt: vec![0; 32],
            nonce: vec![0; 16],
        }
    }

    #[tokio::test]
    async fn strangers_fill_their_room_and_no_other() {
        let rooms = Rooms::new();
        let stranger = message("forged", 100);
        let places: Vec<_> = (0..STRANGERS)
            .map(|_| rooms.enter(Standing::Stranger, &stranger).ok())
            .collect();

        assert!(places.iter().all(Option::is_some));
        assert!(matches!(
            rooms.enter(Standing::Stranger, &stranger),
            Err(Dropped::NoRoom)
        ));
        assert!(rooms.enter(Standing::SetUp, &stranger).is_ok());
        assert!(rooms.enter(Standing::Met, &stranger).is_ok());
        assert!(rooms.enter(Standing::Known, &stranger).is_ok());
    }

    #[tokio::test]
    async fn one_name_takes_few_of_the_strangers_turns() {
        let rooms = Rooms::new();
        let place = rooms.enter(Standing::Stranger, &message("forged", 1));
        let place = place.expect("room");
        let forged = NodeId::try_from("forged").expect("valid");
        let mut turns = Vec::new();
        for _ in 0..PER_STRANGER {
            turns.push(rooms.turn(&place, &forged).await.expect("a turn"));
        }

        assert!(rooms.turn(&place, &forged).await.is_err());
        let other = NodeId::try_from("other").expect("valid");
        assert!(rooms.turn(&place, &other).await.is_ok());
    }

    #[tokio::test]
    async fn a_peer_that_floods_leaves_most_of_the_room_to_others() {
        let rooms = Rooms::new();
        let place = rooms.enter(Standing::Known, &message("flooder", 1));
        let place = place.expect("room");
        let flooder = NodeId::try_from("flooder").expect("valid");
        let mut turns = Vec::new();
        for _ in 0..IN_WORK_PER_PEER {
            turns.push(rooms.turn(&place, &flooder).await.expect("a turn"));
        }
        let waiting: Vec<_> = (IN_WORK_PER_PEER..PLACES_PER_PEER)
            .map(|_| rooms.peers_places.try_take(&flooder))
            .collect();

        assert!(waiting.iter().all(Option::is_some));
        assert!(rooms.turn(&place, &flooder).await.is_err());
        let other = NodeId::try_from("other").expect("valid");
        assert!(rooms.turn(&place, &other).await.is_ok());
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let rooms = Rooms::new();
        let large = message("stranger", STRANGERS_LARGEST + 1);
        assert!(matches!(
            rooms.enter(Standing::Stranger, &large),
            Err(Dropped::LargeFromStranger(_))
        ));
        let half = message("peer", QUEUE_KIB * 512 - 1024);
        let first = rooms.enter(Standing::Known, &half).expect("room");
        let second = rooms.enter(Standing::Known, &half).expect("room");
        assert!(rooms.enter(Standing::Known, &half).is_err());
        drop((first, second));
        assert!(rooms.enter(Standing::Known, &half).is_ok());
    }
}

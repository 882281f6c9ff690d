//! How a node tells a relay of ours that a message has come.
//!
//! A relay that has written a message to a connection does not know whether it arrives: the connection may be dead already. So
//! it numbers its polls, and keeps what a poll delivered until the node's next one names that number, on whichever connection.
//! Both travel in the calls' metadata, which servers and nodes of the reference neither send nor look at.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// Of the answer to a poll: its number.
const POLL: &str = "backchannel-poll";

/// Of a poll: the number of the poll whose message came last.
const RECEIVED: &str = "backchannel-received";

/// What a node says in a poll about the message before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Nothing: it does not know that it may.
    NotSaid,
    /// It has received none since it started.
    None,
    /// The message of this poll.
    Poll(u64),
}

impl Received {
    /// As a relay reads it.
    pub fn read(metadata: &MetadataMap) -> Self {
        match metadata.get(RECEIVED).map(MetadataValue::to_str) {
            None => Self::NotSaid,
            Some(text) => text
                .ok()
                .and_then(|text| text.parse().ok())
                .map_or(Self::None, Self::Poll),
        }
    }

    /// As a node writes it.
    pub fn write(self, metadata: &mut MetadataMap) {
        match self {
            Self::NotSaid => {}
            Self::None => drop(metadata.insert(RECEIVED, MetadataValue::from_static("none"))),
            Self::Poll(number) => drop(metadata.insert(RECEIVED, number.into())),
        }
    }

    /// What to say once the message has come with which a server answers a poll.
    pub fn of_answer(metadata: &MetadataMap) -> Self {
        let number = |value: &MetadataValue<Ascii>| value.to_str().ok()?.parse().ok();
        metadata
            .get(POLL)
            .and_then(number)
            .map_or(Self::None, Self::Poll)
    }
}

/// Numbers the answer to a poll.
pub fn number(metadata: &mut MetadataMap, poll: u64) {
    metadata.insert(POLL, poll.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_writes_is_what_a_relay_reads() {
        for said in [
            Received::NotSaid,
            Received::None,
            Received::Poll(0),
            Received::Poll(u64::MAX),
        ] {
            let mut metadata = MetadataMap::new();
            said.write(&mut metadata);
            assert_eq!(Received::read(&metadata), said);
        }
    }

    #[test]
    fn what_cannot_be_read_confirms_nothing() {
        let mut metadata = MetadataMap::new();
        metadata.insert(RECEIVED, MetadataValue::from_static("-1"));
        metadata.insert(POLL, MetadataValue::from_static("first"));
        assert_eq!(Received::read(&metadata), Received::None);
        assert_eq!(Received::of_answer(&metadata), Received::None);
    }

    #[test]
    fn a_node_repeats_the_number_of_its_poll() {
        let mut answer = MetadataMap::new();
        assert_eq!(Received::of_answer(&answer), Received::None);
        number(&mut answer, 7);
        assert_eq!(Received::of_answer(&answer), Received::Poll(7));
    }
}

//! How a node tells a relay of ours that a message has come.
//!
//! A relay that has written a message to a connection does not know whether it arrives: the connection may be dead already. So
//! it numbers its polls, and keeps what a poll delivered until the node's next one names that number, on whichever connection. A
//! [line](super::line) is a poll on which many messages come; while it lasts, the node counts them on it.
//! Both travel in the calls' metadata, which servers and nodes of the reference neither send nor look at.

use tonic::metadata::{MetadataMap, MetadataValue};

/// Of the answer to a poll: its number.
const POLL: &str = "backchannel-poll";

/// Of a poll: the number of the poll whose message came last; and how many had come on it, after a colon, if that was not one.
const RECEIVED: &str = "backchannel-received";

/// What a node says in a poll about the messages before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Nothing: it does not know that it may.
    NotSaid,
    /// It has received none since it started.
    None,
    /// The last one was of the poll of this number, on which so many had come with it.
    Poll {
        /// The poll's number.
        number: u64,
        /// One; more if it was a line.
        messages: u64,
    },
}

impl Received {
    /// As a relay reads it.
    pub fn read(metadata: &MetadataMap) -> Self {
        match metadata.get(RECEIVED).map(MetadataValue::to_str) {
            None => Self::NotSaid,
            Some(text) => text.ok().and_then(Self::parse).unwrap_or(Self::None),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, messages) = match text.split_once(':') {
            Some((number, messages)) => (number, messages.parse().ok()?),
            None => (text, 1),
        };
        let number = number.parse().ok()?;
        Some(Self::Poll { number, messages })
    }

    /// As a node writes it.
    pub fn write(self, metadata: &mut MetadataMap) {
        let value = match self {
            Self::NotSaid => return,
            Self::None => MetadataValue::from_static("none"),
            Self::Poll {
                number,
                messages: 1,
            } => number.into(),
            Self::Poll { number, messages } => {
                // Digits and a colon always can be.
                let Ok(value) = format!("{number}:{messages}").parse() else {
                    return;
                };
                value
            }
        };
        metadata.insert(RECEIVED, value);
    }

    /// What to say once so many messages have come on the poll of this number; a server of the reference numbers none.
    pub fn of(poll: Option<u64>, messages: u64) -> Self {
        match poll {
            Some(number) if messages > 0 => Self::Poll { number, messages },
            _ => Self::None,
        }
    }
}

/// The number in the answer to a poll, if it has one.
pub fn number_of(metadata: &MetadataMap) -> Option<u64> {
    metadata.get(POLL)?.to_str().ok()?.parse().ok()
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
            Received::Poll {
                number: 0,
                messages: 1,
            },
            Received::Poll {
                number: u64::MAX,
                messages: u64::MAX,
            },
        ] {
            let mut metadata = MetadataMap::new();
            said.write(&mut metadata);
            assert_eq!(Received::read(&metadata), said);
        }
    }

    #[test]
    fn what_cannot_be_read_confirms_nothing() {
        for text in ["-1", "1:", ":1", "1:x", "1:1:1"] {
            let mut metadata = MetadataMap::new();
            metadata.insert(RECEIVED, text.parse().unwrap());
            metadata.insert(POLL, MetadataValue::from_static("first"));
            assert_eq!(Received::read(&metadata), Received::None, "{text}");
            assert_eq!(number_of(&metadata), None);
        }
    }

    #[test]
    fn a_poll_without_number_or_message_confirms_nothing() {
        assert_eq!(Received::of(None, 1), Received::None);
        assert_eq!(Received::of(Some(7), 0), Received::None);
    }

    #[test]
    fn a_node_reads_the_number_of_its_poll() {
        let mut answer = MetadataMap::new();
        assert_eq!(number_of(&answer), None);
        number(&mut answer, 7);
        assert_eq!(number_of(&answer), Some(7));
    }
}

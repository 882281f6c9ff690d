//! What a transport says about itself.

use std::error::Error;
use std::sync::Arc;

use tokio::time::Instant;

use super::chunks::ChunkError;
use super::connect::ConnectError;
use crate::message::NodeId;

/// Whether there is a connection, and what went through it. Counts begin with the transport.
#[derive(Debug, Clone)]
pub struct TransportState {
    /// The connection.
    pub link: Link,
    /// How many times it was made.
    pub connections: u64,
    /// Messages that came and were handed on, malformed ones included.
    pub received: u64,
    /// Messages that came and could not be read.
    pub malformed: u64,
    /// Messages that came in the name of another researcher than the certificate's, and were dropped.
    pub foreign: u64,
    /// Messages that the relay has taken.
    pub acknowledged: u64,
    /// Messages that the relay said it will never take, and were dropped.
    pub refused: u64,
    /// Messages that the relay did not take in time, and were dropped.
    pub expired: u64,
    /// Messages that wait for the relay to take them.
    pub unacknowledged: usize,
}

impl TransportState {
    pub(super) fn new() -> Self {
        Self {
            link: Link::Connecting,
            connections: 0,
            received: 0,
            malformed: 0,
            foreign: 0,
            acknowledged: 0,
            refused: 0,
            expired: 0,
            unacknowledged: 0,
        }
    }
}

/// The connection to the relay.
#[derive(Debug, Clone)]
pub enum Link {
    /// The first attempt is under way.
    Connecting,
    /// The relay holds a poll of ours.
    Connected {
        /// Since when.
        since: Instant,
    },
    /// It failed or was lost, and is being tried again.
    Disconnected {
        /// Since when.
        since: Instant,
        /// Why the last attempt failed.
        error: Arc<LinkError>,
    },
    /// Stopped on request.
    Stopped,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It broke.
    #[error("the connection to the relay was lost: {}", root_cause(.0))]
    Lost(tonic::Status),
    /// The relay refused to serve us, or is stopping.
    #[error("the relay ended the poll: {} ({:?})", .0.message(), .0.code())]
    Call(tonic::Status),
    /// Another connection polls under our id.
    #[error(
        "the relay already serves a node named {0}: an old connection is dropped within 10 s, \
         otherwise another node uses this id"
    )]
    IdInUse(NodeId),
    /// The relay wants to see who we are, and we have nothing to show it with; or it asks again right after we have shown it.
    #[error("the relay wants a proof that this node is {0}")]
    ProofWanted(NodeId),
    /// The relay was given another identity key for us, or none.
    #[error("the relay does not believe that this is the node: {}", .0.message())]
    ProofRefused(tonic::Status),
    /// The relay asked for a proof in a way that makes no sense.
    #[error("the relay asks for a proof of identity that nobody could give")]
    BadChallenge,
    /// The relay sent slices that make no message.
    #[error("the relay sent a broken message: {0}")]
    Chunks(#[from] ChunkError),
    /// The relay offers a line, and something on the way does not let it through.
    #[error("the relay's line cannot be reached")]
    NoLine,
    /// The relay ends polls at once, with no message. Polling on would be a loop that never rests.
    #[error("the relay does not hold polls")]
    PollNotHeld,
}

impl LinkError {
    /// A call failed: here, or at the relay.
    pub(super) fn of_call(status: tonic::Status) -> Self {
        // Only what happened on this side has a source.
        match status.source() {
            Some(_) => Self::Lost(status),
            None => Self::Call(status),
        }
    }

    /// What the operator of the node can do about it, if anything.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) => Some(error.advice()),
            Self::ProofRefused(_) => Some(
                "compare `backchannel identity show` with the roster that the relay was given; if this node has a new key, the consortium has to make a new roster",
            ),
            _ => None,
        }
    }
}

/// What began it: the layers of gRPC and HTTP/2 in between only say "transport error".
fn root_cause(status: &tonic::Status) -> String {
    let mut cause: &dyn Error = status;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

use super::frame::FrameError;
use super::{Limits, Suite};
use crate::message::{DecodeError, MessageError};

/// Why a message was dropped. Its sender hears nothing; the texts are for the operator, and name no secret and no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its sender has no identity key here.
    #[error("it is from a node whose identity key is not known")]
    UnknownPeer,
    /// It is addressed to another node.
    #[error("it is for another node")]
    NotForUs,
    /// It is no frame.
    #[error("it is no frame of this suite: {0}")]
    Frame(#[from] FrameError),
    /// A handshake frame that the peer did not make, or not for here: changed, misdirected, made without the keys, or with other
    /// limits than this node knows.
    #[error("the handshake is not of this peer, for this node at this researcher")]
    Mac,
    /// Both offer a higher suite: somebody takes it away.
    #[error("both nodes offer a higher suite")]
    Downgrade,
    /// The peer offers a higher suite than this node does.
    #[error("it is of suite {}, and both nodes offer suite {agreed}", suite.number())]
    TooHigh {
        /// In which the peer begins.
        suite: Suite,
        /// In which both would.
        agreed: u8,
    },
    /// One offers none that the other accepts.
    #[error(
        "the peer offers suite {} and accepts none below {}, and this node offers suite {} and accepts none below {}",
        peer.highest, peer.lowest, own.highest, own.lowest
    )]
    NoCommonSuite {
        /// The peer's limits.
        peer: Limits,
        /// This node's.
        own: Limits,
    },
    /// The peer, or who repeats its frames, has this node compute too much.
    #[error("there were too many handshakes of this peer lately")]
    TooMany,
    /// Two handshakes crossed, and this node's goes on.
    #[error("this node's own handshake goes first")]
    OursGoesFirst,
    /// It passes for the peer's, and is not: only who holds one of the two identity keys can make such a frame.
    #[error("the handshake fails under the identity keys")]
    Handshake,
    /// It was begun no later than one that came before: repeated, overtaken, or the peer's clock was set back.
    #[error("a handshake of this peer that was begun as late or later came before")]
    Stale,
    /// It answers no handshake of this node's that is still open.
    #[error("it answers no handshake of this node")]
    NotAwaited,
    /// The session is not known: it is too old, or from before a restart of this node, or there never was one.
    #[error("it is of a session that is not known")]
    UnknownSession,
    /// Its key is erased or never was: it came before, or too many later ones did.
    #[error("it is repeated, or too far behind")]
    Spent,
    /// It was not sealed for this session with these outer fields.
    #[error("it was not sealed like this")]
    Tag,
    /// The peer's fault: the padding is not as it should be.
    #[error("what was sealed is not padded as it should be")]
    Padding,
    /// The peer's fault: what was sealed cannot be read.
    #[error("what was sealed cannot be read: {0}")]
    Content(#[from] DecodeError),
    /// The peer's fault: what was sealed is no inner message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The peer's fault: the inner message names other nodes than the outer one.
    #[error("the message inside names other nodes than the one around it")]
    Ids,
}

impl Refused {
    /// The counter's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownPeer => "unknown peer",
            Self::NotForUs => "not for us",
            Self::Frame(_) => "no frame",
            Self::Mac => "handshake not of the peer",
            Self::Downgrade => "downgrade",
            Self::TooHigh { .. } => "higher suite than is offered",
            Self::NoCommonSuite { .. } => "no suite in common",
            Self::TooMany => "too many handshakes",
            Self::OursGoesFirst => "own handshake goes first",
            Self::Handshake => "handshake fails",
            Self::Stale => "old handshake",
            Self::NotAwaited => "answer to nothing",
            Self::UnknownSession => "unknown session",
            Self::Spent => "repeated",
            Self::Tag => "not sealed by the peer",
            Self::Padding | Self::Content(_) | Self::Message(_) | Self::Ids => "bad content",
        }
    }

    /// Whether the peer may have another idea than this node of which sessions there are, so that a handshake of this node would
    /// help: after this node's restart, when the peer's clock was set back, or when it begins in a suite that this node does not offer
    /// and cannot know that. So may it be whenever anybody repeats an old frame, so [`begin`](super::Sessions::begin) sees to it that
    /// there are few.
    pub fn suggests_handshake(&self) -> bool {
        matches!(
            self,
            Self::UnknownSession | Self::Stale | Self::TooHigh { .. }
        )
    }

    /// Whether it takes somebody who forges, repeats or misdirects, or an operator to look: it is not what restarts, crossing handshakes,
    /// losses and other offers come to.
    pub fn is_somebodys_doing(&self) -> bool {
        !matches!(
            self,
            Self::OursGoesFirst | Self::NotAwaited | Self::UnknownSession | Self::TooHigh { .. }
        )
    }
}

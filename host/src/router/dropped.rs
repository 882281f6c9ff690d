use crate::channels::ChannelError;
use crate::handlers::{CallError, Demand, Limit, OutOfScope};
use crate::key_store::StoreError;
use crate::message::NodeId;
use crate::overlay::OpenError;
use crate::parcels::NotOurs;
use crate::post::PostError;
use crate::requests::NotAsked;
use crate::sessions::Refused;

/// Why a message was dropped. The peer hears nothing; the operator gets a counter, and a line as far as the log's limit goes.
/// The counter's name is the line's `cause`.
#[derive(Debug, thiserror::Error)]
pub enum Dropped {
    /// Ours: more messages than this node takes in.
    #[error("FB324: no room for another message")]
    NoRoom,
    /// Ours: not done in time.
    #[error("FB324: not treated within 32 s")]
    Deadline,
    /// Ours: the node stops.
    #[error("the node is stopping")]
    Stopping,
    /// The relay's: addressed to another node.
    #[error("FB324: addressed to {0}, not to this node")]
    NotForUs(NodeId),
    /// The peer's or the relay's: it cannot be opened.
    #[error("FB324: {0}")]
    Unopened(#[from] OpenError),
    /// The peer's or the relay's: it is not of a session with the peer, nor of a handshake.
    #[error("FB324: {0}")]
    Refused(#[from] Refused),
    /// The relay's, or a peer's that does not know this node's identity key: a suite that a relay can break into.
    #[error("FB324: of suite 1, from a node whose identity key is known")]
    Downgrade,
    /// The operator's decision, or what the policy comes to: no suite may be spoken with its sender.
    #[error("FB324: its sender is not talked to: {0}")]
    NoSuite(String),
    /// A peer's that knows this node's identity key, or the relay's.
    #[error("FB324: of suite 2, from a node whose identity key is not known here: pin it")]
    UnknownIdentity,
    /// Whoever's it is: the key that it says is its sender's is not taken for that.
    #[error("FB324: the identity key that it says is its sender's is not taken for that: {0}")]
    OtherIdentity(String),
    /// Somebody's who pretends to be this node.
    #[error("FB324: sent in this node's own name")]
    OwnName,
    /// A stranger's: only known peers may send large messages.
    #[error("FB324: {0} bytes from a node without a channel")]
    LargeFromStranger(usize),
    /// The relay's, or whoever repeats it: treated before.
    #[error("FB324: the message was treated before")]
    Repeated,
    /// The peer's: no plugin treats its kind.
    #[error("FB324: no plugin treats messages of kind {0:?}")]
    UnknownKind(String),
    /// The peer's: no plugin runs its protocol.
    #[error("FB324: no plugin runs the protocol {0:?}")]
    UnknownProtocol(String),
    /// The peer's: a message about parcels that no host makes.
    #[error("FB324: {0}")]
    NotOurs(#[from] NotOurs),
    /// The operator's decision: its plugin is disabled.
    #[error("FB324: its plugin {0} is switched off")]
    Off(String),
    /// The operator's decision: its plugin may not work for it.
    #[error("FB324: its plugin {0} is limited: {1}; the policy says so")]
    OutOfScope(String, OutOfScope),
    /// What its plugin demands.
    #[error("FB324: its plugin {0} demands of peers {1}")]
    Unassured(String, Demand),
    /// The plugin's.
    #[error("FB324: {0}")]
    Call(#[from] CallError),
    /// The peer's: a reply that nobody asked for.
    #[error("FB324: {0}")]
    NotAsked(#[from] NotAsked),
    /// The peer's key was not taken.
    #[error("{0}")]
    Channel(#[from] ChannelError),
    /// Ours: what the plugin wanted stored could not be.
    #[error("FB324: {0}")]
    NotStored(StoreError),
    /// The reply could not be sent.
    #[error("{0}")]
    Unsent(#[from] PostError),
}

impl Dropped {
    /// Whether the audit log tells of it: somebody forged, repeated or misdirected a message, or sent one that this node
    /// does not take. What plugins do is told of where they are called.
    pub fn is_a_security_matter(&self) -> bool {
        match self {
            Self::NoRoom
            | Self::Deadline
            | Self::NotForUs(_)
            | Self::Unopened(_)
            | Self::Downgrade
            | Self::NoSuite(_)
            | Self::UnknownIdentity
            | Self::OtherIdentity(_)
            | Self::OwnName
            | Self::LargeFromStranger(_)
            | Self::Repeated
            | Self::UnknownKind(_)
            | Self::UnknownProtocol(_)
            | Self::NotOurs(_)
            | Self::Off(_)
            | Self::OutOfScope(..)
            | Self::Unassured(..)
            | Self::NotAsked(_)
            | Self::Channel(_) => true,
            Self::Refused(refused) => refused.is_somebodys_doing(),
            Self::Stopping | Self::Call(_) | Self::NotStored(_) | Self::Unsent(_) => false,
        }
    }

    /// The counter's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoRoom => "no room",
            Self::Deadline => "deadline",
            Self::Stopping => "stopping",
            Self::NotForUs(_) => "not for us",
            Self::Unopened(_) => "cannot be opened",
            Self::Refused(refused) => refused.name(),
            Self::Downgrade => "suite 1 refused",
            Self::NoSuite(_) => "no suite allowed",
            Self::UnknownIdentity => "identity not known",
            Self::OtherIdentity(_) => "another identity",
            Self::OwnName => "in own name",
            Self::LargeFromStranger(_) => "large from strangers",
            Self::Repeated => "repeated",
            Self::UnknownKind(_) => "unknown kind",
            Self::UnknownProtocol(_) => "unknown protocol",
            Self::NotOurs(_) => "malformed",
            Self::Off(_) => "plugin off",
            Self::OutOfScope(..) => "out of scope",
            Self::Unassured(..) => "less assurance than demanded",
            Self::Call(CallError::Failure { .. }) => "failure of a plugin",
            Self::Call(CallError::Quarantined { .. }) => "plugin out of service",
            Self::Call(CallError::Limit { hit, .. }) if hit.limit == Limit::InFlight => {
                "plugin has too many in work"
            }
            Self::Call(CallError::TooLarge { .. }) => "too large for the plugin",
            Self::Call(CallError::NoRoom { .. }) => "no room",
            Self::Call(_) => "plugin stopped",
            Self::NotAsked(_) => "not asked for",
            Self::Channel(_) => "bad channel key",
            Self::NotStored(_) => "not stored",
            Self::Unsent(_) => "unsent",
        }
    }
}

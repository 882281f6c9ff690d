//! What travels, as plain data: the outer message that the relay sees, the inner message that only its receiver
//! sees, and what a researcher and a node say to each other.
//!
//! Every type here encodes to the bytes that Fed-BioMed 6.4 would send and refuses what it would refuse. Where we
//! refuse more, the error says so (`stricter_than_reference`).
//!
//! Reading order: [`ids`], [`integer`], [`value`], [`decode`], then the messages: [`overlay`] (and `written`, which reads it
//! faster), [`inner`], [`researcher`], [`replies`], [`protocol_run`].

pub mod decode;
pub mod ids;
pub mod inner;
pub mod integer;
mod message_id;
pub mod overlay;
pub mod protocol_run;
mod record;
pub mod replies;
pub mod researcher;
mod text;
pub mod value;
mod written;

pub use decode::DecodeError;
pub use ids::{
    ExperimentId, FederationId, IdError, NodeId, RequestId, ResearcherId, RunId, SecaggId,
};
pub use inner::Inner;
pub use integer::{Integer, IntegerTooLong};
pub use message_id::{MessageId, NotAMessageId};
pub use overlay::OverlayMessage;
pub use protocol_run::{ProtocolOutcome, ProtocolRun, ProtocolRunReply};
pub use record::MessageError;
pub(crate) use record::{check_version, is_reserved};
pub use replies::{SecaggReply, ToResearcher};
pub use researcher::{SetupRequest, ToNode};
pub(crate) use text::{LONGEST_LINE, one_line};
pub(crate) use value::Extent;
pub use value::Value;

/// The messaging protocol we speak. A peer's version is accepted when it has the same major number and is not newer.
pub const PROTOCOL_VERSION: &str = "7";

/// Largest encoded message, in bytes: the limit that the reference sets on its gRPC channel.
pub const MAX_MESSAGE_BYTES: usize = 100 * 1024 * 1024;

/// Deepest nesting of lists and maps. The reference has no limit of its own; its messages stay below five.
pub const MAX_DEPTH: usize = 32;

/// Most values in one message, nested ones included. A value takes up to 32 bytes in memory and as little as one on the
/// wire, so without this limit a message of the allowed size could take gigabytes.
pub const MAX_VALUES: usize = 1 << 20;

/// Longest integer, in bytes. The largest that the protocols here use is a share of some 257 bytes.
pub const MAX_INTEGER_BYTES: usize = 4096;

/// Longest id, in bytes. The reference has no limit; its ids are a prefix and a UUID.
pub const MAX_ID_BYTES: usize = 256;

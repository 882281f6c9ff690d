//! How a node talks to its researcher's server: gRPC over TLS with a pinned certificate, messages in slices, and a
//! connection that comes back.
//!
//! Knows nothing of the keys of channels and nodes, of handlers, or of what a message says beyond its researcher.
//!
//! Reading order: [`chunks`], [`certificate`], [`connect`], then [`Transport`], which puts them together.

mod backoff;
pub mod certificate;
pub mod chunks;
mod client;
pub mod connect;
mod fingerprint;
pub mod line;
mod outbox;
mod prove;
pub mod receipt;
mod silence;
mod state;
pub mod token;

pub use certificate::{Certificate, CertificateError, ServerIdentity};
pub use client::{Malformed, Transport, TransportConfig};
pub use connect::{AddressError, ConnectError, ServerAddress, fetch_certificate};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use outbox::Letter;
pub use prove::{Challenge, Prover};
pub(crate) use silence::give_up_on_silence;
pub use state::{Link, LinkError, TransportState};

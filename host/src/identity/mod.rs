//! Who a node is to its peers: one P-256 key, for as long as its key store lasts.
//!
//! The private half serves ECDH with peers' keys in suite 2, and nothing else: it signs nothing and encrypts nothing. The public half
//! goes to peers in a small file ([`Identity::to_file`]), by any way, for nothing in it is secret; what makes it believed is a
//! roster's signatures, or a telephone call about its [`Fingerprint`].

mod file;
mod fingerprint;
mod key;
mod secret;

pub use file::NotAnIdentityFile;
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use key::{IdentityKey, NotAnIdentityKey};
pub use secret::IdentitySecret;

use crate::message::NodeId;

/// A node and the key that it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which node.
    pub node: NodeId,
    /// Its key.
    pub key: IdentityKey,
}

impl Identity {
    /// What people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

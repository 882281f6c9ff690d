//! How a plugin travels from its author to a node: signed, reviewed, bundled, pushed and pulled; and what proves on
//! arrival that it is the file that trusted people vouched for.
//!
//! In reading order: [`PublicKey`] and [`SigningKey`] are minisign's; a [`Statement`] is what a signer says of a
//! component; a [`Signature`] is that, signed, in a file beside the component; [`vouch()`] holds signatures against a
//! node's [`Trust`]. A [`Package`] is a component with what travels beside it: in a folder, in a bundle ([`pack`]) or in a
//! registry ([`Registry`]).
//!
//! Nothing here runs a component or compiles it, and [`vouch()`] does not even parse it: a signature covers bytes.

mod bundle;
mod digest;
mod error;
mod key;
mod package;
mod registry;
mod signature;
mod statement;
mod trust;
mod vouch;

pub use bundle::pack;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use bundle::unpack;
pub use digest::{Digest, NotADigest};
pub use error::{BundleError, NotBundled, PackageError};
pub use key::{KeyError, KeyId, NotAKey, PublicKey, SigningKey};
pub use package::{
    Package, read_file, read_notes, read_signature, signatures_beside, write_new, write_signature,
};
pub use registry::{Access, Registry, RegistryError};
pub use signature::{NotASignature, NotSigned, Signature};
pub use statement::{NotAStatement, Role, Statement};
pub use trust::{Trust, TrustError};
pub use vouch::{NotVouched, Rejected, Rejection, Signed, Vouched, signers, vouch};

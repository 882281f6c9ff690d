//! Why a package or a bundle cannot be read or made.

use std::io;
use std::path::PathBuf;

use super::package::MOST_SIGNATURES;
use super::{NotASignature, NotSigned};

/// Why a package cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The disk's answer.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file larger than anything that could be of use.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A signature file that is none.
    #[error("{}: {source}", path.display())]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NotASignature,
    },
    /// Signature files without end.
    #[error("there are {0} signatures, and {MOST_SIGNATURES} at most are looked at")]
    TooManySignatures(usize),
    /// A bundle that is damaged or was changed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl PackageError {
    /// What can be done about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the path and its permissions",
            Self::TooLarge { .. } => "check that it is the right file",
            Self::Signature { .. } => {
                "get the signature file anew, or move it away if it is no signature of this file"
            }
            Self::TooManySignatures(_) => "keep those of the signers you trust",
            Self::Bundle(error) => error.advice(),
        }
    }
}

/// What is wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not a tar archive, or a damaged one.
    #[error("the bundle cannot be read as a tar archive: {0}")]
    NotAnArchive(String),
    /// The end is missing.
    #[error("the bundle ends too early: it was not transferred whole")]
    Truncated,
    /// There is more after the end.
    #[error("bytes follow the end of the bundle")]
    Trailing,
    /// A link, a folder, a device.
    #[error("{name:?} in the bundle is not a plain file")]
    NotAFile {
        /// Its name.
        name: String,
    },
    /// A name that leads elsewhere.
    #[error("{name:?} in the bundle is not a name that a bundle's files can have")]
    Name {
        /// The name.
        name: String,
    },
    /// Larger than it can be.
    #[error("{name} in the bundle has {size} bytes, and {limit} at most are read")]
    TooLarge {
        /// Its name.
        name: String,
        /// Its size, as the archive has it.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// Two files of one name.
    #[error("{name} is twice in the bundle")]
    Twice {
        /// The name.
        name: String,
    },
    /// The index names it, and it is not there.
    #[error("{name} was removed from the bundle")]
    Removed {
        /// Its name.
        name: String,
    },
    /// It is there, and the index does not name it.
    #[error("{name} was added to the bundle")]
    Added {
        /// Its name.
        name: String,
    },
    /// It has the content of another name.
    #[error("{from} in the bundle was renamed to {to}")]
    Renamed {
        /// As the index has it.
        from: String,
        /// As it is.
        to: String,
    },
    /// Its content is not what the index says.
    #[error(
        "{name} in the bundle was changed or swapped: it has another SHA-256 than the bundle's list says"
    )]
    Changed {
        /// Its name.
        name: String,
    },
    /// No index, or one that cannot be read.
    #[error("the bundle's list of files cannot be used: {0}")]
    Index(String),
    /// A signature or the notes cannot be read.
    #[error("{name} in the bundle cannot be read: {why}")]
    Content {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The same files in another form than this program writes.
    #[error(
        "the bundle was not written by `plugin bundle create`: its files are in another order or form"
    )]
    Form,
}

impl BundleError {
    /// What can be done about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Truncated | Self::NotAnArchive(_) => {
                "copy the bundle again, and compare its SHA-256 with the sender's"
            }
            Self::Form | Self::TooLarge { .. } => {
                "ask the sender to make it with `backchannel plugin bundle create`"
            }
            _ => {
                "do not use it: ask the sender for the bundle as they made it, and compare its SHA-256 with theirs"
            }
        }
    }
}

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum NotBundled {
    /// The index cannot be signed.
    #[error(transparent)]
    NotSigned(#[from] NotSigned),
    /// What would be in it could not be read back.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

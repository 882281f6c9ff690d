//! From what the operator allows to what runs: the installed files, what is loaded of them, and what is in force now.
//!
//! [`Folder`] keeps installed components under their digests; being there allows nothing. [`Loader`] makes the plugins
//! that a [`Policy`](crate::policy::Policy) allows: it verifies digest and signatures every time, before anything of a file is parsed as code.
//! [`InForce`] is what a running node uses, and replaces it without dropping a message. [`Difference`] tells what a new version could do that
//! the old one could not.

mod candidate;
mod difference;
mod error;
mod folder;
mod in_force;
mod inputs;
mod loader;

pub use candidate::{Candidate, Verified};
pub use difference::Difference;
pub use error::{NotLoaded, Refusal, ReloadError};
pub use folder::{Folder, Installed};
pub use in_force::{Change, InForce, Kept, What};
pub use inputs::NotGiven;
pub use loader::Loader;

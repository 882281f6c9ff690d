//! The folder of one plugin in the making: what it says of itself, how it becomes a component, and whether a host will take that.
//!
//! In reading order: [`Project`] is the folder with its `backchannel.toml`; [`build`] makes its component with the toolchain of its
//! [`Language`], puts the manifest inside and writes it; [`check`] holds a component against its manifest and the starting limits. An
//! [`AuthoringError`] names the line of the file, where there is one, and what to write there.

mod build;
mod cached;
mod check;
mod error;
mod javascript;
mod project;
mod python;
mod rust;
mod world;

pub use build::{Built, build};
pub use cached::cache_folder;
pub use check::{Checked, check};
pub use error::{AuthoringError, Fault};
pub use project::{FILE, Language, Project};

//! From a guest's sources to a component with its manifest inside, for the build script of the built-in handlers and for
//! `backchannel build`.
//!
//! [`Guests::find`] asks Cargo for packages, [`Guests::compile`] makes core modules of them, [`encode`] makes a component of a module,
//! [`contract`] reads which contract a component is of, and [`embed`] puts a manifest inside.

mod cargo;
mod encode;

pub use cargo::{Assurance, CompileError, Declaration, Guest, Guests, TARGET};
pub use encode::{contract, embed, encode, package};

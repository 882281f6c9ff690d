//! Plugins: wasm components that treat the messages of their kinds, one fresh instance per message.
//!
//! In reading order: [`Plugin`] is a loaded component, [`Plugins`] finds the one for a kind; [`Plugin::handle`] and
//! [`Found::finalize`] treat a message, [`Run`] drives an exchange that a researcher asked for; [`Effect`] is what
//! comes out, already checked against the plugin's grants. [`Capability`] lists what a plugin may import, with
//! one file per WIT interface; [`Runtime`] is the wasm engine with its limits and its cache of compiled code.
//!
//! A guest has no WASI: no files, sockets, environment, clock. It cannot reach the network or the key store either: it
//! reads through capabilities and acts through effects, which `router` and `setups` carry out.

mod bindings;
mod body;
mod cache;
mod call;
mod capabilities;
mod effect;
mod error;
mod manifest;
mod material;
mod plugin;
mod plugins;
mod run;
mod runtime;
mod scope;
mod state;

pub use bindings::backchannel::n2n::types::{Assurance, Envelope, Message};
pub use body::Body;
pub use cache::CompiledCode;
pub use call::Found;
pub use capabilities::Capability;
pub use effect::{Datum, Effect, Outgoing, Refused, SecaggResult};
pub use error::{CallError, LoadError};
pub use manifest::Manifest;
pub use material::Materials;
pub use plugin::Plugin;
pub use plugins::Plugins;
pub use run::{Run, Setup, Step};
pub use runtime::Runtime;
pub use scope::{OutOfScope, Scope, today};
pub use state::Services;

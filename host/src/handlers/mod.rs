//! Plugins: wasm components that treat the messages of their kinds, one fresh instance per message.
//!
//! In reading order: [`Surface`] is what a component declares and asks for, [`Plugin`] is a loaded one, [`Plugins`] finds the one for a kind and can be replaced while the node runs; [`Plugin::handle`] and
//! [`Found::finalize`] treat a message, [`Run`] drives an exchange that a researcher asked for; [`Effect`] is what
//! comes out, already checked against the plugin's grants. [`Capability`] lists what a plugin may import, with
//! one file per WIT interface; [`Terms`] say what it was granted, and how much of what it may use up ([`Limit`]);
//! [`Runtime`] is the wasm engine with its cache of compiled code; a [`Recorder`] is told of all that an instance did.
//!
//! A guest has no WASI: no files, sockets, environment, clock. It cannot reach the network or the key store either: it
//! reads through capabilities and acts through effects, which `router` and `setups` carry out.

mod bindings;
mod body;
mod cache;
mod call;
mod capabilities;
mod compile;
mod demand;
mod effect;
#[cfg(test)]
mod enforced;
mod entry;
mod error;
#[cfg(test)]
mod guests;
mod limits;
mod manifest;
mod material;
mod part;
mod part_secrets;
mod plugin;
mod plugins;
mod quarantine;
mod recorder;
mod replay;
mod run;
mod runtime;
mod scope;
mod state;
mod strain;
mod surface;
mod terms;
mod traced;
mod usage;
mod wait;

pub use bindings::backchannel::n2n::types::{Assurance, Envelope, Message};
pub use body::Body;
pub use cache::CompiledCode;
pub use call::Found;
pub use capabilities::{Capability, PLUGIN_LOG};
pub use compile::serve as serve_compiler;
pub use demand::Demand;
pub use effect::{Datum, Effect, Outgoing, Refused, SecaggResult};
pub use entry::Entry;
pub use error::{CallError, LoadError};
pub use limits::{FIXED_LIMITS, FixedLimit, Limit, LimitHit, Limits, NoSuchLimit, OutOfRange};
pub use manifest::Manifest;
pub use material::Materials;
pub use part::{Next, Part, Round, Start};
pub use plugin::Plugin;
pub use plugins::{BUILT_IN, BuiltIn, ENCLOSED, PluginSet, Plugins};
pub use quarantine::{InWork, Quarantine};
pub use recorder::Recorder;
pub use replay::ReplayError;
pub use run::{Run, Setup, Step};
pub use runtime::{FUEL_PER_MS, Runtime};
pub use scope::{OutOfScope, Scope};
pub use state::{Services, Sources};
pub use strain::{Hardship, Strain};
pub use surface::Surface;
pub use terms::Terms;
pub use traced::{assurance_name, assurance_of};
pub use usage::{Called, Usage};
pub use wait::{Handling, Wait, Waited};

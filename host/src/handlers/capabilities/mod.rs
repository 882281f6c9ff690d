//! What a plugin may import: a capability is a WIT interface, one file each.

mod agreement;
mod blinding;
mod channel_keys;
mod inputs;
mod log;
mod material;
mod random;
mod sharing;
mod store;

pub use log::PLUGIN_LOG;
use wasmtime::component::{HasSelf, Linker};

use super::bindings::backchannel::n2n;
use super::bindings::backchannel::n2n::types::Failure;
use super::state::CallState;

/// What a plugin may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Write to the node's log.
    Log,
    /// Wait for what this node prepared for a run, and publish it.
    Material,
    /// Read own public channel keys, set peers' ones.
    ChannelKeys,
    /// Agree on pair secrets.
    Agreement,
    /// Split a secret key.
    Sharing,
    /// Keep entries of its own across messages and restarts.
    Store,
    /// Draw random bytes.
    Random,
    /// Read, in runs, numbers that the policy grants.
    Inputs,
    /// Compare, in runs, ids that the policy grants, and see none.
    Blinding,
}

/// Whether an import is the one that every component has for its types; it allows nothing.
pub(super) fn is_types(import: &str) -> bool {
    interface(import) == Some("types")
}

/// The interface of this contract that an import names, such as `log` in `backchannel:n2n/log@0.1.0`. Later versions of the line
/// only add, so any 0.1.x names the same.
fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix("backchannel:n2n/")?.split_once('@')?;
    version.strip_prefix("0.1.")?;
    Some(name)
}

impl Capability {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Log,
        Self::Material,
        Self::ChannelKeys,
        Self::Agreement,
        Self::Sharing,
        Self::Store,
        Self::Random,
        Self::Inputs,
        Self::Blinding,
    ];

    /// Its name, in grants and in the WIT package.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Material => "material",
            Self::ChannelKeys => "channel-keys",
            Self::Agreement => "agreement",
            Self::Sharing => "sharing",
            Self::Store => "store",
            Self::Random => "random",
            Self::Inputs => "inputs",
            Self::Blinding => "blinding",
        }
    }

    /// What it lets a plugin do, to be read after "it may".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Log => "write to the node's log, up to the limits of lines and bytes per message",
            Self::Material => {
                "publish data for the parties of a run, and wait for what it published itself"
            }
            Self::ChannelKeys => {
                "read this node's public key on the channel with a sender, and set the sender's public key when this node asked for it"
            }
            Self::Agreement => {
                "have the host make a key pair for a run, and keep the secrets that it agrees on with the other parties"
            }
            Self::Sharing => {
                "have the host draw a secret key for a run, read the shares meant for other parties, and keep the key"
            }
            Self::Store => {
                "keep data of its own on this node's disk across messages and restarts, and read it again; other plugins' and the node's own it cannot see"
            }
            Self::Random => "draw random bytes from this node's generator",
            Self::Inputs => {
                "read, in runs with other parties, the numbers that this node's policy grants it by name, and tell others what it makes of them"
            }
            Self::Blinding => {
                "compare, in runs with other parties, the ids that this node's policy grants it by name; it sees none, but can find out whether one that it guesses is among them"
            }
        }
    }

    /// The capability that an import belongs to, such as `backchannel:n2n/log@0.1.0`.
    pub fn of_import(import: &str) -> Option<Self> {
        let name = interface(import)?;
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == name)
    }

    pub(super) fn link(self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        match self {
            Self::Log => n2n::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::Material => n2n::material::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::ChannelKeys => {
                n2n::channel_keys::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
            }
            Self::Agreement => {
                n2n::agreement::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
            }
            Self::Sharing => n2n::sharing::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::Store => n2n::store::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::Random => n2n::random::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::Inputs => n2n::inputs::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
            Self::Blinding => n2n::blinding::add_to_linker::<_, HasSelf<_>>(linker, |state| state),
        }
    }
}

impl n2n::types::Host for CallState {}

pub(super) fn link_types(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    n2n::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

fn refused<T>(why: &str) -> wasmtime::Result<Result<T, Failure>> {
    Ok(Err(Failure::Refused(why.into())))
}

use semver::Version;

use super::{Capability, FixedLimit, Limit, LimitHit};
use crate::trace::Ended;

/// Why a component was not loaded. All of these are the operator's to mend, with the plugin's author.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Larger than the limit.
    #[error("the file has {size} bytes, which is over its limit {hit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        hit: LimitHit,
    },
    /// Native code made by a wasm compiler elsewhere.
    #[error("the file is precompiled native code, which is never loaded")]
    Precompiled,
    /// A core module.
    #[error("the file is a core wasm module, not a component")]
    CoreModule,
    /// Not wasm, or damaged.
    #[error("the file is not a wasm component: {0}")]
    NotAComponent(String),
    /// No manifest inside, or one that cannot be read.
    #[error("the component's manifest cannot be used: {0}")]
    Manifest(String),
    /// Imports something that this host never offers.
    #[error("the component imports {import}, which is not offered")]
    NotOffered {
        /// The import.
        import: String,
    },
    /// Imports something that its manifest keeps quiet about.
    #[error("the component imports {import}, which its manifest does not declare: it would let the plugin {allows}", allows = capability.in_words())]
    Undeclared {
        /// The import.
        import: String,
        /// The capability it belongs to.
        capability: Capability,
    },
    /// Built for a contract that this host does not know yet.
    #[error("it was built for contract {built}, which is newer than this host's {host}")]
    ContractTooNew {
        /// The contract it was built for.
        built: Version,
        /// The one this host speaks.
        host: Version,
    },
    /// Built for a contract that this host no longer speaks.
    #[error("it was built for contract {built}, which is too old for this host's {host}")]
    ContractTooOld {
        /// The contract it was built for.
        built: Version,
        /// The one this host speaks.
        host: Version,
    },
    /// Imports something that was not granted.
    #[error("the component imports {import}, which was not granted: it would let the plugin {allows}", allows = capability.in_words())]
    NotGranted {
        /// The import.
        import: String,
        /// The capability it belongs to.
        capability: Capability,
    },
    /// An instance of it would begin with more than its limit.
    #[error("each instance begins with {needs}, and the limit is {hit}")]
    TooMuch {
        /// What it begins with, in the limit's unit.
        needs: u64,
        /// The limit.
        hit: LimitHit,
    },
    /// Compiling it took more than it may, or could not be begun.
    #[error("the component was not compiled: {0}")]
    Compiling(String),
    /// Exports something else than the contract asks for.
    #[error("the component does not fit the contract backchannel:n2n@0.1: {0}")]
    WrongWorld(String),
    /// Two plugins have one name.
    #[error("there are two plugins named {0}")]
    TwoOfOneName(String),
    /// Two plugins claim one kind.
    #[error("{kind} is treated by {first} and {second}")]
    TwoForOneKind {
        /// The kind.
        kind: String,
        /// The plugin loaded first.
        first: String,
        /// The other.
        second: String,
    },
}

impl LoadError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::TooLarge { hit, .. } => format!("raise `{}` if you trust the file's source", hit.limit),
            Self::Precompiled => "ask the author for the component itself (.wasm); this host compiles it".into(),
            Self::CoreModule => "make a component of it, as guest-handlers/README.md shows".into(),
            Self::TooMuch { hit, .. } => format!("raise `{}` if you trust the file's source", hit.limit),
            Self::Compiling(_) => "ask the author for a component that compiles in less".into(),
            Self::NotAComponent(_) => "check that the file was transferred whole and is the right one".into(),
            Self::Manifest(_) => "build the plugin as guest-handlers/README.md shows; that puts a manifest inside".into(),
            Self::NotOffered { import } if import.starts_with("wasi:") => {
                "build it without WASI (guest-handlers/README.md): plugins have no files, sockets, clock or environment".into()
            }
            Self::NotOffered { .. } => "see wit/README.md for what a plugin can import".into(),
            Self::Undeclared { capability, .. } => format!(
                "ask the author to declare `{}` under [capabilities] in backchannel.toml, with the reason",
                capability.name()
            ),
            Self::ContractTooNew { host, .. } => {
                format!("update backchannel on this node, or ask the author for a build against {host}")
            }
            Self::ContractTooOld { host, .. } => format!("ask the author for a build against {host}"),
            Self::NotGranted { capability, .. } => format!("grant `{}` to allow it", capability.name()),
            Self::WrongWorld(_) => "build it against wit/0.1, world `message-handler` or `protocol`".into(),
            Self::TwoOfOneName(_) | Self::TwoForOneKind { .. } => "load only one of them".into(),
        }
    }
}

/// Why a message was not treated to its end, or a run not finished. Nothing was done in any of these cases.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The guest says so itself.
    #[error("{plugin}: {kind}: {text}")]
    Failure {
        /// The plugin.
        plugin: String,
        /// `malformed`, `unavailable` or `refused`.
        kind: &'static str,
        /// In its words, escaped and cut.
        text: String,
    },
    /// The guest crashed.
    #[error("{plugin} trapped: {why}")]
    Trap {
        /// The plugin.
        plugin: String,
        /// What the engine says.
        why: String,
    },
    /// The guest crossed a limit that its operator can set.
    #[error("{plugin} was stopped at its limit {hit}; to allow more, raise `{}` under [plugin.{plugin}.limits] in policy.toml", hit.limit)]
    Limit {
        /// The plugin.
        plugin: String,
        /// The limit, with its value.
        hit: LimitHit,
    },
    /// The guest crossed a limit that is the same for every plugin.
    #[error("{plugin} was stopped at the fixed limit {limit}")]
    FixedLimit {
        /// The plugin.
        plugin: String,
        /// The limit.
        limit: &'static FixedLimit,
    },
    /// The guest asked for an effect it may not have.
    #[error("{plugin} asked for an effect it may not have: {why}")]
    Effect {
        /// The plugin.
        plugin: String,
        /// Which and why.
        why: super::Refused,
    },
    /// The plugin failed so often that it is out of service.
    #[error("{plugin} is out of service: {reason}")]
    Quarantined {
        /// The plugin.
        plugin: String,
        /// What it did.
        reason: String,
    },
    /// What peers sent is more than the plugin can be asked to read. Theirs, not the plugin's.
    #[error("{bytes} bytes are more than {plugin} is given to read: a quarter of its limit {hit}; to allow more, raise `{}` under [plugin.{plugin}.limits] in policy.toml", hit.limit)]
    TooLarge {
        /// The plugin.
        plugin: String,
        /// How much it would have been.
        bytes: usize,
        /// The limit.
        hit: LimitHit,
    },
    /// Ours: all instances that this host has are in use.
    #[error("no room for another instance of {plugin}: {why}")]
    NoRoom {
        /// The plugin.
        plugin: String,
        /// Of what there is no more.
        why: String,
    },
    /// The plugin is not made for this.
    #[error("{plugin} {what}")]
    Lacks {
        /// The plugin.
        plugin: String,
        /// What it does not do, such as "begins no exchanges".
        what: &'static str,
    },
}

impl CallError {
    /// The plugin.
    pub fn plugin(&self) -> &str {
        match self {
            Self::Failure { plugin, .. }
            | Self::Trap { plugin, .. }
            | Self::Limit { plugin, .. }
            | Self::FixedLimit { plugin, .. }
            | Self::Effect { plugin, .. }
            | Self::Quarantined { plugin, .. }
            | Self::TooLarge { plugin, .. }
            | Self::NoRoom { plugin, .. }
            | Self::Lacks { plugin, .. } => plugin,
        }
    }

    /// Whether the host had to stop the plugin in the middle of its work, by the plugin's own fault. A message that was not
    /// let in was not begun, how many there are at a time is up to peers, and a store that is full harms nobody else.
    pub(super) fn is_grave(&self) -> bool {
        match self {
            Self::Trap { .. } | Self::FixedLimit { .. } => true,
            Self::Limit { hit, .. } => !matches!(
                hit.limit,
                Limit::InFlight | Limit::AllMemoryMib | Limit::StoreKib | Limit::StoreKeys
            ),
            _ => false,
        }
    }

    /// How the call ended, as a recording tells it.
    pub fn ended(&self) -> Ended {
        match self {
            Self::Failure { kind, text, .. } => Ended::Failed {
                kind: (*kind).to_owned(),
                text: text.clone(),
            },
            other => Ended::Stopped(other.to_string()),
        }
    }

    /// The limit that stopped it, if one did.
    pub fn limit(&self) -> Option<LimitHit> {
        match self {
            Self::Limit { hit, .. } | Self::TooLarge { hit, .. } => Some(*hit),
            _ => None,
        }
    }
}

use std::fmt;

use super::PluginName;
use crate::handlers::Limit;

/// What an operator can set for a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// Which file it is.
    Digest,
    /// Whether it is loaded.
    Enabled,
    /// Whether what it is given and does may be recorded.
    Record,
    /// What it is granted.
    Grants,
    /// Whose signatures it must have, by name.
    SignedBy,
    /// For whom it works.
    Researchers,
    /// For what.
    Experiments,
    /// With whom.
    Parties,
    /// Until when.
    Until,
    /// How much of something it may use.
    Limit(Limit),
}

impl Setting {
    /// The setting of this key.
    pub fn of_key(key: &str) -> Option<Self> {
        let others = [
            Self::Digest,
            Self::Enabled,
            Self::Record,
            Self::Grants,
            Self::SignedBy,
            Self::Researchers,
            Self::Experiments,
            Self::Parties,
            Self::Until,
        ];
        let limits = Limit::ALL.into_iter().map(Self::Limit);
        let mut all = others.into_iter().chain(limits);
        all.find(|setting| setting.key() == key)
    }

    /// Its key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Enabled => "enabled",
            Self::Record => "record",
            Self::Grants => "grants",
            Self::SignedBy => "signed-by",
            Self::Researchers => "researchers",
            Self::Experiments => "experiments",
            Self::Parties => "parties",
            Self::Until => "until",
            Self::Limit(limit) => limit.name(),
        }
    }
}

/// Where it stands what a setting is: to be shown to whoever wants to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this line of `policy.toml`, counted from 1.
    Line(usize),
    /// Nowhere: it is the default.
    Default {
        /// Whose setting.
        plugin: PluginName,
        /// Which.
        setting: Setting,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "policy.toml:{line}"),
            Self::Default { plugin, setting } => {
                let limits = match setting {
                    Setting::Limit(_) => ".limits",
                    _ => "",
                };
                let key = setting.key();
                write!(
                    f,
                    "default; add `{key} = …` under [plugin.{plugin}{limits}] in policy.toml"
                )
            }
        }
    }
}

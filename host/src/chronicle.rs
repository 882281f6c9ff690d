//! What a node keeps of what happens in it: for good, as numbers, and message by message.

use std::sync::{Arc, PoisonError, RwLock};

use crate::audit::Audit;
use crate::journeys::Journeys;
use crate::metrics::Metrics;

/// Handed to every part of a node. Clones are the same.
#[derive(Clone)]
pub struct Chronicle {
    /// What stays.
    pub audit: Audit,
    /// How much and how long.
    pub metrics: Metrics,
    /// What became of each message, lately.
    pub journeys: Journeys,
    /// Who decided what is in force.
    pub rules: Rules,
}

impl Chronicle {
    /// One whose lasting part is `audit`.
    pub fn new(audit: Audit) -> Self {
        Self {
            audit,
            metrics: Metrics::default(),
            journeys: Journeys::default(),
            rules: Rules::default(),
        }
    }

    /// One that is gone with the process: for simulations and tests.
    pub fn in_memory() -> Self {
        Self::new(Audit::none())
    }
}

/// Where each setting of a plugin comes from: asked when it stops something. Whoever reads the policy tells it.
#[derive(Clone, Default)]
pub struct Rules(Arc<RwLock<Option<Decides>>>);

type Decides = Box<dyn Fn(&str, &str) -> Option<Decided> + Send + Sync>;

/// What decides a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// A line of a file, or that it is the default.
    pub by: String,
    /// What to do to have it otherwise.
    pub to_change: String,
}

impl Rules {
    /// From now on `decides` says which line of the policy decides a plugin's setting, if one does. Settings are named by
    /// their path below the plugin's table, such as `limits.memory-mib`.
    pub fn told(&self, decides: impl Fn(&str, &str) -> Option<Decided> + Send + Sync + 'static) {
        let mut told = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *told = Some(Box::new(decides));
    }

    /// What decides `setting` of `plugin`.
    pub fn decides(&self, plugin: &str, setting: &str) -> Decided {
        let told = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let decided = told.as_ref().and_then(|decides| decides(plugin, setting));
        decided.unwrap_or_else(|| {
            let (table, key) = match setting.rsplit_once('.') {
                Some((table, key)) => (format!("plugin.{plugin}.{table}"), key),
                None => (format!("plugin.{plugin}"), setting),
            };
            Decided {
                by: "the default".into(),
                to_change: format!("add `{key} = …` under [{table}] in policy.toml"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_to_write_what_no_line_decides() {
        let rules = Rules::default();
        let decided = rules.decides("p", "limits.memory-mib");
        assert_eq!(decided.by, "the default");
        assert_eq!(
            decided.to_change,
            "add `memory-mib = …` under [plugin.p.limits] in policy.toml"
        );

        rules.told(|_, setting| {
            (setting == "until").then(|| Decided {
                by: "policy.toml:14".into(),
                to_change: "change that line".into(),
            })
        });
        assert_eq!(rules.decides("p", "until").by, "policy.toml:14");
        assert_eq!(rules.decides("p", "parties").by, "the default");
    }
}

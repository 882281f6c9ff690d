//! What a node keeps of what happens in it: for good, as numbers, and message by message.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::audit::Audit;
use crate::clock::Clock;
use crate::journeys::{Journeys, Rule};
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
    /// What was told of once and need not be told again.
    pub first_uses: FirstUses,
}

impl Chronicle {
    /// One whose lasting part is `audit`; with [`Audit::none`], one that is gone with the process.
    pub fn new(audit: Audit, clock: Clock) -> Self {
        Self {
            audit,
            metrics: Metrics::default(),
            journeys: Journeys::new(clock),
            rules: Rules::default(),
            first_uses: FirstUses::default(),
        }
    }
}

/// Uses of grants since the node started.
#[derive(Clone, Default)]
pub struct FirstUses(Arc<Mutex<HashSet<String>>>);

impl FirstUses {
    /// Uses remembered. Beyond, all are forgotten and told of again.
    const MOST: usize = 10_000;

    /// Whether this use has not been seen before.
    pub fn is_first(&self, of: &str) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(of) {
            return false;
        }
        if seen.len() >= Self::MOST {
            seen.clear();
        }
        seen.insert(of.to_owned())
    }
}

/// Where each setting of a plugin comes from: asked when it stops something.
#[derive(Clone, Default)]
pub struct Rules(Arc<RwLock<Option<Place>>>);

type Place = Box<dyn Fn(&str, &str) -> Option<String> + Send + Sync>;

impl Rules {
    /// From now on `place` says where it stands what a plugin's setting is: the first name is the plugin's, the second the
    /// setting's key in the policy.
    pub fn told(&self, place: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(place));
    }

    /// The rule that `setting` of `plugin` is: what it is set to, and where.
    pub fn rule(&self, plugin: &str, setting: &str, value: impl ToString) -> Rule {
        let told = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = told.as_ref().and_then(|place| place(plugin, setting));
        Rule {
            name: setting.to_owned(),
            value: value.to_string(),
            place: place.unwrap_or_else(|| "default".into()),
        }
    }
}

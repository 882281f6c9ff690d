//! What a plugin's call leaves in the chronicle: one place for messages and for runs.

use std::sync::Arc;

use tokio::time::Instant;

use crate::audit::{Event, Subject};
use crate::chronicle::Chronicle;
use crate::handlers::{CallError, Plugin};
use crate::journeys::{PluginVersion, Rule};
use crate::metrics::{Call, Ended, Took};

/// Sees one call of a plugin through. Dropped without an [`end`](Self::end), the call was cancelled.
pub struct Witness {
    chronicle: Chronicle,
    plugin: Arc<Plugin>,
    subject: Subject,
    call: Call,
    begun: Instant,
    took: Took,
}

impl Witness {
    /// For a call that begins now.
    pub fn new(chronicle: &Chronicle, plugin: &Arc<Plugin>, subject: Subject) -> Self {
        Self {
            call: chronicle.metrics.call(plugin.name()),
            chronicle: chronicle.clone(),
            plugin: plugin.clone(),
            subject,
            begun: Instant::now(),
            took: Took::default(),
        }
    }

    /// The call has ended, and took so much.
    pub fn end(mut self, error: Option<&CallError>) -> Seen {
        self.took.wall = self.begun.elapsed();
        let took = self.took;
        let rule = error.and_then(|error| self.failed(error));
        let ended = match error {
            None => Ended::Done,
            Some(CallError::Trap { .. }) => Ended::Trapped,
            Some(CallError::Limit { .. }) => Ended::Limited,
            Some(CallError::Effect { .. }) => Ended::Refused,
            Some(_) => Ended::Failed,
        };
        self.call.end(ended, took);
        Seen { took, rule }
    }

    /// What stopped it, for the audit log; and the limit that did, for whoever asks.
    fn failed(&self, error: &CallError) -> Option<Rule> {
        let (plugin, digest) = (
            self.plugin.name().to_owned(),
            hex::encode(self.plugin.digest()),
        );
        let subject = self.subject.clone();
        let mut rule = None;
        let event = match error {
            CallError::Trap { why, .. } => Event::PluginTrapped {
                plugin,
                digest,
                why: why.clone(),
                subject,
            },
            CallError::Effect { why, .. } => Event::EffectRefused {
                plugin,
                digest,
                why: why.to_string(),
                subject,
            },
            CallError::Limit { hit, .. } => {
                let limit = hit.limit.name();
                self.chronicle.metrics.limit_hit(&plugin, limit);
                let decided = self.chronicle.rules.rule(&plugin, limit, hit.value);
                let decided_by = decided.place.clone();
                rule = Some(decided);
                Event::LimitHit {
                    plugin,
                    digest,
                    limit: limit.to_owned(),
                    value: hit.value,
                    decided_by,
                    subject,
                }
            }
            _ => return None,
        };
        self.chronicle.audit.record(event);
        rule
    }
}

/// What was seen of a call.
pub struct Seen {
    /// What it took.
    pub took: Took,
    /// What stopped it, if a limit did.
    pub rule: Option<Rule>,
}

/// The plugin as it is named to people.
pub fn version_of(plugin: &Plugin) -> PluginVersion {
    PluginVersion {
        name: plugin.name().to_owned(),
        version: plugin.manifest().version.clone(),
        digest: hex::encode(plugin.digest()),
    }
}

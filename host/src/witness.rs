//! What a plugin's call leaves in the chronicle: one place for messages and for runs.

use std::sync::Arc;

use crate::audit::{Event, Subject};
use crate::chronicle::Chronicle;
use crate::handlers::{CallError, Limit, Plugin, Quarantine, Usage};
use crate::journeys::{PluginVersion, Rule};
use crate::metrics::{Call, Ended, Took};

/// Sees one call of a plugin through. Dropped without an [`end`](Self::end), the call was cancelled.
pub struct Witness {
    chronicle: Chronicle,
    plugin: Arc<Plugin>,
    subject: Subject,
    call: Call,
}

/// What was seen of a call.
pub struct Seen {
    /// What it took.
    pub took: Took,
    /// What stopped it, if an operator could decide otherwise.
    pub rule: Option<Rule>,
}

impl Witness {
    /// For a call that begins now.
    pub fn new(chronicle: &Chronicle, plugin: &Arc<Plugin>, subject: Subject) -> Self {
        Self {
            call: chronicle.metrics.call(plugin.name()),
            chronicle: chronicle.clone(),
            plugin: plugin.clone(),
            subject,
        }
    }

    /// Whose call it is.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// The call has ended: counts what it took, and tells the audit log which grants it used for the first time, which
    /// inputs it was given, which limits it came to, and what else stopped it.
    pub fn end(self, usage: &Usage, error: Option<&CallError>) -> Seen {
        self.tell_grants(usage);
        self.tell_inputs(usage);
        let rule = self.tell_limits(usage, error);
        if let Some(error) = error {
            self.tell_error(error);
        }
        let took = took(usage);
        self.call.end(ended(error), took);
        Seen { took, rule }
    }

    fn tell_grants(&self, usage: &Usage) {
        let peer = self.subject.peer.clone();
        for grant in &usage.grants {
            let (digest, grant) = (hex::encode(self.plugin.digest()), grant.name().to_owned());
            let whose = format!("{digest} {grant} {}", peer.as_deref().unwrap_or_default());
            if self.chronicle.first_uses.is_first(&whose) {
                self.chronicle.audit.record(Event::GrantUsed {
                    plugin: self.plugin.name().to_owned(),
                    digest,
                    grant,
                    peer: peer.clone(),
                    researcher_id: self.subject.researcher_id.clone().unwrap_or_default(),
                });
            }
        }
    }

    /// Each time: whose data was used for what is the first question of who answers for it.
    fn tell_inputs(&self, usage: &Usage) {
        for (input, rows) in &usage.inputs {
            self.chronicle.audit.record(Event::InputUsed {
                plugin: self.plugin.name().to_owned(),
                digest: hex::encode(self.plugin.digest()),
                input: input.clone(),
                rows: *rows,
                subject: self.subject.clone(),
            });
        }
    }

    /// Those that only cut something off are told of, too. Hands back the one that stopped the call.
    fn tell_limits(&self, usage: &Usage, error: Option<&CallError>) -> Option<Rule> {
        let name = self.plugin.name();
        let stopped = error.and_then(CallError::limit);
        let mut hits = usage.hits.clone();
        // A message that was not let in has used nothing.
        hits.extend(stopped);
        let mut rule = None;
        for hit in hits {
            let limit = hit.limit.name();
            self.chronicle.metrics.limit_hit(name, limit);
            let decided = self.chronicle.rules.rule(name, limit, hit.value);
            self.chronicle.audit.record(Event::LimitHit {
                plugin: name.to_owned(),
                digest: hex::encode(self.plugin.digest()),
                limit: limit.to_owned(),
                value: hit.value,
                decided_by: decided.place.clone(),
                subject: self.subject.clone(),
            });
            if stopped == Some(hit) {
                rule = Some(decided);
            }
        }
        match error {
            Some(CallError::FixedLimit { limit, .. }) => {
                self.chronicle.metrics.limit_hit(name, limit.name);
                let place = "the same for every plugin; built into this version";
                self.chronicle.audit.record(Event::LimitHit {
                    plugin: name.to_owned(),
                    digest: hex::encode(self.plugin.digest()),
                    limit: limit.name.to_owned(),
                    value: limit.value,
                    decided_by: place.to_owned(),
                    subject: self.subject.clone(),
                });
                Some(Rule {
                    name: limit.name.into(),
                    value: limit.value.to_string(),
                    place: place.to_owned(),
                })
            }
            Some(CallError::Quarantined { reason, .. }) => Some(Rule {
                name: "quarantine".into(),
                value: reason.clone(),
                place: format!("until `backchannel plugin enable {name}`"),
            }),
            _ => rule,
        }
    }

    fn tell_error(&self, error: &CallError) {
        let plugin = self.plugin.name().to_owned();
        let (digest, subject) = (hex::encode(self.plugin.digest()), self.subject.clone());
        match error {
            CallError::Trap { why, .. } => self.chronicle.audit.record(Event::PluginTrapped {
                plugin,
                digest,
                why: why.clone(),
                subject,
            }),
            CallError::Effect { why, .. } => self.chronicle.audit.record(Event::EffectRefused {
                plugin,
                digest,
                why: why.to_string(),
                subject,
            }),
            // Limits are told of above; that the plugin declined, or was in quarantine already, is in the journey.
            _ => {}
        }
    }
}

/// Tells that a plugin is out of service from now on.
pub fn quarantined(chronicle: &Chronicle, plugin: &Plugin, quarantine: &Quarantine) {
    chronicle.audit.record(Event::PluginQuarantined {
        plugin: plugin.name().to_owned(),
        digest: quarantine.digest.clone(),
        why: quarantine.reason.clone(),
    });
}

/// The plugin as it is named to people.
pub fn version_of(plugin: &Plugin) -> PluginVersion {
    PluginVersion {
        name: plugin.name().to_owned(),
        version: plugin.manifest().version.clone(),
        digest: hex::encode(plugin.digest()),
    }
}

fn took(usage: &Usage) -> Took {
    Took {
        wall: usage.wall,
        computing: usage.computing,
        memory: usage.peak_memory as u64,
        host_calls: usage.host_calls,
        effects: usage.effects as u64,
        effect_bytes: usage.effect_bytes as u64,
    }
}

fn ended(error: Option<&CallError>) -> Ended {
    match error {
        None => Ended::Done,
        Some(
            CallError::Quarantined { .. } | CallError::TooLarge { .. } | CallError::NoRoom { .. },
        ) => Ended::NotBegun,
        Some(CallError::Limit { hit, .. }) if hit.limit == Limit::InFlight => Ended::NotBegun,
        Some(CallError::Limit { .. } | CallError::FixedLimit { .. }) => Ended::Limited,
        Some(CallError::Trap { .. }) => Ended::Trapped,
        Some(CallError::Effect { .. }) => Ended::Refused,
        Some(CallError::Failure { .. } | CallError::Lacks { .. }) => Ended::Failed,
    }
}

//! What happens in a run, as it happens: events, and every instance of a plugin. Two runs are the same if their traces are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::handlers::Recorder;
use crate::journeys::{Direction, End, Journey, Journeys};
use crate::message::NodeId;
use crate::trace::{Event, Header, Plugin, Session, Trace, What};

/// The record of a run. Clones are the same record.
#[derive(Clone)]
pub(super) struct Record {
    began: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The kinds of the messages that were sealed, by id.
    sealed: HashMap<String, String>,
    events: Vec<Event>,
    plugins: Vec<Plugin>,
    sessions: Vec<Session>,
}

impl Record {
    /// Of a run that begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            kept: Arc::default(),
        }
    }

    /// How long the run lasts already.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Something happens now.
    pub(super) fn event(&self, what: What) {
        let at = u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX);
        let kept = &mut *self.kept();
        if let What::Sealed { id, kind, .. } = &what {
            kept.sealed.insert(id.clone(), kind.clone());
        }
        kept.events.push(Event { at, what });
    }

    /// The kind of the message of this id, if a node sealed it.
    pub(super) fn sealed(&self, id: &str) -> Option<String> {
        self.kept().sealed.get(id).cloned()
    }

    /// What tells of all instances of plugins on `node`.
    pub(super) fn recorder(&self, node: &NodeId) -> Recorder {
        let kept = self.kept.clone();
        let tell = move |plugin: &Plugin, session: Session| {
            let kept = &mut *kept.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.plugins.contains(plugin) {
                kept.plugins.push(plugin.clone());
            }
            kept.sessions.push(session);
        };
        Recorder::to(node.as_str(), self.began, |_| true, tell)
    }

    /// Has the messages of `node` told of.
    pub(super) fn observe(&self, node: &NodeId, journeys: &Journeys) {
        let (record, node) = (self.clone(), node.to_string());
        journeys.observed_by(move |journey| record.event(told(&node, journey)));
    }

    /// All of it. What happens from now on is left out.
    pub(super) fn into_trace(self, header: Header) -> Trace {
        let Kept {
            events,
            plugins,
            sessions,
            ..
        } = std::mem::take(&mut *self.kept());
        Trace {
            header,
            plugins,
            events,
            sessions,
            whole: true,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(node: &str, journey: &Journey) -> What {
    let id = journey.id.to_string();
    if journey.direction == Direction::Out {
        return What::Sealed {
            id,
            from: node.to_owned(),
            to: journey.peer.clone(),
            kind: journey.kind.clone().unwrap_or_default(),
            request: journey.request.clone(),
            setup: journey.setup,
        };
    }
    What::Treated {
        id,
        node: node.to_owned(),
        from: journey.peer.clone(),
        kind: journey.kind.clone(),
        plugin: journey.plugin.as_ref().map(|plugin| plugin.name.clone()),
        effects: journey.effects.clone(),
        reply: journey.reply.map(|id| id.to_string()),
        dropped: match &journey.end {
            Some(End::Dropped { why, .. }) => Some(why.clone()),
            Some(End::Done) | None => None,
        },
    }
}

//! What is kept of an instance for whoever listens: its calls, and every call of an import with what it gave back. A recording
//! can also be played: then imports answer what was recorded, and nothing of this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::traced::Traced;
use super::{Plugin, Usage};
use crate::message::MessageId;
use crate::trace::{self, Call, Cost, Ended, Entry, HostCall, Session, Value, Work};

/// Who is told of every instance of a plugin when it ends. Clones tell the same.
#[derive(Clone, Default)]
pub struct Recorder {
    listener: Option<Arc<Listener>>,
    message: Option<MessageId>,
}

type Wants = Box<dyn Fn(&Plugin) -> bool + Send + Sync>;
type Tell = Box<dyn Fn(&trace::Plugin, Session) + Send + Sync>;

struct Listener {
    node: String,
    began: Instant,
    wants: Wants,
    tell: Tell,
    script: Option<Session>,
}

impl Recorder {
    /// Nobody: nothing is kept.
    pub fn none() -> Self {
        Self::default()
    }

    /// Tells `tell` of every instance on `node` of the plugins that `wants` is for. Times count from `began`.
    pub fn to(
        node: impl Into<String>,
        began: Instant,
        wants: impl Fn(&Plugin) -> bool + Send + Sync + 'static,
        tell: impl Fn(&trace::Plugin, Session) + Send + Sync + 'static,
    ) -> Self {
        Self::of(Listener {
            node: node.into(),
            began,
            wants: Box::new(wants),
            tell: Box::new(tell),
            script: None,
        })
    }

    /// Has imports answer as they did in `script`, and tells `tell` what the instance did this time.
    pub(super) fn playing(
        script: Session,
        tell: impl Fn(&trace::Plugin, Session) + Send + Sync + 'static,
    ) -> Self {
        Self::of(Listener {
            node: script.node.clone(),
            began: Instant::now(),
            wants: Box::new(|_| true),
            tell: Box::new(tell),
            script: Some(script),
        })
    }

    fn of(listener: Listener) -> Self {
        Self {
            listener: Some(Arc::new(listener)),
            message: None,
        }
    }

    /// The same for an instance that treats the message of this id.
    pub fn about(&self, message: MessageId) -> Self {
        Self {
            listener: self.listener.clone(),
            message: Some(message),
        }
    }

    /// Opens the account of an instance, if anybody wants it.
    pub(super) fn open(&self, plugin: &Plugin, work: impl FnOnce() -> Work) -> Option<Account> {
        let listener = self.listener.as_ref().filter(|it| (it.wants)(plugin))?;
        let mut work = work();
        if let (Work::Message(incoming), Some(id)) = (&mut work, self.message) {
            incoming.id = Some(id.to_string());
        }
        let about = about(plugin);
        Some(Account {
            session: Some(Session {
                node: listener.node.clone(),
                plugin: about.name.clone(),
                digest: about.digest.clone(),
                work,
                calls: Vec::new(),
            }),
            plugin: about,
            listener: listener.clone(),
            script: Vec::new(),
            cancelled: false,
        })
    }
}

fn about(plugin: &Plugin) -> trace::Plugin {
    let limits =
        super::Limit::ALL.map(|limit| (limit.name().to_owned(), plugin.limits().get(limit)));
    let grants = plugin.grants().iter();
    trace::Plugin {
        name: plugin.name().to_owned(),
        version: plugin.manifest().version.clone(),
        digest: hex::encode(plugin.digest()),
        grants: grants.map(|grant| grant.name().to_owned()).collect(),
        limits: BTreeMap::from(limits),
    }
}

/// What is kept of one instance. Told when it is dropped.
pub(super) struct Account {
    listener: Arc<Listener>,
    plugin: trace::Plugin,
    /// Until it is told.
    session: Option<Session>,
    /// Answers for the call at hand that were not used yet.
    script: Vec<HostCall>,
    /// The script ends this call here.
    cancelled: bool,
}

/// What a played recording has for a call of an import.
pub(super) enum Answered<T> {
    /// Nothing is played: the host answers.
    ByHost,
    /// This.
    ByScript(T),
}

/// The plugin asks for what it did not ask for when it was recorded.
#[derive(Debug, thiserror::Error)]
#[error("it asks for {0}, which is not in the recording")]
pub(super) struct NotInScript(String);

impl Account {
    /// A call begins. Until it [ends](Self::call_ends) it counts as cancelled.
    pub(super) fn call_begins(&mut self, entry: Entry) {
        let at = self.listener.began.elapsed().as_micros();
        let Some(session) = &mut self.session else {
            return;
        };
        let script = self.listener.script.as_ref();
        let script = script.and_then(|script| script.calls.get(session.calls.len()));
        self.script = script.map_or_else(Vec::new, |call| call.host_calls.clone());
        session.calls.push(Call {
            at: u64::try_from(at).unwrap_or(u64::MAX),
            entry,
            host_calls: Vec::new(),
            ended: Ended::Cancelled,
            cost: Cost::default(),
        });
    }

    pub(super) fn call_ends(&mut self, ended: Ended, usage: &Usage) {
        let cancelled = std::mem::take(&mut self.cancelled);
        let Some(call) = self.call() else {
            return;
        };
        if !cancelled {
            call.ended = ended;
        }
        call.cost = Cost {
            fuel: usage.fuel,
            memory: usage.peak_memory as u64,
        };
    }

    /// An import is called; until it is [answered](Self::host_call_ends) it counts as unanswered.
    pub(super) fn host_call_begins<T: Traced>(
        &mut self,
        import: String,
        given: Vec<Value>,
    ) -> wasmtime::Result<Answered<T>> {
        let calls = self.session.iter_mut().flat_map(|it| &mut it.calls);
        let Some((at, call)) = calls.enumerate().last() else {
            return Ok(Answered::ByHost);
        };
        call.host_calls.push(HostCall {
            import,
            given,
            result: Value::Unanswered,
        });
        let (Some(script), Some(asked)) = (&self.listener.script, call.host_calls.last_mut())
        else {
            return Ok(Answered::ByHost);
        };
        let known = script.secrets_given();
        let same = |recorded: &HostCall| recorded.asks_for_the_same(asked, &known);
        let not_there = || wasmtime::Error::new(NotInScript(asked.to_string()));
        let found = self.script.iter().position(same).ok_or_else(not_there)?;
        let recorded = self.script.remove(found);
        if recorded.result == Value::Unanswered {
            self.cancelled = true;
            // That the host's clock ended the wait is not in the plugin's hands either.
            let then = script.calls.get(at).map(|call| &call.ended);
            if let Some(stopped @ Ended::Stopped(_)) = then {
                call.ended = stopped.clone();
            }
            return Err(not_there());
        }
        let answer = T::from_value(&recorded.result).ok_or_else(not_there)?;
        asked.result = recorded.result;
        Ok(Answered::ByScript(answer))
    }

    pub(super) fn host_call_ends(&mut self, result: Value) {
        if let Some(call) = self.call().and_then(|call| call.host_calls.last_mut()) {
            call.result = result;
        }
    }

    /// Tells nobody: all of it is done again.
    pub(super) fn discard(mut self) {
        self.session = None;
    }

    fn call(&mut self) -> Option<&mut Call> {
        self.session.as_mut()?.calls.last_mut()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            (self.listener.tell)(&self.plugin, session);
        }
    }
}

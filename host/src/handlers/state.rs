//! What the host keeps beside an instance while it lives: whom it works for, and what it has left of its budgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use p256::SecretKey;
use tokio::time::Instant;
use wasmtime::ResourceLimiter;

use super::part_secrets::PartSecrets;
use super::recorder::{Account, Answered};
use super::runtime::{MEMORIES, TICK, Ticking};
use super::traced::Traced;
use super::wait::{Answer, Left, SoFar};
use super::{
    Capability, Envelope, Limit, LimitHit, Limits, Materials, Plugin, Recorder, Refused, Strain,
    Usage,
};
use crate::audit::Audit;
use crate::channels::Channels;
use crate::clock::Clock;
use crate::key_store::{KeyStore, StoreError};
use crate::message::NodeId;
use crate::randomness::Randomness;
use crate::secure_sum::additive::{ServerKey, Share};
use crate::trace::{Ended, Entry, Value, Work};

/// What an instance is given beside its message: what it may draw on, and who hears of it.
#[derive(Clone)]
pub struct Services {
    /// The same for all instances. Together, so that each counts as one user and not as one of every part: threads wait for each other
    /// over such counts.
    pub sources: Arc<Sources>,
    /// Who is told of every instance.
    pub recorder: Recorder,
    /// What calls suffer.
    pub strain: Strain,
}

/// What capabilities draw on: the parts of the node that a plugin may see a sliver of.
pub struct Sources {
    /// For `channel-keys`.
    pub channels: Arc<Channels>,
    /// For `material`.
    pub materials: Materials,
    /// For `agreement`, `sharing` and `random`.
    pub randomness: Randomness,
    /// For `store`: a plugin sees the entries under its own name only.
    pub store: Arc<KeyStore>,
    /// Which day it is, for who may work until one only.
    pub clock: Clock,
}

impl Services {
    /// Those of a node that has nothing, in memory: for whoever runs a plugin without a node.
    pub fn blank(node: &NodeId, seed: u64) -> Result<Self, StoreError> {
        let randomness = Randomness::from_seed(seed);
        let store = Arc::new(KeyStore::in_memory(node, &randomness)?);
        let sources = Sources {
            channels: Arc::new(Channels::load(store.clone(), Audit::none())?),
            materials: Materials::default(),
            randomness,
            store,
            clock: Clock::of_system(),
        };
        Ok(Self {
            sources: Arc::new(sources),
            recorder: Recorder::none(),
            strain: Strain::none(),
        })
    }
}

/// The store data of one instance.
pub(super) struct CallState {
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) services: Services,
    pub(super) subject: Subject,
    /// Ticks of computing left, and what ends with them; see `Runtime`.
    pub(super) cpu: (u64, LimitHit),
    /// Until when the guest may wait; `None` where it must not.
    pub(super) may_wait_until: Option<Instant>,
    /// Why the instance is given up.
    pub(super) left: Option<Left>,
    /// What the one before was given up for, once. Then this one waits for all else itself.
    waited: Option<Option<Answer>>,
    /// The lines that the one before has written already.
    pub(super) said_before: u64,
    host_calls: u64,
    pub(super) log_lines: u64,
    pub(super) log_bytes: usize,
    memory: Memory,
    usage: Usage,
    account: Option<Account>,
    _ticking: Ticking,
}

/// The linear memory that an instance has, counted with that of all others of its plugin.
struct Memory {
    own: usize,
    all: Arc<AtomicUsize>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

/// What the instance was made for.
pub(super) enum Subject {
    Message(Envelope),
    Run(Box<RunState>),
    Part(Box<PartState>),
}

/// The host's half of a part in a protocol.
pub(super) struct PartState {
    pub(super) own: NodeId,
    pub(super) parties: Vec<NodeId>,
    pub(super) secrets: PartSecrets,
}

impl PartState {
    /// The party of this name, which is not this node.
    pub(super) fn other_party(&self, name: &str) -> Result<NodeId, Refused> {
        let parties = self.parties.iter();
        let mut others = parties.filter(|party| **party != self.own);
        let found = others.find(|party| party.as_str() == name);
        found
            .cloned()
            .ok_or_else(|| Refused::NotAParty(name.into()))
    }
}

/// The host's half of a run: the secrets that the guest must not see.
pub(super) struct RunState {
    pub(super) run: String,
    pub(super) own: NodeId,
    pub(super) parties: Vec<NodeId>,
    pub(super) agreement: Option<SecretKey>,
    pub(super) sharing: Option<SharedKey>,
}

/// A server key and its shares.
pub(super) struct SharedKey {
    pub(super) key: ServerKey,
    pub(super) kept: Share,
    pub(super) given: BTreeMap<NodeId, Share>,
}

impl CallState {
    pub(super) fn new(
        plugin: &Plugin,
        services: Services,
        subject: Subject,
        work: impl FnOnce() -> Work,
    ) -> Self {
        let limits = *plugin.limits();
        let account = services.recorder.open(plugin, work);
        Self {
            plugin: plugin.shared_name().clone(),
            limits,
            services,
            subject,
            cpu: (0, limits.hit(Limit::HandleCpuMs)),
            may_wait_until: None,
            left: None,
            waited: None,
            said_before: 0,
            host_calls: limits.get(Limit::HostCalls),
            log_lines: limits.get(Limit::LogLines),
            log_bytes: limits.bytes(Limit::LogKib),
            memory: Memory {
                own: 0,
                all: plugin.memory().clone(),
            },
            usage: Usage::default(),
            account,
            _ticking: plugin.ticking(),
        }
    }

    /// Takes the place of an instance that was given up over a wait.
    pub(super) fn goes_on(&mut self, answer: Answer, so_far: &SoFar) {
        self.waited = Some(Some(answer));
        self.said_before = so_far.usage.log_lines;
    }

    /// Whether the instance can be given up over a wait.
    pub(super) fn can_be_left(&self) -> bool {
        self.waited.is_none()
    }

    /// What the wait for this run came to that the instance before was given up over.
    pub(super) fn answer(&mut self, run: &str) -> Option<Answer> {
        self.waited.as_mut()?.take_if(|answer| answer.run == run)
    }

    /// What was kept of the instance for whoever listens.
    pub(super) fn take_account(&mut self) -> Option<Account> {
        self.account.take()
    }

    /// What was used since this was asked last. Memory and tables are not given back, so these stay the same.
    pub(super) fn usage(&mut self) -> Usage {
        let next = Usage {
            peak_memory: self.memory.own,
            table_elements: self.usage.table_elements,
            ..Usage::default()
        };
        std::mem::replace(&mut self.usage, next)
    }

    /// Begins a further message's worth of work of the same instance: a step of a run.
    pub(super) fn refill(&mut self) {
        self.host_calls = self.limits.get(Limit::HostCalls);
        self.log_lines = self.limits.get(Limit::LogLines);
        self.log_bytes = self.limits.bytes(Limit::LogKib);
    }

    /// Notes an input that the guest is given.
    pub(super) fn has_used_input(&mut self, name: &str, rows: usize) {
        self.usage.inputs.insert(name.to_owned(), rows);
    }

    /// Takes a line of so many bytes off the budget of the log.
    pub(super) fn has_logged(&mut self, bytes: usize) {
        self.log_lines -= 1;
        self.log_bytes -= bytes.min(self.log_bytes);
        self.usage.log_lines += 1;
        self.usage.log_bytes += bytes;
    }

    /// Notes a limit that cut something off and did not stop the guest.
    pub(super) fn cut_off(&mut self, limit: Limit) {
        self.usage.hits.insert(self.limits.hit(limit));
    }

    /// Gives the guest as many ticks as `limit` says.
    pub(super) fn may_compute(&mut self, limit: Limit) {
        let ticks = self.limits.time(limit).as_nanos() / TICK.as_nanos();
        self.cpu = (
            u64::try_from(ticks).unwrap_or(u64::MAX),
            self.limits.hit(limit),
        );
    }

    /// Takes one tick off the budget.
    pub(super) fn tick(&mut self) -> wasmtime::Result<()> {
        let (left, limit) = &mut self.cpu;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| wasmtime::Error::new(*limit))?;
        Ok(())
    }

    /// Whether anybody listens.
    pub(super) fn is_recorded(&self) -> bool {
        self.account.is_some()
    }

    /// The call of a function that the instance exports begins: told to whoever listens.
    pub(super) fn call_begins(&mut self, entry: impl FnOnce() -> Entry) {
        if let Some(account) = &mut self.account {
            account.call_begins(entry());
        }
    }

    /// And has ended.
    pub(super) fn call_ends(&mut self, ended: impl FnOnce() -> Ended, usage: &Usage) {
        if let Some(account) = &mut self.account {
            account.call_ends(ended(), usage);
        }
    }

    /// A call of an import that does not wait, from the budget to the recording.
    pub(super) fn host_call<T: Traced>(
        &mut self,
        capability: Capability,
        function: &str,
        given: impl FnOnce() -> Vec<Value>,
        answer: impl FnOnce(&mut Self) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        if let Some(played) = self.host_call_begins(capability, function, given)? {
            return Ok(played);
        }
        let answer = answer(self)?;
        self.host_call_ends(&answer);
        Ok(answer)
    }

    /// Every import begins with this: takes one call off the budget. The answer, if a recording is played.
    pub(super) fn host_call_begins<T: Traced>(
        &mut self,
        capability: Capability,
        function: &str,
        given: impl FnOnce() -> Vec<Value>,
    ) -> wasmtime::Result<Option<T>> {
        self.usage.grants.insert(capability);
        self.host_calls = self
            .host_calls
            .checked_sub(1)
            .ok_or_else(|| self.hit(Limit::HostCalls))?;
        self.usage.host_calls += 1;
        let Some(account) = &mut self.account else {
            return Ok(None);
        };
        let import = format!("{}.{function}", capability.name());
        match account.host_call_begins(import, given())? {
            Answered::ByHost => Ok(None),
            Answered::ByScript(answer) => Ok(Some(answer)),
        }
    }

    /// And ends with this.
    pub(super) fn host_call_ends(&mut self, answer: &impl Traced) {
        if let Some(account) = &mut self.account {
            account.host_call_ends(answer.to_value());
        }
    }

    pub(super) fn hit(&self, limit: Limit) -> wasmtime::Error {
        wasmtime::Error::new(self.limits.hit(limit))
    }
}

/// A guest that grows past a limit traps with the limit's name: it does not get to carry on without what it asked for.
impl ResourceLimiter for CallState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.bytes(Limit::MemoryMib) {
            return Err(self.hit(Limit::MemoryMib));
        }
        let more = desired.saturating_sub(current);
        let all = self.memory.all.fetch_add(more, Ordering::Relaxed) + more;
        self.memory.own += more;
        if all > self.limits.bytes(Limit::AllMemoryMib) {
            return Err(self.hit(Limit::AllMemoryMib));
        }
        self.usage.peak_memory = self.memory.own;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.count(Limit::TableElements) {
            return Err(self.hit(Limit::TableElements));
        }
        self.usage.table_elements = self.usage.table_elements.max(desired);
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.count(Limit::Instances)
    }

    fn tables(&self) -> usize {
        self.limits.count(Limit::Tables)
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

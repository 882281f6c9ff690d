//! What the host keeps beside an instance while it lives: whom it works for, and what it has left of its budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use p256::SecretKey;
use tokio::time::Instant;
use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::{Envelope, Materials};
use crate::channels::Channels;
use crate::message::NodeId;
use crate::randomness::Randomness;
use crate::secure_sum::additive::{ServerKey, Share};

/// What capabilities draw on: the parts of the node that a plugin may see a sliver of.
#[derive(Clone)]
pub struct Services {
    /// For `channel-keys`.
    pub channels: Arc<Channels>,
    /// For `material`.
    pub materials: Materials,
    /// For `agreement` and `sharing`.
    pub randomness: Randomness,
}

/// The most linear memory of one instance, in bytes.
const MEMORY: usize = 32 << 20;
/// The most elements of one table.
const TABLE_ELEMENTS: usize = 10_000;
/// Calls of imports per message.
const HOST_CALLS: u32 = 1000;
/// Log lines per message.
const LOG_LINES: u32 = 100;
/// Log bytes per message.
const LOG_BYTES: usize = 16 << 10;

/// The store data of one instance.
pub(super) struct CallState {
    pub(super) limits: StoreLimits,
    pub(super) plugin: Arc<str>,
    pub(super) services: Services,
    pub(super) subject: Subject,
    /// Ticks of computing left; see `Runtime`.
    pub(super) cpu_ticks: u32,
    /// Until when the guest may wait; `None` where it must not.
    pub(super) may_wait_until: Option<Instant>,
    host_calls: u32,
    pub(super) log_lines: u32,
    pub(super) log_bytes: usize,
}

/// What the instance was made for.
pub(super) enum Subject {
    Message(Envelope),
    Run(Box<RunState>),
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

/// The guest called imports without end.
#[derive(Debug, thiserror::Error)]
#[error("more than {HOST_CALLS} calls of imports for one message")]
struct TooManyCalls;

impl CallState {
    pub(super) fn new(plugin: Arc<str>, services: Services, subject: Subject) -> Self {
        Self {
            limits: StoreLimitsBuilder::new()
                .memory_size(MEMORY)
                .table_elements(TABLE_ELEMENTS)
                .instances(20)
                .tables(8)
                .memories(4)
                .trap_on_grow_failure(true)
                .build(),
            plugin,
            services,
            subject,
            cpu_ticks: 0,
            may_wait_until: None,
            host_calls: HOST_CALLS,
            log_lines: LOG_LINES,
            log_bytes: LOG_BYTES,
        }
    }

    /// Takes one call off the budget; every import begins with this.
    pub(super) fn count_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls = self
            .host_calls
            .checked_sub(1)
            .ok_or_else(|| wasmtime::Error::new(TooManyCalls))?;
        Ok(())
    }
}

//! One message: `handle`, then `finalize`, in one fresh instance.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceAny;

use super::bindings::backchannel::n2n::types::Failure;
use super::bindings::exports::backchannel::n2n::handler;
use super::effect;
use super::plugin::{CpuExhausted, Instance, root_cause};
use super::state::Subject;
use super::{CallError, Effect, Envelope, Message, Plugin, Services};
use crate::message::one_line;

/// Computing time of `handle`, instantiation included.
pub(super) const HANDLE_CPU_MS: u32 = 1000;
/// Wall time of `handle`: the longest wait for material and what comes around it.
const HANDLE_WALL: Duration = Duration::from_secs(32);
/// Computing time of `finalize`.
pub(super) const FINALIZE_CPU_MS: u32 = 100;
/// A failure's text in the log, in bytes.
const LONGEST_TEXT: usize = 500;

/// What `handle` found, waiting for [`Found::finalize`]. Dropping it leaves no trace.
pub struct Found {
    plugin: Arc<Plugin>,
    instance: Instance,
    guest: handler::Guest,
    outcome: ResourceAny,
}

impl Plugin {
    /// Lets the plugin treat a message: the first half, which changes nothing. Dropping the future cancels it.
    ///
    /// `None`: there is nothing to be done.
    pub async fn handle(
        self: &Arc<Self>,
        services: Services,
        envelope: Envelope,
        message: Message,
    ) -> Result<Option<Found>, CallError> {
        let deadline = Instant::now() + HANDLE_WALL;
        let call = async {
            let subject = Subject::Message(envelope.clone());
            let mut instance = self.instantiate(services, subject, HANDLE_CPU_MS).await?;
            let guest = self.handler.load(&mut instance.store, &instance.instance)?;
            instance.store.data_mut().may_wait_until = Some(deadline);
            let outcome = guest
                .call_handle(&mut instance.store, &envelope, &message)
                .await?;
            Ok((instance, guest, outcome))
        };
        let (instance, guest, outcome) = match timeout_at(deadline, call).await {
            Ok(called) => called.map_err(|error| trap(self.name(), &error, HANDLE_CPU_MS))?,
            Err(_) => {
                return Err(CallError::Wall {
                    plugin: self.name().into(),
                    limit_s: HANDLE_WALL.as_secs(),
                });
            }
        };
        let outcome = outcome.map_err(|why| failure(self.name(), &why))?;
        Ok(outcome.map(|outcome| Found {
            plugin: self.clone(),
            instance,
            guest,
            outcome,
        }))
    }
}

impl Found {
    /// The second half: the effects, checked. To be run to its end once begun.
    pub async fn finalize(mut self) -> Result<Vec<Effect>, CallError> {
        let store = &mut self.instance.store;
        let state = store.data_mut();
        state.may_wait_until = None;
        state.cpu_ticks = FINALIZE_CPU_MS;
        store.set_epoch_deadline(1);
        let name = self.plugin.name();
        let effects = self
            .guest
            .outcome()
            .call_finalize(&mut *store, self.outcome)
            .await
            .map_err(|error| trap(name, &error, FINALIZE_CPU_MS))?
            .map_err(|why| failure(name, &why))?;
        effect::check(effects, &self.plugin, &store.data().subject).map_err(|why| {
            CallError::Effect {
                plugin: name.into(),
                why,
            }
        })
    }
}

pub(super) fn trap(plugin: &str, error: &wasmtime::Error, limit_ms: u32) -> CallError {
    if error.downcast_ref::<CpuExhausted>().is_some() {
        return CallError::Cpu {
            plugin: plugin.into(),
            limit_ms,
        };
    }
    CallError::Trap {
        plugin: plugin.into(),
        why: one_line(&root_cause(error), LONGEST_TEXT),
    }
}

pub(super) fn failure(plugin: &str, failure: &Failure) -> CallError {
    let (kind, text) = match failure {
        Failure::Malformed(text) => ("malformed", text),
        Failure::Unavailable(text) => ("unavailable", text),
        Failure::Refused(text) => ("refused", text),
    };
    CallError::Failure {
        plugin: plugin.into(),
        kind,
        text: one_line(text, LONGEST_TEXT),
    }
}

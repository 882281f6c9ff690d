//! One message: `handle`, then `finalize`, in one fresh instance.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceAny;

use super::bindings::backchannel::n2n::types::Failure;
use super::bindings::exports::backchannel::n2n::handler;
use super::effect;
use super::limits::Crossed;
use super::plugin::{Instance, root_cause};
use super::state::Subject;
use super::{CallError, Effect, Envelope, Limit, Message, Plugin, Services};
use crate::message::one_line;

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
        let deadline = Instant::now() + self.limits().time(Limit::HandleWallMs);
        let call = async {
            let subject = Subject::Message(envelope.clone());
            let mut instance = self.instantiate(services, subject).await?;
            let guest = self.handler.load(&mut instance.store, &instance.instance)?;
            instance.store.data_mut().may_wait_until = Some(deadline);
            let outcome = guest
                .call_handle(&mut instance.store, &envelope, &message)
                .await?;
            Ok((instance, guest, outcome))
        };
        let (instance, guest, outcome) = within(self, deadline, Limit::HandleWallMs, call).await?;
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
    /// The second half: the effects, checked. To be run to its end once begun; that comes by `final-wall-ms`.
    pub async fn finalize(mut self) -> Result<Vec<Effect>, CallError> {
        let store = &mut self.instance.store;
        let state = store.data_mut();
        state.may_wait_until = None;
        state.may_compute(Limit::FinalCpuMs);
        store.set_epoch_deadline(1);
        let deadline = Instant::now() + self.plugin.limits().time(Limit::FinalWallMs);
        let guest = self.guest.outcome();
        let call = guest.call_finalize(&mut *store, self.outcome);
        let effects = within(&self.plugin, deadline, Limit::FinalWallMs, call)
            .await?
            .map_err(|why| failure(self.plugin.name(), &why))?;
        effect::check(effects, &self.plugin, &self.instance.store.data().subject)
    }
}

/// A call into the plugin, until `deadline`, which `limit` set.
pub(super) async fn within<T>(
    plugin: &Plugin,
    deadline: Instant,
    limit: Limit,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T, CallError> {
    let stopped = |hit| CallError::Limit {
        plugin: plugin.name().into(),
        hit,
    };
    match timeout_at(deadline, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(match Crossed::from_error(&error, plugin.limits()) {
            Some(Crossed::Own(hit)) => stopped(hit),
            Some(Crossed::Fixed(limit)) => CallError::FixedLimit {
                plugin: plugin.name().into(),
                limit,
            },
            None => CallError::Trap {
                plugin: plugin.name().into(),
                why: one_line(&root_cause(&error), LONGEST_TEXT),
            },
        }),
        Err(_) => Err(stopped(plugin.limits().hit(limit))),
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

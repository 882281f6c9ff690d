//! One message: `handle`, then `finalize`, in one fresh instance.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceAny;
use wasmtime::{PoolConcurrencyLimitError, Store};

use super::bindings::backchannel::n2n::types::Failure;
use super::bindings::exports::backchannel::n2n::handler;
use super::effect;
use super::limits::Crossed;
use super::plugin::root_cause;
use super::state::{CallState, Subject};
use super::{CallError, Called, Effect, Envelope, Limit, Message, Plugin, Services, Usage};
use crate::message::one_line;

/// A failure's text in the log, in bytes.
const LONGEST_TEXT: usize = 500;

/// What `handle` found, waiting for [`Found::finalize`]. Dropping it leaves no trace.
pub struct Found {
    plugin: Arc<Plugin>,
    store: Store<CallState>,
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
    ) -> Called<Option<Found>> {
        if let Err(error) = self.can_read(message.fields.len()) {
            return Called::new(Usage::default(), Err(error));
        }
        let mut store = self.store(services, Subject::Message(envelope.clone()));
        let bounds = Bounds::begin(self, &mut store, Limit::HandleCpuMs, Limit::HandleWallMs);
        store.data_mut().may_wait_until = Some(bounds.deadline);
        let call = async {
            let instance = self.instantiate(&mut store).await?;
            let guest = self.handler.load(&mut store, &instance)?;
            let outcome = guest.call_handle(&mut store, &envelope, &message).await?;
            Ok((guest, outcome))
        };
        let (called, took) = bounds.within(call).await;
        let usage = took.with(store.data_mut().usage());
        let found = called.and_then(|(guest, outcome)| {
            let outcome = outcome.map_err(|why| failure(self.name(), &why))?;
            Ok(outcome.map(|outcome| Found {
                plugin: self.clone(),
                store,
                guest,
                outcome,
            }))
        });
        Called::new(usage, found)
    }
}

impl Found {
    /// The second half: the effects, checked. To be run to its end once begun; that comes by `final-wall-ms`.
    pub async fn finalize(self) -> Called<Vec<Effect>> {
        let Self {
            plugin,
            mut store,
            guest,
            outcome,
        } = self;
        store.data_mut().may_wait_until = None;
        let bounds = Bounds::begin(&plugin, &mut store, Limit::FinalCpuMs, Limit::FinalWallMs);
        let guest = guest.outcome();
        let (called, took) = bounds
            .within(guest.call_finalize(&mut store, outcome))
            .await;
        let mut usage = took.with(store.data_mut().usage());
        let effects = called.and_then(|effects| {
            let effects = effects.map_err(|why| failure(plugin.name(), &why))?;
            effect::check(effects, &plugin, &store.data().subject, &mut usage)
        });
        Called::new(usage, effects)
    }
}

/// What a call into a plugin must keep to.
pub(super) struct Bounds<'a> {
    plugin: &'a Plugin,
    begun: Instant,
    pub(super) deadline: Instant,
    wall: Limit,
}

/// How long a call took.
pub(super) struct Took {
    wall: Duration,
    computing: Duration,
}

impl Took {
    pub(super) fn with(self, usage: Usage) -> Usage {
        Usage {
            wall: self.wall,
            computing: self.computing,
            ..usage
        }
    }
}

impl<'a> Bounds<'a> {
    /// Gives the next call with `store` the computing time `cpu`, and the time `wall` from now on.
    pub(super) fn begin(
        plugin: &'a Plugin,
        store: &mut Store<CallState>,
        cpu: Limit,
        wall: Limit,
    ) -> Self {
        store.data_mut().may_compute(cpu);
        store.set_epoch_deadline(1);
        let begun = Instant::now();
        Self {
            plugin,
            begun,
            deadline: begun + plugin.limits().time(wall),
            wall,
        }
    }

    /// The call, until its end or its deadline, and what it took.
    pub(super) async fn within<T>(
        self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> (Result<T, CallError>, Took) {
        let plugin = self.plugin;
        let stopped = |hit| CallError::Limit {
            plugin: plugin.name().into(),
            hit,
        };
        let mut computing = Duration::ZERO;
        let mut call = pin!(call);
        // A guest computes while it is polled, and only then.
        let timed = poll_fn(|context| {
            let begun = std::time::Instant::now();
            let polled = call.as_mut().poll(context);
            computing += begun.elapsed();
            polled
        });
        let done = match timeout_at(self.deadline, timed).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(match Crossed::from_error(&error, plugin.limits()) {
                Some(Crossed::Own(hit)) => stopped(hit),
                Some(Crossed::Fixed(limit)) => CallError::FixedLimit {
                    plugin: plugin.name().into(),
                    limit,
                },
                None if error.is::<PoolConcurrencyLimitError>() => CallError::NoRoom {
                    plugin: plugin.name().into(),
                    why: root_cause(&error),
                },
                None => CallError::Trap {
                    plugin: plugin.name().into(),
                    why: one_line(&root_cause(&error), LONGEST_TEXT),
                },
            }),
            Err(_) => Err(stopped(plugin.limits().hit(self.wall))),
        };
        let wall = self.begun.elapsed();
        (done, Took { wall, computing })
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

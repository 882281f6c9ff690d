//! One message: `handle`, then `finalize`, in one fresh instance.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::poll;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};
use wasmtime::component::ResourceAny;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use super::bindings::backchannel::n2n::types::Failure;
use super::bindings::exports::backchannel::n2n::handler;
use super::limits::Crossed;
use super::plugin::root_cause;
use super::runtime::FUEL_PER_MS;
use super::state::{CallState, Subject};
use super::wait::{SoFar, Wait, Waited};
use super::{
    Assurance, CallError, Called, Effect, Envelope, Handling, Hardship, Limit, Message, Plugin,
    Services, Strain, Usage,
};
use super::{effect, traced};
use crate::message::one_line;
use crate::trace::{Ended, Entry, Work};

/// Of `handle-wall-ms`, what a handler has left when a wait has taken as long as it may: one in so many. With the default, it may wait 30 s.
const FOR_THE_REST: u32 = 16;

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
        services: &Services,
        envelope: Envelope,
        message: Message,
    ) -> Called<Option<Found>> {
        let mut waited = None;
        loop {
            let begun = self.handle_or_wait(services, &envelope, &message, waited);
            let Called { usage, result } = begun.await;
            match result {
                Ok(Handling::Waits(wait)) => {
                    waited = Some(wait.over(&services.sources.materials).await);
                }
                Ok(Handling::Done(found)) => return Called::new(usage, Ok(found)),
                Err(error) => return Called::new(usage, Err(error)),
            }
        }
    }

    /// The same up to where the message has to wait; then from the begin, with what it has `waited` for. What it may compute it may each time.
    pub async fn handle_or_wait(
        self: &Arc<Self>,
        services: &Services,
        envelope: &Envelope,
        message: &Message,
        waited: Option<Waited>,
    ) -> Called<Handling> {
        if let Err(error) = self.can_read(message.fields.len()) {
            return Called::new(Usage::default(), Err(error));
        }
        let Some(indices) = &self.handler else {
            let lacks = CallError::Lacks {
                plugin: self.name().into(),
                what: "treats no messages",
            };
            return Called::new(Usage::default(), Err(lacks));
        };
        let work = || Work::Message(traced::incoming(envelope, message));
        let mut store = self.store(services.clone(), Subject::Message(envelope.clone()), work);
        store.data_mut().call_begins(|| Entry::Handle);
        let mut bounds = Bounds::begin(self, &mut store, Limit::HandleCpuMs, Limit::HandleWallMs);
        let so_far = waited.map(|waited| {
            bounds.go_on_since(waited.so_far.begun);
            store.data_mut().goes_on(waited.answer, &waited.so_far);
            waited.so_far
        });
        let begun = bounds.begun;
        let for_the_rest = self.limits().time(Limit::HandleWallMs) / FOR_THE_REST;
        store.data_mut().may_wait_until = Some(bounds.deadline - for_the_rest);
        let call = async {
            let instance = self.instantiate(&mut store).await?;
            let guest = indices.load(&mut store, &instance)?;
            let outcome = guest.call_handle(&mut store, envelope, message).await?;
            Ok((guest, outcome))
        };
        let (called, took) = bounds.within(call).await;
        let mut usage = took.of(&mut store);
        if let Some(left) = store.data_mut().left.take() {
            let wait = Wait {
                plugin: self.shared_name().clone(),
                left,
                so_far: SoFar {
                    begun,
                    usage: usage.clone(),
                },
                account: store.data_mut().take_account(),
            };
            return Called::new(usage, Ok(Handling::Waits(Box::new(wait))));
        }
        let outcome = called.and_then(|(guest, outcome)| {
            let outcome = outcome.map_err(|why| failure(self.name(), &why))?;
            Ok(outcome.map(|outcome| (guest, outcome)))
        });
        let ended = || match &outcome {
            Ok(Some(_)) => Ended::Found,
            Ok(None) => Ended::Nothing,
            Err(error) => error.ended(),
        };
        store.data_mut().call_ends(ended, &usage);
        if let Some(so_far) = so_far {
            so_far.add_to(&mut usage);
        }
        let found = outcome.map(|found| {
            found.map(|(guest, outcome)| Found {
                plugin: self.clone(),
                store,
                guest,
                outcome,
            })
        });
        Called::new(usage, found.map(Handling::Done))
    }
}

impl Plugin {
    /// Makes an instance as for a message, and calls nothing of it: what the sandbox takes by itself.
    pub async fn instance_alone(&self, services: Services) -> Called<()> {
        let nobody = Envelope {
            researcher_id: String::new(),
            source: String::new(),
            setup: false,
            assurance: Assurance::PublishedKey,
        };
        let nothing = Message {
            kind: String::new(),
            request_id: None,
            fields: Vec::new(),
        };
        let work = || Work::Message(traced::incoming(&nobody, &nothing));
        let mut store = self.store(services, Subject::Message(nobody.clone()), work);
        let bounds = Bounds::begin(self, &mut store, Limit::HandleCpuMs, Limit::HandleWallMs);
        let (made, took) = bounds.within(self.instantiate(&mut store)).await;
        Called::new(took.of(&mut store), made.map(drop))
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
        store.data_mut().call_begins(|| Entry::Finalize);
        let bounds = Bounds::begin(&plugin, &mut store, Limit::FinalCpuMs, Limit::FinalWallMs);
        let guest = guest.outcome();
        let (called, took) = bounds
            .within(guest.call_finalize(&mut store, outcome))
            .await;
        let mut usage = took.of(&mut store);
        let mut asked_for = Vec::new();
        let effects = called.and_then(|effects| {
            let effects = effects.map_err(|why| failure(plugin.name(), &why))?;
            if store.data().is_recorded() {
                asked_for = traced::effects(&effects);
            }
            effect::check(effects, &plugin, &store.data().subject, &mut usage)
        });
        let ended = || match &effects {
            Ok(_) => Ended::Effects {
                effects: asked_for,
                ask: Vec::new(),
            },
            Err(error) => error.ended(),
        };
        store.data_mut().call_ends(ended, &usage);
        Called::new(usage, effects)
    }
}

/// What a call into a plugin must keep to.
pub(super) struct Bounds<'a> {
    plugin: &'a Plugin,
    begun: Instant,
    pub(super) deadline: Instant,
    cpu: Limit,
    wall: Limit,
    strain: Strain,
    hardship: Hardship,
    fuel: u64,
    /// Whether that is less than the plugin may have.
    is_short: bool,
}

/// How long a call took.
pub(super) struct Took {
    wall: Duration,
    computing: Duration,
    /// What it had, of a metered engine.
    fuel: u64,
}

impl Took {
    /// All that the last call with `store` used.
    pub(super) fn of(self, store: &mut Store<CallState>) -> Usage {
        // Without a meter there is an error in place of what is left.
        let left = store.get_fuel().ok();
        let fuel = left.map(|left| self.fuel.saturating_sub(left));
        Usage {
            wall: self.wall,
            computing: fuel.map_or(self.computing, computing),
            fuel,
            ..store.data_mut().usage()
        }
    }
}

/// As many instructions as a plugin's computing time is taken for.
pub(super) fn fuel_of(plugin: &Plugin, cpu: Limit) -> u64 {
    plugin.limits().get(cpu).saturating_mul(FUEL_PER_MS)
}

/// Instructions taken for time.
fn computing(fuel: u64) -> Duration {
    Duration::from_nanos(fuel.saturating_mul(1_000_000) / FUEL_PER_MS)
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
        let strain = store.data().services.strain.clone();
        let hardship = strain.next();
        let may = fuel_of(plugin, cpu);
        let fuel = hardship.instructions.map_or(may, |most| most.min(may));
        if plugin.is_metered() {
            // Fails only without a meter.
            let _ = store.set_fuel(fuel);
        } else {
            store.set_epoch_deadline(1);
        }
        let begun = Instant::now();
        Self {
            plugin,
            begun,
            deadline: begun + plugin.limits().time(wall),
            cpu,
            wall,
            strain,
            hardship,
            fuel,
            is_short: fuel < may,
        }
    }

    /// Counts the time from `begun` on, when an instance began that was given up since.
    pub(super) fn go_on_since(&mut self, begun: Instant) {
        self.deadline -= self.begun - begun;
        self.begun = begun;
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
        let stalled = async {
            if !self.hardship.stalls.is_zero() {
                sleep(self.hardship.stalls).await;
            }
            timed.await
        };
        let done = match in_time(self.deadline, stalled).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(match Crossed::from_error(&error, plugin.limits()) {
                Some(Crossed::Own(hit)) => stopped(hit),
                None if error.downcast_ref() == Some(&Trap::OutOfFuel) => {
                    if self.is_short {
                        self.strain.felt(self.hardship);
                    }
                    stopped(plugin.limits().hit(self.cpu))
                }
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
            Err(_) => {
                if self.hardship.stalls >= self.deadline - self.begun {
                    self.strain.felt(self.hardship);
                }
                Err(stopped(plugin.limits().hit(self.wall)))
            }
        };
        let took = Took {
            wall: self.begun.elapsed(),
            computing,
            fuel: self.fuel,
        };
        (done, took)
    }
}

/// A call until its deadline. Most end at their first poll and so need no timer: who makes one counts as a user of the runtime, and all
/// threads share that count.
async fn in_time<T>(deadline: Instant, call: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut call = pin!(call);
    match poll!(call.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout_at(deadline, call).await,
    }
}

pub(super) fn failure(plugin: &str, failure: &Failure) -> CallError {
    let (kind, text) = traced::parts(failure);
    CallError::Failure {
        plugin: plugin.into(),
        kind,
        text: one_line(text, LONGEST_TEXT),
    }
}

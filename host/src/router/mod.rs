//! The way in: one task per overlay message, from the relay's bytes to the effects of a handler.
//!
//! ```text
//! submit → room? → the sender's turn → open → handle (may be cancelled) → finalize → effects (never cancelled)
//! ```
//!
//! One message never delays another: waiting costs a parked task. What a message passes by is in boxes of its own, or one that waits
//! would take as much memory as all of it. Everything is bounded: messages and bytes in the
//! node ([`rooms`]), messages in work, messages of one sender ([`turns`]), and time.

mod dropped;
mod effects;
mod opening;
mod parcels;
mod rooms;
mod seen;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::audit::{Event, Subject};
use crate::channels::Channels;
use crate::chronicle::Chronicle;
use crate::handlers::{
    Assurance, CallError, Called, Envelope, Found, Handling, InWork, Message, Plugin, Plugins,
    Services, Usage,
};
use crate::journeys::{End, Trip};
use crate::key_store::{MessageDigest, StoreError};
use crate::message::{NodeId, OverlayMessage, RequestId, ResearcherId};
use crate::parcels::{Answer, Ask, Parcels};
use crate::post::Post;
use crate::requests::Requests;
use crate::secure_channels::{SecureChannels, Suite};
use crate::tasks::Tasks;
use crate::witness::{self, Witness, version_of};
pub use dropped::Dropped;
use opening::Content;
use rooms::{Place, Rooms, Standing};
use seen::Seen;

/// From arrival to the end of `handle`. Whoever asks waits 30 s for the answer; these two more are for what is on its way then.
/// The reference takes 60 s, and what it does in the second half is for nobody: a peer's turns would be taken by it.
pub const MESSAGE_DEADLINE: Duration = Duration::from_secs(32);
/// The most messages of one plugin that are treated at a time (`in-flight`).
const IN_WORK: usize = 1000;
/// Messages that are treated at a time: a plugin that takes all it may have leaves others some. Less than the engine's
/// instances: runs need some too.
const AT_A_TIME: usize = IN_WORK + 100;
/// Messages that could not be opened and wait to hear whether their sender has a new key. Most are forged.
const DOUBTFUL: usize = 16;
/// How long a node that stops waits for what may not be cancelled.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Treats the overlay messages of one node.
pub struct Router {
    own: NodeId,
    plugins: Plugins,
    services: Services,
    channels: Arc<Channels>,
    secure: Arc<SecureChannels>,
    requests: Requests,
    parcels: Parcels,
    post: Arc<Post>,
    chronicle: Chronicle,
    rooms: Rooms,
    work: Arc<Semaphore>,
    doubtful: Semaphore,
    seen: Arc<Seen>,
    tasks: Tasks,
    stopping: CancellationToken,
}

/// A message that was opened, verified and handled; what is left must not be cancelled.
struct Handled {
    plugin: Arc<Plugin>,
    sender: Sender,
    found: Found,
    witness: Witness,
    /// What `handle` took.
    usage: Usage,
    /// Until the effects are carried out.
    in_work: Seat,
}

/// A place among what the plugin has in work, and among what all have.
type Seat = (InWork, Option<OwnedSemaphorePermit>);

/// Who sent the message at hand, as verified.
struct Sender {
    researcher: ResearcherId,
    source: NodeId,
    request_id: Option<RequestId>,
    setup: bool,
    /// By which the message is known again, unless anybody could have sent it.
    digest: Option<MessageDigest>,
}

impl Sender {
    /// Anybody can send a channel set-up in anybody's name.
    fn is_assured(&self) -> bool {
        !self.setup
    }
}

impl Router {
    /// A router for node `own`. Fails when the store cannot be read.
    #[allow(
        clippy::too_many_arguments,
        reason = "built once, in the node's wiring"
    )]
    pub fn new(
        own: NodeId,
        plugins: Plugins,
        services: Services,
        secure: Arc<SecureChannels>,
        requests: Requests,
        parcels: Parcels,
        post: Arc<Post>,
        chronicle: Chronicle,
        tasks: Tasks,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            own,
            plugins,
            channels: services.sources.channels.clone(),
            seen: Arc::new(Seen::load(&services.sources.store)?),
            services,
            secure,
            requests,
            parcels,
            post,
            chronicle,
            rooms: Rooms::new(),
            work: Arc::new(Semaphore::new(AT_A_TIME)),
            doubtful: Semaphore::new(DOUBTFUL),
            tasks,
            stopping: CancellationToken::new(),
        })
    }

    /// Takes a message in, or counts and drops it when there is no room. Never waits.
    pub fn submit(self: &Arc<Self>, message: OverlayMessage) {
        let id = message.id();
        let trip = self.chronicle.journeys.came(id, &message);
        // Of the highest level: whatever is logged, it names the message.
        let span = tracing::error_span!("message", %id, peer = %message.source);
        let place = match self.admit(&message) {
            Ok(place) => place,
            Err(dropped) => return span.in_scope(|| self.report(&trip, &dropped)),
        };
        let router = self.clone();
        let treating = async move {
            match router.treat(message, place, &trip).await {
                Ok(()) => trip.end(End::Done),
                Err(dropped) => router.report(&trip, &dropped),
            }
        };
        self.tasks.spawn(treating.instrument(span));
    }

    /// Cancels what may be cancelled, and waits for what may not.
    pub async fn stop(&self) {
        self.stopping.cancel();
        if tokio::time::timeout(STOP_LIMIT, self.tasks.ended())
            .await
            .is_err()
        {
            tracing::warn!("messages were still in work when the node stopped");
        }
    }

    fn admit(&self, message: &OverlayMessage) -> Result<Place, Dropped> {
        if message.dest != self.own {
            return Err(Dropped::NotForUs(message.dest.clone()));
        }
        if message.source == self.own {
            return Err(Dropped::OwnName);
        }
        let standing = match self.secure.suite_with(&message.source) {
            Suite::Secure => Standing::Known,
            Suite::Suite1 => self.standing(message),
            Suite::FirstUse => Standing::SetUp,
            Suite::None(why) => return Err(Dropped::NoSuite(why)),
        };
        self.rooms.enter(standing, message)
    }

    /// Of the sender of a message in suite 1.
    fn standing(&self, message: &OverlayMessage) -> Standing {
        if self.post.awaits(&message.source) {
            Standing::Known
        } else if message.setup {
            Standing::SetUp
        } else if self.channels.is_kept(&message.source) {
            Standing::Known
        } else if self.channels.keys(&message.source).is_some() {
            Standing::Met
        } else {
            Standing::Stranger
        }
    }

    async fn treat(
        &self,
        message: OverlayMessage,
        place: Place,
        trip: &Trip,
    ) -> Result<(), Dropped> {
        let deadline = Instant::now() + MESSAGE_DEADLINE;
        let source = message.source.clone();
        let cancellable = async {
            let _turn = self.rooms.turn(&place, &source).await?;
            Box::pin(self.handle(message, trip)).await
        };
        let handled = self
            .stopping
            .run_until_cancelled(timeout_at(deadline, cancellable))
            .await
            .ok_or(Dropped::Stopping)?
            .map_err(|_| Dropped::Deadline)??;
        match handled {
            Some(handled) => Box::pin(self.finish(handled, trip)).await,
            None => Ok(()),
        }
    }

    /// Everything up to the end of `handle`: changes nothing that outlives it.
    async fn handle(
        &self,
        message: OverlayMessage,
        trip: &Trip,
    ) -> Result<Option<Handled>, Dropped> {
        let message = Arc::new(message);
        let Some(content) = Box::pin(self.open(&message, trip)).await? else {
            return Ok(None);
        };
        let Content {
            inner,
            digest,
            assurance,
        } = content;
        self.chronicle.metrics.received(&inner.kind);
        let request = inner.request_id.as_ref().map(ToString::to_string);
        trip.opened(&inner.kind, request, in_words(assurance));
        if matches!(inner.kind.as_str(), Ask::KIND | Answer::KIND) {
            let researcher = message.researcher_id.clone();
            drop(message);
            Box::pin(self.parcels(&researcher, inner, trip)).await?;
            return Ok(None);
        }
        let plugin = self.plugin(&inner.kind)?;
        let today = self.services.sources.clock.today();
        let scope = plugin.scope();
        let admitted = scope.admits_message(&message.researcher_id, &inner.source, today);
        admitted.map_err(|why| Dropped::OutOfScope(plugin.name().into(), why))?;
        if let Some(demand) = plugin.manifest().assurance
            && !demand.is_met_by(assurance)
        {
            return Err(Dropped::Unassured(plugin.name().into(), demand));
        }
        let envelope = Envelope {
            researcher_id: message.researcher_id.to_string(),
            source: inner.source.to_string(),
            setup: message.setup,
            assurance,
        };
        trip.note(|journey| journey.plugin = Some(version_of(&plugin)));
        let subject = Subject {
            message: Some(trip.id()),
            peer: Some(envelope.source.clone()),
            researcher_id: Some(envelope.researcher_id.clone()),
            secagg_id: None,
        };
        let sender = Sender {
            researcher: message.researcher_id.clone(),
            source: inner.source.clone(),
            request_id: inner.request_id.clone(),
            setup: message.setup,
            digest,
        };
        drop(message);
        let guest_message = Message {
            fields: inner.fields_msgpack(),
            kind: inner.kind,
            request_id: inner.request_id.as_ref().map(ToString::to_string),
        };
        let witness = Witness::new(&self.chronicle, &plugin, subject);
        let mut services = self.services.clone();
        services.recorder = services.recorder.about(trip.id());
        let half = Box::pin(self.first_half(&plugin, &services, &envelope, &guest_message));
        let half = plugin.unless_taken_back(half).await;
        let Called { usage, result } = half.ok_or_else(|| Dropped::Off(plugin.name().into()))?;
        match result {
            Ok(Some((found, in_work))) => Ok(Some(Handled {
                plugin,
                sender,
                found,
                witness,
                usage,
                in_work,
            })),
            Ok(None) => {
                self.treated(trip, witness, &usage, &sender, None);
                Ok(None)
            }
            Err(error) => {
                self.treated(trip, witness, &usage, &sender, Some(&error));
                Err(error.into())
            }
        }
    }

    /// The first half of a message's treatment by its plugin. While it waits for material, others have its place.
    async fn first_half(
        &self,
        plugin: &Arc<Plugin>,
        services: &Services,
        envelope: &Envelope,
        message: &Message,
    ) -> Called<Option<(Found, Seat)>> {
        let mut waited = None;
        loop {
            let entered = match &waited {
                None => self.plugins.enter(plugin),
                Some(_) => self.plugins.enter_again(plugin).await,
            };
            let in_work = match entered {
                Ok(in_work) => in_work,
                Err(error) => {
                    return Called {
                        usage: Usage::default(),
                        result: Err(error),
                    };
                }
            };
            // Never closed: waits, does not fail.
            let work = self.work.clone().acquire_owned().await.ok();
            let begun = plugin.handle_or_wait(services, envelope, message, waited.take());
            let Called { usage, result } = Box::pin(begun).await;
            let result = match result {
                Ok(Handling::Waits(wait)) => {
                    drop((in_work, work));
                    waited = Some(wait.over(&services.sources.materials).await);
                    continue;
                }
                Ok(Handling::Done(found)) => Ok(found.map(|found| (found, (in_work, work)))),
                Err(error) => Err(error),
            };
            return Called { usage, result };
        }
    }

    /// A plugin has treated a message, or failed to: what it took, `handle` and `finalize` together. Here everything that
    /// is counted of it comes by, once per message.
    fn treated(
        &self,
        trip: &Trip,
        witness: Witness,
        usage: &Usage,
        sender: &Sender,
        error: Option<&CallError>,
    ) {
        let plugin = witness.plugin().clone();
        let seen = witness.end(usage, error);
        trip.note(|journey| {
            journey.took = Some(seen.took);
            journey.rule = seen.rule;
        });
        if let Some(error) = error.filter(|_| sender.is_assured())
            && let Some(quarantine) = self.plugins.failed(
                &plugin,
                sender.source.as_str(),
                error,
                self.services.sources.clock.now(),
            )
        {
            witness::quarantined(&self.chronicle, &plugin, &quarantine);
        }
    }

    fn plugin(&self, kind: &str) -> Result<Arc<Plugin>, Dropped> {
        let plugin = self.plugins.for_kind(kind);
        plugin.ok_or_else(|| match self.plugins.off(kind) {
            Some(plugin) => Dropped::Off(plugin),
            None => Dropped::UnknownKind(kind.to_owned()),
        })
    }

    fn report(&self, trip: &Trip, dropped: &Dropped) {
        let cause = dropped.name();
        self.chronicle.metrics.dropped(cause);
        match dropped {
            Dropped::Stopping => tracing::debug!(cause, "{dropped}"),
            // Handshakes cross, and messages are late: nobody's doing.
            Dropped::Refused(refused) if !refused.is_somebodys_doing() => {
                tracing::debug!(cause, "{dropped}");
            }
            Dropped::Call(_) | Dropped::Channel(_) | Dropped::NotStored(_) => {
                tracing::error!(cause, "{dropped}")
            }
            _ => tracing::warn!(cause, "{dropped}"),
        }
        let rules = &self.chronicle.rules;
        let why = dropped.to_string();
        trip.note(|journey| {
            match dropped {
                Dropped::Off(plugin) => journey.rule = Some(rules.rule(plugin, "enabled", false)),
                Dropped::OutOfScope(plugin, why) => {
                    journey.rule = Some(rules.rule(plugin, why.setting(), why));
                }
                _ => {}
            }
            if dropped.is_a_security_matter() {
                self.chronicle.audit.record(Event::MessageRefused {
                    message: journey.id,
                    peer: journey.peer.clone(),
                    researcher_id: journey.researcher.clone(),
                    reason: cause,
                    why: why.clone(),
                });
            }
        });
        trip.end(End::Dropped { reason: cause, why });
    }
}

/// How sure this node is of a message's sender.
fn in_words(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::PublishedKey => "published key: anybody could have sent it",
        Assurance::ChannelKey => "channel key: whoever set the channel up sent it",
        Assurance::IdentityKey => "identity key: its sender is who it says",
    }
}

//! What a node is made of, wired together: from the messages that come in to those that go out. Who carries them is not
//! part of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::channels::Channels;
use crate::chronicle::Chronicle;
use crate::clock::Clock;
use crate::handlers::{Body, Materials, Outgoing, Plugins, Recorder, Services, Sources, Strain};
use crate::key_store::records::OpenRequest;
use crate::key_store::{KeyStore, StoreError};
use crate::message::{NodeId, RequestId, ResearcherId, ToNode, ToResearcher};
use crate::open_requests::OpenRequests;
use crate::parcels::Parcels;
use crate::post::{Post, PostError};
use crate::randomness::Randomness;
use crate::requests::{REPLY_TIMEOUT, Requests};
use crate::rounds::Rounds;
use crate::router::Router;
use crate::secure_channels::{Acquaint, Identities, SecureChannels};
use crate::setups::Setups;
use crate::tasks::Tasks;
use crate::transport::{Letter, Malformed};

/// A researcher's requests that are waiting for their answer.
const MOST_REQUESTS: usize = 1000;
/// Messages between whoever carries them and the node, each way.
const BETWEEN: usize = 1000;

/// How often keys that are too old are looked for.
const TIDIED_EVERY: Duration = Duration::from_secs(60);

/// What a node stands on.
pub(crate) struct Ground {
    /// Its id.
    pub(crate) id: NodeId,
    /// Its name for people.
    pub(crate) name: String,
    /// What survives a restart.
    pub(crate) store: Arc<KeyStore>,
    /// Who it is to its peers, and who they are.
    pub(crate) identities: Identities,
    /// What makes a peer known that comes with its key first.
    pub(crate) acquaint: Option<Acquaint>,
    /// Its handlers.
    pub(crate) plugins: Plugins,
    /// All keys, ids and nonces come from here.
    pub(crate) randomness: Randomness,
    /// Which day it is.
    pub(crate) clock: Clock,
    /// What is kept of what happens.
    pub(crate) chronicle: Chronicle,
    /// Who is told of every call of a plugin.
    pub(crate) recorder: Recorder,
    /// What such calls suffer.
    pub(crate) strain: Strain,
}

/// The parts of a node that works.
pub(crate) struct Wiring {
    pub(crate) channels: Arc<Channels>,
    pub(crate) secure: Arc<SecureChannels>,
    pub(crate) requests: Requests,
    pub(crate) chronicle: Chronicle,
    plugins: Plugins,
    randomness: Randomness,
    router: Arc<Router>,
    setups: Arc<Setups>,
    rounds: Arc<Rounds>,
    post: Arc<Post>,
    tasks: Tasks,
    parts: [Tasks; 4],
    stopping: CancellationToken,
}

/// Where a node's messages come in and go out.
pub(crate) struct Ends {
    /// What the researcher's server sends. Waits when the node is behind.
    pub(crate) incoming: mpsc::Sender<Result<ToNode, Malformed>>,
    /// What is to be handed to it.
    pub(crate) outgoing: mpsc::Receiver<Letter>,
}

impl Wiring {
    /// Wires a node and sets it to work. Must be called within a tokio runtime.
    pub(crate) fn start(ground: Ground) -> Result<(Self, Ends), StoreError> {
        let Ground {
            id,
            name,
            store,
            identities,
            acquaint,
            plugins,
            randomness,
            clock,
            chronicle,
            recorder,
            strain,
        } = ground;
        let tasks = Tasks::default();
        let parts = [(); 4].map(|()| tasks.of_another_part());
        let [of_post, of_router, of_setups, of_rounds] = parts.clone();
        let channels = Arc::new(Channels::load(store.clone(), chronicle.audit.clone())?);
        let secure = Arc::new(SecureChannels::new(
            id.clone(),
            identities,
            acquaint,
            clock.clone(),
            randomness.clone(),
        ));
        let requests = Requests::default();
        let sources = Sources {
            channels: channels.clone(),
            materials: Materials::default(),
            randomness: randomness.clone(),
            store: store.clone(),
            clock,
        };
        let services = Services {
            sources: Arc::new(sources),
            recorder,
            strain,
        };
        let (outbox, outgoing) = mpsc::channel(BETWEEN);
        let post = Arc::new(Post::new(
            id.clone(),
            channels.clone(),
            secure.clone(),
            requests.clone(),
            plugins.clone(),
            outbox.clone(),
            randomness.clone(),
            chronicle.clone(),
            of_post,
        ));
        let parcels = Parcels::default();
        let open_requests = OpenRequests::new(store.clone());
        let router = Arc::new(Router::new(
            id.clone(),
            plugins.clone(),
            services.clone(),
            secure.clone(),
            requests.clone(),
            parcels.clone(),
            post.clone(),
            chronicle.clone(),
            of_router,
        )?);
        let rounds = Arc::new(Rounds::new(
            id.clone(),
            name.clone(),
            plugins.clone(),
            services.clone(),
            parcels,
            open_requests.clone(),
            requests.clone(),
            post.clone(),
            chronicle.clone(),
            of_rounds,
        ));
        let setups = Arc::new(Setups::new(
            id,
            name,
            plugins.clone(),
            services,
            store,
            open_requests.clone(),
            requests.clone(),
            post.clone(),
            randomness.clone(),
            chronicle.clone(),
            of_setups,
        ));
        let (incoming, inbox) = mpsc::channel(BETWEEN);
        let stopping = CancellationToken::new();
        let sorting = Sorting {
            router: router.clone(),
            setups: setups.clone(),
            rounds: rounds.clone(),
            open_requests,
            outbox,
            tasks: tasks.clone(),
        };
        // Before the first request comes.
        sorting.answer_left_open()?;
        let (until, to_tidy) = (stopping.clone(), secure.clone());
        tasks.spawn(async move {
            let working = async {
                tokio::select! {
                    () = sorting.run(inbox) => {}
                    () = tidied(to_tidy) => {}
                }
            };
            until.run_until_cancelled(working).await;
        });
        let wiring = Self {
            channels,
            secure,
            requests,
            chronicle,
            plugins,
            randomness,
            router,
            setups,
            rounds,
            post,
            tasks,
            parts,
            stopping,
        };
        Ok((wiring, Ends { incoming, outgoing }))
    }

    /// Takes nothing more in, and ends what is under way: what may be cancelled is, what may not is waited for.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.setups.stop().await;
        self.rounds.stop().await;
        self.post.stop().await;
        self.router.stop().await;
    }

    /// Waits for answers that are still to be handed over.
    pub(crate) async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// How many tasks it has.
    pub(crate) fn in_work(&self) -> usize {
        let parts = self.parts.iter().map(Tasks::count);
        self.tasks.count() + parts.sum::<usize>()
    }

    /// Sends a request to `peer` as the plugin for its kind would in a run, and waits for the answer: `None` when there is none
    /// in the time of a round. For who has nodes say what no researcher asks for: simulations, measurements.
    pub(crate) fn ask(
        &self,
        researcher: &ResearcherId,
        peer: &NodeId,
        outgoing: Outgoing,
    ) -> impl Future<Output = Result<Option<Body>, PostError>> + Send + use<> {
        let plugin = self.plugins.for_kind(&outgoing.kind);
        let ticket = plugin.map(|plugin| {
            self.requests
                .register(plugin.name(), peer, &self.randomness)
        });
        let (post, researcher, peer) = (self.post.clone(), researcher.clone(), peer.clone());
        async move {
            let Some(ticket) = ticket else {
                let why = format!("no plugin treats messages of kind {:?}", outgoing.kind);
                return Err(PostError::NotAMessage(why));
            };
            let deadline = Instant::now() + REPLY_TIMEOUT;
            let sent = post.ask(&researcher, &peer, ticket.id().clone(), outgoing);
            match timeout_at(deadline, sent).await {
                Ok(Err(PostError::ChannelSilent(_))) | Err(_) => Ok(None),
                Ok(Err(error)) => Err(error),
                Ok(Ok(_)) => Ok(ticket.reply_by(deadline).await),
            }
        }
    }

    /// Drops everything under way where it stands, as a crash would.
    pub(crate) fn kill(&self) {
        self.killer()();
    }

    /// To [kill](Self::kill) it from wherever.
    pub(crate) fn killer(&self) -> impl FnOnce() + Send + 'static {
        let tasks = self.tasks.clone();
        move || tasks.kill()
    }
}

/// Erases the keys of sessions that are too old.
async fn tidied(secure: Arc<SecureChannels>) {
    loop {
        tokio::time::sleep(TIDIED_EVERY).await;
        secure.tidy();
    }
}

/// Where a message goes: overlays to the router, protocols to the rounds, the rest to the set-ups. Neither ever holds up the other.
#[derive(Clone)]
struct Sorting {
    router: Arc<Router>,
    setups: Arc<Setups>,
    rounds: Arc<Rounds>,
    open_requests: OpenRequests,
    outbox: mpsc::Sender<Letter>,
    tasks: Tasks,
}

impl Sorting {
    async fn run(self, mut inbox: mpsc::Receiver<Result<ToNode, Malformed>>) {
        let waiting = Arc::new(Semaphore::new(MOST_REQUESTS));
        while let Some(message) = inbox.recv().await {
            match message {
                Ok(ToNode::Overlay(message)) => self.router.submit(message),
                request => match waiting.clone().try_acquire_owned() {
                    Ok(place) => self.answer(request, place),
                    Err(_) => tracing::warn!("a researcher's request is dropped: too many wait"),
                },
            }
        }
    }

    fn answer(&self, request: Result<ToNode, Malformed>, place: OwnedSemaphorePermit) {
        let sorting = self.clone();
        self.tasks.spawn(async move {
            let mut open = None;
            let answer = match request {
                Ok(ToNode::ProtocolRun(run)) => {
                    open.clone_from(&run.request_id);
                    Some(sorting.rounds.answer(run).await)
                }
                Ok(request) => {
                    open = request.set_up().and_then(|setup| setup.request_id.clone());
                    sorting.setups.answer(request).await
                }
                Err(malformed) => sorting.setups.answer_malformed(malformed),
            };
            if let Some(answer) = answer {
                sorting.hand_over(answer, open, Some(place)).await;
            }
        });
    }

    /// Answers what was left open when this node ended the last time.
    fn answer_left_open(&self) -> Result<(), StoreError> {
        for (request, left) in self.open_requests.left()? {
            let sorting = self.clone();
            let id = request.clone();
            let answer = match left {
                OpenRequest::SetUp {
                    researcher,
                    secagg_id,
                } => self.setups.answer_left_open(id, researcher, &secagg_id),
                OpenRequest::Protocol {
                    researcher,
                    protocol,
                    run_id,
                    parties,
                } => {
                    let run = (protocol, run_id);
                    self.rounds.answer_left_open(id, researcher, run, parties)
                }
            };
            self.tasks
                .spawn(async move { sorting.hand_over(answer, Some(request), None).await });
        }
        Ok(())
    }

    /// Hands an answer over, and frees its request's place. Once the relay has it, its request is not `open` any more; what
    /// no relay has taken by this node's end is answered at the next start.
    async fn hand_over(
        &self,
        answer: ToResearcher,
        open: Option<RequestId>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let (letter, receipt) = Letter::with_receipt(answer);
        // Only a node that stops has no transport left.
        let _ = self.outbox.send(letter).await;
        drop(place);
        if let (Some(open), Ok(())) = (open, receipt.await) {
            self.open_requests.answered(open).await;
        }
    }
}

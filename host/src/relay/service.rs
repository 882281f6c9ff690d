//! `ResearcherService`: what nodes call.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, stream};
use prost::bytes::Bytes;
use rand_core::Rng;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::counts::{DropReason, Tally};
use super::gate::{Call, Gate};
use super::mailbox::{Letter, MAX_AGE};
use super::nodes::{Nodes, PollRefused};
use super::poll::{Delivery, Poll, PollEnded};
use super::proving::status_of;
use super::requests::{self, Requests, class_of, ids_of};
use crate::message::{NodeId, RequestId, ResearcherId, ToResearcher, check_version};
use crate::proto::researcher::feedback_message::FeedbackType;
use crate::proto::researcher::researcher_service_server::ResearcherService;
use crate::proto::researcher::{Empty, FeedbackMessage, TaskRequest, TaskResponse, TaskResult};
use crate::transport::chunks::{ChunkError, Reassembly, Slice, cut};
use crate::transport::line;
use crate::transport::receipt::{self, Received};
use crate::transport::token::Token;

/// How long a poll is held: the reference's 3600 s.
pub(super) const HOLD: Duration = Duration::from_secs(3600);

/// How long the next slice of a message may take to come.
const SLICE_LIMIT: Duration = Duration::from_secs(60);

/// Most messages of several slices that are put together at a time.
const MAX_REASSEMBLIES: usize = 64;

/// Most bytes in all of them together.
const MAX_REASSEMBLY_BYTES: usize = 256 * 1024 * 1024;

/// Most characters of a node's log line that are written to our log.
const MAX_LOG_CHARACTERS: usize = 1000;

/// Under this class messages are counted that could not be read.
const UNREADABLE: &str = "unreadable";

pub(super) struct Service {
    pub(super) researcher_id: ResearcherId,
    pub(super) nodes: Arc<Nodes>,
    pub(super) requests: Arc<Requests>,
    pub(super) tally: Arc<Tally>,
    pub(super) rng: Mutex<Box<dyn Rng + Send>>,
    /// Cancelled when no new messages are taken any more.
    pub(super) stopping: CancellationToken,
    /// Cancelled when what is being sent is broken off too.
    pub(super) closing: CancellationToken,
    pub(super) budget: Budget,
    /// Who may call. Without one, everybody may.
    pub(super) gate: Option<Arc<Gate>>,
}

/// Who makes a call, as far as the relay can see.
pub(super) struct Caller {
    token: Option<Token>,
    address: Option<SocketAddr>,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self {
            token: Token::read(request.metadata()),
            address: request.remote_addr(),
        }
    }
}

impl Service {
    /// Whether a caller may speak or listen in a node's name.
    fn admit(&self, node: &NodeId, caller: &Caller, call: Call) -> Result<(), Status> {
        let gate = self.gate.as_ref();
        gate.map_or(Ok(()), |gate| {
            gate.admit(node, caller.token.as_ref(), call, caller.address)
        })
        .map_err(|denied| status_of(&denied))
    }

    /// Begins a poll, or a line in place of one.
    pub(super) fn begin_poll(
        &self,
        node: String,
        protocol_version: &str,
        caller: &Caller,
        received: Received,
        in_place_of: Option<u64>,
    ) -> Result<Poll, Status> {
        let address = caller.address;
        let id =
            NodeId::try_from(node).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if let Err(error) = check_version(protocol_version) {
            tracing::warn!(node = %id, version = ?protocol_version, "a node of another protocol version is refused");
            return Err(Status::failed_precondition(error.to_string()));
        }
        self.admit(&id, caller, Call::Poll)?;
        let begun = self
            .nodes
            .begin_poll(id.clone(), address, received, in_place_of);
        let poll = begun.map_err(|refused| {
            tracing::warn!(security = true, node = %id, ?address, "a poll is refused: {refused}");
            match refused {
                PollRefused::InUse => Status::already_exists(refused.to_string()),
                PollRefused::TooManyNodes => Status::resource_exhausted(refused.to_string()),
            }
        })?;
        // Polls that another roster does not admit were broken off when it came, and this one was none yet.
        self.admit(&id, caller, Call::Poll)?;
        if self.stopping.is_cancelled() && !poll.has_mail() {
            return Err(stopping());
        }
        if poll.wants_greeting() {
            // A node of the reference does not know its researcher before a message names it.
            tracing::info!(node = %id, ?address, "a node polls");
            poll.post_first(self.letter(&requests::Request::Ping, self.request_id()));
        }
        Ok(poll)
    }

    /// A new id for a request.
    pub(super) fn request_id(&self) -> RequestId {
        RequestId::fresh(&mut **self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A message to a node as it waits in a mailbox.
    pub(super) fn letter(&self, request: &requests::Request, id: RequestId) -> Letter {
        Letter {
            message: request
                .message(id, self.researcher_id.clone())
                .encode()
                .into(),
            class: request.class(),
            came: Instant::now(),
        }
    }

    /// Puts a message from a node together and treats it.
    async fn receive(
        &self,
        mut slices: Streaming<TaskResult>,
        caller: &Caller,
    ) -> Result<(), Status> {
        let mut message = Reassembly::default();
        let mut share = None;
        loop {
            let slice = match timeout(SLICE_LIMIT, slices.message()).await {
                Err(_) => {
                    return Err(Status::deadline_exceeded(
                        "the next slice did not come in time",
                    ));
                }
                Ok(slice) => slice?.map(Slice::from),
            };
            let Some(slice) = slice else {
                return message.end().map_err(|error| self.unreadable(error));
            };
            if slice.size > 1 {
                self.budget.grow(&mut share, slice.bytes.len())?;
            }
            if let Some(whole) = message
                .push(slice)
                .map_err(|error| self.unreadable(error))?
            {
                self.treat(whole, caller)?;
                share = None;
            }
        }
    }

    fn unreadable(&self, error: ChunkError) -> Status {
        tracing::warn!(%error, "FB301: a node sent slices that make no message");
        self.tally.dropped(UNREADABLE, DropReason::Unreadable);
        Status::invalid_argument(error.to_string())
    }

    /// Forwards an overlay message as the bytes that came, whatever they hold; hands a reply to its request.
    pub(super) fn treat(&self, bytes: Bytes, caller: &Caller) -> Result<(), Status> {
        let message = ToResearcher::decode(&bytes).map_err(|error| {
            tracing::warn!(%error, "FB301: a node sent a message that cannot be read");
            self.tally.dropped(UNREADABLE, DropReason::Unreadable);
            Status::invalid_argument(error.to_string())
        })?;
        let class = class_of(&message);
        let (_, researcher, source) = ids_of(&message);
        if *researcher != self.researcher_id {
            tracing::warn!(%source, %researcher, class, "a message for another researcher is dropped");
            self.tally.dropped(class, DropReason::Foreign);
            return Err(Status::invalid_argument(format!(
                "this is the relay of {}",
                self.researcher_id
            )));
        }
        self.admit(source, caller, Call::Message)?;
        if !self.nodes.knows(source) {
            // After a restart a node may be quicker to speak than to poll. It keeps the message and tries again.
            return Err(Status::failed_precondition("poll before you send"));
        }
        match message {
            ToResearcher::Overlay(overlay) => {
                let letter = Letter {
                    message: bytes,
                    class,
                    came: Instant::now(),
                };
                if let Err(reason) = self.nodes.post(&overlay.dest, letter) {
                    tracing::warn!(source = %overlay.source, dest = %overlay.dest, ?reason, "a message is dropped");
                }
            }
            reply => {
                if self.requests.answer(reply) {
                    self.tally.answered(class);
                } else if class != "PingReply" {
                    // Pings also greet, and then nobody waits for the reply.
                    tracing::debug!(class, "a reply that nobody waits for is dropped");
                    self.tally.dropped(class, DropReason::Unasked);
                }
            }
        }
        Ok(())
    }
}

/// Where the stream that answers a poll stands.
enum Step {
    Waiting(Poll),
    Sending(Delivery, Box<dyn Iterator<Item = Slice> + Send>),
}

impl Step {
    /// The next slice; `None` when all are sent, or when nothing came for as long as polls are held.
    async fn next(
        self,
        closing: &CancellationToken,
    ) -> Result<Option<(TaskResponse, Self)>, Status> {
        let (delivery, mut slices) = match self {
            Self::Sending(delivery, slices) => (delivery, slices),
            Self::Waiting(poll) => match timeout(HOLD, poll.next()).await {
                Err(_) => return Ok(None),
                Ok(Err(ended)) => return Err(why_ended(ended)),
                Ok(Ok(delivery)) => {
                    let slices = Box::new(cut(delivery.message()));
                    (delivery, slices as Box<dyn Iterator<Item = Slice> + Send>)
                }
            },
        };
        if closing.is_cancelled() {
            return Err(stopping());
        }
        match slices.next() {
            Some(slice) => Ok(Some((slice.into(), Self::Sending(delivery, slices)))),
            None => {
                delivery.done();
                Ok(None)
            }
        }
    }
}

pub(super) fn why_ended(ended: PollEnded) -> Status {
    match ended {
        PollEnded::Replaced => Status::aborted("poll anew, if you have not"),
        PollEnded::Stopping => stopping(),
    }
}

pub(super) fn stopping() -> Status {
    Status::unavailable("the relay is stopping")
}

#[tonic::async_trait]
impl ResearcherService for Service {
    type GetTaskStream = stream::Empty<Result<TaskResponse, Status>>;
    type GetTaskUnaryStream = Pin<Box<dyn Stream<Item = Result<TaskResponse, Status>> + Send>>;

    async fn get_task(
        &self,
        _request: Request<Streaming<TaskRequest>>,
    ) -> Result<Response<Self::GetTaskStream>, Status> {
        Err(Status::unimplemented("poll with GetTaskUnary"))
    }

    async fn get_task_unary(
        &self,
        request: Request<TaskRequest>,
    ) -> Result<Response<Self::GetTaskUnaryStream>, Status> {
        let caller = Caller::of(&request);
        let received = Received::read(request.metadata());
        let TaskRequest {
            node,
            protocol_version,
        } = request.into_inner();
        let poll = self.begin_poll(node, &protocol_version, &caller, received, None)?;
        let number = poll.number();
        let closing = self.closing.clone();
        let slices = stream::try_unfold(Step::Waiting(poll), move |step| {
            let closing = closing.clone();
            async move { step.next(&closing).await }
        });
        let mut answer: Response<Self::GetTaskUnaryStream> = Response::new(Box::pin(slices));
        receipt::number(answer.metadata_mut(), number);
        line::offer(answer.metadata_mut());
        Ok(answer)
    }

    async fn reply_task(
        &self,
        request: Request<Streaming<TaskResult>>,
    ) -> Result<Response<Empty>, Status> {
        let caller = Caller::of(&request);
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(stopping()),
            outcome = timeout(MAX_AGE, self.receive(request.into_inner(), &caller)) => {
                outcome.map_err(|_| Status::deadline_exceeded("the message did not come in time"))??;
                Ok(Response::new(Empty {}))
            }
        }
    }

    async fn feedback(&self, request: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
        let caller = Caller::of(&request);
        let feedback = request.into_inner().feedback_type;
        let node = match &feedback {
            Some(FeedbackType::Log(log)) => &log.node_id,
            Some(FeedbackType::Scalar(scalar)) => &scalar.node_id,
            None => return Ok(Response::new(Empty {})),
        };
        // What is no id is no listed node's.
        if let Ok(node) = NodeId::try_from(node.as_str()) {
            self.admit(&node, &caller, Call::Message)?;
        }
        match feedback {
            Some(FeedbackType::Log(log)) => {
                let text: String = log.msg.chars().take(MAX_LOG_CHARACTERS).collect();
                let node: String = log.node_id.chars().take(MAX_LOG_CHARACTERS).collect();
                // Escaped: the text is a node's.
                tracing::debug!(?node, ?text, "a node's log");
            }
            Some(FeedbackType::Scalar(scalar)) => {
                tracing::debug!(
                    metrics = scalar.metric.len(),
                    "a node's training metrics, not kept"
                );
            }
            None => {}
        }
        Ok(Response::new(Empty {}))
    }
}

/// What messages being put together may take in memory, all calls together. Messages of one slice take no share, so
/// they pass however many large ones are under way.
pub(super) struct Budget {
    lanes: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// One call's part of the budget. Dropping it gives it back.
pub(super) struct Share {
    _lane: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            lanes: Arc::new(Semaphore::new(MAX_REASSEMBLIES)),
            bytes: Arc::new(Semaphore::new(MAX_REASSEMBLY_BYTES)),
        }
    }

    /// Enlarges a share, which is made if there is none. Fails at once when there is nothing left: a call that waited
    /// with its part could wait for calls that wait for it.
    fn grow(&self, share: &mut Option<Share>, bytes: usize) -> Result<(), Status> {
        let busy = |_| Status::resource_exhausted("too many large messages at a time, try again");
        let count =
            u32::try_from(bytes).map_err(|_| Status::invalid_argument("a slice of absurd size"))?;
        let more = Arc::clone(&self.bytes)
            .try_acquire_many_owned(count)
            .map_err(busy)?;
        match share {
            Some(share) => share.bytes.merge(more),
            None => {
                let lane = Arc::clone(&self.lanes).try_acquire_owned().map_err(busy)?;
                *share = Some(Share {
                    _lane: lane,
                    bytes: more,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_more_large_messages_than_memory_is_set_aside_for() {
        let budget = Budget::new();
        let mut shares: Vec<Option<Share>> = (0..3).map(|_| None).collect();
        for share in &mut shares[..2] {
            for _ in 0..100 {
                budget.grow(share, 1024 * 1024).unwrap();
            }
        }
        budget.grow(&mut shares[2], 56 * 1024 * 1024).unwrap();
        let refused = budget.grow(&mut shares[2], 1).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);

        drop(shares);
        assert_eq!(budget.bytes.available_permits(), MAX_REASSEMBLY_BYTES);
    }

    #[test]
    fn refuses_more_than_64_large_messages_at_a_time() {
        let budget = Budget::new();
        let mut shares: Vec<Option<Share>> = (0..=MAX_REASSEMBLIES).map(|_| None).collect();
        let refused = shares
            .iter_mut()
            .filter_map(|share| budget.grow(share, 1).err())
            .count();
        assert_eq!(refused, 1);
        drop(shares);
        assert_eq!(budget.lanes.available_permits(), MAX_REASSEMBLIES);
        assert_eq!(budget.bytes.available_permits(), MAX_REASSEMBLY_BYTES);
    }
}

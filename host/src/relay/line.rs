//! A line: a poll on which many messages come, and on which the node hands over its own.
//!
//! What comes in is read by a task of its own, so that a node that is slow to read is heard all the same. What goes out is drawn from the
//! mailbox as the connection takes it; how many of the node's messages were taken goes along, or follows [`TOLD_AFTER`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming};

use super::poll::Poll;
use super::service::{Caller, HOLD, Service, stopping, why_ended};
use crate::proto::relay::line_server::Line;
use crate::proto::relay::{FromNode, FromRelay, Refusal};
use crate::transport::chunks::{Slice, cut};
use crate::transport::line::TOLD_AFTER;
use crate::transport::receipt::{self, Received};

/// How long a call may take to say whose line it is.
const BEGIN_LIMIT: Duration = Duration::from_secs(10);

/// Most messages that are on their way to a node, as far as the relay knows.
const MOST_UNDER_WAY: usize = 256;

pub(super) struct Lines {
    pub(super) service: Arc<Service>,
}

#[tonic::async_trait]
impl Line for Lines {
    type TalkStream = BoxStream<'static, Result<FromRelay, Status>>;

    async fn talk(
        &self,
        request: Request<Streaming<FromNode>>,
    ) -> Result<Response<Self::TalkStream>, Status> {
        let service = self.service.clone();
        let caller = Caller::of(&request);
        let received = Received::read(request.metadata());
        let mut said = request.into_inner();
        let first = timeout(BEGIN_LIMIT, said.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("say whose line it is"))??;
        let begin = first
            .and_then(|first| first.begin)
            .ok_or_else(|| Status::invalid_argument("a line has to begin with whose it is"))?;
        let version = &begin.protocol_version;
        let poll = service.begin_poll(begin.node, version, &caller, received, Some(begin.poll))?;
        let number = poll.number();
        let heard = Arc::new(Heard::default());
        let listening = Listening {
            service: service.clone(),
            caller,
            said,
            heard: heard.clone(),
            confirming: poll.confirming(),
        };
        let speaking = Box::new(Speaking {
            poll,
            heard,
            slices: None,
            due: None,
            until: Instant::now() + HOLD,
            closing: service.closing.clone(),
            _listening: AbortOnDropHandle::new(tokio::spawn(listening.run())),
        });
        let spoken = stream::try_unfold(speaking, Speaking::next);
        let mut answer: Response<Self::TalkStream> = Response::new(Box::pin(spoken));
        receipt::number(answer.metadata_mut(), number);
        Ok(answer)
    }
}

/// What came of the node's messages, to be told to it.
#[derive(Default)]
struct Heard {
    state: Mutex<Outcome>,
    /// Told when there is something to tell and was nothing before: not of each message.
    changed: Notify,
}

#[derive(Default)]
struct Outcome {
    taken: u64,
    /// How many of them the node knows of.
    told: u64,
    refused: Vec<Refusal>,
    /// Nothing more will be read: the node has said all, or may not say more.
    end: Option<Result<(), Status>>,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, refused: Option<Status>) {
        let mut outcome = self.lock();
        let is_first = outcome.taken == outcome.told;
        outcome.taken += 1;
        let message = outcome.taken;
        outcome.refused.extend(refused.map(|status| Refusal {
            message,
            code: status.code().into(),
            why: status.message().to_owned(),
        }));
        drop(outcome);
        if is_first {
            self.changed.notify_one();
        }
    }

    fn end(&self, end: Result<(), Status>) {
        self.lock().end = Some(end);
        self.changed.notify_one();
    }
}

/// The half that reads.
struct Listening<C> {
    service: Arc<Service>,
    caller: Caller,
    said: Streaming<FromNode>,
    heard: Arc<Heard>,
    confirming: C,
}

impl<C: Fn(u64)> Listening<C> {
    async fn run(mut self) {
        let stopping = self.service.stopping.clone();
        // A relay that stops takes nothing more, and still hands out what it has.
        if let Some(end) = stopping.run_until_cancelled(self.read()).await {
            self.heard.end(end);
        }
    }

    async fn read(&mut self) -> Result<(), Status> {
        let mut confirmed = 0;
        while let Some(said) = self.said.message().await? {
            let FromNode {
                begin,
                message,
                received,
            } = said;
            if begin.is_some() {
                return Err(Status::invalid_argument("a line begins once"));
            }
            if received > confirmed {
                confirmed = received;
                (self.confirming)(received);
            }
            if !message.is_empty() {
                let refused = match self.service.treat(message, &self.caller) {
                    Ok(()) => None,
                    Err(status) if status.code() == Code::InvalidArgument => Some(status),
                    // Not a matter of this message: of the whole line.
                    Err(status) => return Err(status),
                };
                self.heard.take(refused);
            }
        }
        Ok(())
    }
}

/// The half that writes.
struct Speaking {
    poll: Poll,
    heard: Arc<Heard>,
    /// What is left of the message that is being sent, and its class.
    slices: Option<(&'static str, Box<dyn Iterator<Item = Slice> + Send>)>,
    /// When the node must hear of more messages that were taken.
    due: Option<Instant>,
    until: Instant,
    closing: CancellationToken,
    _listening: AbortOnDropHandle<()>,
}

impl Speaking {
    /// What is said next; `None` when all is, or the line has lasted as long as polls are held.
    async fn next(mut self: Box<Self>) -> Result<Option<(FromRelay, Box<Self>)>, Status> {
        loop {
            if self.closing.is_cancelled() {
                return self.end(stopping());
            }
            if let Some((class, slices)) = &mut self.slices {
                match slices.next() {
                    Some(slice) => return Ok(Some(self.frame(Some(slice)))),
                    None => {
                        self.poll.delivered(class);
                        self.slices = None;
                    }
                }
            }
            tokio::select! {
                biased;
                () = self.heard.changed.notified() => {
                    let (end, is_told) = {
                        let mut outcome = self.heard.lock();
                        (outcome.end.take(), outcome.taken == outcome.told)
                    };
                    match end {
                        Some(Err(status)) => return Err(status),
                        Some(Ok(())) => {
                            // Heard again once that is said.
                            self.heard.end(Ok(()));
                            return Ok((!is_told).then(|| self.frame(None)));
                        }
                        // Of what has been told with a message since.
                        None if is_told => {}
                        None => {
                            self.due.get_or_insert_with(|| Instant::now() + TOLD_AFTER);
                        }
                    }
                }
                letter = self.poll.next_of_many(MOST_UNDER_WAY) => match letter {
                    Ok(letter) => {
                        self.slices = Some((letter.class, Box::new(cut(letter.message))));
                    }
                    Err(ended) => return self.end(why_ended(ended)),
                },
                () = self.closing.cancelled() => {}
                () = sleep_until(self.due.unwrap_or(self.until)) => match self.due {
                    Some(_) => return Ok(Some(self.frame(None))),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Ends the line; but first the node hears what was taken of it, or it would bring that to the next relay.
    fn end(self: Box<Self>, why: Status) -> Result<Option<(FromRelay, Box<Self>)>, Status> {
        let is_told = {
            let outcome = self.heard.lock();
            outcome.taken == outcome.told
        };
        if is_told {
            Err(why)
        } else {
            Ok(Some(self.frame(None)))
        }
    }

    fn frame(mut self: Box<Self>, slice: Option<Slice>) -> (FromRelay, Box<Self>) {
        let (taken, refused) = {
            let mut outcome = self.heard.lock();
            outcome.told = outcome.taken;
            (outcome.taken, std::mem::take(&mut outcome.refused))
        };
        self.due = None;
        let frame = FromRelay {
            slice: slice.map(Into::into),
            taken,
            refused,
        };
        (frame, self)
    }
}

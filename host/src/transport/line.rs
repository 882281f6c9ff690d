//! A node's side of a line: messages to it and from it on one stream, in place of a call for each.
//!
//! A relay offers one in the answer to a poll. Each end tells the other how many messages have come; it does so along with what it
//! has to say anyway, or after [`TOLD_AFTER`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, Stream};
use prost::bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::proto::relay::{Begin, FromNode, Refusal};

/// Of the answer to a poll: a line may take its place.
const LINE: &str = "backchannel-line";
const OFFERED: &str = "1";

/// Longest message that goes on a line, in bytes. A longer one would keep others waiting, and goes with a call of its own.
pub const LONGEST_SAID: usize = 256 << 10;

/// How long the other end may be left without hearing what has come, when there is nothing else to say to it: much less than anybody
/// waits for, and long enough for a busy line to need no extra words.
pub const TOLD_AFTER: Duration = Duration::from_millis(10);

/// Messages that wait to be said.
const WAITING: usize = 64;

/// Offers a line in the answer to a poll.
pub fn offer(answer: &mut MetadataMap) {
    answer.insert(LINE, MetadataValue::from_static(OFFERED));
}

/// Whether the answer to a poll offers a line.
pub fn is_offered(answer: &MetadataMap) -> bool {
    answer.get(LINE).is_some_and(|value| value == OFFERED)
}

/// What hands messages to a line.
#[derive(Clone)]
pub(super) struct Mouth(mpsc::Sender<Said>);

/// A message, and who waits to hear what came of it.
struct Said {
    message: Bytes,
    outcome: oneshot::Sender<Result<(), Status>>,
}

impl Mouth {
    /// Whether the line has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Says a message, and waits until the relay has taken or refused it. Fails as unavailable if the line ends before.
    pub(super) async fn say(&self, message: Bytes) -> Result<(), Status> {
        let lost = || Status::unavailable("the line was lost");
        let (outcome, told) = oneshot::channel();
        let said = self.0.send(Said { message, outcome }).await;
        said.map_err(|_| lost())?;
        told.await.map_err(|_| lost())?
    }
}

/// What both directions of a line know.
pub(super) struct Counts {
    /// Messages that have come.
    received: AtomicU64,
    has_received: Notify,
    said: Mutex<Unanswered>,
}

/// Those who wait for what becomes of their messages, in the order said.
#[derive(Default)]
struct Unanswered {
    answered: u64,
    waiting: VecDeque<oneshot::Sender<Result<(), Status>>>,
}

impl Counts {
    fn said(&self) -> MutexGuard<'_, Unanswered> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more message has come, and was handed on; how many that makes.
    pub(super) fn one_more_received(&self) -> u64 {
        let received = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        self.has_received.notify_one();
        received
    }

    /// The relay has taken so many messages in all, but for these.
    pub(super) fn taken(&self, taken: u64, refused: Vec<Refusal>) {
        let mut refused = refused.into_iter().peekable();
        let mut said = self.said();
        while said.answered < taken
            && let Some(waiting) = said.waiting.pop_front()
        {
            said.answered += 1;
            let outcome = match refused.next_if(|refusal| refusal.message == said.answered) {
                Some(refusal) => Err(Status::new(Code::from(refusal.code), refusal.why)),
                None => Ok(()),
            };
            // Whoever waits may have given up.
            let _ = waiting.send(outcome);
        }
    }
}

/// A line that begins with `begin`: what hands messages to it, what counts, and what is said on it. That ends once nobody can hand over more,
/// or when `ended`.
pub(super) fn line(
    begin: Begin,
    ended: CancellationToken,
) -> (
    Mouth,
    Arc<Counts>,
    impl Stream<Item = FromNode> + Send + 'static,
) {
    let (sender, messages) = mpsc::channel(WAITING);
    let counts = Arc::new(Counts {
        received: AtomicU64::new(0),
        has_received: Notify::new(),
        said: Mutex::default(),
    });
    let speaking = Speaking {
        begin: Some(begin),
        messages,
        counts: counts.clone(),
        due: None,
        ended,
    };
    let said = stream::unfold(speaking, Speaking::next);
    (Mouth(sender), counts, said)
}

struct Speaking {
    begin: Option<Begin>,
    messages: mpsc::Receiver<Said>,
    counts: Arc<Counts>,
    /// When the relay must hear what has come.
    due: Option<Instant>,
    ended: CancellationToken,
}

impl Speaking {
    async fn next(mut self) -> Option<(FromNode, Self)> {
        if self.begin.is_some() {
            let begin = self.begin.take();
            return Some((
                FromNode {
                    begin,
                    ..FromNode::default()
                },
                self,
            ));
        }
        loop {
            let never = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                biased;
                said = self.messages.recv() => {
                    let Said { message, outcome } = said?;
                    self.counts.said().waiting.push_back(outcome);
                    return Some(self.frame(message));
                }
                () = self.ended.cancelled(), if !self.messages.is_closed() => self.messages.close(),
                () = self.counts.has_received.notified() => {
                    self.due.get_or_insert_with(|| Instant::now() + TOLD_AFTER);
                }
                () = sleep_until(self.due.unwrap_or(never)) => {
                    if self.due.is_some() {
                        return Some(self.frame(Bytes::new()));
                    }
                }
            }
        }
    }

    fn frame(mut self, message: Bytes) -> (FromNode, Self) {
        self.due = None;
        let frame = FromNode {
            begin: None,
            message,
            received: self.counts.received.load(Ordering::Relaxed),
        };
        (frame, self)
    }
}

//! What a node has to say, kept until the relay has taken it.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use prost::bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::backoff::Backoff;
use super::chunks::cut;
use super::client::{Connection, Shared};
use super::line::LONGEST_SAID;
use super::token;
use crate::message::ToResearcher;
use crate::proto::researcher::TaskResult;

/// Messages handed to the relay at the same time.
const IN_FLIGHT: usize = 32;

/// Most messages kept. When reached, the outgoing queue is not read and fills up, so that its writers wait.
const MAX_KEPT: usize = 1000;

/// Most bytes kept, except that one more message may be taken when there is less.
const MAX_KEPT_BYTES: usize = 128 * 1024 * 1024;

/// How long a message is kept: as long as the relay would keep it. Its receiver has long given up.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How long the relay may take to accept a message. Then it is handed over anew: a server that takes a call and never
/// ends it would otherwise hold a lane for as long as messages are kept.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(60);

/// What a message may take longer, per MiB: the largest has 260 s, for which some 400 KiB/s are enough.
const ATTEMPT_LIMIT_PER_MIB: Duration = Duration::from_secs(2);

/// How long a stopped transport waits for the relay to take what is kept.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A message to be sent, and who waits to hear that this is over.
#[derive(Debug)]
pub struct Letter {
    message: ToResearcher,
    receipt: Option<oneshot::Sender<()>>,
}

impl Letter {
    /// A message, and what tells that it needs no more sending: the relay has taken it, or it was dropped as one that the
    /// relay refuses or that is too old. Fails if the transport stops before.
    pub fn with_receipt(message: ToResearcher) -> (Self, oneshot::Receiver<()>) {
        let (sender, receipt) = oneshot::channel();
        let letter = Self {
            message,
            receipt: Some(sender),
        };
        (letter, receipt)
    }

    /// The message, taken: its sender hears of it.
    pub fn take(self) -> ToResearcher {
        if let Some(receipt) = self.receipt {
            // Whoever asked for it may have gone.
            let _ = receipt.send(());
        }
        self.message
    }
}

impl From<ToResearcher> for Letter {
    fn from(message: ToResearcher) -> Self {
        Self {
            message,
            receipt: None,
        }
    }
}

/// How a message ended.
enum Fate {
    Acknowledged,
    Refused(tonic::Status),
    Expired,
}

/// Takes messages from `outgoing` and sends each until it is acknowledged, for as long as the queue lives or until
/// `stop`. `connections` has the one to send on, if there is one.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut outgoing: mpsc::Receiver<Letter>,
    connections: watch::Receiver<Option<Connection>>,
    stop: CancellationToken,
) {
    let lanes = Semaphore::new(IN_FLIGHT);
    let mut kept = FuturesUnordered::new();
    let mut kept_bytes = 0;
    let mut open = true;
    let mut give_up: Option<Instant> = None;
    while open || !kept.is_empty() {
        let room = kept.len() < MAX_KEPT && kept_bytes < MAX_KEPT_BYTES;
        tokio::select! {
            message = outgoing.recv(), if open && room => match message {
                Some(Letter { message, receipt }) => {
                    let bytes: Bytes = message.encode().into();
                    kept_bytes += bytes.len();
                    let sent = send(&shared.backoff, &lanes, connections.clone(), bytes);
                    let sent = sent.map(|(fate, length)| (fate, length, receipt));
                    // With a budget of polls, as tokio gives one to each task, those that find it used up are polled in the opposite
                    // order the next time: a message might be overtaken for ever, and come too late for its session.
                    kept.push(unconstrained(sent));
                }
                None => open = false,
            },
            Some((fate, length, receipt)) = kept.next(), if !kept.is_empty() => {
                kept_bytes -= length;
                // Whoever asked for it may have gone.
                let _ = receipt.map(|receipt| receipt.send(()));
                shared.update(|state| match fate {
                    Fate::Acknowledged => state.acknowledged += 1,
                    Fate::Refused(_) => state.refused += 1,
                    Fate::Expired => state.expired += 1,
                });
                match fate {
                    Fate::Acknowledged => {}
                    Fate::Refused(status) => {
                        tracing::warn!(reason = status.message(), "FB628: the relay refused a message, it is dropped");
                    }
                    Fate::Expired => {
                        tracing::warn!("FB628: the relay did not take a message within {} s, it is dropped", MAX_AGE.as_secs());
                    }
                }
            }
            () = stop.cancelled(), if give_up.is_none() => {
                outgoing.close();
                give_up = Some(Instant::now() + STOP_LIMIT);
            }
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => break,
        }
        shared.update(|state| state.unacknowledged = kept.len());
    }
}

/// Sends one message again and again until its fate is known; returns that and the message's length.
async fn send(
    backoff: &Backoff,
    lanes: &Semaphore,
    mut connections: watch::Receiver<Option<Connection>>,
    message: Bytes,
) -> (Fate, usize) {
    let length = message.len();
    let attempts = async {
        let mut failures = 0;
        loop {
            match attempt(lanes, &mut connections, message.clone()).await {
                Ok(()) => return Fate::Acknowledged,
                // A relay that wants a proof has it from the polls, and takes the message then.
                Err(status) if is_final(status.code()) && !token::is_wanted(&status) => {
                    return Fate::Refused(status);
                }
                Err(status) => {
                    tracing::debug!(%status, failures, "the relay did not take a message, it is kept")
                }
            }
            sleep(backoff.after(failures)).await;
            failures += 1;
        }
    };
    let fate = timeout_at(Instant::now() + MAX_AGE, attempts)
        .await
        .unwrap_or(Fate::Expired);
    (fate, length)
}

/// Whether a relay that answers so would answer the same message so again. Not among them: `FailedPrecondition`, as ours says
/// to who did not poll first; `ResourceExhausted`, to who should come later; and what a proxy or a server in trouble says.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::NotFound
            | Code::AlreadyExists
    )
}

/// How long an attempt with a message of so many bytes may take.
fn attempt_limit(length: usize) -> Duration {
    let mib = u32::try_from(length >> 20).unwrap_or(u32::MAX);
    ATTEMPT_LIMIT + ATTEMPT_LIMIT_PER_MIB.saturating_mul(mib)
}

/// Waits for a connection, then sends the message once: on the line if there is one, else in a call of its own, for which it waits for a lane.
async fn attempt(
    lanes: &Semaphore,
    connections: &mut watch::Receiver<Option<Connection>>,
    message: Bytes,
) -> Result<(), tonic::Status> {
    let limit = attempt_limit(message.len());
    let late = |_| {
        let limit = limit.as_secs();
        tonic::Status::deadline_exceeded(format!("the relay did not take it within {limit} s"))
    };
    if let Some(mouth) = connected(connections).await?.mouth
        && message.len() <= LONGEST_SAID
        && !mouth.is_closed()
    {
        return timeout(limit, mouth.say(message)).await.map_err(late)?;
    }
    // The lane first, so that the connection is looked at when it is used.
    let _lane = lanes
        .acquire()
        .await
        .map_err(|_| tonic::Status::unavailable("the transport has stopped"))?;
    let Connection {
        mut client, token, ..
    } = connected(connections).await?;
    let slices = futures::stream::iter(cut(message).map(TaskResult::from));
    let mut request = Request::new(slices);
    if let Some(token) = token {
        token.write(request.metadata_mut());
    }
    let taken = timeout(limit, client.reply_task(request)).await;
    taken.map_err(late)?.map(|_| ())
}

/// The connection, once there is one.
async fn connected(
    connections: &mut watch::Receiver<Option<Connection>>,
) -> Result<Connection, tonic::Status> {
    let connection = connections
        .wait_for(Option::is_some)
        .await
        .map_err(|_| tonic::Status::unavailable("the transport has stopped"))?;
    let connection = connection.clone();
    connection.ok_or_else(|| tonic::Status::unavailable("the connection was lost"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use futures::stream;
    use hyper_util::rt::TokioIo;
    use rand_core::SeedableRng;
    use tonic::transport::{Endpoint, Server};
    use tonic::{Response, Status, Streaming};

    use super::super::client::Client;
    use super::super::line;
    use super::*;
    use crate::message::RequestId;
    use crate::proto::relay::Begin;
    use crate::proto::researcher::researcher_service_server::{
        ResearcherService, ResearcherServiceServer,
    };
    use crate::proto::researcher::{Empty, FeedbackMessage, TaskRequest, TaskResponse};

    /// What a server does with a call.
    #[derive(Clone, Copy)]
    enum Answer {
        Never,
        With(Code),
        ProofWanted,
    }

    /// A server with an answer to each call, the first one first; when there is none left it takes the message.
    struct Scripted(Mutex<VecDeque<Answer>>);

    #[tonic::async_trait]
    impl ResearcherService for Scripted {
        type GetTaskStream = stream::Empty<Result<TaskResponse, Status>>;
        type GetTaskUnaryStream = stream::Empty<Result<TaskResponse, Status>>;

        async fn get_task(
            &self,
            _: Request<Streaming<TaskRequest>>,
        ) -> Result<Response<Self::GetTaskStream>, Status> {
            Ok(Response::new(stream::empty()))
        }

        async fn get_task_unary(
            &self,
            _: Request<TaskRequest>,
        ) -> Result<Response<Self::GetTaskUnaryStream>, Status> {
            Ok(Response::new(stream::empty()))
        }

        async fn reply_task(
            &self,
            _: Request<Streaming<TaskResult>>,
        ) -> Result<Response<Empty>, Status> {
            let answer = self.0.lock().unwrap().pop_front();
            match answer {
                None => Ok(Response::new(Empty {})),
                Some(Answer::With(code)) => Err(Status::new(code, "as the script says")),
                Some(Answer::ProofWanted) => Err(token::wanted("prove it".to_owned())),
                Some(Answer::Never) => std::future::pending().await,
            }
        }

        async fn feedback(&self, _: Request<FeedbackMessage>) -> Result<Response<Empty>, Status> {
            Ok(Response::new(Empty {}))
        }
    }

    /// Sends a message to a server with that script.
    async fn fate(script: &[Answer]) -> Fate {
        let (here, there) = tokio::io::duplex(1 << 20);
        let service = Scripted(Mutex::new(script.iter().copied().collect()));
        let server = tokio::spawn(
            Server::builder()
                .add_service(ResearcherServiceServer::new(service))
                .serve_with_incoming(
                    stream::iter([Ok::<_, std::io::Error>(there)]).chain(stream::pending()),
                ),
        );
        let mut here = Some(TokioIo::new(here));
        let connector = tower::service_fn(move |_| {
            let stream = here.take().ok_or(std::io::ErrorKind::NotConnected);
            async move { stream.map_err(std::io::Error::from) }
        });
        let channel = Endpoint::from_static("http://relay")
            .connect_with_connector(connector)
            .await
            .unwrap();
        let connection = Connection {
            client: Client::new(channel),
            token: None,
            mouth: None,
        };
        let (_sender, connections) = watch::channel(Some(connection));
        let backoff = Backoff::new(rand_chacha::ChaCha20Rng::seed_from_u64(1));
        let (fate, length) = send(
            &backoff,
            &Semaphore::new(1),
            connections,
            Bytes::from_static(b"message"),
        )
        .await;
        server.abort();
        assert_eq!(length, 7);
        fate
    }

    #[tokio::test(start_paused = true)]
    async fn hands_a_message_over_anew_when_the_relay_never_ends_the_call() {
        let started = Instant::now();

        let fate = fate(&[Answer::Never, Answer::Never]).await;

        assert!(matches!(fate, Fate::Acknowledged));
        let took = started.elapsed();
        assert!(
            took >= 2 * ATTEMPT_LIMIT && took < 3 * ATTEMPT_LIMIT,
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn drops_at_once_what_the_relay_will_never_take() {
        for code in [
            Code::InvalidArgument,
            Code::OutOfRange,
            Code::Unimplemented,
            Code::PermissionDenied,
            Code::Unauthenticated,
        ] {
            let fate = fate(&[Answer::With(code)]).await;
            assert!(
                matches!(&fate, Fate::Refused(status) if status.code() == code),
                "{code}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_what_the_relay_may_take_later() {
        let later = [
            Code::FailedPrecondition,
            Code::ResourceExhausted,
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Internal,
            Code::Unknown,
            Code::Cancelled,
            Code::Aborted,
        ];
        assert!(matches!(
            fate(&later.map(Answer::With)).await,
            Fate::Acknowledged
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_what_the_relay_takes_after_a_proof() {
        let fate = fate(&[Answer::ProofWanted, Answer::ProofWanted]).await;
        assert!(matches!(fate, Fate::Acknowledged));
    }

    #[tokio::test]
    async fn what_goes_on_a_line_goes_in_the_order_in_which_it_was_handed_over() {
        const MESSAGES: u32 = 20_000;
        let shared = Shared::new(rand_chacha::ChaCha20Rng::seed_from_u64(1)).0;
        let (mouth, counts, said) = line::line(Begin::default(), CancellationToken::new());
        let connection = Connection {
            client: Client::new(Endpoint::from_static("http://relay").connect_lazy()),
            token: None,
            mouth: Some(mouth),
        };
        let (_sender, connections) = watch::channel(Some(connection));
        let (outgoing, letters) = mpsc::channel(MAX_KEPT);
        let stop = CancellationToken::new();
        let working = tokio::spawn(run(Arc::new(shared), letters, connections, stop.clone()));
        let handing = tokio::spawn(async move {
            for n in 0..MESSAGES {
                let id = n.to_string().parse().expect("an id");
                outgoing.send(numbered(id).into()).await.expect("taken");
            }
        });
        let mut said = std::pin::pin!(said.skip(1));

        for next in 0..MESSAGES {
            let frame = said.next().await.expect("more");
            let expected = numbered(next.to_string().parse().expect("an id"));
            assert!(frame.message == expected.encode(), "not the message {next}");
            // Seldom, so that many wait at a time.
            if next % 700 == 0 {
                counts.taken(next.into(), Vec::new());
            }
        }
        counts.taken(MESSAGES.into(), Vec::new());

        handing.await.expect("handed over");
        stop.cancel();
        working.await.expect("stopped");
    }

    fn numbered(id: RequestId) -> ToResearcher {
        ToResearcher::PingReply {
            request_id: Some(id),
            researcher_id: "researcher".parse().expect("an id"),
            node_id: "node".parse().expect("an id"),
            node_name: "node".into(),
        }
    }

    #[test]
    fn every_message_has_the_time_for_one_attempt_before_it_is_too_old() {
        assert_eq!(attempt_limit(1000), ATTEMPT_LIMIT);
        assert!(attempt_limit(crate::message::MAX_MESSAGE_BYTES) < MAX_AGE);
    }
}

//! What a node has to say, kept until the relay has taken it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use prost::bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::chunks::cut;
use super::client::{Client, Shared};
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

/// How long a stopped transport waits for the relay to take what is kept.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How a message ended.
enum Fate {
    Acknowledged,
    Refused(tonic::Status),
    Expired,
}

/// Takes messages from `outgoing` and sends each until it is acknowledged, for as long as the queue lives or until
/// `stop`. `clients` says on which connection, if there is one.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut outgoing: mpsc::Receiver<ToResearcher>,
    clients: watch::Receiver<Option<Client>>,
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
                Some(message) => {
                    let bytes: Bytes = message.encode().into();
                    kept_bytes += bytes.len();
                    kept.push(send(&shared, &lanes, clients.clone(), bytes));
                }
                None => open = false,
            },
            Some((fate, length)) = kept.next(), if !kept.is_empty() => {
                kept_bytes -= length;
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
    shared: &Shared,
    lanes: &Semaphore,
    mut clients: watch::Receiver<Option<Client>>,
    message: Bytes,
) -> (Fate, usize) {
    let length = message.len();
    let attempts = async {
        let mut failures = 0;
        loop {
            match attempt(lanes, &mut clients, message.clone()).await {
                Ok(()) => return Fate::Acknowledged,
                Err(status) if status.code() == Code::InvalidArgument => {
                    return Fate::Refused(status);
                }
                Err(status) => {
                    tracing::debug!(%status, failures, "the relay did not take a message, it is kept")
                }
            }
            sleep(shared.backoff.after(failures)).await;
            failures += 1;
        }
    };
    let fate = timeout_at(Instant::now() + MAX_AGE, attempts)
        .await
        .unwrap_or(Fate::Expired);
    (fate, length)
}

/// Waits for a connection and a lane, then sends the message once.
async fn attempt(
    lanes: &Semaphore,
    clients: &mut watch::Receiver<Option<Client>>,
    message: Bytes,
) -> Result<(), tonic::Status> {
    let gone = |_| tonic::Status::unavailable("the transport has stopped");
    // The lane first, so that the connection is looked at when it is used.
    let _lane = lanes
        .acquire()
        .await
        .map_err(|_| tonic::Status::unavailable("the transport has stopped"))?;
    let client = clients
        .wait_for(Option::is_some)
        .await
        .map_err(gone)?
        .clone();
    let Some(mut client) = client else {
        return Err(tonic::Status::unavailable("the connection was lost"));
    };
    client
        .reply_task(futures::stream::iter(cut(message).map(TaskResult::from)))
        .await?;
    Ok(())
}

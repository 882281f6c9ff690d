//! The thread that writes a running node's lines, so that nobody waits for the disk.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::State;
use super::event::Event;
use super::log::{Component, Head, Log};
use super::ration::Rations;

/// Events that wait for the disk.
const QUEUE: usize = 4096;
/// Of these, how many may be such as others can cause: they cannot drive out an operator's.
const OTHERS: usize = QUEUE / 2;
/// Lines written at a time, with one sync.
const BATCH: usize = 512;
/// How often a disk that failed is tried again, and counts of what is left out are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Write(Event),
    Tell(oneshot::Sender<()>),
}

struct Shared {
    rations: Mutex<Rations>,
    waiting: AtomicUsize,
    /// Not told of yet in a line.
    lost: AtomicU64,
    lost_in_all: AtomicU64,
    /// Nobody waits for a disk that fails any longer.
    closing: AtomicBool,
    /// Where the log ends, and why it cannot be written.
    head: Mutex<(Head, Option<String>)>,
}

impl Writer {
    pub(super) fn start(log: Log, component: Component) -> io::Result<Self> {
        // Puts in order what was left, and shows that the log can be written.
        let head = log.append(Some(&component), &[])?;
        let shared = Arc::new(Shared {
            rations: Mutex::default(),
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            lost_in_all: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            head: Mutex::new((head, None)),
        });
        let (queue, orders) = sync_channel(QUEUE);
        let work = Work {
            log,
            component,
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || work.run(&orders))?;
        Ok(Self {
            shared,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    pub(super) fn take(&self, event: Event) {
        let others = event.stream().is_some();
        if others && !self.shared.rations().grant(&event, Instant::now()) {
            return;
        }
        let waiting = self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let taken = match &self.queue {
            Some(queue) if !others || waiting < OTHERS => queue.try_send(Order::Write(event)),
            _ => Err(TrySendError::Full(Order::Write(event))),
        };
        if taken.is_err() {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            if self.shared.lost_in_all.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!("the audit log loses records: its disk does not keep up");
            }
        }
    }

    pub(super) async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        let mut order = Order::Tell(tell);
        while let Some(queue) = &self.queue {
            match queue.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) => order = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = told.await;
    }

    pub(super) fn state(&self) -> State {
        let (head, failing) = self.shared.head().clone();
        State {
            seq: head.seq,
            hash: head.hash,
            lost: self.shared.lost_in_all.load(Ordering::Relaxed),
            failing,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread writes what it has, then finds that nobody is left.
        self.shared.closing.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn rations(&self) -> MutexGuard<'_, Rations> {
        self.rations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> MutexGuard<'_, (Head, Option<String>)> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread has.
struct Work {
    log: Log,
    component: Component,
    shared: Arc<Shared>,
}

impl Work {
    fn run(self, orders: &Receiver<Order>) {
        let mut events = Vec::new();
        let mut tell = Vec::new();
        loop {
            let closing = match orders.recv_timeout(INTERVAL) {
                Ok(order) => {
                    let more = orders.try_iter().take(BATCH - 1);
                    for order in std::iter::once(order).chain(more) {
                        match order {
                            Order::Write(event) => {
                                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                                events.push(event);
                            }
                            Order::Tell(whom) => tell.push(whom),
                        }
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            events.extend(self.shared.rations().counted(Instant::now(), closing));
            self.write(&mut events);
            for whom in tell.drain(..) {
                // Who asked may not wait any longer.
                let _ = whom.send(());
            }
            if closing {
                return;
            }
        }
    }

    /// Writes `events`, and tries again until the disk takes them or the log is closed.
    fn write(&self, events: &mut Vec<Event>) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            events.push(Event::RecordsLost { count: lost });
        }
        while !events.is_empty() {
            match self.log.append(Some(&self.component), events) {
                Ok(head) => {
                    *self.shared.head() = (head, None);
                    events.clear();
                }
                Err(error) => {
                    if self.shared.head().1.replace(error.to_string()).is_none() {
                        tracing::error!("the audit log cannot be written: {error}; trying again");
                    }
                    if self.shared.closing.load(Ordering::Relaxed) {
                        tracing::error!("{} audit records are lost: {error}", events.len());
                        return;
                    }
                    std::thread::sleep(INTERVAL);
                }
            }
        }
    }
}

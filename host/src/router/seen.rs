//! What was treated lately: relays deliver a message again when an acknowledgement is lost, and anybody on the way can.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::message::Inner;

/// Twice as long as a relay keeps a message (reference: 300 s).
const REMEMBERED: Duration = Duration::from_secs(600);
/// The most messages remembered; beyond, the oldest go first. About 5 MiB.
const MOST: usize = 1 << 16;

/// The messages treated lately. Gone with the process, as are the runs they belonged to.
#[derive(Default)]
pub(super) struct Seen(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    known: HashSet<Digest128>,
    by_age: VecDeque<(Instant, Digest128)>,
}

type Digest128 = [u8; 16];

impl Seen {
    /// Remembers a message; `false` when it is known already. To be called with messages that were verified: only their
    /// sender can fill the memory, and its request ids tell messages apart.
    pub(super) fn first(&self, inner: &Inner) -> bool {
        let now = Instant::now();
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, oldest)) = memory.by_age.front().copied() {
            if memory.by_age.len() < MOST && now.duration_since(at) < REMEMBERED {
                break;
            }
            memory.by_age.pop_front();
            memory.known.remove(&oldest);
        }
        let digest = digest(inner);
        let first = memory.known.insert(digest);
        if first {
            memory.by_age.push_back((now, digest));
        }
        first
    }
}

/// Sender, kind and request id; all that is in it for a message without one.
fn digest(inner: &Inner) -> Digest128 {
    let what = match &inner.request_id {
        Some(id) => id.as_str().as_bytes().to_vec(),
        None => inner.fields_msgpack(),
    };
    let mut hash = Sha256::new();
    for part in [
        inner.source.as_str().as_bytes(),
        inner.kind.as_bytes(),
        &what,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{NodeId, RequestId, Value};

    fn message(source: &str, id: Option<&str>) -> Inner {
        let node = |name: &str| NodeId::try_from(name).expect("valid");
        let id = id.map(|id| RequestId::try_from(id).expect("valid"));
        let fields = Value::Map(vec![("secagg_id".into(), "s".into())]);
        Inner::new(node(source), node("us"), id, "KeyRequest", fields).expect("a message")
    }

    #[tokio::test(start_paused = true)]
    async fn knows_a_message_again_and_no_other() {
        let seen = Seen::default();
        assert!(seen.first(&message("a", Some("1"))));
        assert!(!seen.first(&message("a", Some("1"))));
        assert!(seen.first(&message("b", Some("1"))), "another sender's");
        assert!(seen.first(&message("a", Some("2"))), "another request");
        assert!(seen.first(&message("a", None)));
        assert!(!seen.first(&message("a", None)));
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_in_time_and_stays_bounded() {
        let seen = Seen::default();
        seen.first(&message("a", Some("1")));
        tokio::time::advance(REMEMBERED).await;
        assert!(seen.first(&message("a", Some("1"))));
        for n in 0..MOST + 10 {
            seen.first(&message("a", Some(&n.to_string())));
        }
        let memory = seen.0.lock().expect("no panic");
        assert_eq!((memory.known.len(), memory.by_age.len()), (MOST, MOST));
    }
}

//! A message's way through the relay: what it meets, and how long it takes into a mailbox.

use std::time::Duration;

use tokio::time::sleep;

use super::Relay;
use super::mailbox::Held;
use crate::message::NodeId;
use crate::sandbox::faults::Fate;
use crate::sandbox::hits::Passing;

/// How long a message is held back at most, waiting to be overtaken.
const HELD: Duration = Duration::from_secs(30);

impl Relay {
    /// Puts a message into a mailbox, once its time has come and its fate is met.
    pub(super) fn post(&self, message: Passing<'_>, mut bytes: Vec<u8>) {
        let desk = &mut *self.desk();
        let Passing { n, from, to, .. } = message;
        let mut wait = desk.latency(from, to);
        let (listed, drawn) = (desk.listed.fate(message), desk.plan.fate());
        let fate = listed.or(drawn).filter(|_| desk.faulty);
        if let Some(fate) = fate {
            desk.hit(n, fate);
            if listed.is_none() {
                desk.hits.insert(n, fate);
            }
        }
        match fate {
            Some(Fate::Dropped) => return,
            Some(Fate::Corrupted { at, by }) => {
                let at = usize::try_from(at % bytes.len().max(1) as u64).unwrap_or_default();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte.wrapping_add(by);
                }
            }
            Some(Fate::Overtaken { by }) => {
                return self.hold_after(wait, n, to.clone(), bytes, by);
            }
            Some(Fate::Delayed(by)) => wait += by,
            Some(Fate::Duplicated(later)) => {
                self.put_after(wait + later, n, to.clone(), bytes.clone());
            }
            None => {}
        }
        self.put_after(wait, n, to.clone(), bytes);
    }

    pub(super) fn put_after(&self, wait: Duration, n: u64, to: NodeId, bytes: Vec<u8>) {
        let relay = self.clone();
        tokio::spawn(async move {
            sleep(wait).await;
            relay.put(n, &to, bytes);
        });
    }

    fn hold_after(&self, wait: Duration, n: u64, to: NodeId, bytes: Vec<u8>, more: u32) {
        let relay = self.clone();
        tokio::spawn(async move {
            sleep(wait).await;
            relay.hold(&to, Held { n, bytes, more });
            sleep(HELD).await;
            let held = relay.desk().let_go(&to, |held| held.n == n);
            held.into_iter()
                .for_each(|held| relay.desk().put(held.n, &to, held.bytes));
        });
    }

    fn hold(&self, to: &NodeId, held: Held) {
        let desk = &mut *self.desk();
        match desk.boxes.get_mut(to) {
            Some(mailbox) if desk.down == 0 => mailbox.held.push(held),
            _ => desk.put(held.n, to, held.bytes),
        }
    }

    /// Puts a message into a mailbox, and those after it that it was the last to overtake.
    fn put(&self, n: u64, to: &NodeId, bytes: Vec<u8>) {
        let desk = &mut *self.desk();
        desk.put(n, to, bytes);
        for held in desk.let_go(to, |held| {
            held.more -= 1;
            held.more == 0
        }) {
            desk.put(held.n, to, held.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToNode;
    use crate::sandbox::Faults;
    use crate::sandbox::faults::Plan;
    use crate::sandbox::hits::{Hit, Hits, Which};
    use crate::sandbox::record::Record;
    use crate::sandbox::relay::LATENCY;

    #[tokio::test(start_paused = true)]
    async fn a_message_is_held_back_until_so_many_have_passed_it() {
        let node = NodeId::try_from("a").expect("a valid id");
        let held = |n, by| Hit {
            which: Which::Number(n),
            fate: Fate::Overtaken { by },
        };
        let hits = Hits::of(vec![held(1, 2), held(5, 9)]);
        let plan = Plan::draw(&Faults::default(), 1, Duration::ZERO, &[], 1);
        let record = Record::new();
        let (relay, _answers) = Relay::new(record, plan, hits, 1, std::slice::from_ref(&node));
        let ping = ToNode::Ping {
            request_id: None,
            researcher_id: "r".parse().expect("a valid id"),
        };

        for n in 1..=5 {
            relay.ask(&node, "Ping", "", &ping);
            sleep(2 * *LATENCY.end()).await;
            let passed = relay.desk().boxes[&node].queue.len();
            assert_eq!(passed, [0, 1, 3, 4, 4][n - 1], "after {n}");
        }
        sleep(HELD).await;

        let desk = relay.desk();
        let order: Vec<_> = desk.boxes[&node].queue.iter().map(|one| one.n).collect();
        assert_eq!(order, [2, 3, 1, 4, 5], "the last is let go in the end");
    }
}

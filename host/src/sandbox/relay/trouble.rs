//! What goes wrong with a relay and the wires to it, and what is noted of that.

use super::{Cut, Relay};
use crate::message::NodeId;
use crate::sandbox::faults::Accident;
use crate::trace::What;

impl Relay {
    /// An accident began; counted now, unless it may pass unnoticed.
    pub(in crate::sandbox) fn began(&self, accident: Accident, node: &NodeId) {
        if !accident.may_pass() {
            self.count(accident);
        }
        let (fault, node) = (accident.name().to_owned(), node.to_string());
        self.record(What::FaultBegan { fault, node });
    }

    /// What it did.
    pub(in crate::sandbox) fn did(&self, accident: Accident, node: &NodeId, how: String) {
        let (fault, node) = (accident.name().to_owned(), node.to_string());
        self.record(What::FaultDid { fault, node, how });
    }

    /// It ended.
    pub(in crate::sandbox) fn ended(&self, accident: Accident, node: &NodeId) {
        let (fault, node) = (accident.name().to_owned(), node.to_string());
        self.record(What::FaultEnded { fault, node });
    }

    /// It hit something.
    pub(in crate::sandbox) fn count(&self, accident: Accident) {
        *self.desk().counts.entry(accident.name()).or_default() += 1;
    }

    /// A node died over an operation of its disk.
    pub(in crate::sandbox) fn died(&self, node: &NodeId) {
        self.count(Accident::Torn);
        self.record(What::Died {
            node: node.to_string(),
        });
        self.is_gone(node);
    }

    /// A life of a node begins.
    pub(in crate::sandbox) fn is_there(&self, node: &NodeId) {
        let desk = &mut *self.desk();
        if let Some(mailbox) = desk.boxes.get_mut(node) {
            mailbox.wire.alive = true;
        }
        desk.changed();
    }

    /// A life of a node ends.
    pub(in crate::sandbox) fn is_gone(&self, node: &NodeId) {
        let desk = &mut *self.desk();
        if let Some(mailbox) = desk.boxes.get_mut(node) {
            mailbox.wire.alive = false;
        }
        let now = desk.record.now();
        desk.seen.gone.push((node.clone(), now));
        desk.changed();
    }

    /// From now on messages have no faults.
    pub(in crate::sandbox) fn heal(&self) {
        self.desk().faulty = false;
    }

    /// Goes down with all it holds.
    pub(in crate::sandbox) fn go_down(&self) {
        let desk = &mut *self.desk();
        desk.down += 1;
        for mailbox in desk.boxes.values_mut() {
            let held = mailbox.held.drain(..).map(|held| held.n);
            for n in mailbox.queue.drain(..).map(|letter| letter.n).chain(held) {
                let why = "the relay restarted".into();
                desk.record.event(What::Lost { n, why });
            }
        }
        desk.changed();
    }

    /// Comes back, unless something else keeps it down.
    pub(in crate::sandbox) fn come_up(&self) {
        let desk = &mut *self.desk();
        desk.down = desk.down.saturating_sub(1);
        desk.changed();
    }

    /// Cuts the wire to a node.
    pub(in crate::sandbox) fn cut_off(&self, node: &NodeId, cut: Cut) {
        let desk = &mut *self.desk();
        if let Some(mailbox) = desk.boxes.get_mut(node) {
            mailbox.wire.cut(cut);
        }
        desk.changed();
    }

    /// Mends it, unless something else cuts it.
    pub(in crate::sandbox) fn mend(&self, node: &NodeId, cut: Cut) {
        let desk = &mut *self.desk();
        if let Some(mailbox) = desk.boxes.get_mut(node) {
            mailbox.wire.mend(cut);
        }
        desk.changed();
    }

    /// Makes the wire of a node slow, or of all; or not any more.
    pub(in crate::sandbox) fn slow(&self, node: Option<&NodeId>, slow: bool) {
        let desk = &mut *self.desk();
        let accidents = match node {
            Some(node) => desk
                .boxes
                .get_mut(node)
                .map(|mailbox| &mut mailbox.wire.slow),
            None => Some(&mut desk.slow),
        };
        if let Some(accidents) = accidents {
            *accidents = if slow {
                *accidents + 1
            } else {
                accidents.saturating_sub(1)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::ToNode;
    use crate::sandbox::faults::{Faults, Plan};
    use crate::sandbox::hits::Hits;
    use crate::sandbox::record::Record;

    #[tokio::test(start_paused = true)]
    async fn a_relay_is_back_when_all_that_kept_it_down_is_over() {
        let node = NodeId::try_from("a").expect("a valid id");
        let plan = Plan::draw(&Faults::default(), 1, Duration::ZERO, &[], 1);
        let nodes = std::slice::from_ref(&node);
        let (relay, _answers) = Relay::new(Record::new(), plan, Hits::of(vec![]), 1, nodes);
        let ping = ToNode::Ping {
            request_id: None,
            researcher_id: "r".parse().expect("a valid id"),
        };
        let kept = || relay.desk().boxes[&node].queue.len();

        relay.go_down();
        relay.go_down();
        relay.come_up();
        relay.ask(&node, "Ping", "", &ping);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(kept(), 0, "it is down");

        relay.come_up();
        relay.ask(&node, "Ping", "", &ping);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(kept(), 1);
    }
}

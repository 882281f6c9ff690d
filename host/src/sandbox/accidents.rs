//! What happens to the nodes of a network and to its relay: how each accident begins, and how it ends.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use tokio::time::sleep;

use super::disk::{Death, Trouble};
use super::faults::{Accident, Planned};
use super::forger::Forger;
use super::network::Network;
use super::relay::Cut;

/// A node dies over one of so many writes, syncs and changes of length: some set-ups' worth.
const MOST_BEFORE_DEATH: u64 = 40;
/// A disk's trouble begins within so many operations: in the middle of a transaction, wherever that is.
const MOST_BEFORE_TROUBLE: u64 = 30;

/// By how much clocks jump, in seconds: an hour, and ten years.
const JUMPS: [i64; 2] = [3600, 10 * 365 * 86_400];

/// What comes next in a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// The accident of this place in the plan begins.
    Begin(usize),
    /// It ends.
    End(usize),
    /// The supervisor of a node that could not start tries again.
    Restart(usize),
}

impl Network {
    /// Lets happen what comes next.
    pub(super) async fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Begin(id) => self.begin(id).await,
            Turn::End(id) => self.end(id).await,
            Turn::Restart(n) => self.revive(n),
        }
    }

    async fn begin(&mut self, id: usize) {
        let planned = self.planned[id].clone();
        let (accident, n, mut rng) = (planned.accident, self.place(&planned), planned.rng());
        self.come(planned.at + planned.lasting, Turn::End(id));
        if !accident.begins_later() {
            self.relay.began(accident, &self.nodes[n].id);
        }
        match accident {
            Accident::Kill => self.kill(n, None).await,
            Accident::PowerCut => self.kill(n, Some(rng)).await,
            Accident::Torn => self.nodes[n].disk.begin_death(Death {
                id,
                after: rng.next_u64() % MOST_BEFORE_DEATH,
                power: rng.next_u32().is_multiple_of(2),
                rng,
            }),
            Accident::Partition => {
                let (node, cut) = (&self.nodes[n].id, cut(&mut rng));
                self.relay.cut_off(node, cut);
                self.relay.did(accident, node, cut.name().into());
            }
            Accident::RelayRestart => self.relay.go_down(),
            Accident::DiskFull | Accident::ReadOnly | Accident::Io => {
                let (trouble, times) = trouble(accident, &mut rng);
                let after = rng.next_u64() % MOST_BEFORE_TROUBLE;
                self.nodes[n].disk.begin(id, trouble, after, times);
            }
            Accident::Damage => {
                let whole = self.nodes[n].is_alive();
                self.kill(n, None).await;
                let node = &mut self.nodes[n];
                node.down -= 1;
                if let Some((before, done)) = node.disk.damage(&mut rng) {
                    node.copies.was_good(before, whole, self.record.now());
                    self.relay.count(accident);
                    self.relay.did(accident, &node.id, done);
                }
                self.revive(n);
            }
            Accident::Backup => {
                let node = &mut self.nodes[n];
                node.copies.keep(id, &node.disk, self.record.now());
            }
            Accident::ClockJump => {
                let (node, by) = (&self.nodes[n], jump(&mut rng));
                node.clock.put_wrong(by);
                self.relay.did(accident, &node.id, format!("by {by} s"));
            }
            Accident::SlowNode => self.relay.slow(Some(&self.nodes[n].id), true),
            Accident::SlowRelay => self.relay.slow(None, true),
            Accident::SlowPlugins => self.nodes[n].suffering.slow(true),
            Accident::Stopped => self.nodes[n].suffering.begin_stopping(id, rng),
            Accident::Forged => {
                let nodes = self.nodes.iter().map(|node| node.id.clone()).collect();
                let researchers = [&self.researcher.id, &self.researcher.other].map(Clone::clone);
                let forger = Forger::new(self.relay.clone(), researchers, nodes, &planned);
                tokio::spawn(forger.work(planned));
            }
        }
    }

    async fn end(&mut self, id: usize) {
        let planned = self.planned[id].clone();
        let (accident, n) = (planned.accident, self.place(&planned));
        let node = &mut self.nodes[n];
        match accident {
            Accident::Kill | Accident::PowerCut => node.down -= 1,
            Accident::Torn => node.disk.end_death(id),
            Accident::Partition => self.relay.mend(&node.id, cut(&mut planned.rng())),
            Accident::RelayRestart => self.relay.come_up(),
            Accident::DiskFull | Accident::ReadOnly | Accident::Io => {
                if node.disk.end(id) {
                    self.relay.count(accident);
                }
            }
            Accident::Damage => {
                let older = planned.rng().next_u32().is_multiple_of(4);
                node.copies.repair(&node.disk, older, self.record.now());
            }
            Accident::Backup if node.copies.has(id) => {
                self.relay.began(accident, &node.id);
                self.kill(n, None).await;
                let node = &mut self.nodes[n];
                node.down -= 1;
                let now = self.record.now();
                node.copies.return_to(id, &node.disk, now);
            }
            Accident::Backup => {}
            Accident::ClockJump => node.clock.put_wrong(-jump(&mut planned.rng())),
            Accident::SlowNode => self.relay.slow(Some(&node.id), false),
            Accident::SlowRelay => self.relay.slow(None, false),
            Accident::SlowPlugins => node.suffering.slow(false),
            Accident::Stopped => {
                let stopped = node.suffering.end_stopping(id);
                if stopped > 0 {
                    self.relay.count(accident);
                    let how = format!("{stopped} calls");
                    self.relay.did(accident, &node.id, how);
                }
                node.pardon();
            }
            Accident::Forged => {}
        }
        self.relay.ended(accident, &self.nodes[n].id);
        self.revive(n);
    }

    /// Ends a node as a crash does; with `power`, what its disk had not synced may be lost too.
    async fn kill(&mut self, n: usize, power: Option<ChaCha20Rng>) {
        let node = &mut self.nodes[n];
        node.down += 1;
        node.disk.unmount();
        if let Some(life) = node.life.take() {
            life.end();
        }
        if let Some(mut rng) = power {
            node.disk.cut_power(&mut rng);
        }
        self.relay.is_gone(&node.id);
        // Tasks that were killed go as they are woken.
        sleep(Duration::from_micros(1)).await;
    }

    /// Which node an accident is about.
    fn place(&self, planned: &Planned) -> usize {
        planned.node % self.nodes.len()
    }
}

fn jump(rng: &mut ChaCha20Rng) -> i64 {
    let by = JUMPS[rng.next_u32() as usize % JUMPS.len()];
    if rng.next_u32().is_multiple_of(2) {
        by
    } else {
        -by
    }
}

/// Which way a wire is cut: half of the times both.
fn cut(rng: &mut ChaCha20Rng) -> Cut {
    let cuts = [Cut::Both, Cut::Both, Cut::ToNode, Cut::FromNode];
    cuts[rng.next_u32() as usize % cuts.len()]
}

/// What a disk refuses, and how many times.
fn trouble(accident: Accident, rng: &mut ChaCha20Rng) -> (Trouble, u64) {
    match accident {
        Accident::DiskFull => (Trouble::Full, u64::MAX),
        Accident::ReadOnly => (Trouble::ReadOnly, u64::MAX),
        _ => {
            let kinds = [Trouble::Reads, Trouble::Writes, Trouble::Syncs];
            let kind = kinds[rng.next_u32() as usize % kinds.len()];
            let once = rng.next_u32().is_multiple_of(2);
            (kind, if once { 1 } else { u64::MAX })
        }
    }
}

//! The nodes of a simulated network, their lives and deaths, and the researcher's requests to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::disk::{Disk, Room};
use super::faults::{Accident, Plan, Planned};
use super::relay::Relay;
use super::trace::What;
use crate::audit::Audit;
use crate::chronicle::Chronicle;
use crate::handlers::Plugins;
use crate::key_store::KeyStore;
use crate::message::researcher::SetupRequest;
use crate::message::{
    ExperimentId, Integer, NodeId, RequestId, ResearcherId, SecaggId, ToNode, ToResearcher,
};
use crate::node::{Ground, Wiring};
use crate::randomness::Randomness;

/// How long the researcher waits for answers: a bit longer than a node's run may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(65);
/// A node that cannot start tries again so much later, as its supervisor would have it.
const RESTART: Duration = Duration::from_secs(1);

/// A network in work.
pub(super) struct Network {
    pub(super) relay: Relay,
    pub(super) nodes: Vec<SimulatedNode>,
    answers: mpsc::UnboundedReceiver<ToResearcher>,
    plugins: Plugins,
    seed: u64,
    randomness: Randomness,
    researcher: ResearcherId,
    experiment: ExperimentId,
    /// Outcomes of all set-ups, by run.
    pub(super) outcomes: BTreeMap<SecaggId, Outcome>,
    accidents: std::collections::VecDeque<(Duration, Turn)>,
}

/// One node: its disk, and its life if it has one.
pub(super) struct SimulatedNode {
    pub(super) id: NodeId,
    pub(super) disk: Disk,
    pub(super) life: Option<Life>,
    lives: u32,
    /// Accidents that keep it from living.
    down: u32,
    cut_off: u32,
    full: u32,
}

/// A node between start and death.
pub(super) struct Life {
    pub(super) wiring: Wiring,
    pub(super) store: Arc<KeyStore>,
    links: CancellationToken,
}

/// What the researcher heard of a set-up.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Its kind.
    pub(super) kind: &'static str,
    /// Who reported success, and with which share.
    pub(super) done: BTreeMap<NodeId, Option<Integer>>,
    /// Who reported a failure.
    pub(super) failed: BTreeMap<NodeId, String>,
    /// Who was silent.
    pub(super) silent: BTreeSet<NodeId>,
    /// How long it took to hear of all.
    pub(super) took: Duration,
}

/// The beginning or the end of an accident.
#[derive(Clone, Debug)]
struct Turn {
    planned: Planned,
    begins: bool,
}

impl Network {
    /// A network of nodes that are about to start.
    pub(super) fn new(nodes: usize, plugins: Plugins, plan: Plan, seed: u64) -> Option<Self> {
        let ids = (0..nodes).map(|n| NodeId::try_from(format!("node-{n}").as_str()));
        let ids: Vec<_> = ids.collect::<Result<_, _>>().ok()?;
        let mut turns: Vec<_> = plan
            .accidents
            .iter()
            .flat_map(|planned| {
                [(planned.at, true), (planned.at + planned.lasting, false)].map(|(at, begins)| {
                    let planned = planned.clone();
                    (at, Turn { planned, begins })
                })
            })
            .collect();
        turns.sort_by_key(|(at, _)| *at);
        let (relay, answers) = Relay::new(plan, seed ^ 0x0072_656c_6179, &ids);
        Some(Self {
            relay,
            nodes: ids.into_iter().map(SimulatedNode::new).collect(),
            answers,
            plugins,
            seed,
            randomness: Randomness::from_seed(seed ^ 0x7265_7365),
            researcher: ResearcherId::try_from("researcher").ok()?,
            experiment: ExperimentId::try_from("experiment").ok()?,
            outcomes: BTreeMap::new(),
            accidents: turns.into(),
        })
    }

    /// Starts all nodes.
    pub(super) fn start(&mut self) {
        for n in 0..self.nodes.len() {
            self.start_node(n);
        }
    }

    /// Lets time pass, with the accidents that it brings.
    pub(super) async fn pass(&mut self, until: Duration) {
        let began = Instant::now() - self.relay.now();
        while let Some((at, turn)) = self.accidents.front().cloned() {
            if at > until {
                break;
            }
            self.accidents.pop_front();
            sleep_until(began + at).await;
            self.turn(&turn).await;
        }
        sleep_until(began + until).await;
    }

    /// Ends all accidents and faults.
    pub(super) async fn heal(&mut self) {
        self.accidents.clear();
        self.relay.heal();
        for n in 0..self.nodes.len() {
            let node = &mut self.nodes[n];
            (node.down, node.cut_off, node.full) = (0, 0, 0);
            node.disk.set_room(Room::Enough);
            if node.life.is_none() {
                self.start_node(n);
            }
        }
    }

    /// Asks all nodes to set a context up, and waits for their answers while time passes.
    pub(super) async fn set_up(&mut self, kind: &'static str, run: &str) {
        let Ok(id) = SecaggId::try_from(run) else {
            return;
        };
        let parties: Vec<_> = self.nodes.iter().map(|node| node.id.clone()).collect();
        let mut waiting = BTreeMap::new();
        for party in &parties {
            let request_id = RequestId::fresh(&mut self.randomness.clone());
            waiting.insert(request_id.clone(), party.clone());
            let setup = SetupRequest {
                request_id: Some(request_id),
                researcher_id: self.researcher.clone(),
                secagg_id: id.clone(),
                experiment_id: self.experiment.clone(),
                parties: parties.clone(),
            };
            let request = match kind {
                "SecaggRequest" => ToNode::SecaggSetup(setup),
                _ => ToNode::ServerKeySetup(setup),
            };
            self.relay.ask(party, kind, run, &request);
        }
        let began = Instant::now();
        let mut outcome = Outcome {
            kind,
            ..Outcome::default()
        };
        while !waiting.is_empty() {
            let next = self.accidents.front().map(|(at, _)| *at);
            let now = self.relay.now();
            let until = match next {
                Some(at) => (Instant::now() + at.saturating_sub(now)).min(began + PATIENCE),
                None => began + PATIENCE,
            };
            match timeout_at(until, self.answers.recv()).await {
                Ok(Some(answer)) => outcome.take(answer, &mut waiting),
                Ok(None) => break,
                Err(_) if began.elapsed() >= PATIENCE => break,
                Err(_) => {
                    if let Some((_, turn)) = self.accidents.pop_front() {
                        self.turn(&turn).await;
                    }
                }
            }
        }
        outcome.took = began.elapsed();
        outcome.silent = waiting.into_values().collect();
        self.outcomes.insert(id, outcome);
    }

    async fn turn(&mut self, turn: &Turn) {
        let Planned { accident, node, .. } = turn.planned;
        let n = node % self.nodes.len();
        self.relay
            .accident(accident, &self.nodes[n].id, turn.begins);
        match (accident, turn.begins) {
            (Accident::Kill, true) => self.kill(n, None).await,
            (Accident::PowerCut, true) => {
                let seed = self.seed ^ u64::try_from(turn.planned.at.as_micros()).unwrap_or(0);
                self.kill(n, Some(ChaCha20Rng::seed_from_u64(seed))).await;
            }
            (Accident::Kill | Accident::PowerCut, false) => {
                let node = &mut self.nodes[n];
                node.down = node.down.saturating_sub(1);
                if node.down == 0 && node.life.is_none() {
                    self.start_node(n);
                }
            }
            (Accident::Partition, begins) => {
                let node = &mut self.nodes[n];
                node.cut_off = changed(node.cut_off, begins);
                self.relay.cut_off(&node.id, node.cut_off > 0);
            }
            (Accident::DiskFull, begins) => {
                // Half of them say so at once, half when they are to sync.
                let at_once = self.relay.now().as_micros().is_multiple_of(2);
                let node = &mut self.nodes[n];
                node.full = changed(node.full, begins);
                node.disk.set_room(match node.full {
                    0 => Room::Enough,
                    _ if at_once => Room::None,
                    _ => Room::Promised,
                });
                if node.full == 0 && node.down == 0 && node.life.is_none() {
                    self.start_node(n);
                }
            }
            (Accident::RelayRestart, true) => self.relay.go_down(),
            (Accident::RelayRestart, false) => self.relay.come_up(),
        }
    }

    /// Ends a node as a crash does; with `power`, what its disk had not synced may be lost too.
    async fn kill(&mut self, n: usize, power: Option<ChaCha20Rng>) {
        let node = &mut self.nodes[n];
        node.down += 1;
        node.disk.unmount();
        if let Some(life) = node.life.take() {
            life.links.cancel();
            life.wiring.kill();
        }
        if let Some(mut rng) = power {
            node.disk.cut_power(&mut rng);
        }
        self.relay.excuse(&node.id);
        // Tasks that were killed go as they are woken.
        sleep(Duration::from_micros(1)).await;
    }

    fn start_node(&mut self, n: usize) {
        let seed = self.seed;
        let node = &mut self.nodes[n];
        let life = u64::from(node.lives);
        let lives = ChaCha20Rng::seed_from_u64(seed ^ ((n as u64 + 1) << 32) ^ life);
        let randomness = Randomness::from_rng(lives);
        node.lives += 1;
        let started = KeyStore::on(node.disk.mount(), &node.id, &randomness).and_then(|store| {
            let store = Arc::new(store);
            let ground = Ground {
                id: node.id.clone(),
                name: node.id.to_string(),
                store: store.clone(),
                plugins: self.plugins.clone(),
                randomness,
                chronicle: Chronicle::new(Audit::none()),
            };
            Ok((Wiring::start(ground)?, store))
        });
        let ((wiring, ends), store) = match started {
            Ok(started) => started,
            Err(error) => {
                self.relay.record(What::NotStarted {
                    node: node.id.clone(),
                    why: error.to_string(),
                });
                return;
            }
        };
        self.relay.record(What::Started {
            node: node.id.clone(),
            life: node.lives,
        });
        let links = CancellationToken::new();
        let (relay, id) = (self.relay.clone(), node.id.clone());
        let carry = relay.clone().carry(id.clone(), ends.outgoing);
        let deliver = relay.deliver(id, ends.incoming);
        let (until, also_until) = (links.clone(), links.clone());
        tokio::spawn(async move { until.run_until_cancelled(carry).await });
        tokio::spawn(async move { also_until.run_until_cancelled(deliver).await });
        node.life = Some(Life {
            wiring,
            store,
            links,
        });
    }

    /// How soon a supervisor tries again.
    pub(super) fn restart_after() -> Duration {
        RESTART
    }
}

impl SimulatedNode {
    fn new(id: NodeId) -> Self {
        Self {
            id,
            disk: Disk::default(),
            life: None,
            lives: 0,
            down: 0,
            cut_off: 0,
            full: 0,
        }
    }
}

impl Outcome {
    fn take(&mut self, answer: ToResearcher, waiting: &mut BTreeMap<RequestId, NodeId>) {
        let (request, heard) = match answer {
            ToResearcher::SecaggReply(reply) => (reply.request_id, Ok(None)),
            ToResearcher::AdditiveSSSetupReply { reply, share } => {
                (reply.request_id, Ok(Some(share)))
            }
            ToResearcher::Error {
                request_id,
                extra_msg,
                ..
            } => (request_id, Err(extra_msg)),
            _ => return,
        };
        let Some(node) = request.and_then(|id| waiting.remove(&id)) else {
            return;
        };
        match heard {
            Ok(share) => {
                self.done.insert(node, share);
            }
            Err(why) => {
                self.failed.insert(node, why);
            }
        }
    }

    /// Whether every node succeeded.
    pub(super) fn is_success(&self) -> bool {
        self.failed.is_empty() && self.silent.is_empty()
    }
}

fn changed(count: u32, begins: bool) -> u32 {
    if begins {
        count + 1
    } else {
        count.saturating_sub(1)
    }
}

//! The nodes of a simulated network, their lives and deaths, and the researcher's requests to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::accidents::Turn;
use super::disk::{Disk, Mounted};
use super::faults::Plan;
use super::record::Record;
use super::relay::Relay;
use crate::audit::Audit;
use crate::chronicle::Chronicle;
use crate::handlers::{PluginSet, Plugins};
use crate::key_store::KeyStore;
use crate::message::researcher::SetupRequest;
use crate::message::{
    ExperimentId, Integer, NodeId, RequestId, ResearcherId, SecaggId, ToNode, ToResearcher,
};
use crate::node::{Ground, Wiring};
use crate::randomness::Randomness;
use crate::tasks::unless_over;
use crate::trace::What;

/// How long the researcher waits for answers: a bit longer than a node's run may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(65);
/// A node that cannot start tries again so much later, as its supervisor would have it.
const RESTART: Duration = Duration::from_secs(1);

/// A network in work.
pub(super) struct Network {
    pub(super) record: Record,
    pub(super) relay: Relay,
    pub(super) nodes: Vec<SimulatedNode>,
    answers: mpsc::UnboundedReceiver<ToResearcher>,
    plugins: PluginSet,
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
    pub(super) down: u32,
    /// Accidents that keep it from the relay.
    pub(super) cut_off: u32,
}

/// A node between start and death.
pub(super) struct Life {
    pub(super) wiring: Wiring,
    pub(super) store: Arc<KeyStore>,
    mounted: Mounted,
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

impl Network {
    /// A network of nodes that are about to start.
    pub(super) fn new(nodes: usize, plugins: PluginSet, plan: Plan, seed: u64) -> Option<Self> {
        let ids = (0..nodes).map(|n| NodeId::try_from(format!("node-{n}").as_str()));
        let ids: Vec<_> = ids.collect::<Result<_, _>>().ok()?;
        let mut turns: Vec<_> = plan
            .accidents
            .iter()
            .flat_map(|planned| {
                let (begin, end) = (planned.at, planned.at + planned.lasting);
                let [first, second] = [planned.clone(), planned.clone()];
                [(begin, Turn::Begin(first)), (end, Turn::End(second))]
            })
            .collect();
        turns.sort_by_key(|(at, _)| *at);
        let record = Record::new();
        let (relay, answers) = Relay::new(record.clone(), plan, seed ^ 0x0072_656c_6179, &ids);
        Some(Self {
            record,
            relay,
            nodes: (0..)
                .zip(ids)
                .map(|(n, id)| SimulatedNode::new(id, seed ^ 0x6469_736b ^ (n << 32)))
                .collect(),
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
            self.turn(turn).await;
        }
        sleep_until(began + until).await;
    }

    /// Ends all accidents and faults.
    pub(super) async fn heal(&mut self) {
        let mut to_come = BTreeSet::new();
        for (_, turn) in std::mem::take(&mut self.accidents) {
            match turn {
                Turn::Begin(planned) => {
                    to_come.insert(planned.draw);
                }
                Turn::End(planned) if to_come.contains(&planned.draw) => {}
                Turn::End(_) => self.turn(turn).await,
                Turn::Restart(_) => {}
            }
        }
        self.relay.heal();
        for n in 0..self.nodes.len() {
            self.nodes[n].disk.heal();
            self.revive(n);
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
                        self.turn(turn).await;
                    }
                }
            }
        }
        outcome.took = began.elapsed();
        outcome.silent = waiting.into_values().collect();
        self.outcomes.insert(id, outcome);
    }

    /// Starts a node that is dead, unless something keeps it from living.
    pub(super) fn revive(&mut self, n: usize) {
        let node = &self.nodes[n];
        if node.down == 0 && !node.is_alive() {
            self.start_node(n);
        }
    }

    fn start_node(&mut self, n: usize) {
        let seed = self.seed;
        let node = &mut self.nodes[n];
        let life = u64::from(node.lives);
        let lives = ChaCha20Rng::seed_from_u64(seed ^ ((n as u64 + 1) << 32) ^ life);
        let randomness = Randomness::from_rng(lives);
        node.lives += 1;
        node.life = None;
        let (mounted, opened) = node.disk.open(&node.id, &randomness);
        let started = opened.and_then(|store| {
            let store = Arc::new(store);
            let plugins = Plugins::new(self.plugins.at_another_node());
            plugins.keep_quarantines(store.clone())?;
            let chronicle = Chronicle::new(Audit::none());
            self.record.observe(&node.id, &chronicle.journeys);
            let ground = Ground {
                id: node.id.clone(),
                name: node.id.to_string(),
                store: store.clone(),
                plugins,
                randomness,
                chronicle,
                recorder: self.record.recorder(&node.id),
            };
            Ok((Wiring::start(ground)?, store))
        });
        let ((wiring, ends), store) = match started {
            Ok(started) => started,
            Err(error) => {
                if !mounted.is_alive() {
                    self.relay.died(&node.id);
                }
                self.relay.record(What::NotStarted {
                    node: node.id.to_string(),
                    why: error.to_string(),
                });
                return self.restart_soon(n);
            }
        };
        self.relay.record(What::Started {
            node: node.id.to_string(),
            life: node.lives,
        });
        let links = CancellationToken::new();
        let (relay, id) = (self.relay.clone(), node.id.clone());
        let carry = relay.clone().carry(id.clone(), ends.outgoing);
        let deliver = relay.deliver(id, ends.incoming);
        let (mourner, links_of_dead, kill) = (self.relay.clone(), links.clone(), wiring.killer());
        let dead = node.id.clone();
        mounted.mourned_by(move || {
            links_of_dead.cancel();
            kill();
            mourner.died(&dead);
        });
        tokio::spawn(unless_over(links.clone(), carry));
        tokio::spawn(unless_over(links.clone(), deliver));
        node.life = Some(Life {
            wiring,
            store,
            mounted,
            links,
        });
    }

    fn restart_soon(&mut self, n: usize) {
        let at = self.relay.now() + RESTART;
        let place = self.accidents.partition_point(|(other, _)| *other <= at);
        self.accidents.insert(place, (at, Turn::Restart(n)));
    }

    /// How soon a supervisor tries again.
    pub(super) fn restart_after() -> Duration {
        RESTART
    }
}

impl SimulatedNode {
    fn new(id: NodeId, seed: u64) -> Self {
        Self {
            id,
            disk: Disk::new(seed),
            life: None,
            lives: 0,
            down: 0,
            cut_off: 0,
        }
    }

    fn is_alive(&self) -> bool {
        let life = self.life.as_ref();
        life.is_some_and(|life| life.mounted.is_alive())
    }
}

impl Life {
    /// Ends it as a crash does.
    pub(super) fn end(self) {
        self.links.cancel();
        self.wiring.kill();
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

//! A simulated network: its nodes with their lives and deaths, and what time brings them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::accidents::Turn;
use super::asking::Asking;
use super::copies::Copies;
use super::disk::{Disk, Mounted};
use super::faults::{Plan, Planned};
use super::hits::Hits;
use super::identities;
use super::record::Record;
use super::relay::Relay;
use super::researcher::Researcher;
use super::scenario::{Ask, Ended, Run, Scenario, Start};
use super::suffering::Suffering;
use crate::audit::Audit;
use crate::chronicle::Chronicle;
use crate::clock::Clock;
use crate::handlers::{Outgoing, PluginSet, Plugins};
use crate::key_store::KeyStore;
use crate::message::{IdError, NodeId};
use crate::node::{Ground, Wiring};
use crate::randomness::Randomness;
use crate::secure_channels::Identities;
use crate::tasks::unless_over;
use crate::trace::What;

/// A node that cannot start tries again so much later, as its supervisor would have it.
pub(super) const RESTART: Duration = Duration::from_secs(1);

/// A network in work.
pub(super) struct Network {
    pub(super) record: Record,
    pub(super) relay: Relay,
    pub(super) nodes: Vec<SimulatedNode>,
    pub(super) researcher: Researcher,
    pub(super) asking: Asking,
    seed: u64,
    /// The accidents of the run, in order of time. An accident's place here is its name.
    pub(super) planned: Vec<Planned>,
    turns: VecDeque<(Duration, Turn)>,
    steps: VecDeque<(Duration, Step)>,
}

/// One node: its plugins, its disk, and its life if it has one.
pub(super) struct SimulatedNode {
    pub(super) id: NodeId,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    pub(super) life: Option<Life>,
    plugins: PluginSet,
    lives: u32,
    identities: Identities,
    /// Accidents that keep it from living.
    pub(super) down: u32,
    pub(super) copies: Copies,
    pub(super) suffering: Suffering,
    /// The seed that it was given first.
    seed: Option<[u8; 32]>,
    /// Whether it ever came back with another.
    pub(super) is_another: bool,
    pub(super) most: Most,
}

/// A node between start and death.
pub(super) struct Life {
    pub(super) wiring: Wiring,
    pub(super) store: Arc<KeyStore>,
    plugins: Plugins,
    mounted: Mounted,
    links: CancellationToken,
}

/// The most that a node had at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Most {
    /// Requests to peers that waited for their answer.
    pub(super) pending: usize,
    /// Tasks.
    pub(super) tasks: usize,
}

/// Something that is to be asked for.
#[derive(Clone)]
enum Step {
    Start(Start),
    Run(usize, Run),
    Ask(usize, Ask),
}

impl Network {
    /// The network of `scenario`, whose nodes have the plugins of `sets`, one each, and are about to start.
    pub(super) fn new(
        scenario: &Scenario,
        sets: &[PluginSet],
        plan: Plan,
        seed: u64,
    ) -> Result<Self, IdError> {
        let planned = plan.accidents.clone();
        let turns = planned.iter().enumerate();
        let turns = turns.map(|(n, planned)| (planned.at, Turn::Begin(n)));
        let record = Record::new();
        let listed = Hits::of(scenario.hits.clone());
        let draws_fates = seed ^ 0x0072_656c_6179;
        let (relay, answers) =
            Relay::new(record.clone(), plan, listed, draws_fates, &scenario.nodes);
        let nodes = scenario.nodes.iter().zip(identities::of_nodes(scenario));
        let nodes = (0..).zip(nodes).zip(sets);
        let nodes = nodes.map(|((n, (id, identities)), plugins)| {
            let draws_of_disk = seed ^ 0x6469_736b ^ (n << 32);
            SimulatedNode::new(id.clone(), identities, plugins.clone(), draws_of_disk)
        });
        Ok(Self {
            record,
            relay,
            nodes: nodes.collect(),
            researcher: Researcher::new(answers, seed ^ 0x7265_7365)?,
            asking: Asking::default(),
            seed,
            turns: turns.collect(),
            planned,
            steps: steps(scenario).into(),
        })
    }

    /// Starts all nodes.
    pub(super) fn start(&mut self) {
        for n in 0..self.nodes.len() {
            self.start_node(n);
        }
    }

    /// Lets time pass, with all that it brings.
    pub(super) async fn pass(&mut self, until: Duration) {
        let began = Instant::now() - self.record.now();
        loop {
            self.look();
            let turn = self.turns.front().map(|(at, _)| *at);
            let step = self.steps.front().map(|(at, _)| *at);
            let next = [turn, step].into_iter().flatten().min();
            let next = next.filter(|at| *at <= until);
            tokio::select! {
                biased;
                answer = self.researcher.hear() => self.researcher.take(answer, self.record.now()),
                () = sleep_until(began + next.unwrap_or(until)) => match next {
                    Some(_) if turn == next => {
                        if let Some((_, turn)) = self.turns.pop_front() {
                            self.turn(turn).await;
                        }
                    }
                    Some(_) => {
                        if let Some((_, step)) = self.steps.pop_front() {
                            self.step(step);
                        }
                    }
                    None => return,
                },
            }
        }
    }

    /// The time of the last step that is still to come.
    pub(super) fn last_step(&self) -> Option<Duration> {
        self.steps.back().map(|(at, _)| *at)
    }

    /// Has the researcher ask for a set-up now.
    pub(super) fn start_now(&mut self, start: &Start) {
        let all = self.ids();
        self.researcher.ask(&self.relay, start, &all);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start(start) => self.start_now(&start),
            Step::Run(n, run) => {
                let all = self.ids();
                self.researcher.have_run(&self.relay, n, &run, &all);
            }
            Step::Ask(n, ask) => self.ask_now(n, &ask),
        }
    }

    fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// Has a node ask another, as the scenario's request `n` says.
    fn ask_now(&self, n: usize, ask: &Ask) {
        if ask.until_answered && self.asking.is_answered(n) {
            return;
        }
        let under_way = self.asking.begin(&self.record, n, &ask.from, &ask.to);
        let from = self.nodes.iter().find(|node| node.id == ask.from);
        let Some(life) = from
            .filter(|from| from.is_alive())
            .and_then(|from| from.life.as_ref())
        else {
            return under_way.end(Ended::Failed);
        };
        let outgoing = Outgoing {
            kind: ask.kind.clone(),
            fields: ask.fields.clone(),
        };
        let answer = life.wiring.ask(&self.researcher.id, &ask.to, outgoing);
        tokio::spawn(unless_over(life.links.clone(), async move {
            under_way.end(match answer.await {
                Ok(Some(_)) => Ended::Answered,
                Ok(None) => Ended::Expired,
                Err(_) => Ended::Failed,
            });
        }));
    }

    /// Notes how much each node has in work.
    fn look(&mut self) {
        for node in &mut self.nodes {
            if let Some(life) = &node.life {
                node.most.pending = node.most.pending.max(life.wiring.requests.pending());
                node.most.tasks = node.most.tasks.max(life.wiring.in_work());
            }
        }
    }

    /// Ends all accidents and faults.
    pub(super) async fn heal(&mut self) {
        for (_, turn) in std::mem::take(&mut self.turns) {
            // What has not begun will not.
            if matches!(turn, Turn::End(_)) {
                self.turn(turn).await;
            }
        }
        self.relay.heal();
        for n in 0..self.nodes.len() {
            self.nodes[n].disk.heal();
            self.revive(n);
        }
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
            let plugins = Plugins::new(node.plugins.at_another_node());
            plugins.keep_quarantines(store.clone())?;
            let chronicle = Chronicle::new(Audit::none(), node.clock.clone());
            self.record.observe(&node.id, &chronicle.journeys);
            let ground = Ground {
                id: node.id.clone(),
                name: node.id.to_string(),
                store: store.clone(),
                identities: node.identities.clone(),
                acquaint: None,
                plugins: plugins.clone(),
                randomness,
                clock: node.clock.clone(),
                chronicle,
                recorder: self.record.recorder(&node.id),
                strain: node.suffering.strain(),
            };
            Ok((Wiring::start(ground)?, store, plugins))
        });
        let ((wiring, ends), store, plugins) = match started {
            Ok(started) => started,
            Err(error) => {
                if mounted.is_alive() {
                    node.copies.was_refused(&node.disk, self.record.now());
                } else {
                    self.relay.died(&node.id);
                }
                self.relay.record(What::NotStarted {
                    node: node.id.to_string(),
                    why: error.to_string(),
                });
                return self.restart_soon(n);
            }
        };
        self.relay.is_there(&node.id);
        self.relay.record(What::Started {
            node: node.id.to_string(),
            life: node.lives,
        });
        let seed = *store.seed().as_bytes();
        node.is_another |= *node.seed.get_or_insert(seed) != seed;
        node.copies.started(&node.disk, self.record.now());
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
            plugins,
            mounted,
            links,
        });
    }

    fn restart_soon(&mut self, n: usize) {
        self.come(self.relay.now() + RESTART, Turn::Restart(n));
    }

    /// Has something come at that time, after what comes then anyway.
    pub(super) fn come(&mut self, at: Duration, turn: Turn) {
        let place = self.turns.partition_point(|(other, _)| *other <= at);
        self.turns.insert(place, (at, turn));
    }
}

impl SimulatedNode {
    fn new(id: NodeId, identities: Identities, plugins: PluginSet, seed: u64) -> Self {
        Self {
            id,
            identities,
            disk: Disk::new(seed),
            clock: Clock::simulated(),
            life: None,
            plugins,
            lives: 0,
            down: 0,
            copies: Copies::default(),
            suffering: Suffering::default(),
            seed: None,
            is_another: false,
            most: Most::default(),
        }
    }

    /// Its plugins, as they were before its lives.
    pub(super) fn plugins(&self) -> &PluginSet {
        &self.plugins
    }

    /// Has its operator put plugins back into service that the host had to stop too often.
    pub(super) fn pardon(&self) {
        if let Some(life) = &self.life {
            for name in life.plugins.quarantined().keys() {
                life.plugins.release(name);
            }
        }
    }

    pub(super) fn is_alive(&self) -> bool {
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

/// What a scenario asks for, in order of time.
fn steps(scenario: &Scenario) -> Vec<(Duration, Step)> {
    let starts = scenario.starts.iter();
    let starts = starts.map(|start| (start.at, Step::Start(start.clone())));
    let runs = scenario.runs.iter().enumerate();
    let runs = runs.map(|(n, run)| (run.at, Step::Run(n, run.clone())));
    let asks = scenario.asks.iter().enumerate().flat_map(|(n, ask)| {
        let moments = (0..ask.times).map(|nth| ask.at + nth * ask.every);
        moments.map(move |at| (at, Step::Ask(n, ask.clone())))
    });
    let mut steps: Vec<_> = starts.chain(runs).chain(asks).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps
}

//! Evidence made by hand, for tests: first whole, then broken in one place.

use std::time::Duration;

use crate::message::{NodeId, OverlayMessage, SecaggId, Value as MessageValue};
use crate::sandbox::asking::Asked;
use crate::sandbox::evidence::{Evidence, Left};
use crate::sandbox::faults::Faults;
use crate::sandbox::ran::Ran;
use crate::sandbox::relay::{Overlay, Seen};
use crate::sandbox::researcher::Outcome;
use crate::sandbox::scenario::{Ask, Ended as AskEnded, Scenario, Scheme};
use crate::trace::{
    Call, Cost, Effect, Ended, Entry, Event, HostCall, Incoming, RunOf, Session, Value, What, Work,
};

/// Three nodes.
pub(super) struct Sample {
    pub(super) scenario: Scenario,
    pub(super) events: Vec<Event>,
    pub(super) sessions: Vec<Session>,
    pub(super) seen: Seen,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) healed: Vec<SecaggId>,
    pub(super) ran: Vec<Ran>,
    pub(super) asked: Vec<Asked>,
    pub(super) nodes: Vec<Left>,
}

pub(super) fn node(n: usize) -> NodeId {
    NodeId::try_from(format!("node-{n}").as_str()).expect("valid")
}

impl Sample {
    pub(super) fn new() -> Self {
        let left = |n| Left {
            id: node(n).to_string(),
            alive: true,
            ..Left::default()
        };
        let mut scenario = Scenario::of(3, Faults::default());
        scenario.starts.clear();
        Self {
            scenario,
            events: Vec::new(),
            sessions: Vec::new(),
            seen: Seen::default(),
            outcomes: Vec::new(),
            healed: Vec::new(),
            ran: Vec::new(),
            asked: Vec::new(),
            nodes: (0..3).map(left).collect(),
        }
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            scenario: &self.scenario,
            events: &self.events,
            sessions: &self.sessions,
            seen: &self.seen,
            outcomes: &self.outcomes,
            healed: &self.healed,
            ran: &self.ran,
            asked: &self.asked,
            nodes: &self.nodes,
        }
    }

    /// A check finds nothing in it.
    pub(super) fn holds(&self, check: impl Fn(&Evidence<'_>) -> Vec<String>) {
        assert_eq!(check(&self.evidence()), [""; 0]);
    }

    pub(super) fn relayed(&mut self, ciphertext: &[u8]) {
        let n = self.seen.overlays.len() as u64;
        self.seen.overlays.push(Overlay {
            n,
            message: OverlayMessage {
                researcher_id: "r".parse().expect("valid"),
                source: node(0),
                dest: node(1),
                overlay: ciphertext.to_vec(),
                setup: false,
                salt: n.to_be_bytes().to_vec(),
                nonce: Vec::new(),
            },
        });
    }

    pub(super) fn starts(&mut self, node: &str, life: u32) {
        let node = node.to_owned();
        self.event(What::Started { node, life });
    }

    pub(super) fn refuses_to_start(&mut self, node: &str) {
        let (node, why) = (node.to_owned(), "damaged".into());
        self.event(What::NotStarted { node, why });
    }

    pub(super) fn fault_begins(&mut self, fault: &str, node: &str) {
        let (fault, node) = (fault.to_owned(), node.to_owned());
        self.event(What::FaultBegan { fault, node });
    }

    pub(super) fn fault_ends(&mut self, fault: &str, node: &str) {
        let (fault, node) = (fault.to_owned(), node.to_owned());
        self.event(What::FaultEnded { fault, node });
    }

    pub(super) fn sealed(&mut self, id: &str, from: &str, to: &str) {
        self.event(What::Sealed {
            id: id.into(),
            from: from.into(),
            to: to.into(),
            kind: "K".into(),
            request: None,
            setup: false,
        });
    }

    /// A message is treated to its end.
    pub(super) fn treats(&mut self, id: &str, from: &str, to: &str, effects: &[Effect]) {
        self.message(id, from, to, effects);
        self.event(What::Treated {
            id: id.into(),
            node: to.into(),
            from: from.into(),
            kind: Some("K".into()),
            plugin: Some("p".into()),
            effects: effects.iter().map(|_| "an effect".into()).collect(),
            reply: None,
            dropped: None,
        });
    }

    pub(super) fn last_message(&mut self) -> &mut Incoming {
        match &mut self.sessions.last_mut().expect("a session").work {
            Work::Message(incoming) => incoming,
            Work::Run(_) => panic!("a run"),
        }
    }

    pub(super) fn replies(&mut self, n: usize, to: &str, fields: &[u8]) {
        let fields = fields.to_vec().into();
        let kind = "K".to_owned();
        self.message("m", to, node(n).as_str(), &[Effect::Reply { kind, fields }]);
    }

    /// A run's plugin gets something from the host.
    pub(super) fn given(&mut self, n: usize, import: &str, given: &[&str], result: &[u8]) {
        let call = HostCall {
            import: import.into(),
            given: given
                .iter()
                .map(|text| Value::Text((*text).into()))
                .collect(),
            result: Value::Bytes(result.to_vec().into()),
        };
        self.run(n, vec![call], Vec::new());
    }

    pub(super) fn publishes(&mut self, n: usize, audience: Option<&str>, body: &[u8]) {
        let effect = Effect::Publish {
            run: "run".into(),
            audience: audience.map(Into::into),
            body: body.to_vec().into(),
        };
        self.run(n, Vec::new(), vec![effect]);
    }

    /// A set-up that the first `parties` nodes report as done.
    pub(super) fn set_up(&mut self, run: &str, scheme: Scheme, parties: usize) -> SecaggId {
        let run: SecaggId = run.parse().expect("valid");
        self.outcomes.push(Outcome {
            run: run.clone(),
            scheme,
            begun: Duration::ZERO,
            done: (0..parties).map(|n| (node(n), None)).collect(),
            failed: Default::default(),
            silent: Default::default(),
            reported: Default::default(),
            took: Duration::ZERO,
        });
        run
    }

    /// Node 0 asks node 1 because the scenario says so.
    pub(super) fn asks(&mut self, at: Duration, end: Option<(Duration, AskEnded)>) {
        self.scenario.asks.push(Ask {
            at,
            from: node(0),
            to: node(1),
            kind: "K".into(),
            fields: MessageValue::Map(Vec::new()),
            times: 1,
            every: Duration::from_secs(1),
            until_answered: false,
            outcome: None,
        });
        self.asked.push(Asked {
            ask: self.scenario.asks.len() - 1,
            from: node(0),
            to: node(1),
            at,
            end,
        });
    }

    fn event(&mut self, what: What) {
        let at = self.events.len() as u64;
        self.events.push(Event { at, what });
    }

    fn message(&mut self, id: &str, from: &str, to: &str, effects: &[Effect]) {
        let incoming = Incoming {
            id: Some(id.into()),
            researcher: "r".into(),
            source: from.into(),
            setup: false,
            assurance: "channel-key".into(),
            kind: "K".into(),
            request: None,
            fields: vec![0x80].into(),
        };
        let work = Work::Message(incoming);
        self.session(to, work, Entry::Finalize, Vec::new(), effects.to_vec());
    }

    fn run(&mut self, n: usize, host_calls: Vec<HostCall>, effects: Vec<Effect>) {
        let work = Work::Run(RunOf {
            kind: "R".into(),
            researcher: "r".into(),
            run: "run".into(),
            experiment: "e".into(),
            parties: Vec::new(),
        });
        let entry = Entry::Step(Vec::new());
        self.session(node(n).as_str(), work, entry, host_calls, effects);
    }

    fn session(
        &mut self,
        node: &str,
        work: Work,
        entry: Entry,
        host_calls: Vec<HostCall>,
        effects: Vec<Effect>,
    ) {
        self.sessions.push(Session {
            node: node.into(),
            plugin: "p".into(),
            digest: "00".into(),
            work,
            calls: vec![Call {
                at: self.events.len() as u64,
                entry,
                host_calls,
                ended: Ended::Effects {
                    effects,
                    ask: Vec::new(),
                },
                cost: Cost::default(),
            }],
        });
    }
}

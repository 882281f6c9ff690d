//! A host made of plain values, so that `cargo test` runs handlers without wasm.
//!
//! A [`Node`] holds what the host would hold and drives the handler as the host would: each capability answers only
//! where the contract lets it. Grants, limits and the checks of effects are the real host's; here effects are looked at.
//!
//! A [`Network`] runs a [`Part`] at each of several nodes through their rounds.

mod capabilities;
mod curve;
mod network;
mod played;

pub(crate) use capabilities::{
    agreement, blinding, channel_keys, inputs, log, material, random, sharing, store,
};
pub use network::Network;
pub use played::{Ending, Played};

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Serialize;

use crate::log::Level;
use crate::{
    Answer, Assurance, Effect, Entry, Envelope, Failure, Handler, Initiator, Message, Next, Part,
    Setup, Start, Step, fields,
};

/// What one node's host has to offer, and the log that was written to it.
#[derive(Clone, Default)]
pub struct Node(Rc<RefCell<Holdings>>);

#[derive(Default)]
struct Holdings {
    material: BTreeMap<String, Vec<u8>>,
    channel_key: Option<Vec<u8>>,
    run_key: Option<Vec<u8>>,
    shares: BTreeMap<String, Vec<u8>>,
    entries: BTreeMap<String, Vec<u8>>,
    vectors: BTreeMap<String, Vec<f64>>,
    ids: BTreeMap<String, BTreeSet<String>>,
    blinding: Option<p256::Scalar>,
    drawn: u64,
    log: Vec<(Level, String)>,
}

impl Node {
    /// A node that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `material::wait(run)` gives `body`: it is published, and for the sender of the message at hand.
    pub fn with_material(self, run: &str, body: &[u8]) -> Self {
        let (run, body) = (run.to_owned(), body.to_vec());
        self.0.borrow_mut().material.insert(run, body);
        self
    }

    /// `channel_keys::own_public_key()` gives `pem`.
    pub fn with_channel_key(self, pem: &[u8]) -> Self {
        self.0.borrow_mut().channel_key = Some(pem.to_vec());
        self
    }

    /// `agreement::public_key()` gives `pem`.
    pub fn with_run_key(self, pem: &[u8]) -> Self {
        self.0.borrow_mut().run_key = Some(pem.to_vec());
        self
    }

    /// `sharing::share_for(peer)` gives `share`; whoever has no share is no party.
    pub fn with_share(self, peer: &str, share: &[u8]) -> Self {
        let (peer, share) = (peer.to_owned(), share.to_vec());
        self.0.borrow_mut().shares.insert(peer, share);
        self
    }

    /// `store::get(key)` gives `value`.
    pub fn with_entry(self, key: &str, value: &[u8]) -> Self {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.0.borrow_mut().entries.insert(key, value);
        self
    }

    /// `inputs::vector(name)` gives `numbers`.
    pub fn with_vector(self, name: &str, numbers: &[f64]) -> Self {
        let (name, numbers) = (name.to_owned(), numbers.to_vec());
        self.0.borrow_mut().vectors.insert(name, numbers);
        self
    }

    /// `blinding::ids(name)` gives points of these ids.
    pub fn with_ids<I: Into<String>>(self, name: &str, ids: impl IntoIterator<Item = I>) -> Self {
        let (name, ids) = (name.to_owned(), ids.into_iter().map(Into::into));
        self.0.borrow_mut().ids.insert(name, ids.collect());
        self
    }

    /// Draws other random bytes than a node of another `seed`.
    pub fn with_seed(self, seed: u64) -> Self {
        // Far apart, so that no two nodes ever draw from the same stretch of the sequence.
        self.0.borrow_mut().drawn = seed << 40;
        self
    }

    /// Lets `H` treat a message: `handle`, then `finalize` if it found something. No effect otherwise. What it stores is there
    /// for the next message.
    ///
    /// # Errors
    ///
    /// That of the half that failed.
    pub fn treat<H: Handler>(
        &self,
        envelope: Envelope,
        message: Message,
    ) -> Result<Vec<Effect>, Failure> {
        let effects = match self.during(Phase::Handle, || H::handle(envelope, message))? {
            Some(outcome) => self.during(Phase::Finalize, || H::finalize(outcome))?,
            None => Vec::new(),
        };
        self.store(&effects);
        Ok(effects)
    }

    /// Takes part in a run of `P`.
    ///
    /// # Errors
    ///
    /// That of [`Part::begin`].
    pub fn take_part<P: Part>(&self, start: Start) -> Result<P, Failure> {
        self.during(Phase::Part, || P::begin(start))
    }

    /// Gives a part the parcel of one party.
    ///
    /// # Errors
    ///
    /// That of [`Part::accept`].
    pub fn accept<P: Part>(&self, part: &mut P, from: &str, body: &[u8]) -> Result<(), Failure> {
        self.during(Phase::Part, || part.accept(from, body))
    }

    /// What comes next in a part.
    ///
    /// # Errors
    ///
    /// That of [`Part::next`].
    pub fn next<P: Part>(&self, part: &mut P, missing: &[String]) -> Result<Next, Failure> {
        let next = self.during(Phase::Part, || part.next(missing))?;
        if let Next::Round(round) = &next {
            self.change(&round.store);
        }
        Ok(next)
    }

    /// Begins a run of `I`.
    ///
    /// # Errors
    ///
    /// That of [`Initiator::begin`].
    pub fn begin<I: Initiator>(&self, setup: Setup) -> Result<I, Failure> {
        self.during(Phase::Run, || I::begin(setup))
    }

    /// Takes a run's next step.
    ///
    /// # Errors
    ///
    /// That of [`Initiator::step`].
    pub fn step<I: Initiator>(&self, run: &mut I, answers: Vec<Answer>) -> Result<Step, Failure> {
        let step = self.during(Phase::Run, || run.step(answers))?;
        self.store(&step.effects);
        Ok(step)
    }

    fn store(&self, effects: &[Effect]) {
        self.change(effects.iter().filter_map(|effect| match effect {
            Effect::Store(entry) => Some(entry),
            _ => None,
        }));
    }

    fn change<'a>(&self, changes: impl IntoIterator<Item = &'a Entry>) {
        let entries = &mut self.0.borrow_mut().entries;
        for Entry { key, value } in changes {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
    }

    /// The lines written so far.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.0.borrow().log.clone()
    }

    fn during<T>(&self, phase: Phase, call: impl FnOnce() -> T) -> T {
        let current = Current {
            node: self.clone(),
            phase,
        };
        CURRENT.set(Some(current));
        let _reset = Reset;
        call()
    }
}

/// An envelope from `source`, assured by its channel key.
pub fn envelope(source: &str) -> Envelope {
    Envelope {
        researcher_id: "RESEARCHER_1".into(),
        source: source.into(),
        setup: false,
        assurance: Assurance::ChannelKey,
    }
}

/// A message of `kind` with the fields of a struct or map.
///
/// # Panics
///
/// When `fields` is neither.
pub fn message<T: Serialize>(kind: &str, fields: &T) -> Message {
    Message {
        kind: kind.into(),
        request_id: Some("request_1".into()),
        fields: fields::encode(fields).expect("a struct or map"),
    }
}

/// Where the contract says a call comes from.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Handle,
    Finalize,
    Run,
    Part,
}

struct Current {
    node: Node,
    phase: Phase,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// Takes the node away when the call ends, by a panic too.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// What a capability gives at the node and phase of the running call; `None` outside of one.
fn current<T>(give: impl FnOnce(&mut Holdings, Phase) -> T) -> Option<T> {
    CURRENT.with_borrow(|current| {
        let current = current.as_ref()?;
        Some(give(&mut current.node.0.borrow_mut(), current.phase))
    })
}

fn no_node<T>() -> Result<T, Failure> {
    Err(Failure::unavailable("not called through a testing::Node"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agreement, blinding, inputs, log, material, random, sharing, store};

    /// Asks for everything in both halves and in a run, and logs what it got.
    struct Asker;

    fn ask(place: &str) {
        let waited = material::wait("run").is_some();
        let key = agreement::public_key().is_ok();
        let share = sharing::share_for("peer").is_ok();
        log::info(&format!("{place}: {waited} {key} {share}"));
    }

    impl Handler for Asker {
        type Outcome = ();
        fn handle(_: Envelope, _: Message) -> Result<Option<()>, Failure> {
            ask("handle");
            Ok(Some(()))
        }
        fn finalize((): ()) -> Result<Vec<Effect>, Failure> {
            ask("finalize");
            Ok(Vec::new())
        }
    }

    impl Initiator for Asker {
        fn begin(_: Setup) -> Result<Self, Failure> {
            ask("begin");
            Ok(Self)
        }
        fn step(&mut self, _: Vec<Answer>) -> Result<Step, Failure> {
            unreachable!("this test only begins")
        }
    }

    fn full_node() -> Node {
        let node = Node::new().with_material("run", b"body");
        node.with_run_key(b"pem").with_share("peer", &[1])
    }

    #[test]
    fn capabilities_answer_only_where_the_contract_lets_them() {
        let node = full_node();

        let message = message("Kind", &BTreeMap::<String, u8>::new());
        node.treat::<Asker>(envelope("peer"), message).unwrap();
        let setup = Setup {
            kind: "Kind".into(),
            researcher_id: "R".into(),
            run: "run".into(),
            experiment_id: "e".into(),
            node_id: "me".into(),
            parties: vec!["me".into(), "peer".into()],
        };
        node.begin::<Asker>(setup).unwrap();

        let lines: Vec<_> = node.log().into_iter().map(|(_, line)| line).collect();
        let expected = [
            "handle: true false false",
            "finalize: false false false",
            "begin: false true true",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn inputs_and_blinding_are_for_parts_alone() {
        let node = Node::new().with_vector("age", &[44.0]);
        let node = node.with_ids("patients", ["x"]);
        let ask = || {
            (
                inputs::vector("age"),
                blinding::ids("patients").map(|points| points.len()),
            )
        };

        let elsewhere = [Phase::Handle, Phase::Finalize, Phase::Run];
        for (numbers, points) in elsewhere.map(|phase| node.during(phase, ask)) {
            assert!(matches!(numbers, Err(Failure::Refused(_))));
            assert!(matches!(points, Err(Failure::Refused(_))));
        }
        let answers = node.during(Phase::Part, ask);
        assert_eq!(answers, (Ok(vec![44.0]), Ok(blinding::POINT)));
        let (numbers, points) = node.during(Phase::Part, || {
            (inputs::vector("patients"), blinding::ids("age"))
        });
        assert!(matches!(numbers, Err(Failure::Refused(_))), "ids");
        assert!(matches!(points, Err(Failure::Refused(_))), "numbers");
        let missing = node.during(Phase::Part, || inputs::vector("height"));
        assert!(matches!(missing, Err(Failure::Unavailable(_))));
    }

    /// Counts its messages in its store, each with a random mark.
    struct Counter;

    impl Handler for Counter {
        type Outcome = u8;
        fn handle(_: Envelope, _: Message) -> Result<Option<u8>, Failure> {
            let count = store::get("count")?.map_or(0, |value| value[0]);
            Ok(Some(count + 1))
        }
        fn finalize(count: u8) -> Result<Vec<Effect>, Failure> {
            let mark = Entry::keep(format!("mark/{count}"), random::bytes(16)?);
            let count = Entry::keep("count", [count]);
            Ok(vec![Effect::Store(count), Effect::Store(mark)])
        }
    }

    #[test]
    fn what_a_message_stores_the_next_one_finds() {
        let node = Node::new().with_entry("count", &[6]);
        let empty = BTreeMap::<String, u8>::new();
        let treat = || node.treat::<Counter>(envelope("peer"), message("Kind", &empty));

        let (first, second) = (treat().unwrap(), treat().unwrap());

        assert_eq!(second[0], Effect::Store(Entry::keep("count", [8])));
        assert_ne!(first[1], second[1], "other random bytes");
        let keys = node.during(Phase::Handle, || store::keys("mark/"));
        assert_eq!(keys.unwrap(), ["mark/7", "mark/8"]);
        assert!(node.during(Phase::Handle, || random::bytes(4097)).is_err());
    }

    #[test]
    fn nothing_is_left_of_a_node_after_its_call() {
        let node = full_node();
        let message = message("Kind", &BTreeMap::<String, u8>::new());
        node.treat::<Asker>(envelope("peer"), message).unwrap();

        assert_eq!(material::wait("run"), None);
        assert!(matches!(
            agreement::public_key(),
            Err(Failure::Unavailable(_))
        ));
    }
}

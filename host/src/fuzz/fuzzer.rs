use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::mutate::{below, changed, fields, one_of};
use super::{Findings, What};
use crate::handlers::{
    Assurance, Body, CallError, Called, Datum, Entry as Stored, Envelope, Message, Plugin,
    Recorder, Run, Services, Setup, assurance_of,
};
use crate::key_store::StoreError;
use crate::message::{IdError, NodeId, SecaggId, Value as MessageValue};
use crate::randomness::Randomness;
use crate::replay::Difference;
use crate::trace::{self, Answer, Entry, HostCall, Incoming, Session, Value, Work};

/// Rounds after which a run is left alone.
const MOST_STEPS: usize = 8;
/// The node that the plugin runs on, and its peers.
const PARTIES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// Makes inputs for a plugin and runs it with them.
pub struct Fuzzer {
    plugin: Arc<Plugin>,
    messages: Vec<Recorded>,
    runs: Vec<SecaggId>,
    answers: Vec<Vec<u8>>,
    names: Vec<String>,
    seed: u64,
    /// What was found so far.
    pub findings: Findings,
    /// How many inputs it was given.
    pub inputs: u64,
    /// How many of them it treated to the end.
    pub treated: u64,
}

/// A message of the corpus, and what was found for it.
struct Recorded {
    incoming: Incoming,
    source: NodeId,
    host_calls: Vec<HostCall>,
}

/// A session of the corpus cannot have been recorded. Its file's fault.
#[derive(Debug, thiserror::Error)]
#[error("{work}: {source}")]
pub struct CorpusError {
    /// What the session was for.
    pub work: String,
    /// What is wrong with its ids.
    pub source: IdError,
}

/// Why a plugin cannot be fuzzed.
#[derive(Debug, thiserror::Error)]
pub enum FuzzError {
    /// Ours.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Ours.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Ours.
    #[error("{0}")]
    Id(#[from] IdError),
}

/// What an instance did: what stopped it, if something did, and all that it was given and did.
struct Done {
    error: Option<CallError>,
    plugin: trace::Plugin,
    session: Session,
}

impl Fuzzer {
    /// A fuzzer that begins with what is in `corpus` of the plugin, and with messages out of nothing. The same seed makes the
    /// same inputs.
    pub fn new(plugin: Arc<Plugin>, corpus: &[Session], seed: u64) -> Result<Self, CorpusError> {
        let mut fuzzer = Self {
            plugin,
            messages: Vec::new(),
            runs: Vec::new(),
            answers: Vec::new(),
            names: Vec::new(),
            seed,
            findings: Findings::default(),
            inputs: 0,
            treated: 0,
        };
        let name = fuzzer.plugin.name().to_owned();
        for session in corpus.iter().filter(|session| session.plugin == name) {
            let work = || session.work.to_string();
            fuzzer.learn(session).map_err(|source| CorpusError {
                work: work(),
                source,
            })?;
        }
        Ok(fuzzer)
    }

    /// How many messages and runs of the plugin it was given to begin with.
    pub fn known(&self) -> usize {
        self.messages.len() + self.runs.len()
    }

    /// Runs it with `count` more inputs. Time does not pass meanwhile, whatever the plugin waits for.
    pub fn run(&mut self, count: u64) -> Result<(), FuzzError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        runtime.block_on(async {
            for _ in 0..count {
                self.one().await?;
            }
            Ok(())
        })
    }

    fn learn(&mut self, session: &Session) -> Result<(), IdError> {
        match &session.work {
            Work::Message(incoming) => {
                let host_calls = session
                    .calls
                    .iter()
                    .flat_map(|call| call.host_calls.clone());
                self.learn_names(&incoming.fields.stand_in());
                self.messages.push(Recorded {
                    incoming: incoming.clone(),
                    source: NodeId::try_from(incoming.source.as_str())?,
                    host_calls: host_calls.collect(),
                });
            }
            Work::Run(run) => self.runs.push(SecaggId::try_from(run.run.as_str())?),
        }
        for call in &session.calls {
            if let Entry::Step(answers) = &call.entry {
                for Answer { body, .. } in answers {
                    self.learn_names(&body.stand_in());
                    self.answers.push(body.stand_in());
                }
            }
        }
        Ok(())
    }

    /// The names of fields, for messages out of nothing.
    fn learn_names(&mut self, message: &[u8]) {
        if let Ok(MessageValue::Map(entries)) = MessageValue::decode(message) {
            for name in entries.iter().filter_map(|(name, _)| name.as_str()) {
                if !self.names.iter().any(|known| known == name) {
                    self.names.push(name.to_owned());
                }
            }
        }
    }

    async fn one(&mut self) -> Result<(), FuzzError> {
        let n = self.inputs;
        self.inputs += 1;
        let first = self.input(n).await?;
        let again = self.input(n).await?;
        let difference = Difference::first(&first.session, &again.session, true);
        let Done {
            error,
            plugin,
            session,
        } = first;
        if let Some(difference) = difference {
            let what = What::NotTheSameTwice;
            // What is random differs in each input.
            let cause = format!("{} {}", difference.entry, difference.differs.kind());
            let why = difference.to_string();
            self.findings
                .add(what, cause, why, plugin.clone(), session.clone());
        }
        match &error {
            None => self.treated += 1,
            Some(error) => {
                if let Some(what) = What::of(error) {
                    let why = error.to_string();
                    self.findings.add(what, why.clone(), why, plugin, session);
                }
            }
        }
        Ok(())
    }

    /// The `n`th input, from its making to what came of it.
    async fn input(&self, n: u64) -> Result<Done, FuzzError> {
        let seed = self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = Randomness::from_seed(seed);
        let own = NodeId::try_from(PARTIES[0])?;
        let told = Arc::new(Mutex::new(None));
        let tell = told.clone();
        let mut services = Services::blank(&own, seed)?;
        services.recorder = Recorder::to(
            PARTIES[0],
            Instant::now(),
            |_| true,
            move |plugin, session| {
                let told = (plugin.clone(), session);
                *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
            },
        );
        let initiates = !self.plugin.manifest().initiates.is_empty();
        let error = if initiates && below(&mut rng, 3) == 0 {
            self.drive(&mut rng, services, own).await?
        } else {
            self.treat(&mut rng, services).await?
        };
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((plugin, session)) = told else {
            return Err(io::Error::other("an instance ended and nobody was told").into());
        };
        Ok(Done {
            error,
            plugin,
            session,
        })
    }

    /// A message, and what it finds: that of a recorded one, and something for whatever it may wait for.
    async fn treat(
        &self,
        rng: &mut Randomness,
        services: Services,
    ) -> Result<Option<CallError>, FuzzError> {
        let recorded = one_of(rng, &self.messages).filter(|_| below(rng, 8) > 0);
        let kinds = &self.plugin.manifest().kinds;
        let kind = one_of(rng, kinds).cloned().unwrap_or_default();
        let assurances = [Assurance::ChannelKey, Assurance::PublishedKey];
        let assurance = one_of(rng, &assurances).copied();
        let mut envelope = Envelope {
            researcher_id: "researcher".into(),
            source: PARTIES[1].into(),
            setup: below(rng, 4) == 0,
            assurance: assurance.unwrap_or(Assurance::ChannelKey),
        };
        let mut message = Message {
            kind,
            request_id: (below(rng, 4) > 0).then(|| "request".into()),
            fields: Vec::new(),
        };
        match recorded {
            Some(recorded) => {
                self.find(&services, recorded)?;
                let incoming = &recorded.incoming;
                if below(rng, 8) > 0 {
                    envelope.researcher_id.clone_from(&incoming.researcher);
                    envelope.source.clone_from(&incoming.source);
                    envelope.setup = incoming.setup;
                    envelope.assurance =
                        assurance_of(&incoming.assurance).unwrap_or(Assurance::ChannelKey);
                    message.kind.clone_from(&incoming.kind);
                    message.request_id.clone_from(&incoming.request);
                }
                message.fields = changed(rng, &incoming.fields.stand_in(), &self.names);
            }
            None => message.fields = fields(rng, &self.names),
        }
        let Called { result, .. } = self.plugin.handle(&services, envelope, message).await;
        Ok(match result {
            Ok(Some(found)) => found.finalize().await.result.err(),
            Ok(None) => None,
            Err(error) => Some(error),
        })
    }

    /// Puts there what a recorded message found.
    fn find(&self, services: &Services, recorded: &Recorded) -> Result<(), FuzzError> {
        for call in &recorded.host_calls {
            let (Some(Value::Text(name)), Value::Bytes(bytes)) = (call.given.first(), &call.result)
            else {
                continue;
            };
            let body = Body::from(bytes.stand_in());
            match call.import.as_str() {
                "material.wait" => {
                    let parties = [recorded.source.clone()];
                    let (name_of_plugin, audience) = (self.plugin.name().into(), None);
                    let datum = Datum { audience, body };
                    // More than a plugin may have published is no more than it finds nothing.
                    services.sources.materials.publish(
                        &name_of_plugin,
                        name,
                        &parties,
                        vec![datum],
                    );
                }
                "store.get" => {
                    let (key, value) = (name.clone(), Some(body));
                    let changes = self.plugin.changes(vec![Stored { key, value }]);
                    match services.sources.store.change_plugin_entries(&changes) {
                        // Its node allowed it more: then it finds nothing.
                        Ok(()) | Err(StoreError::Quota { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A run, whose parties answer what comes to their mind.
    async fn drive(
        &self,
        rng: &mut Randomness,
        services: Services,
        own: NodeId,
    ) -> Result<Option<CallError>, FuzzError> {
        let recorded = one_of(rng, &self.runs);
        let initiates = &self.plugin.manifest().initiates;
        let kind = one_of(rng, initiates)
            .map(String::as_str)
            .unwrap_or_default();
        let known = Setup::KINDS.into_iter().find(|one| *one == kind);
        let parties = PARTIES.iter().map(|party| NodeId::try_from(*party));
        let setup = Setup {
            kind: known.unwrap_or(Setup::KINDS[0]),
            researcher: "researcher".try_into()?,
            run: recorded.map_or_else(|| "run".try_into(), |run| Ok(run.clone()))?,
            experiment: "experiment".try_into()?,
            own,
            parties: parties.collect::<Result<_, _>>()?,
        };
        let mut run = match Run::begin(&self.plugin, services, &setup).await.result {
            Ok(run) => run,
            Err(error) => return Ok(Some(error)),
        };
        let mut answers = Vec::new();
        for _ in 0..MOST_STEPS {
            let step = match run.step(std::mem::take(&mut answers)).await.result {
                Ok(step) => step,
                Err(error) => return Ok(Some(error)),
            };
            if step.ask.is_empty() {
                return Ok(None);
            }
            for (party, _) in step.ask {
                answers.push((party, self.answer(rng).into()));
            }
        }
        Ok(None)
    }

    fn answer(&self, rng: &mut Randomness) -> Vec<u8> {
        match one_of(rng, &self.answers) {
            Some(recorded) if below(rng, 4) > 0 => changed(rng, recorded, &self.names),
            Some(recorded) if below(rng, 2) == 0 => recorded.clone(),
            _ => fields(rng, &self.names),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{BUILT_IN, Runtime, Terms};

    fn built_in(name: &str) -> Arc<Plugin> {
        let runtime = Runtime::metered().expect("an engine");
        let built_in = BUILT_IN
            .iter()
            .find(|one| one.name == name)
            .expect("built in");
        let terms = Terms::granting(built_in.grants);
        Arc::new(Plugin::load(&runtime, built_in.component, terms).expect("loaded"))
    }

    #[test]
    fn the_built_in_plugins_decline_what_they_cannot_treat_and_do_the_same_twice() {
        for name in ["channel-setup", "key-request", "additive-sharing"] {
            let mut fuzzer = Fuzzer::new(built_in(name), &[], 1).expect("no corpus");
            fuzzer.run(100).expect("run");

            let found: Vec<_> = fuzzer.findings.iter().map(|found| &found.why).collect();
            assert!(found.is_empty(), "{name}: {found:?}");
            assert_eq!(fuzzer.inputs, 100);
        }
    }

    /// A message for `key-request` from this node, which found this in its store.
    fn recorded(source: &str, stored: Vec<u8>) -> Session {
        Session {
            node: "node-a".into(),
            plugin: "key-request".into(),
            digest: String::new(),
            work: Work::Message(Incoming {
                id: None,
                researcher: "researcher".into(),
                source: source.into(),
                setup: false,
                assurance: "channel-key".into(),
                kind: "KeyRequest".into(),
                request: None,
                fields: vec![0x80].into(),
            }),
            calls: vec![trace::Call {
                at: 0,
                entry: Entry::Handle,
                host_calls: vec![HostCall {
                    import: "store.get".into(),
                    given: vec![Value::Text("key".into())],
                    result: Value::Bytes(stored.into()),
                }],
                ended: trace::Ended::Nothing,
                cost: trace::Cost::default(),
            }],
        }
    }

    #[test]
    fn a_corpus_with_a_name_that_is_none_is_refused_and_more_than_may_be_stored_is_not_found() {
        let refused = Fuzzer::new(built_in("key-request"), &[recorded("", vec![])], 1);
        assert!(refused.is_err());

        let larger = recorded("node-b", vec![7; 2 << 20]);
        let mut fuzzer = Fuzzer::new(built_in("key-request"), &[larger], 1).expect("a corpus");
        fuzzer.run(20).expect("run");
        assert_eq!((fuzzer.known(), fuzzer.inputs), (1, 20));
    }
}

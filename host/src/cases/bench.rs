//! Where cases run: one plugin, an engine that counts instructions, and virtual time.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::case::{Case, CaseFile, Incoming, Material, Place, Work};
use super::check::{Check, Outcome};
use super::form::Form;
use super::meet::Names;
use super::{CasesError, Repeated, Turn};
use crate::handlers::{
    Body, CallError, Datum, Effect, Entry, Envelope, Limit, LoadError, Message, OutOfRange, Plugin,
    Recorder, Runtime, Services, Terms,
};
use crate::message::NodeId;
use crate::trace::{self, Ended, Session};

/// A plugin and what its cases run on.
pub struct Bench {
    component: Vec<u8>,
    terms: Terms,
    runtime: Runtime,
    /// The plugin, as the cases so far had it.
    loaded: Mutex<Vec<Arc<Plugin>>>,
}

impl Bench {
    /// A bench for `component`, which is granted all that it declares. Nothing of it runs yet. On a metered `runtime` it is
    /// stopped at the same instruction every time.
    pub fn new(runtime: &Runtime, component: Vec<u8>) -> Result<Self, LoadError> {
        Ok(Self {
            terms: Terms::as_asked(&component)?,
            component,
            runtime: runtime.clone(),
            loaded: Mutex::default(),
        })
    }

    /// A bench for the same plugin, which has these limits where a case does not set them itself.
    pub fn limited(
        &self,
        limits: impl IntoIterator<Item = (Limit, u64)>,
    ) -> Result<Self, OutOfRange> {
        let mut terms = self.terms.clone();
        for (limit, value) in limits {
            terms.limits.set(limit, value)?;
        }
        Ok(Self {
            component: self.component.clone(),
            terms,
            runtime: self.runtime.clone(),
            loaded: Mutex::default(),
        })
    }

    /// The component, as it was given.
    pub fn component(&self) -> &[u8] {
        &self.component
    }

    /// Runs the cases of `file`, with `seed` in place of the file's. The same seed gives the same outcomes.
    ///
    /// Blocks, and has a runtime of its own: not to be called within another.
    pub fn run(&self, file: &CaseFile, seed: Option<u64>) -> Result<Vec<Outcome>, CasesError> {
        let cases = file.cases.iter();
        cases.map(|case| self.run_case(file, case, seed)).collect()
    }

    /// Runs one case of `file`, as [`run`](Self::run) does.
    pub fn run_case(
        &self,
        file: &CaseFile,
        case: &Case,
        seed: Option<u64>,
    ) -> Result<Outcome, CasesError> {
        let plugin = self.plugin(file, case)?;
        let seed = seed.unwrap_or(file.seed);
        let runtime = paused()?;
        let begun = std::time::Instant::now();
        let played = runtime.block_on(async { Stage::new(file, case, plugin, seed)?.play().await });
        played.map(|outcome| Outcome {
            took: begun.elapsed(),
            ..outcome
        })
    }

    /// A case of `file`, to be run again and again.
    pub fn repeated<'a>(
        &self,
        file: &'a CaseFile,
        case: &'a Case,
    ) -> Result<Repeated<'a>, CasesError> {
        let plugin = self.plugin(file, case)?;
        Ok(Repeated { file, case, plugin })
    }

    /// The plugin with what the file grants of what it declares, and with the limits of a case.
    fn plugin(&self, file: &CaseFile, case: &Case) -> Result<Arc<Plugin>, CasesError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut terms = self.terms.clone();
        terms.grants = file.grants.clone().unwrap_or(terms.grants);
        terms.inputs = case.inputs.clone();
        for (limit, value) in &case.limits {
            // Read within its range.
            let _ = terms.limits.set(*limit, *value);
        }
        if let Some(same) = loaded.iter().find(|plugin| *plugin.terms() == terms) {
            return Ok(same.clone());
        }
        let other_inputs = |plugin: &&Arc<Plugin>| {
            let on = plugin.terms();
            on.grants == terms.grants && on.limits == terms.limits && on.scope == terms.scope
        };
        // Other data need no other code.
        let plugin = match loaded.iter().find(other_inputs) {
            Some(plugin) => Ok(plugin.with_inputs(terms.inputs)),
            None => Plugin::load(&self.runtime, &self.component, terms),
        };
        let plugin = Arc::new(plugin.map_err(|source| CasesError::Load {
            file: file.path.display().to_string(),
            line: case.line,
            source,
        })?);
        loaded.push(plugin.clone());
        Ok(plugin)
    }
}

/// A runtime whose time is virtual.
pub(super) fn paused() -> Result<tokio::runtime::Runtime, CasesError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| CasesError::Machine(error.to_string()))
}

type Told = Arc<Mutex<Vec<(trace::Plugin, Session)>>>;

/// One case under way.
pub(super) struct Stage<'a> {
    file: &'a CaseFile,
    case: &'a Case,
    pub(super) plugin: Arc<Plugin>,
    pub(super) services: Services,
    checks: Vec<Check>,
    names: Names,
    told: Told,
    turns: RefCell<Vec<Turn>>,
}

impl<'a> Stage<'a> {
    fn new(
        file: &'a CaseFile,
        case: &'a Case,
        plugin: Arc<Plugin>,
        seed: u64,
    ) -> Result<Self, CasesError> {
        let mut stage = Self::set(file, case, plugin, seed)?;
        let tell = stage.told.clone();
        stage.services.recorder = Recorder::to(
            case.node().as_str(),
            Instant::now(),
            |_| true,
            move |plugin, session| {
                let mut told = tell.lock().unwrap_or_else(PoisonError::into_inner);
                told.push((plugin.clone(), session));
            },
        );
        Ok(stage)
    }

    /// One that keeps nothing of what the plugin does, and so cannot hold it against what is expected.
    pub(super) fn unrecorded(
        file: &'a CaseFile,
        case: &'a Case,
        plugin: Arc<Plugin>,
    ) -> Result<Self, CasesError> {
        Self::set(file, case, plugin, file.seed)
    }

    fn set(
        file: &'a CaseFile,
        case: &'a Case,
        plugin: Arc<Plugin>,
        seed: u64,
    ) -> Result<Self, CasesError> {
        let stage = Self {
            file,
            case,
            plugin,
            services: Services::blank(case.node(), seed)?,
            checks: Vec::new(),
            names: Names::new(),
            told: Told::default(),
            turns: RefCell::default(),
        };
        let kept = case.store.iter().map(|(key, value)| Entry {
            key: key.clone(),
            value: Some(Body::from(value.clone())),
        });
        if let Some(full) = stage.store(kept.collect())? {
            let why = full.limit().map_or(full.to_string(), |hit| hit.to_string());
            return Err(stage.too_much(&why));
        }
        Ok(stage)
    }

    pub(super) async fn play(mut self) -> Result<Outcome, CasesError> {
        match &self.case.work {
            Work::Message(incoming) => self.message(incoming).await?,
            Work::Run(asked) => self.run(asked).await?,
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Outcome {
            number: self.case.number,
            checks: self.checks,
            sessions: std::mem::take(&mut told),
            turns: self.turns.take(),
            took: Duration::ZERO,
        })
    }

    async fn message(&mut self, incoming: &Incoming) -> Result<(), CasesError> {
        let treating = self.treat(incoming.envelope.clone(), incoming.message.clone());
        let publishing = self.publish_in_time(&incoming.from);
        let (got, _) = tokio::select! {
            biased;
            wrong = publishing => return Err(wrong),
            treated = treating => treated?,
        };
        self.check(Place::Message, incoming.expect.as_ref(), &got);
        Ok(())
    }

    /// Holds an expectation against what came.
    pub(super) fn check(&mut self, place: Place, expected: Option<&Form>, got: &Form) {
        self.checks
            .push(Check::of(place, expected, got, &mut self.names));
    }

    /// Notes that nothing came for an expectation, and why.
    pub(super) fn check_nothing(&mut self, place: Place, why: &str) {
        self.checks.push(Check::of_nothing(place, why));
    }

    /// Has the plugin treat a message: how that ended, and what it hands on to whoever asked.
    pub(super) async fn treat(
        &self,
        envelope: Envelope,
        message: Message,
    ) -> Result<(Form, Option<Body>), CasesError> {
        let before = self.told().len();
        let handled = self.plugin.handle(&self.services, envelope, message);
        let handled = handled.await;
        let mut turn = Turn::of(true, &handled);
        let effects = match handled.result {
            Ok(Some(found)) => {
                let finalized = found.finalize().await;
                turn.then(&finalized);
                finalized.result.map(Some)
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.took(turn);
        let effects = match effects {
            Ok(Some(effects)) => effects,
            Ok(None) => return Ok((Form::of_ended(&Ended::Nothing), None)),
            Err(error) => return Ok((Form::of_ended(&error.ended()), None)),
        };
        let mut delivered = None;
        let mut entries = Vec::new();
        for effect in effects {
            match effect {
                Effect::Deliver(body) => delivered = Some(body),
                Effect::Store(entry) => entries.push(entry),
                // Looked at, and not carried out: there is no peer, and no channel.
                Effect::Reply(_)
                | Effect::SetPeerKey(_)
                | Effect::Publish(_)
                | Effect::Establish(_) => {}
            }
        }
        // Refused with all others when they are too much.
        if let Some(full) = self.store(entries)? {
            return Ok((Form::of_ended(&full.ended()), None));
        }
        let told = self.told();
        let last = told
            .get(before)
            .and_then(|(_, session)| session.calls.last());
        let ended = last.map_or(&Ended::Cancelled, |call| &call.ended);
        Ok((Form::of_ended(ended), delivered))
    }

    /// Notes what a turn of the plugin took.
    pub(super) fn took(&self, turn: Turn) {
        self.turns.borrow_mut().push(turn);
    }

    /// Changes what the plugin has stored; the limit that refuses it.
    pub(super) fn store(&self, entries: Vec<Entry>) -> Result<Option<CallError>, CasesError> {
        if entries.is_empty() {
            return Ok(None);
        }
        let changes = self.plugin.changes(entries);
        match self.services.sources.store.change_plugin_entries(&changes) {
            Ok(()) => Ok(None),
            Err(error) => match self.plugin.over_quota(&error) {
                Some(full) => Ok(Some(full)),
                None => Err(error.into()),
            },
        }
    }

    /// Publishes the material of the case, each part in its time, and then waits for ever. What has become of a run's is
    /// published whole, as a run does it. Returns only when it cannot be.
    async fn publish_in_time(&self, sender: &NodeId) -> CasesError {
        let begun = Instant::now();
        let mut material: Vec<&Material> = self.case.material.iter().collect();
        material.sort_by_key(|part| part.after);
        for (at, part) in material.iter().enumerate() {
            let together = material
                .get(at + 1)
                .filter(|next| next.after == part.after && next.run == part.run);
            if together.is_some() {
                continue;
            }
            sleep_until(begun + part.after).await;
            let so_far = || material[..=at].iter().filter(|other| other.run == part.run);
            let audiences = so_far().filter_map(|other| other.audience.clone());
            let parties: Vec<NodeId> = audiences.chain([sender.clone()]).collect();
            let data = so_far().map(|other| Datum {
                audience: other.audience.clone(),
                body: Body::from(other.body.clone()),
            });
            let (materials, name) = (&self.services.sources.materials, self.plugin.shared_name());
            if !materials.publish(name, &part.run, &parties, data.collect()) {
                return self.too_much("it is more than a plugin may have published");
            }
        }
        std::future::pending().await
    }

    /// What a case gives is more than a plugin can have.
    fn too_much(&self, why: &str) -> CasesError {
        CasesError::Line {
            file: self.file.path.display().to_string(),
            line: self.case.line,
            why: format!(
                "what the case {:?} gives cannot be had: {why}",
                self.case.name
            ),
            todo: "give it less, or set the limit with `limits = { … }`".into(),
        }
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Vec<(trace::Plugin, Session)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

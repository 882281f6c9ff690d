//! A loaded plugin: a component that was checked, compiled and linked with what it was granted, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Store, UpdateDeadline};

use super::bindings::exports::backchannel::n2n::{handler, initiator, rounds};
use super::capabilities::{self, Capability};
use super::runtime::{HANDLES, LIFTED, Ticking};
use super::state::{CallState, Services, Subject};
use super::{CallError, Limit, Limits, LoadError, Manifest, Runtime, Scope, Surface, Terms};
use crate::inputs::Inputs;
use crate::trace::Work;

/// A plugin, ready to treat messages.
pub struct Plugin {
    name: Arc<str>,
    manifest: Manifest,
    digest: [u8; 32],
    terms: Terms,
    memory: Arc<AtomicUsize>,
    runtime: Runtime,
    instance: InstancePre<CallState>,
    pub(super) handler: Option<handler::GuestIndices>,
    pub(super) initiator: Option<initiator::GuestIndices>,
    pub(super) rounds: Option<rounds::GuestIndices>,
    taken_back: CancellationToken,
}

impl Plugin {
    /// Loads `component` on `terms`. Nothing of it runs; it is compiled unless `runtime` has [kept](Runtime::keeping) its code.
    ///
    /// Refused: what is no component, is larger than its limits, has no manifest, imports anything it was not granted
    /// (types aside), or does not export what the contract asks for.
    pub fn load(runtime: &Runtime, component: &[u8], terms: Terms) -> Result<Self, LoadError> {
        let surface = Surface::read(component, &terms.limits)?;
        for (import, capability) in surface.imports() {
            if !terms.grants.contains(capability) {
                return Err(LoadError::NotGranted {
                    import: import.clone(),
                    capability: *capability,
                });
            }
        }
        let manifest = surface.into_manifest();
        let engine = runtime.engine();
        let digest: [u8; 32] = Sha256::digest(component).into();
        let compiled = runtime.code(component, &digest)?;
        fits(&compiled, &terms.limits)?;
        let mut linker = Linker::new(engine);
        let wrong = |error: wasmtime::Error| LoadError::WrongWorld(root_cause(&error));
        capabilities::link_types(&mut linker).map_err(wrong)?;
        for capability in &terms.grants {
            capability.link(&mut linker).map_err(wrong)?;
        }
        let instance = linker.instantiate_pre(&compiled).map_err(wrong)?;
        let handler = (!manifest.kinds.is_empty())
            .then(|| handler::GuestIndices::new(&instance).map_err(wrong))
            .transpose()?;
        let initiator = (!manifest.initiates.is_empty())
            .then(|| initiator::GuestIndices::new(&instance).map_err(wrong))
            .transpose()?;
        let rounds = (!manifest.protocols.is_empty())
            .then(|| rounds::GuestIndices::new(&instance).map_err(wrong))
            .transpose()?;
        Ok(Self {
            name: manifest.name.as_str().into(),
            manifest,
            digest,
            terms,
            memory: Arc::default(),
            runtime: runtime.clone(),
            instance,
            handler,
            initiator,
            rounds,
            taken_back: CancellationToken::new(),
        })
    }

    /// The same plugin at another node of this process: it shares the code, and neither the memory of its instances nor its end.
    pub fn at_another_node(&self) -> Self {
        Self {
            name: self.name.clone(),
            manifest: self.manifest.clone(),
            digest: self.digest,
            terms: self.terms.clone(),
            memory: Arc::default(),
            runtime: self.runtime.clone(),
            instance: self.instance.clone(),
            handler: self.handler.clone(),
            initiator: self.initiator.clone(),
            rounds: self.rounds.clone(),
            taken_back: CancellationToken::new(),
        }
    }

    /// The same plugin at another node of this process, which grants it these inputs.
    pub fn with_inputs(&self, inputs: Inputs) -> Self {
        let mut other = self.at_another_node();
        other.terms.inputs = inputs;
        other
    }

    /// Reads a component's manifest after the checks that need no compiler: [`Surface::read`].
    pub fn inspect(component: &[u8], limits: &Limits) -> Result<Manifest, LoadError> {
        Surface::read(component, limits).map(Surface::into_manifest)
    }

    /// Takes back what its operator allowed it: what it has in work ends, unless it has begun what is never cancelled.
    pub fn take_back(&self) {
        self.taken_back.cancel();
    }

    /// Whether it was taken back.
    pub fn is_taken_back(&self) -> bool {
        self.taken_back.is_cancelled()
    }

    /// Does `work` with it; `None` when it is taken back before that is done.
    pub async fn unless_taken_back<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.taken_back.run_until_cancelled(work).await
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The SHA-256 of the component file.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// On what terms it was loaded.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What it was granted.
    pub fn grants(&self) -> &BTreeSet<Capability> {
        &self.terms.grants
    }

    /// For whom it works.
    pub fn scope(&self) -> &Scope {
        &self.terms.scope
    }

    /// What it may use up.
    pub fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// The tables that each instance of it has.
    pub fn tables(&self) -> u32 {
        let needs = self.instance.component().resources_required();
        needs.map_or(0, |needs| needs.num_tables)
    }

    /// The linear memory of all its instances together, in bytes.
    pub(super) fn memory(&self) -> &Arc<AtomicUsize> {
        &self.memory
    }

    pub(super) fn ticking(&self) -> Ticking {
        self.runtime.ticking()
    }

    /// Whether the plugin can be given so much to read.
    pub(super) fn can_read(&self, bytes: usize) -> Result<(), CallError> {
        if bytes <= self.limits().most_to_read() {
            return Ok(());
        }
        Err(CallError::TooLarge {
            plugin: self.name().into(),
            bytes,
            hit: self.limits().hit(Limit::MemoryMib),
        })
    }

    /// A store for one message or run.
    pub(super) fn store(
        &self,
        services: Services,
        subject: Subject,
        work: impl FnOnce() -> Work,
    ) -> Store<CallState> {
        let state = CallState::new(self, services, subject, work);
        let mut store = Store::new(self.runtime.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(LIFTED);
        store.set_max_component_handles(HANDLES);
        if !self.runtime.is_metered() {
            store.epoch_deadline_callback(|mut context| {
                context.data_mut().tick()?;
                Ok(UpdateDeadline::Yield(1))
            });
        }
        store
    }

    pub(super) fn is_metered(&self) -> bool {
        self.runtime.is_metered()
    }

    /// A fresh instance. Its start code is part of the call that it is made for.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<wasmtime::component::Instance> {
        self.instance.instantiate_async(store).await
    }
}

/// A page of linear memory, in bytes.
const PAGE: u64 = 64 << 10;

/// Whether an instance can begin within the limits: what it begins with is known before anything runs.
fn fits(component: &Component, limits: &Limits) -> Result<(), LoadError> {
    let Some(needs) = component.resources_required() else {
        return Err(LoadError::WrongWorld(
            "it is to be given modules or components".into(),
        ));
    };
    let too_much = |needs: u64, limit: Limit| LoadError::TooMuch {
        needs,
        hit: limits.hit(limit),
    };
    let memory = needs.max_initial_memory_size.unwrap_or_default() * PAGE;
    if memory > limits.bytes(Limit::MemoryMib) as u64 {
        return Err(too_much(memory.div_ceil(1 << 20), Limit::MemoryMib));
    }
    let elements = needs.max_initial_table_size.unwrap_or_default();
    if elements > limits.get(Limit::TableElements) {
        return Err(too_much(elements, Limit::TableElements));
    }
    if u64::from(needs.num_tables) > limits.get(Limit::Tables) {
        return Err(too_much(needs.num_tables.into(), Limit::Tables));
    }
    Ok(())
}

/// The innermost cause: wasmtime's outer ones say only that compiling or linking failed.
pub(super) fn root_cause(error: &wasmtime::Error) -> String {
    error
        .chain()
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that exports a handler of this form, with a manifest.
    fn handler(form: &str) -> Vec<u8> {
        let manifest = r#"{"name":"odd","version":"1.0.0","licence":"MIT","contract":"0.1.0","kinds":["OddRequest"]}"#;
        let manifest = manifest.replace('"', "\\\"");
        let text = format!(
            "(component (@custom \"backchannel:manifest\" \"{manifest}\") {form} (export \"backchannel:n2n/handler@0.1.0\" (instance $handler)))"
        );
        wat::parse_str(text).expect("a component")
    }

    #[test]
    fn refuses_a_handler_of_another_type() {
        let runtime = Runtime::new().expect("an engine");
        let mistyped = r#"
            (core module $m (func (export "handle")))
            (core instance $i (instantiate $m))
            (func $handle (canon lift (core func $i "handle")))
            (instance $handler (export "handle" (func $handle)))"#;
        for form in ["(instance $handler)", mistyped] {
            let error = Plugin::load(&runtime, &handler(form), Terms::default()).err();
            assert!(matches!(error, Some(LoadError::WrongWorld(_))), "{error:?}");
        }
    }

    #[test]
    fn refuses_code_that_was_compiled_elsewhere() {
        let runtime = Runtime::new().expect("an engine");
        let component = backchannel_artifacts::CHANNEL_SETUP;
        let compiled = runtime
            .engine()
            .precompile_component(component)
            .expect("compiled");
        let error = Plugin::load(&runtime, &compiled, Terms::default()).err();
        assert!(matches!(error, Some(LoadError::Precompiled)), "{error:?}");
    }
}

//! A loaded plugin: a component that was checked, compiled and linked with what it was granted, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::bindings::exports::backchannel::n2n::{handler, initiator};
use super::capabilities::{self, Capability};
use super::runtime::{HANDLES, LIFTED, Ticking};
use super::state::{CallState, Services, Subject};
use super::{CompiledCode, Limit, Limits, LoadError, Manifest, Runtime, Scope, Terms};

/// A plugin, ready to treat messages.
pub struct Plugin {
    name: Arc<str>,
    manifest: Manifest,
    digest: [u8; 32],
    terms: Terms,
    memory: Arc<AtomicUsize>,
    runtime: Runtime,
    instance: InstancePre<CallState>,
    pub(super) handler: handler::GuestIndices,
    pub(super) initiator: Option<initiator::GuestIndices>,
    taken_back: CancellationToken,
}

impl Plugin {
    /// Loads `component` on `terms`. Nothing of it runs; it is compiled unless `cache` has it compiled already.
    ///
    /// Refused: what is no component, is larger than its limits, has no manifest, imports anything it was not granted
    /// (types aside), or does not export what the contract asks for.
    pub fn load(
        runtime: &Runtime,
        component: &[u8],
        terms: Terms,
        cache: Option<&CompiledCode>,
    ) -> Result<Self, LoadError> {
        let manifest = Self::inspect(component, &terms.limits)?;
        let engine = runtime.engine();
        let digest: [u8; 32] = Sha256::digest(component).into();
        let compile = || runtime.compile(component);
        let compiled = match cache {
            Some(cache) => cache.get_or_compile(engine, &digest, compile)?,
            None => compile()?,
        };
        for (import, capability) in imports(engine, &compiled)? {
            if !terms.grants.contains(&capability) {
                return Err(LoadError::NotGranted { import, capability });
            }
        }
        fits(&compiled, &terms.limits)?;
        let mut linker = Linker::new(engine);
        let wrong = |error: wasmtime::Error| LoadError::WrongWorld(root_cause(&error));
        capabilities::link_types(&mut linker).map_err(wrong)?;
        for capability in &terms.grants {
            capability.link(&mut linker).map_err(wrong)?;
        }
        let instance = linker.instantiate_pre(&compiled).map_err(wrong)?;
        let handler = handler::GuestIndices::new(&instance).map_err(wrong)?;
        let initiator = if manifest.initiates.is_empty() {
            None
        } else {
            Some(initiator::GuestIndices::new(&instance).map_err(wrong)?)
        };
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
            taken_back: CancellationToken::new(),
        })
    }

    /// Reads a component's manifest after the checks that need no compiler.
    pub fn inspect(component: &[u8], limits: &Limits) -> Result<Manifest, LoadError> {
        if component.len() > limits.bytes(Limit::FileKib) {
            return Err(LoadError::TooLarge {
                size: component.len(),
                hit: limits.hit(Limit::FileKib),
            });
        }
        if Engine::detect_precompiled(component).is_some() || component.starts_with(b"\x7fELF") {
            return Err(LoadError::Precompiled);
        }
        // The layer field of the header tells modules (0) from components (1).
        if component.starts_with(b"\0asm") && component.get(6..8) == Some(&[0, 0]) {
            return Err(LoadError::CoreModule);
        }
        if !component.starts_with(b"\0asm") {
            return Err(LoadError::NotAComponent(
                "it does not begin as wasm does".into(),
            ));
        }
        Manifest::read(component)
    }

    /// The capabilities a component asks for, by import. Compiles it; nothing of it runs.
    pub fn asks_for(
        runtime: &Runtime,
        component: &[u8],
    ) -> Result<Vec<(String, Capability)>, LoadError> {
        let compiled = runtime.compile(component)?;
        imports(runtime.engine(), &compiled)
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

    /// The linear memory of all its instances together, in bytes.
    pub(super) fn memory(&self) -> &Arc<AtomicUsize> {
        &self.memory
    }

    pub(super) fn ticking(&self) -> Ticking {
        self.runtime.ticking()
    }

    /// A store for one message or run.
    pub(super) fn store(&self, services: Services, subject: Subject) -> Store<CallState> {
        let state = CallState::new(self, services, subject);
        let mut store = Store::new(self.runtime.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(LIFTED);
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    /// A fresh instance. Its start code is part of the call that it is made for.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<CallState>,
    ) -> wasmtime::Result<wasmtime::component::Instance> {
        self.instance.instantiate_async(store).await
    }
}

fn imports(engine: &Engine, component: &Component) -> Result<Vec<(String, Capability)>, LoadError> {
    let ty = component.component_type();
    let mut found = Vec::new();
    for (import, item) in ty.imports(engine) {
        if import == capabilities::TYPES {
            continue;
        }
        let capability = Capability::of_import(import);
        match (capability, item.ty) {
            (Some(capability), ComponentItem::ComponentInstance(_)) => {
                found.push((import.to_owned(), capability))
            }
            _ => {
                return Err(LoadError::NotOffered {
                    import: import.to_owned(),
                });
            }
        }
    }
    Ok(found)
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

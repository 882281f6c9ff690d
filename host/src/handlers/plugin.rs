//! A loaded plugin: a component that was checked, compiled and linked with what it was granted, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::bindings::exports::backchannel::n2n::{handler, initiator};
use super::capabilities::{self, Capability};
use super::runtime::{HANDLES, LIFTED, Ticking};
use super::state::{CallState, Services, Subject};
use super::{CompiledCode, Limit, Limits, LoadError, Manifest, Runtime, Terms};

/// A plugin, ready to treat messages.
pub struct Plugin {
    name: Arc<str>,
    manifest: Manifest,
    digest: [u8; 32],
    terms: Terms,
    runtime: Runtime,
    instance: InstancePre<CallState>,
    pub(super) handler: handler::GuestIndices,
    pub(super) initiator: Option<initiator::GuestIndices>,
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
            runtime: runtime.clone(),
            instance,
            handler,
            initiator,
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

    /// What it may use up.
    pub fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// A fresh instance. Its start code runs on the computing time of `handle`.
    pub(super) async fn instantiate(
        &self,
        services: Services,
        subject: Subject,
    ) -> wasmtime::Result<Instance> {
        let ticking = self.runtime.ticking();
        let mut store = Store::new(
            self.runtime.engine(),
            CallState::new(self.name.clone(), *self.limits(), services, subject),
        );
        store.limiter(|state| state);
        store.data_mut().may_compute(Limit::HandleCpuMs);
        store.set_hostcall_fuel(LIFTED);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let instance = self.instance.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            instance,
            _ticking: ticking,
        })
    }
}

/// One instance with its store.
pub(super) struct Instance {
    pub(super) store: Store<CallState>,
    pub(super) instance: wasmtime::component::Instance,
    _ticking: Ticking,
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
    let memory = needs.max_initial_memory_size.unwrap_or_default();
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

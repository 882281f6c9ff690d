//! A loaded plugin: a component that was checked, compiled and linked with what it was granted, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::bindings::exports::backchannel::n2n::{handler, initiator};
use super::capabilities::{self, Capability};
use super::runtime::Ticking;
use super::state::{CallState, Services, Subject};
use super::{CompiledCode, LoadError, Manifest, Runtime};

/// The largest component file, in bytes.
const LARGEST_FILE: usize = 4 << 20;

/// A plugin, ready to treat messages.
pub struct Plugin {
    name: Arc<str>,
    manifest: Manifest,
    digest: [u8; 32],
    grants: BTreeSet<Capability>,
    runtime: Runtime,
    instance: InstancePre<CallState>,
    pub(super) handler: handler::GuestIndices,
    pub(super) initiator: Option<initiator::GuestIndices>,
}

impl Plugin {
    /// Loads `component` with `grants`. Nothing of it runs; it is compiled unless `cache` has it compiled already.
    ///
    /// Refused: what is no component, has no manifest, imports anything outside `grants` (types aside), or does not
    /// export what the contract asks for.
    pub fn load(
        runtime: &Runtime,
        component: &[u8],
        grants: &[Capability],
        cache: Option<&CompiledCode>,
    ) -> Result<Self, LoadError> {
        let manifest = Self::inspect(component)?;
        let engine = runtime.engine();
        let digest: [u8; 32] = Sha256::digest(component).into();
        let compile = || {
            Component::from_binary(engine, component)
                .map_err(|error| LoadError::NotAComponent(root_cause(&error)))
        };
        let compiled = match cache {
            Some(cache) => cache.get_or_compile(engine, &digest, compile)?,
            None => compile()?,
        };
        let grants: BTreeSet<_> = grants.iter().copied().collect();
        for (import, capability) in imports(engine, &compiled)? {
            if !grants.contains(&capability) {
                return Err(LoadError::NotGranted { import, capability });
            }
        }
        let mut linker = Linker::new(engine);
        let wrong = |error: wasmtime::Error| LoadError::WrongWorld(root_cause(&error));
        capabilities::link_types(&mut linker).map_err(wrong)?;
        for capability in &grants {
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
            grants,
            runtime: runtime.clone(),
            instance,
            handler,
            initiator,
        })
    }

    /// Reads a component's manifest after the checks that need no compiler.
    pub fn inspect(component: &[u8]) -> Result<Manifest, LoadError> {
        if component.len() > LARGEST_FILE {
            return Err(LoadError::TooLarge {
                size: component.len(),
                limit: LARGEST_FILE,
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
        let compiled = Component::from_binary(runtime.engine(), component)
            .map_err(|error| LoadError::NotAComponent(root_cause(&error)))?;
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

    /// What it was granted.
    pub fn grants(&self) -> &BTreeSet<Capability> {
        &self.grants
    }

    /// A fresh instance. Its start code runs under `cpu_ms`.
    pub(super) async fn instantiate(
        &self,
        services: Services,
        subject: Subject,
        cpu_ms: u32,
    ) -> wasmtime::Result<Instance> {
        let ticking = self.runtime.ticking();
        let mut store = Store::new(
            self.runtime.engine(),
            CallState::new(self.name.clone(), services, subject),
        );
        store.limiter(|state| &mut state.limits);
        store.data_mut().cpu_ticks = cpu_ms;
        // What a guest may have lifted into the host per call, in bytes about; the engine's default is 128 MiB.
        store.set_hostcall_fuel(8 << 20);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.cpu_ticks = state
                .cpu_ticks
                .checked_sub(1)
                .ok_or_else(|| wasmtime::Error::new(CpuExhausted))?;
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

/// The guest used up its ticks.
#[derive(Debug, thiserror::Error)]
#[error("out of computing time")]
pub(super) struct CpuExhausted;

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

/// The innermost cause: wasmtime's outer ones say only that compiling or linking failed.
pub(super) fn root_cause(error: &wasmtime::Error) -> String {
    error
        .chain()
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

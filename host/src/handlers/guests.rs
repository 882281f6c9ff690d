//! Guests for tests: a handler in wasm's text form, of which each test writes the two halves.

use std::collections::BTreeMap;
use std::sync::Arc;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::part_secrets::PartSecrets;
use super::state::{CallState, PartState, Subject};
use super::{
    Assurance, Called, Capability, Effect, Envelope, Found, Limit, Message, Plugin, Runtime,
    Services, Terms,
};
use crate::inputs::{Input, Kind, Source};
use crate::message::NodeId;

/// A guest's parts, each WAT.
#[derive(Clone, Copy)]
pub(super) struct Guest<'a> {
    /// Imports of functions, which go first in a module.
    pub(super) imports: &'a str,
    /// More of the module: globals, tables, functions.
    pub(super) module: &'a str,
    /// What `handle` does before it says that it found something.
    pub(super) handle: &'a str,
    /// What `finalize` does; leaves the address of its result: 0 for one without effects.
    pub(super) finalize: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self {
            imports: "",
            module: "",
            handle: "",
            finalize: "(i32.const 0)",
        }
    }
}

/// `log.write`, by which a test calls imports: `(call $log (i32.const 1) (i32.const AT) (i32.const LENGTH))`.
pub(super) const LOG: &str =
    r#"(import "backchannel:n2n/log@0.1.1" "write" (func $log (param i32 i32 i32)))"#;

impl Guest<'_> {
    pub(super) fn component(&self) -> Vec<u8> {
        let Self {
            imports,
            module,
            handle,
            finalize,
        } = self;
        // The results are in zeroed memory: at 0 a list of no effects; at 16 an outcome with the handle that is put there.
        let text = format!(
            r#"(module
              {imports}
              (import "[export]backchannel:n2n/handler@0.1.1" "[resource-new]outcome" (func $new (param i32) (result i32)))
              (memory (export "memory") 1)
              (global $free (mut i32) (i32.const 4096))
              {module}
              (func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get $new)))
                (if (i32.gt_u (global.get $free) (i32.mul (memory.size) (i32.const 65536)))
                  (then (drop (memory.grow (i32.const 8)))))
                (local.get $at))
              (func (export "backchannel:n2n/handler@0.1.1#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                {handle}
                (i32.store8 (i32.const 20) (i32.const 1))
                (i32.store (i32.const 24) (call $new (i32.const 7)))
                (i32.const 16))
              (func (export "backchannel:n2n/handler@0.1.1#[static]outcome.finalize") (param i32) (result i32)
                {finalize}))"#
        );
        let mut core = wat::parse_str(text).expect("a module");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path("../wit/0.1").expect("the contract");
        let world = resolve
            .select_world(&[package], Some("message-handler"))
            .expect("its world");
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)
            .expect("embedded");
        let mut encoder = ComponentEncoder::default();
        let encoder = encoder.validate(true).module(&core).expect("a module");
        let mut component = encoder.encode().expect("a component");
        let capabilities = Capability::ALL.map(|capability| (capability.name(), ""));
        let manifest = serde_json::json!({
            "name": "guest", "version": "1.0.0", "licence": "Apache-2.0", "contract": "0.1.1", "kinds": ["Kind"],
            "capabilities": BTreeMap::from(capabilities),
        });
        let manifest = manifest.to_string();
        // A custom section: 0, the size of the rest, the name's length, the name, the content.
        let name = "backchannel:manifest";
        let rest = 1 + name.len() + manifest.len();
        component.push(0);
        component.extend([
            (rest & 0x7f) as u8 | 0x80,
            (rest >> 7) as u8,
            name.len() as u8,
        ]);
        component.extend(name.bytes().chain(manifest.bytes()));
        component
    }

    pub(super) fn load(&self, limits: &[(Limit, u64)]) -> Arc<Plugin> {
        self.load_on(&Runtime::new().expect("an engine"), limits)
    }

    pub(super) fn load_on(&self, runtime: &Runtime, limits: &[(Limit, u64)]) -> Arc<Plugin> {
        let mut terms = Terms::granting(&Capability::ALL);
        for (limit, value) in limits {
            terms.limits.set(*limit, *value).expect("in range");
        }
        Arc::new(Plugin::load(runtime, &self.component(), terms).expect("loaded"))
    }
}

pub(super) fn services() -> Services {
    services_of(1)
}

fn services_of(seed: u64) -> Services {
    let node = NodeId::try_from("me").expect("valid");
    Services::blank(&node, seed).expect("a store")
}

/// What an instance of `plugin` has to do with in a part of a run, which grants it inputs of these values, two at least.
pub(super) fn part(
    plugin: &Plugin,
    kind: Kind,
    inputs: &[(&str, Vec<String>)],
    seed: u64,
) -> CallState {
    let inputs = inputs.iter().map(|(name, values)| {
        let input = Input::new(Source::Values(values.clone()), kind, Some(2));
        (name.parse().expect("a name"), input.expect("in range"))
    });
    part_with(&plugin.with_inputs(inputs.collect()), seed)
}

/// And with the inputs that `plugin` has been granted.
pub(super) fn part_with(plugin: &Plugin, seed: u64) -> CallState {
    let subject = Subject::Part(Box::new(PartState {
        own: NodeId::try_from("me").expect("valid"),
        parties: Vec::new(),
        secrets: PartSecrets::new(plugin, "overlap", "run"),
    }));
    CallState::new(plugin, services_of(seed), subject, || {
        panic!("nobody listens")
    })
}

/// And in the treatment of a message.
pub(super) fn no_part(plugin: &Plugin) -> CallState {
    let subject = Subject::Message(envelope());
    CallState::new(plugin, services(), subject, || panic!("nobody listens"))
}

pub(super) fn envelope() -> Envelope {
    Envelope {
        researcher_id: "R".into(),
        source: "peer".into(),
        setup: false,
        assurance: Assurance::ChannelKey,
    }
}

/// Lets `plugin` begin on a message with `fields`.
pub(super) async fn handle(plugin: &Arc<Plugin>, fields: Vec<u8>) -> Called<Option<Found>> {
    let message = Message {
        kind: "Kind".into(),
        request_id: None,
        fields,
    };
    plugin.handle(&services(), envelope(), message).await
}

/// Lets `plugin` treat a message to its end.
pub(super) async fn treat(plugin: &Arc<Plugin>) -> Called<Vec<Effect>> {
    let Called { mut usage, result } = handle(plugin, vec![0x80]).await;
    match result {
        Ok(found) => {
            let called = found.expect("an outcome").finalize().await;
            usage += &called.usage;
            Called { usage, ..called }
        }
        Err(error) => Called {
            usage,
            result: Err(error),
        },
    }
}

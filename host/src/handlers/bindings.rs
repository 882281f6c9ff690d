//! Generated from `wit/0.1`; nothing else.
#![allow(missing_docs, clippy::all)]

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "protocol",
    imports: { "backchannel:n2n/material@0.1.0.wait": async | trappable, default: trappable },
    exports: { default: async },
});

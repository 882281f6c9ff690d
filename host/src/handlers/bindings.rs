//! Generated from `wit/0.1`; nothing else.
#![allow(missing_docs, clippy::all)]

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    inline: "
        package backchannel:host;
        /// All that a component may import or export.
        world everything {
            include backchannel:n2n/protocol@0.1.1;
            include backchannel:n2n/multi-party@0.1.1;
        }
    ",
    imports: {
        "backchannel:n2n/material@0.1.1.wait": async | trappable,
        "backchannel:n2n/inputs@0.1.1.vector": async | trappable,
        "backchannel:n2n/blinding@0.1.1.ids": async | trappable,
        "backchannel:n2n/blinding@0.1.1.points": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

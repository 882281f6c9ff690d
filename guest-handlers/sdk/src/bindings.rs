//! What the macro makes of `wit/0.1`. Nothing else is in this file; authors use the names at the crate's root.
//!
//! The world `protocol` is `message-handler` and an initiator. Its own bindings would define `handler` a second
//! time, so only the half that it adds is bound; a component that exports both halves is of the world `protocol`.
//! `multi-party` shares imports with `message-handler`, so likewise only what is its own is bound.

/// The world `message-handler`.
pub mod message_handler {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "message-handler",
        additional_derives: [PartialEq],
        generate_unused_types: true,
        runtime_path: "backchannel_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        default_bindings_module: "backchannel_sdk::bindings::message_handler",
    });
}

/// What the world `protocol` adds to `message-handler`.
pub mod initiator {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package backchannel:sdk;
            world initiator {
                import backchannel:n2n/agreement@0.1.1;
                import backchannel:n2n/sharing@0.1.1;
                export backchannel:n2n/initiator@0.1.1;
            }
        ",
        with: {
            "backchannel:n2n/types@0.1.1": crate::bindings::message_handler::backchannel::n2n::types,
        },
        generate_all,
        additional_derives: [PartialEq],
        runtime_path: "backchannel_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        default_bindings_module: "backchannel_sdk::bindings::initiator",
    });
}

/// What the world `multi-party` has that `message-handler` has not.
pub mod multi_party {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package backchannel:sdk;
            world rounds {
                import backchannel:n2n/inputs@0.1.1;
                import backchannel:n2n/blinding@0.1.1;
                export backchannel:n2n/rounds@0.1.1;
            }
        ",
        with: {
            "backchannel:n2n/types@0.1.1": crate::bindings::message_handler::backchannel::n2n::types,
        },
        generate_all,
        additional_derives: [PartialEq],
        runtime_path: "backchannel_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        default_bindings_module: "backchannel_sdk::bindings::multi_party",
    });
}

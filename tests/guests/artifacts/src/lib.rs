//! The guests of the hostile suite as wasm components, one constant each, built as the built-in handlers are.

include!(concat!(env!("OUT_DIR"), "/components.rs"));

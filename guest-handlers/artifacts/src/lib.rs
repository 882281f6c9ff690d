//! The built-in handlers as wasm components, one constant each.
//!
//! The build script compiles every package of the workspace that has a `[package.metadata.backchannel]` table, so this
//! list is the workspace's. Each component imports nothing but `backchannel:n2n` and holds its manifest in the custom
//! section `backchannel:manifest`.

include!(concat!(env!("OUT_DIR"), "/components.rs"));

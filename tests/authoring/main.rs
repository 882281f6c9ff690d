//! Writing a plugin with the built program, from `backchannel new` to a component that hosts take. Projects in Rust are built here; those
//! in Python and JavaScript by the script `run`, as they need PyPI and npm.

mod begun;
mod built;
mod project;
mod refused;
mod toolchain;

/// The work was begun and failed.
const FAILED: i32 = 1;
/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;
/// Something does not match what is trusted.
const REFUSED: i32 = 5;

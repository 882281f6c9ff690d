//! Plugins under messages that nobody means well with: generated, or recorded ones that were changed; each in an instance of
//! its own, within the plugin's limits, and twice.
//!
//! In reading order: [`Fuzzer`] makes and runs them; [`Finding`] is what it found; `mutate` is how a message is changed.
//!
//! What is not here: the fuzz targets for this host's own parsers.

mod finding;
mod fuzzer;
mod mutate;

pub use finding::{Finding, Findings, What};
pub use fuzzer::{CorpusError, FuzzError, Fuzzer};

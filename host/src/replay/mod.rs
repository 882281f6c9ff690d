//! Traces run again, with the plugin that made them or with another version of it, and what is different.
//!
//! In reading order: [`again`] runs sessions; [`Difference`] is the first thing in which two sessions are not the same;
//! [`Comparison`] holds two versions of a plugin against each other over many sessions.

mod compare;
mod difference;

use std::io;
use std::sync::Arc;

pub use compare::{Comparison, Span, Totals};
pub use difference::{Difference, Differs};

use crate::handlers::{Plugin, ReplayError};
use crate::trace::Session;

/// Runs each of `sessions` again with `plugin`, each in an instance of its own; in order. Time does not pass meanwhile.
pub fn again<'a>(
    plugin: &Arc<Plugin>,
    sessions: impl IntoIterator<Item = &'a Session>,
) -> io::Result<Vec<Result<Session, ReplayError>>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let mut replayed = Vec::new();
        for session in sessions {
            replayed.push(plugin.replay(session).await);
        }
        Ok(replayed)
    })
}

use std::sync::Arc;

use super::bench::{Stage, paused};
use super::{Case, CaseFile, CasesError, Turn};
use crate::handlers::{CallError, Plugin, Services, Usage};

/// One case, to be run as often as is asked for. Nothing is held against what it expects, and nothing is recorded: recording takes
/// time itself.
pub struct Repeated<'a> {
    pub(super) file: &'a CaseFile,
    pub(super) case: &'a Case,
    pub(super) plugin: Arc<Plugin>,
}

impl Repeated<'_> {
    /// Runs it once more, from the file's seed, in fresh instances: what each turn of the plugin took.
    ///
    /// Blocks, and has a runtime of its own: not to be called within another.
    pub fn run(&self) -> Result<Vec<Turn>, CasesError> {
        let play = async {
            let stage = Stage::unrecorded(self.file, self.case, self.plugin.clone())?;
            Ok(stage.play().await?.turns)
        };
        paused()?.block_on(play)
    }

    /// Makes an instance of its plugin and calls nothing of it: what that took, or why the host stopped it. Blocks, as [`run`](Self::run).
    pub fn instance_alone(&self) -> Result<Result<Usage, CallError>, CasesError> {
        let services = Services::blank(self.case.node(), self.file.seed)?;
        let made = paused()?.block_on(self.plugin.instance_alone(services));
        Ok(made.result.map(|()| made.usage))
    }

    /// The plugin, as the case has it.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

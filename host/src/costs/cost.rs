//! What a plugin took: of each case, and the most of all of them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::Samples;
use crate::cases::{Case, CaseFile, Turn};

/// What a plugin costs.
#[derive(Debug, Serialize)]
pub struct Costs {
    /// Its name.
    pub plugin: String,
    /// Its version, as it says.
    pub version: String,
    /// Size of its component, in bytes.
    pub file_bytes: usize,
    /// Core instances that one instance of it is made of.
    pub instances: u64,
    /// Tables of one instance.
    pub tables: u32,
    /// What each case took, in the files' order.
    pub cases: Vec<Cost>,
    /// Cases that have no cost.
    pub left_out: Vec<LeftOut>,
    /// Making an instance, and calling nothing of it: the sandbox alone.
    pub sandbox: Samples,
}

/// What a case took.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its name.
    pub case: String,
    /// Instances that were made for it: one for each message, and one for a run.
    pub instances: usize,
    /// Computing of all its calls, their instances made, on the engine of a node.
    pub time: Samples,
    /// Of it, the longest call of `handle`, or of `begin` or `step` of a run.
    pub handle: Samples,
    /// Of it, the longest call of `finalize`; none where nothing was found in a message.
    pub finalize: Samples,
    /// The most that one message or step took, of what is the same each time.
    pub most: Most,
}

/// The most that one message, or one step of a run, took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Most {
    /// Instructions of `handle`, `begin` or `step`.
    pub handle_instructions: u64,
    /// Instructions of `finalize`.
    pub final_instructions: u64,
    /// Memory of the instance, in bytes.
    pub memory_bytes: usize,
    /// Elements of one table of it.
    pub table_elements: usize,
    /// Calls of imports.
    pub host_calls: u64,
    /// Effects.
    pub effects: usize,
    /// Their size.
    pub effect_bytes: usize,
    /// Lines in the log.
    pub log_lines: u64,
    /// Their size.
    pub log_bytes: usize,
}

/// A case that has no cost: a plugin that is stopped is not a fast one.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Where in it.
    pub line: usize,
    /// Its name.
    pub case: String,
    /// What became of it, from the plugin or the host.
    pub why: String,
    /// Whether that is a fault, of the plugin or of the case; otherwise there is nothing to be measured.
    pub fault: bool,
}

impl Costs {
    /// The times of all cases together.
    pub fn time(&self) -> Samples {
        self.cases
            .iter()
            .flat_map(|cost| cost.time.iter())
            .collect()
    }

    /// The most of all cases.
    pub fn most(&self) -> Most {
        let all = self.cases.iter().map(|cost| cost.most);
        all.fold(Most::default(), Most::or)
    }

    /// What this case took, if it could be measured.
    pub(super) fn of(&self, file: &CaseFile, case: &Case) -> Option<&Cost> {
        let mut costs = self.cases.iter();
        costs.find(|cost| cost.file == file.path() && cost.case == case.name())
    }

    /// The first case in which something is at fault.
    pub fn wrong(&self) -> Option<&LeftOut> {
        self.left_out.iter().find(|case| case.fault)
    }

    /// How much of the time of a case is the sandbox's, by the halves of both that are shorter; never more than all of it.
    pub fn sandbox_of(&self, cost: &Cost) -> Duration {
        let instances = u32::try_from(cost.instances).unwrap_or(u32::MAX);
        let made = self.sandbox.p50().saturating_mul(instances);
        made.min(cost.time.p50())
    }
}

impl Most {
    /// Of turns of a plugin.
    pub(super) fn of(turns: &[Turn]) -> Self {
        turns
            .iter()
            .map(Self::of_one)
            .fold(Self::default(), Self::or)
    }

    fn of_one(turn: &Turn) -> Self {
        let all = turn.usage();
        let last = turn.last.as_ref().and_then(|last| last.fuel);
        Self {
            handle_instructions: turn.first.fuel.unwrap_or_default(),
            final_instructions: last.unwrap_or_default(),
            memory_bytes: all.peak_memory,
            table_elements: all.table_elements,
            host_calls: all.host_calls,
            effects: all.effects,
            effect_bytes: all.effect_bytes,
            log_lines: all.log_lines,
            log_bytes: all.log_bytes,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            handle_instructions: self.handle_instructions.max(other.handle_instructions),
            final_instructions: self.final_instructions.max(other.final_instructions),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            table_elements: self.table_elements.max(other.table_elements),
            host_calls: self.host_calls.max(other.host_calls),
            effects: self.effects.max(other.effects),
            effect_bytes: self.effect_bytes.max(other.effect_bytes),
            log_lines: self.log_lines.max(other.log_lines),
            log_bytes: self.log_bytes.max(other.log_bytes),
        }
    }
}

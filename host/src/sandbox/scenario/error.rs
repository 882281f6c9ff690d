use std::fmt;

/// Why a scenario cannot be used. All of these are its writer's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ScenarioError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
    /// What can be done about it.
    pub todo: String,
}

impl ScenarioError {
    pub(super) fn new(line: usize, why: impl fmt::Display, todo: impl fmt::Display) -> Self {
        Self {
            line,
            why: why.to_string(),
            todo: todo.to_string(),
        }
    }
}

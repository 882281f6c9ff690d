use std::fmt::Display;

/// Why a project does not become a plugin.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct AuthoringError {
    /// Whose fault it is.
    pub fault: Fault,
    /// What cannot be done.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do about it.
    pub todo: String,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A file of the project says what cannot be.
    Project,
    /// The handler's code does not become a component, or a toolchain is not there.
    Build,
    /// No host would load the component.
    Component,
}

impl AuthoringError {
    pub(super) fn new(
        fault: Fault,
        what: impl Into<String>,
        why: impl Display,
        todo: impl Into<String>,
    ) -> Self {
        Self {
            fault,
            what: what.into(),
            why: why.to_string(),
            todo: todo.into(),
        }
    }
}

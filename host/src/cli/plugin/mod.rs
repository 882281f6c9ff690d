//! Plugins as an operator handles them: what is installed, what it may do, and whether it runs.

mod approve;
mod change;
mod install;
mod list;
mod reload;
mod remove;
mod rollback;
mod switch;
mod upgrade;

use clap::Subcommand;

use super::{Exit, Format, Problem};

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Copy a component and its signatures into a node's data directory. That allows nothing yet.
    Install(install::Install),
    /// Allow an installed plugin what it asks for: this very file, for these reasons. It does not run by that.
    Approve(approve::Approve),
    /// Let an approved or built-in plugin treat messages.
    Enable(switch::Enable),
    /// Stop a plugin at once; its approval stays.
    Disable(switch::Disable),
    /// Put a newer version in place of the approved one. What could do more has to be approved first.
    Upgrade(upgrade::Upgrade),
    /// Go back to what was approved before, with what it was granted then.
    Rollback(rollback::Rollback),
    /// Stop a plugin, take back its approval and delete its files.
    Remove(remove::Remove),
    /// Have a running node read policy.toml again; without one, check that the file can be used.
    Reload(reload::Reload),
    /// Show what is installed, approved and enabled, with what it may do.
    List(list::List),
}

impl Plugin {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Install(install) => install.run(format),
            Self::Approve(approve) => approve.run(format).await,
            Self::Enable(enable) => enable.run(format).await,
            Self::Disable(disable) => disable.run(format).await,
            Self::Upgrade(upgrade) => upgrade.run(format).await,
            Self::Rollback(rollback) => rollback.run(format).await,
            Self::Remove(remove) => remove.run(format).await,
            Self::Reload(reload) => reload.run(format).await,
            Self::List(list) => list.run(format).await,
        }
    }
}

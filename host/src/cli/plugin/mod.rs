//! Plugins: looking at them and deciding what they may do, as an operator; vouching for them and shipping them, as an author
//! or reviewer.

mod approve;
mod bundle;
mod change;
mod diff;
mod inspect;
mod install;
mod key;
mod list;
mod passphrase;
mod registry;
mod reload;
mod remove;
mod rollback;
mod sign;
mod switch;
mod trust;
mod upgrade;
mod verify;

pub(super) use change::Operator;
use clap::Subcommand;
pub(super) use key::unlock;
pub(super) use passphrase::PassphraseSource;
pub(super) use sign::date;
pub(super) use trust::{TrustSource, trust_in};

use super::output::foreign;
use super::top::Top;
use super::{Exit, Format, Problem};
use crate::handlers::{Limits, LoadError, Surface};
use crate::packages::{NotVouched, PackageError};

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Show what a plugin is, what it treats and what it could do, without running it.
    Inspect(inspect::Inspect),
    /// Hold two versions of a plugin against each other, over recorded sessions: the page a reviewer signs.
    Diff(diff::Diff),
    /// Check who vouches for a plugin.
    Verify(verify::Verify),
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
    /// Show what each plugin of a running node takes, live.
    Top(Top),
    /// Make and show keys that sign plugins.
    #[command(subcommand)]
    Key(key::Key),
    /// Sign a plugin, as its author or as someone who reviewed it.
    Sign(sign::Sign),
    /// Put a plugin with its signatures and notes in one file, for a hospital without internet.
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Push a plugin with its signatures and notes to an OCI registry.
    Push(registry::Push),
    /// Pull a plugin, named by its digest, from an OCI registry.
    Pull(registry::Pull),
}

impl Plugin {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Inspect(inspect) => inspect.run(format),
            Self::Diff(diff) => diff.run(format).await,
            Self::Key(key) => key.run(format),
            Self::Sign(sign) => sign.run(format),
            Self::Verify(verify) => verify.run(format),
            Self::Install(install) => install.run(format),
            Self::Approve(approve) => approve.run(format).await,
            Self::Enable(enable) => enable.run(format).await,
            Self::Disable(disable) => disable.run(format).await,
            Self::Upgrade(upgrade) => upgrade.run(format).await,
            Self::Rollback(rollback) => rollback.run(format).await,
            Self::Remove(remove) => remove.run(format).await,
            Self::Reload(reload) => reload.run(format).await,
            Self::List(list) => list.run(format).await,
            Self::Top(top) => top.run(format).await,
            Self::Bundle(bundle) => bundle.run(format),
            Self::Push(push) => push.run(format).await,
            Self::Pull(pull) => pull.run(format).await,
        }
    }
}

/// Reads a component that nobody set limits for yet: any that an operator could allow.
fn surface(what: &str, component: &[u8]) -> Result<Surface, Problem> {
    Surface::read(component, &Limits::for_reading()).map_err(|error| not_loadable(what, &error))
}

fn not_loadable(what: &str, error: &LoadError) -> Problem {
    let why = foreign(&error.to_string());
    Problem::new(Exit::Refused, what, why, error.advice())
}

pub(super) fn not_read(what: &str, error: &PackageError) -> Problem {
    let exit = match error {
        PackageError::Bundle(_) => Exit::Refused,
        _ => Exit::Input,
    };
    Problem::new(exit, what, foreign(&error.to_string()), error.advice())
}

fn not_vouched(what: &str, error: &NotVouched) -> Problem {
    let why = foreign(&error.to_string());
    Problem::new(Exit::Refused, what, why, error.advice())
}

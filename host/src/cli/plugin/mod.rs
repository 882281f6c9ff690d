//! Plugins: looking at them, vouching for them, shipping them.

mod bundle;
mod inspect;
mod key;
mod passphrase;
mod registry;
mod sign;
mod trust;
mod verify;

use clap::Subcommand;

use super::output::foreign;
use super::{Exit, Format, Problem};
use crate::handlers::{Limit, Limits, LoadError, Surface};
use crate::packages::{NotVouched, PackageError};

#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Show what a plugin is, what it treats and what it could do, without running it.
    Inspect(inspect::Inspect),
    /// Make and show keys that sign plugins.
    #[command(subcommand)]
    Key(key::Key),
    /// Sign a plugin, as its author or as someone who reviewed it.
    Sign(sign::Sign),
    /// Check who vouches for a plugin.
    Verify(verify::Verify),
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
            Self::Key(key) => key.run(format),
            Self::Sign(sign) => sign.run(format),
            Self::Verify(verify) => verify.run(format),
            Self::Bundle(bundle) => bundle.run(format),
            Self::Push(push) => push.run(format).await,
            Self::Pull(pull) => pull.run(format).await,
        }
    }
}

/// Reads a component that nobody set limits for yet: any size that an operator could allow.
fn surface(what: &str, component: &[u8]) -> Result<Surface, Problem> {
    let mut limits = Limits::default();
    // Within its own range.
    let _ = limits.set(Limit::FileKib, *Limit::FileKib.range().end());
    Surface::read(component, &limits).map_err(|error| not_loadable(what, &error))
}

fn not_loadable(what: &str, error: &LoadError) -> Problem {
    let why = foreign(&error.to_string());
    Problem::new(Exit::Refused, what, why, error.advice())
}

fn not_read(what: &str, error: &PackageError) -> Problem {
    let exit = match error {
        PackageError::Bundle(_) | PackageError::Signature { .. } => Exit::Refused,
        _ => Exit::Input,
    };
    Problem::new(exit, what, foreign(&error.to_string()), error.advice())
}

fn not_vouched(what: &str, error: &NotVouched) -> Problem {
    let why = foreign(&error.to_string());
    Problem::new(Exit::Refused, what, why, error.advice())
}

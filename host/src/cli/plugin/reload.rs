use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::change::{Done, load, not_loaded, take_over, wrong_policy};
use super::{Format, Problem};
use crate::cli::output::foreign;
use crate::plugins::NotGiven;
use crate::policy::Policy;
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin reload --data /var/lib/backchannel")]
pub(in crate::cli) struct Reload {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What came of it.
#[derive(Serialize)]
struct Reloaded {
    #[serde(flatten)]
    done: Done,
    /// Inputs that plugins could not be given now, and what to do.
    warnings: Vec<String>,
}

impl Reload {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let policy = Policy::read(&self.data)
            .map_err(|error| wrong_policy("policy.toml cannot be used", error))?;
        let taken_over = take_over(&self.data, ReloadRequest::default()).await?;
        if !taken_over.running {
            let failed = load(&self.data, &policy)?;
            if !failed.is_empty() {
                return Err(not_loaded("policy.toml cannot be put in force", failed));
            }
        }
        let done = "policy.toml can be used".to_owned();
        let not_given = NotGiven::all(&policy, &self.data);
        let warnings = not_given
            .iter()
            .map(|input| format!("{input}; {}", input.why.advice()));
        format.show(&Reloaded {
            done: Done::new("", done, taken_over),
            warnings: warnings.collect(),
        });
        Ok(())
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.done)?;
        let mut warnings = self.warnings.iter();
        warnings.try_for_each(|warning| write!(f, "\nwarning: {}", foreign(warning)))
    }
}

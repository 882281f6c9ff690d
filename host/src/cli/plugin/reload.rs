use std::path::PathBuf;

use clap::Args;

use super::change::{Done, load, not_loaded, take_over, wrong_policy};
use super::{Format, Problem};
use crate::policy::Policy;
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin reload --data /var/lib/backchannel")]
pub(in crate::cli) struct Reload {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
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
        format.show(&Done::new("", done, taken_over));
        Ok(())
    }
}

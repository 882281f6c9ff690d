use std::path::PathBuf;

use clap::Args;

use super::change::{Done, check, draft, put_in_force, wrong_policy};
use super::{Exit, Format, Problem};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin rollback overlap --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Rollback {
    /// Its name.
    plugin: String,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Rollback {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let plugin = &self.plugin;
        let what = format!("{plugin} is not rolled back");
        let mut draft = draft(&self.data)?;
        let before = draft
            .roll_back(plugin)
            .map_err(|error| wrong_policy(&what, error))?;
        let Some(before) = before else {
            let todo = "disable it, or install and approve another file";
            let why = "no other file was approved before";
            return Err(Problem::new(Exit::Input, what, why, todo));
        };
        if draft.policy().allows(plugin) {
            check(&self.data, draft.policy(), plugin, &what)?;
        }
        let taken_over = put_in_force(draft, &self.data).await?;
        let done = format!(
            "{plugin} is {} again, with what it was granted then",
            before.digest
        );
        format.show(&Done::new(plugin, done, taken_over));
        Ok(())
    }
}

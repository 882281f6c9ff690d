use clap::Args;

use super::change::{Done, Operator, check, draft, wrong_policy};
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin rollback overlap --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Rollback {
    /// Its name.
    plugin: String,
    #[command(flatten)]
    operator: Operator,
}

impl Rollback {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let plugin = &self.plugin;
        let what = format!("{plugin} is not rolled back");
        let mut draft = draft(&self.operator.data)?;
        let now = draft.policy().entry(plugin);
        let from = now.and_then(|entry| Some(entry.approved.as_ref()?.digest));
        let before = draft
            .roll_back(plugin)
            .map_err(|error| wrong_policy(&what, error))?;
        let Some(before) = before else {
            let todo = "disable it, or install and approve another file";
            let why = "no other file was approved before";
            return Err(Problem::new(Exit::Input, what, why, todo));
        };
        if draft.policy().allows(plugin) {
            check(&self.operator.data, draft.policy(), plugin, &what)?;
        }
        let event = Event::PluginRolledBack {
            plugin: plugin.clone(),
            from: from.map_or_else(String::new, |digest| digest.hex()),
            to: before.digest.hex(),
            by: self.operator.name(),
        };
        let taken_over = self
            .operator
            .put_in_force(draft, event, ReloadRequest::default())
            .await?;
        let done = format!(
            "{plugin} is {} again, with what it was granted then",
            before.digest
        );
        format.show(&Done::new(plugin, done, taken_over));
        Ok(())
    }
}

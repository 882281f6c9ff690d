use clap::Args;

use super::change::{Done, Operator, check, draft, wrong_policy};
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::handlers::BUILT_IN;
use crate::policy::{Draft, Setting};
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin enable overlap --data /var/lib/backchannel")]
pub(in crate::cli) struct Enable {
    /// Its name.
    plugin: String,
    #[command(flatten)]
    operator: Operator,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin disable overlap --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Disable {
    /// Its name.
    plugin: String,
    #[command(flatten)]
    operator: Operator,
    /// Why, for the records.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Enable {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not enabled", self.plugin);
        let mut draft = draft(&self.operator.data)?;
        switch(&mut draft, &self.plugin, true, &what)?;
        check(&self.operator.data, draft.policy(), &self.plugin, &what)?;
        let event = Event::PluginEnabled {
            plugin: self.plugin.clone(),
            by: self.operator.name(),
        };
        let request = ReloadRequest {
            release: self.plugin.clone(),
            ..ReloadRequest::default()
        };
        let taken_over = self.operator.put_in_force(draft, event, request).await?;
        let done = format!("{} is enabled", self.plugin);
        format.show(&Done::new(&self.plugin, done, taken_over));
        Ok(())
    }
}

impl Disable {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not disabled", self.plugin);
        let mut draft = draft(&self.operator.data)?;
        switch(&mut draft, &self.plugin, false, &what)?;
        let event = Event::PluginDisabled {
            plugin: self.plugin.clone(),
            by: self.operator.name(),
            reason: self.reason,
        };
        let taken_over = self
            .operator
            .put_in_force(draft, event, ReloadRequest::default())
            .await?;
        let done = format!("{} is disabled", self.plugin);
        format.show(&Done::new(&self.plugin, done, taken_over));
        Ok(())
    }
}

fn switch(draft: &mut Draft, plugin: &str, on: bool, what: &str) -> Result<(), Problem> {
    let built_in = BUILT_IN.iter().any(|built_in| built_in.name == plugin);
    if !built_in && draft.policy().entry(plugin).is_none() {
        return Err(Problem::new(
            Exit::Input,
            what,
            "it is not approved: the policy does not name it",
            "`backchannel plugin list` shows what there is; `plugin approve` comes before `plugin enable`",
        ));
    }
    draft
        .set(plugin, Setting::Enabled, Some(on.into()))
        .map_err(|error| wrong_policy(what, error))
}

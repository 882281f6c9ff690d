use std::path::PathBuf;

use clap::Args;

use super::change::{Done, check, draft, put_in_force, wrong_policy};
use super::{Exit, Format, Problem};
use crate::handlers::BUILT_IN;
use crate::policy::{Draft, Setting};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin enable overlap --data /var/lib/backchannel")]
pub(in crate::cli) struct Enable {
    /// Its name.
    plugin: String,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin disable overlap --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Disable {
    /// Its name.
    plugin: String,
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Enable {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not enabled", self.plugin);
        let mut draft = draft(&self.data)?;
        switch(&mut draft, &self.plugin, true, &what)?;
        check(&self.data, draft.policy(), &self.plugin, &what)?;
        let taken_over = put_in_force(draft, &self.data).await?;
        let done = format!("{} is enabled", self.plugin);
        format.show(&Done::new(&self.plugin, done, taken_over));
        Ok(())
    }
}

impl Disable {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not disabled", self.plugin);
        let mut draft = draft(&self.data)?;
        switch(&mut draft, &self.plugin, false, &what)?;
        let taken_over = put_in_force(draft, &self.data).await?;
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

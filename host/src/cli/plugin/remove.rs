use std::collections::BTreeSet;

use clap::Args;

use super::approve::{find, named_files};
use super::change::{Done, Operator, draft, refused, wrong_policy};
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::handlers::BUILT_IN;
use crate::packages::Digest;
use crate::plugins::Folder;
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin remove overlap --data /var/lib/backchannel")]
pub(in crate::cli) struct Remove {
    /// Its name; or the digest of an installed file that is not approved (sha256:…).
    plugin: String,
    #[command(flatten)]
    operator: Operator,
}

impl Remove {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let plugin = &self.plugin;
        let what = format!("{plugin} is not removed");
        if BUILT_IN.iter().any(|built_in| built_in.name == plugin) {
            let todo = format!("backchannel plugin disable {plugin}");
            return Err(Problem::new(Exit::Input, what, "it is built in", todo));
        }
        let folder = Folder::of(&self.operator.data);
        let mut draft = draft(&self.operator.data)?;
        let mut files = BTreeSet::new();
        let mut forget = String::new();
        match draft.policy().entry(plugin) {
            Some(entry) => {
                let approvals = entry
                    .approved
                    .iter()
                    .chain(&entry.next)
                    .chain(&entry.previous);
                files.extend(approvals.map(|approval| approval.digest));
                let installed = named_files(plugin, &folder, draft.policy());
                files.extend(installed.map_err(|why| refused(what.clone(), why))?);
                forget.clone_from(plugin);
                draft
                    .remove(plugin)
                    .map_err(|error| wrong_policy(&what, error))?;
            }
            None => {
                let digest: Digest = find(plugin, &folder, draft.policy())?;
                if draft.policy().knows(digest) {
                    let todo = "remove the plugin by its name, or roll it back";
                    let why = "the policy names this file";
                    return Err(Problem::new(Exit::Input, what, why, todo));
                }
                files.insert(digest);
            }
        }
        // First out of force, then off the disk.
        let digests: Vec<_> = files.iter().map(Digest::hex).collect();
        let event = Event::PluginRemoved {
            plugin: plugin.clone(),
            digest: digests.join(" "),
            by: self.operator.name(),
        };
        let request = ReloadRequest {
            forget,
            ..ReloadRequest::default()
        };
        let taken_over = self.operator.put_in_force(draft, event, request).await?;
        for digest in files {
            folder
                .remove(digest)
                .map_err(|why| refused(what.clone(), why))?;
        }
        let done = format!("{plugin} is removed: its approval and its files");
        format.show(&Done::new(plugin, done, taken_over));
        Ok(())
    }
}

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::change::{refused, wrong_policy};
use super::{Format, Problem};
use crate::cli::output::foreign;
use crate::control;
use crate::handlers::{BUILT_IN, Scope};
use crate::packages::Digest;
use crate::plugins::{Folder, Verified};
use crate::policy::{Approval, Entry, Policy, Setting};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{Plugin, StatusRequest};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin list --data /var/lib/backchannel")]
pub(in crate::cli) struct List {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// All plugins of a node.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    running: bool,
    plugins: Vec<Row>,
}

/// One file, or one built-in plugin.
#[derive(Default, Serialize)]
struct Row {
    plugin: String,
    version: String,
    /// `built-in`, or how far the file has come: `installed`, `approved`, `next`, `previous`.
    standing: &'static str,
    enabled: bool,
    /// Whether the running node treats messages with this very file.
    in_force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    grants: Vec<&'static str>,
    /// Those that are not the default, each with the line that sets it.
    limits: Vec<String>,
    scope: Vec<String>,
    /// What its runs may use of this node's data, each with the line that grants it.
    inputs: Vec<String>,
    signed_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<String>,
    /// Why the running node has it out of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<String>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl List {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = "the plugins cannot be listed";
        let policy = Policy::read(&self.data).map_err(|error| wrong_policy(what, error))?;
        let folder = Folder::of(&self.data);
        let running = self.running().await;
        let mut plugins = Vec::new();
        for built_in in &BUILT_IN {
            let entry = policy.entry(built_in.name);
            let mut row = Row {
                plugin: built_in.name.to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                standing: "built-in",
                enabled: policy.allows(built_in.name),
                grants: built_in.grants.iter().map(|grant| grant.name()).collect(),
                ..Row::default()
            };
            row.running(&running, &Digest::of(built_in.component));
            if let Some(entry) = entry {
                row.terms(&policy, entry);
            }
            plugins.push(row);
        }
        for entry in policy.entries() {
            let previous = entry.previous.iter().map(|approval| ("previous", approval));
            let next = entry.next.iter().map(|approval| ("next", approval));
            let approved = entry.approved.iter().map(|approval| ("approved", approval));
            for (standing, approval) in approved.chain(next).chain(previous) {
                plugins.push(approved_row(
                    &policy, &folder, entry, approval, standing, &running,
                ));
            }
        }
        let digests = folder.digests().map_err(|why| refused(what, why))?;
        for digest in digests.into_iter().filter(|digest| !policy.knows(*digest)) {
            let mut row = Row {
                standing: "installed",
                digest: Some(digest.to_string()),
                ..Row::default()
            };
            row.look_into(&policy, &folder, digest);
            plugins.push(row);
        }
        format.show(&Shown {
            ok: true,
            running: running.is_some(),
            plugins,
        });
        Ok(())
    }

    /// What a running node treats messages with, by name.
    async fn running(&self) -> Option<BTreeMap<String, Plugin>> {
        let mut node = NodeClient::new(control::connect(&self.data).await.ok()?);
        let status = node.status(StatusRequest {}).await.ok()?.into_inner();
        let plugins = status.plugins.into_iter();
        let named = plugins.map(|plugin| (plugin.name.clone(), plugin));
        Some(named.collect())
    }
}

fn approved_row(
    policy: &Policy,
    folder: &Folder,
    entry: &Entry,
    approval: &Approval,
    standing: &'static str,
    running: &Option<BTreeMap<String, Plugin>>,
) -> Row {
    let name = entry.name.as_str();
    let mut row = Row {
        plugin: name.to_owned(),
        standing,
        digest: Some(approval.digest.to_string()),
        grants: approval.grants.iter().map(|grant| grant.name()).collect(),
        approved: Some(format!(
            "{} by {}: {}",
            approval.at, approval.by, approval.reason
        )),
        ..Row::default()
    };
    if standing == "approved" {
        row.enabled = entry.enabled;
        row.running(running, &approval.digest);
        row.terms(policy, entry);
    }
    row.look_into(policy, folder, approval.digest);
    row
}

impl Row {
    /// How the running node uses it.
    fn running(&mut self, running: &Option<BTreeMap<String, Plugin>>, digest: &Digest) {
        let used = running
            .as_ref()
            .and_then(|running| running.get(&self.plugin));
        let Some(used) = used.filter(|used| used.digest == digest.hex()) else {
            return;
        };
        self.in_force = true;
        self.quarantine = Some(used.quarantine.clone()).filter(|reason| !reason.is_empty());
    }

    fn terms(&mut self, policy: &Policy, entry: &Entry) {
        let changed = entry
            .limits
            .iter()
            .filter(|(limit, value)| *value != limit.default());
        let place = |setting| policy.place(&entry.name, setting);
        self.limits = changed
            .map(|(limit, value)| format!("{limit} = {value} ({})", place(Setting::Limit(limit))))
            .collect();
        let Scope {
            researchers,
            experiments,
            parties,
            until,
        } = &entry.scope;
        let scope = &mut self.scope;
        let mut note = |setting: Setting, list: Option<Vec<String>>| {
            if let Some(list) = list {
                scope.push(format!(
                    "{} {} ({})",
                    setting.key(),
                    list.join(", "),
                    place(setting)
                ));
            }
        };
        let texts = |ids: &mut dyn Iterator<Item = String>| ids.collect::<Vec<_>>();
        note(
            Setting::Researchers,
            researchers
                .as_ref()
                .map(|ids| texts(&mut ids.iter().map(ToString::to_string))),
        );
        note(
            Setting::Experiments,
            experiments
                .as_ref()
                .map(|ids| texts(&mut ids.iter().map(ToString::to_string))),
        );
        note(
            Setting::Parties,
            parties
                .as_ref()
                .map(|ids| texts(&mut ids.iter().map(ToString::to_string))),
        );
        note(Setting::Until, until.map(|until| vec![until.to_string()]));
        let inputs = entry.inputs.iter().map(|(name, input)| {
            let line = entry.input_line(name).unwrap_or_default();
            format!("{name}: {input} (policy.toml:{line})")
        });
        self.inputs = inputs.collect();
    }

    /// What the file says of itself, and who signed it.
    fn look_into(&mut self, policy: &Policy, folder: &Folder, digest: Digest) {
        let verified = folder
            .read(digest)
            .and_then(|file| Verified::verify(file, &policy.trust));
        match verified {
            Ok(verified) => {
                self.plugin = verified.manifest.name;
                self.version = verified.manifest.version;
                let signed = verified.vouched.by().iter();
                self.signed_by = signed.map(|by| by.signer.clone()).collect();
                self.signed_by.sort();
            }
            Err(why) => self.problem = Some(format!("{why}; {}", why.advice())),
        }
    }

    /// One word for how it stands.
    fn state(&self) -> &'static str {
        match (self.standing, self.enabled, &self.quarantine) {
            (_, _, Some(_)) => "quarantined",
            ("approved" | "built-in", true, _) => "enabled",
            ("built-in", false, _) => "disabled",
            (standing, ..) => standing,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.plugins {
            let built_in = if row.standing == "built-in" {
                ", built in"
            } else {
                ""
            };
            let name = if row.plugin.is_empty() {
                "?"
            } else {
                &row.plugin
            };
            writeln!(
                f,
                "{name} {}: {}{built_in}",
                foreign(&row.version),
                row.state()
            )?;
            let mut line = |what: &str, text: &str| {
                if text.is_empty() {
                    return Ok(());
                }
                writeln!(f, "  {what:<10}{text}")
            };
            line("digest", row.digest.as_deref().unwrap_or_default())?;
            line("grants", &row.grants.join(", "))?;
            line("limits", &row.limits.join(", "))?;
            line("scope", &row.scope.join("; "))?;
            row.inputs
                .iter()
                .try_for_each(|input| line("input", input))?;
            match (row.standing, row.signed_by.as_slice()) {
                ("built-in", _) => {}
                (_, []) => line("signed by", "nobody that this node trusts")?,
                (_, by) => line("signed by", &by.join(", "))?,
            }
            line(
                "approved",
                &foreign(row.approved.as_deref().unwrap_or_default()),
            )?;
            if let Some(reason) = &row.quarantine {
                line("because", &foreign(reason))?;
                let enable = format!("backchannel plugin enable {name}, once you know why");
                line("way out", &enable)?;
            }
            line(
                "problem",
                &foreign(row.problem.as_deref().unwrap_or_default()),
            )?;
            if self.running && row.enabled && !row.in_force {
                line(
                    "node",
                    "the running node does not use it: see its log, or `plugin reload`",
                )?;
            }
        }
        if !self.running {
            writeln!(f, "no node runs here")?;
        }
        Ok(())
    }
}

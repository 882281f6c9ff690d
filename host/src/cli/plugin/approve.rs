use std::collections::BTreeSet;
use std::fmt;

use clap::Args;
use serde::Serialize;
use toml_edit::{Array, Value};

use super::change::{Operator, TakenOver, draft, now, refused, runtime, wrong_policy};
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::cli::output::foreign;
use crate::handlers::{Capability, Limit, PluginSet};
use crate::packages::Digest;
use crate::plugins::{Candidate, Folder, Loader, Refusal, Verified};
use crate::policy::{Approval, Draft, Policy, PolicyError, Setting};
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin approve overlap --grant log --grant store --reason \"ethics vote 2026-17\" --limit memory-mib=64 --until 2027-06-30 --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Approve {
    /// Its name, or the digest of an installed file (sha256:…).
    plugin: String,
    #[command(flatten)]
    operator: Operator,
    /// Allow it this; once for each.
    #[arg(long, value_name = "NAME", value_parser = grant)]
    grant: Vec<Capability>,
    /// Allow it all that it asks for.
    #[arg(long, conflicts_with = "grant")]
    all_declared: bool,
    /// Why: for whoever reads the policy later.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only for this researcher; once for each.
    #[arg(long, value_name = "ID")]
    researcher: Vec<String>,
    /// Only for runs of this experiment; once for each.
    #[arg(long, value_name = "ID")]
    experiment: Vec<String>,
    /// Only with this node; once for each.
    #[arg(long, value_name = "ID")]
    party: Vec<String>,
    /// Until the end of this day in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<toml::value::Datetime>,
    /// A limit in place of its default; once for each.
    #[arg(long, value_name = "LIMIT=NUMBER", value_parser = limit)]
    limit: Vec<(Limit, u64)>,
    /// Show what would be granted; change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What was approved.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    plugin: String,
    version: String,
    digest: String,
    /// Whether it was approved to come after what is approved now.
    next: bool,
    dry_run: bool,
    grants: Vec<Granted>,
    treats: Vec<String>,
    begins: Vec<String>,
    by: String,
    reason: String,
    enabled: bool,
    #[serde(flatten)]
    taken_over: Option<TakenOver>,
}

#[derive(Serialize)]
struct Granted {
    grant: &'static str,
    allows: &'static str,
}

impl Approve {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not approved", self.plugin);
        let runtime = runtime()?;
        let mut draft = draft(&self.operator.data)?;
        let folder = Folder::of(&self.operator.data);
        let digest = find(&self.plugin, &folder, draft.policy())?;
        let failed = |why| refused(what.clone(), why);
        let installed = folder.read(digest).map_err(failed)?;
        let verified = Verified::verify(installed, &draft.policy().trust).map_err(failed)?;
        let candidate = Candidate::examine(verified, &runtime).map_err(failed)?;
        candidate.against(draft.policy(), &folder).map_err(failed)?;
        let approval = Approval {
            digest,
            grants: self.grants(&candidate, &what)?,
            by: self.operator.name(),
            at: now()?,
            reason: self.reason.clone(),
        };
        let name = candidate.verified.manifest.name.clone();
        let wrong = |error| wrong_policy(&what, error);
        let next = note(&mut draft, &name, &approval).map_err(wrong)?;
        self.terms(&mut draft, &name).map_err(wrong)?;
        // Whether it would load on these terms; whether it goes with the others, `enable` tells.
        if let Some(entry) = draft.policy().entry(&name) {
            let loader = Loader::new(folder, runtime);
            let loaded = loader.installed(draft.policy(), entry, &approval, &PluginSet::default());
            loaded.map_err(failed)?;
        }
        let enabled = draft.policy().allows(&name);
        let taken_over = if self.dry_run {
            None
        } else {
            let scope = entry_scope(draft.policy(), &name);
            let event = Event::PluginApproved {
                plugin: name.clone(),
                digest: digest.hex(),
                grants: approval
                    .grants
                    .iter()
                    .map(|one| one.name().to_owned())
                    .collect(),
                scope,
                by: approval.by.clone(),
                reason: approval.reason.clone(),
            };
            Some(
                self.operator
                    .put_in_force(draft, event, ReloadRequest::default())
                    .await?,
            )
        };
        let manifest = candidate.verified.manifest;
        let grants = approval.grants.into_iter();
        format.show(&Shown {
            ok: true,
            plugin: name,
            version: manifest.version,
            digest: digest.to_string(),
            next,
            dry_run: self.dry_run,
            grants: grants.map(Granted::from).collect(),
            treats: manifest.kinds,
            begins: manifest.initiates,
            by: approval.by,
            reason: approval.reason,
            enabled,
            taken_over,
        });
        Ok(())
    }

    /// What is granted: neither less than it asks for, or it would not load, nor more.
    fn grants(&self, candidate: &Candidate, what: &str) -> Result<BTreeSet<Capability>, Problem> {
        let asks = &candidate.asks;
        if self.all_declared {
            return Ok(asks.clone());
        }
        let granted: BTreeSet<_> = self.grant.iter().copied().collect();
        let mut missing = asks.difference(&granted).peekable();
        if missing.peek().is_some() {
            let list = missing.map(|one| format!("{} (to {})", one.name(), one.in_words()));
            let why = format!("it also asks for: {}", list.collect::<Vec<_>>().join("; "));
            let flags = asks.iter().map(|one| format!("--grant {}", one.name()));
            let flags = flags.collect::<Vec<_>>().join(" ");
            let todo =
                format!("to allow all of it: {flags}, or --all-declared; else do not approve it");
            return Err(Problem::new(Exit::Refused, what, why, todo));
        }
        match granted.difference(asks).next() {
            Some(more) => Err(Problem::new(
                Exit::Input,
                what,
                format!("it does not ask for {}", more.name()),
                format!("leave --grant {} out", more.name()),
            )),
            None => Ok(granted),
        }
    }

    fn terms(&self, draft: &mut Draft, plugin: &str) -> Result<(), PolicyError> {
        let lists = [
            (Setting::Researchers, &self.researcher),
            (Setting::Experiments, &self.experiment),
            (Setting::Parties, &self.party),
        ];
        for (setting, ids) in lists {
            if !ids.is_empty() {
                let ids: Array = ids.iter().map(String::as_str).collect();
                draft.set(plugin, setting, Some(ids.into()))?;
            }
        }
        if let Some(until) = self.until {
            draft.set(plugin, Setting::Until, Some(until.into()))?;
        }
        for (limit, value) in &self.limit {
            // What is too large for TOML is out of any range, and refused as that.
            let value: Value = i64::try_from(*value).unwrap_or(i64::MAX).into();
            draft.set(plugin, Setting::Limit(*limit), Some(value))?;
        }
        Ok(())
    }
}

/// Writes the approval: in the first place where there is none or it is of the same file, else as the next. Whether as the
/// next.
fn note(draft: &mut Draft, plugin: &str, approval: &Approval) -> Result<bool, PolicyError> {
    let approved = draft
        .policy()
        .entry(plugin)
        .and_then(|entry| entry.approved.as_ref());
    match approved {
        None => draft.approve(plugin, approval)?,
        Some(same) if same.digest == approval.digest => draft.approve_again(plugin, approval)?,
        Some(_) => {
            draft.approve_next(plugin, approval)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The installed file that is meant by a digest, or by a name when there is but one.
pub(super) fn find(named: &str, folder: &Folder, policy: &Policy) -> Result<Digest, Problem> {
    let what = format!("{named} is not found");
    if named.starts_with("sha256:") {
        return named.parse().map_err(|error| {
            let todo = "take the digest from `backchannel plugin list`";
            Problem::new(Exit::Input, what, error, todo)
        });
    }
    let mut files = named_files(named, folder, policy).map_err(|why| refused(&what, why))?;
    let approved = policy
        .entry(named)
        .and_then(|entry| entry.approved.as_ref());
    let approved = approved.map(|approval| approval.digest);
    // What was approved before or is to come is meant by its digest only.
    files.retain(|digest| !policy.knows(*digest));
    files.extend(approved);
    let files: Vec<_> = files.into_iter().collect();
    match files.as_slice() {
        [one] => Ok(*one),
        [] => Err(Problem::new(
            Exit::Input,
            what,
            "no installed file that may be used has this name",
            "`backchannel plugin install FILE` installs one; `backchannel plugin list` shows what there is",
        )),
        several => {
            let several: Vec<_> = several.iter().map(ToString::to_string).collect();
            let why = format!("several files have this name: {}", several.join(", "));
            let todo =
                "name the digest of one of them; `backchannel plugin list` shows which is which";
            Err(Problem::new(Exit::Input, what, why, todo))
        }
    }
}

/// The installed files of a plugin. One that does not hold is nobody's: it is told when it is named by its digest.
pub(super) fn named_files(
    plugin: &str,
    folder: &Folder,
    policy: &Policy,
) -> Result<BTreeSet<Digest>, Refusal> {
    let mut files = folder.digests()?;
    files.retain(|digest| {
        let file = folder.read(*digest);
        let verified = file.and_then(|file| Verified::verify(file, &policy.trust));
        verified.is_ok_and(|verified| verified.manifest.name == plugin)
    });
    Ok(files)
}

fn entry_scope(policy: &Policy, plugin: &str) -> String {
    policy
        .entry(plugin)
        .map_or_else(String::new, |entry| entry.scope.to_string())
}

fn grant(name: &str) -> Result<Capability, String> {
    let found = Capability::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| {
        let all = Capability::ALL.map(Capability::name);
        format!("there are: {}", all.join(", "))
    })
}

fn limit(text: &str) -> Result<(Limit, u64), String> {
    let (name, value) = text.split_once('=').ok_or("write it as memory-mib=64")?;
    let limit: Limit = name.parse().map_err(|_| {
        let all = Limit::ALL.map(Limit::name);
        format!("there are: {}", all.join(", "))
    })?;
    let value = value
        .parse()
        .map_err(|_| format!("{value:?} is no number"))?;
    Ok((limit, value))
}

impl From<Capability> for Granted {
    fn from(one: Capability) -> Self {
        Self {
            grant: one.name(),
            allows: one.in_words(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            version,
            digest,
            ..
        } = self;
        let done = match (self.dry_run, self.next) {
            (true, _) => "would approve",
            (false, true) => "approved, to come after what is approved now:",
            (false, false) => "approved",
        };
        writeln!(f, "{done} {plugin} {version}, {digest}")?;
        writeln!(f, "it may")?;
        writeln!(
            f,
            "  answer messages of kind {}, to their senders",
            self.treats.join(", ")
        )?;
        if !self.begins.is_empty() {
            writeln!(
                f,
                "  begin runs when a researcher asks with {}",
                self.begins.join(", ")
            )?;
        }
        for Granted { grant, allows } in &self.grants {
            writeln!(f, "  {allows} [{grant}]")?;
        }
        writeln!(
            f,
            "by {}, because: {}",
            foreign(&self.by),
            foreign(&self.reason)
        )?;
        if let Some(taken_over) = &self.taken_over {
            writeln!(f, "{taken_over}")?;
        }
        match (self.dry_run, self.next, self.enabled) {
            (true, ..) => write!(f, "Nothing was changed."),
            (false, true, _) => write!(f, "Next: backchannel plugin upgrade {digest} --data …"),
            (false, false, false) => write!(f, "Next: backchannel plugin enable {plugin} --data …"),
            (false, false, true) => write!(f, "It is enabled."),
        }
    }
}

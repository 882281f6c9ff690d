use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::change::{Operator, TakenOver, check, draft, now, refused, runtime, wrong_policy};
use super::install::install;
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::plugins::{Candidate, Difference, Folder, Verified};
use crate::policy::{Approval, Policy};
use crate::proto::control::ReloadRequest;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin upgrade overlap-1.1.0.wasm --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Upgrade {
    /// The new component, or the digest of an installed one (sha256:…). Signatures beside a file are taken along.
    file: String,
    #[command(flatten)]
    operator: Operator,
    /// A further signature.
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
    /// Why [default: that it could do nothing more].
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What was put in the place of what.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    plugin: String,
    version: String,
    from: String,
    to: String,
    difference: Vec<String>,
    #[serde(flatten)]
    taken_over: TakenOver,
}

impl Upgrade {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} does not take over", self.file);
        let failed = |why| refused(what.clone(), why);
        let candidate = self.candidate(&what)?;
        let mut draft = draft(&self.operator.data)?;
        let folder = Folder::of(&self.operator.data);
        let difference = candidate.against(draft.policy(), &folder).map_err(failed)?;
        let manifest = &candidate.verified.manifest;
        let (name, digest) = (&manifest.name, candidate.verified.digest);
        let approved =
            |policy: &Policy| policy.entry(name).and_then(|entry| entry.approved.clone());
        let (Some(difference), Some(current)) = (difference, approved(draft.policy())) else {
            return Err(Problem::new(
                Exit::Refused,
                what,
                format!("no version of {name} is approved; the file is installed now"),
                format!("approve it: backchannel plugin approve {name}"),
            ));
        };
        if current.digest == digest {
            let todo = "nothing is to be done; `backchannel plugin list` shows it";
            let why = format!("{digest} is what is approved already");
            return Err(Problem::new(Exit::Input, what, why, todo));
        }
        let next = draft
            .policy()
            .entry(name)
            .and_then(|entry| entry.next.clone());
        let approval = match next {
            Some(next) if next.digest == digest => next,
            _ if difference.needs_approval() => {
                return Err(not_approved(&what, name, &digest.to_string(), &difference));
            }
            _ => Approval {
                digest,
                grants: candidate.asks.clone(),
                by: self.operator.name(),
                at: now()?,
                reason: self.reason.unwrap_or_else(|| {
                    format!("upgrade to {}, which can do nothing more", manifest.version)
                }),
            },
        };
        let from = current.digest.to_string();
        draft
            .upgrade(name, &approval)
            .map_err(|error| wrong_policy(&what, error))?;
        if draft.policy().allows(name) {
            check(&self.operator.data, draft.policy(), name, &what)?;
        }
        let event = Event::PluginUpgraded {
            plugin: name.clone(),
            from: current.digest.hex(),
            to: digest.hex(),
            by: self.operator.name(),
        };
        let taken_over = self
            .operator
            .put_in_force(draft, event, ReloadRequest::default())
            .await?;
        format.show(&Shown {
            ok: true,
            plugin: name.clone(),
            version: manifest.version.clone(),
            from,
            to: digest.to_string(),
            difference: difference.lines(),
            taken_over,
        });
        Ok(())
    }

    /// The file, installed by now.
    fn candidate(&self, what: &str) -> Result<Candidate, Problem> {
        if !self.file.starts_with("sha256:") {
            let (candidate, _) = install(Path::new(&self.file), &self.signature, &self.operator)?;
            return Ok(candidate);
        }
        let digest = self.file.parse().map_err(|error| {
            let todo = "take the digest from `backchannel plugin list`";
            Problem::new(Exit::Input, what, error, todo)
        })?;
        let policy =
            Policy::read(&self.operator.data).map_err(|error| wrong_policy(what, error))?;
        let failed = |why| refused(what, why);
        let installed = Folder::of(&self.operator.data)
            .read(digest)
            .map_err(failed)?;
        let verified = Verified::verify(installed, &policy.trust).map_err(failed)?;
        Candidate::examine(verified, &runtime()?).map_err(failed)
    }
}

fn not_approved(what: &str, name: &str, digest: &str, difference: &Difference) -> Problem {
    let why = format!(
        "it differs from the approved version in more than this program decides by itself: {}",
        difference.lines().join("; ")
    );
    let todo = format!(
        "it is installed. If you allow that: backchannel plugin approve {digest} --all-declared --reason …, then upgrade {digest}. Until then the approved {name} goes on"
    );
    Problem::new(Exit::Refused, what, why, todo)
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is {} now, {}", self.plugin, self.version, self.to)?;
        writeln!(f, "before: {}", self.from)?;
        if self.difference.is_empty() {
            writeln!(f, "it can do nothing more and nothing less")?;
        }
        for line in &self.difference {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.taken_over)
    }
}

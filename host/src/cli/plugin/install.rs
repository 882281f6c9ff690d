use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::change::{Operator, refused, runtime, wrong_policy};
use super::{Exit, Format, Problem};
use crate::audit::Event;
use crate::packages::Signature;
use crate::plugins::{Candidate, Folder, Installed, Verified, read_component};
use crate::policy::Policy;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin install overlap.wasm --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Install {
    /// The component. Signatures beside it (FILE.minisig, FILE.NAME.minisig) are taken along.
    file: PathBuf,
    #[command(flatten)]
    operator: Operator,
    /// A further signature.
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
}

/// What was installed.
#[derive(Serialize)]
pub(super) struct Shown {
    ok: bool,
    pub(super) plugin: String,
    pub(super) version: String,
    pub(super) digest: String,
    signed_by: Vec<String>,
    not_counted: Vec<String>,
    data: PathBuf,
}

impl Install {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let (_, shown) = install(&self.file, &self.signature, &self.operator)?;
        format.show(&shown);
        Ok(())
    }
}

/// Verifies a file as for use, and keeps it.
pub(super) fn install(
    file: &Path,
    signatures: &[PathBuf],
    operator: &Operator,
) -> Result<(Candidate, Shown), Problem> {
    let data = &operator.data;
    let what = || format!("{} is not installed", file.display());
    let failed = |why| refused(what(), why);
    let policy = Policy::read(data).map_err(|error| wrong_policy(&what(), error))?;
    let component = read_component(file).map_err(failed)?;
    let signatures = read_signatures(file, signatures)?;
    let folder = Folder::of(data);
    let verified = Verified::verify(Installed::new(component, signatures.clone()), &policy.trust);
    let candidate = Candidate::examine(verified.map_err(failed)?, &runtime()?).map_err(failed)?;
    let digest = candidate.verified.digest;
    if !policy.knows(digest) {
        candidate.against(&policy, &folder).map_err(failed)?;
    }
    folder
        .install(&candidate.verified.component, &signatures)
        .map_err(failed)?;
    let Verified {
        vouched, manifest, ..
    } = &candidate.verified;
    let shown = Shown {
        ok: true,
        plugin: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: digest.to_string(),
        signed_by: vouched.by().iter().map(|by| by.signer.clone()).collect(),
        not_counted: vouched.rejected().iter().map(ToString::to_string).collect(),
        data: data.to_owned(),
    };
    operator.record(Event::PluginInstalled {
        plugin: shown.plugin.clone(),
        version: shown.version.clone(),
        digest: digest.hex(),
        signed_by: shown.signed_by.clone(),
        by: operator.name(),
    })?;
    Ok((candidate, shown))
}

/// Those that are named, and those beside the file.
fn read_signatures(file: &Path, named: &[PathBuf]) -> Result<Vec<Signature>, Problem> {
    let mut paths = named.to_vec();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let other = other.to_string_lossy();
        if other.starts_with(&format!("{name}.")) && other.ends_with(".minisig") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.dedup();
    let read = paths.iter().map(|path| {
        let bad = |why: &dyn fmt::Display, todo| {
            let what = format!("the signature {} cannot be used", path.display());
            Problem::new(Exit::Input, what, why, todo)
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| bad(&error, "check the path and its permissions"))?;
        text.parse()
            .map_err(|error| bad(&error, "get it again from the signer, or move it away"))
    });
    read.collect()
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            version,
            digest,
            ..
        } = self;
        writeln!(f, "installed {plugin} {version}, {digest}")?;
        match self.signed_by.as_slice() {
            [] => writeln!(f, "signed by nobody that this node trusts")?,
            by => writeln!(f, "signed by {}", by.join(", "))?,
        }
        for one in &self.not_counted {
            writeln!(f, "a signature that does not count: {one}")?;
        }
        writeln!(f, "Nothing of it runs. Next, once you have decided:")?;
        write!(
            f,
            "  backchannel plugin approve {plugin} --all-declared --reason … --data {}",
            self.data.display()
        )
    }
}

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::change::{Operator, refused, runtime, wrong_policy};
use super::{Format, Problem, not_read};
use crate::audit::Event;
use crate::handlers::ENCLOSED;
use crate::packages::{NotVouched, Package, PackageError, read_signature};
use crate::plugins::{Candidate, Folder, Installed, Verified};
use crate::policy::Policy;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin install overlap.wasm --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Install {
    /// The component, or a bundle. Signatures beside a component (FILE.minisig, FILE.KEY.minisig) are taken along. Or the name of a
    /// protocol that comes with the program.
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

/// A file, or where there is none, what comes with the program under this name.
fn read(file: &Path) -> Result<Package, PackageError> {
    let enclosed = ENCLOSED.iter().find(|one| file == Path::new(one.name));
    match enclosed.filter(|_| !file.exists()) {
        Some(one) => Ok(Package::new(one.component.to_vec(), Vec::new(), None)),
        None => Package::read(file),
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
    let not_read = |error| not_read(&what(), &error);
    let mut package = read(file).map_err(not_read)?;
    for path in signatures {
        let signature = read_signature(path).map_err(not_read)?;
        if !package.signatures.contains(&signature) {
            package.signatures.push(signature);
        }
    }
    // The list of a bundle's files too, which is not kept.
    let not_vouched = |error: NotVouched| failed(error.into());
    package
        .vouch(&policy.trust, SystemTime::now())
        .map_err(not_vouched)?;
    let folder = Folder::of(data);
    let installed = Installed::new(package.component.clone(), package.signatures.clone());
    let verified = Verified::verify(installed, &policy.trust).map_err(failed)?;
    package
        .confirm(&verified.vouched, &verified.manifest)
        .map_err(not_vouched)?;
    let candidate = Candidate::examine(verified, &runtime()?).map_err(failed)?;
    let digest = candidate.verified.digest;
    if !policy.knows(digest) {
        candidate.against(&policy, &folder).map_err(failed)?;
    }
    folder
        .install(&candidate.verified.component, &package.signatures)
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

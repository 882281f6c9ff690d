use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::sign::in_words;
use super::trust::TrustSource;
use super::{Format, Problem, foreign, not_read, not_vouched, surface};
use crate::handlers::Manifest;
use crate::packages::{Package, Statement, Trust, Vouched};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  backchannel plugin verify overlap.wasm --key author.key.pub --key dr-lee.key.pub\n  backchannel plugin verify overlap.bundle --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Verify {
    /// A component, with its signatures beside it (FILE.minisig, FILE.KEY.minisig), or a bundle.
    file: PathBuf,
    #[command(flatten)]
    trust: TrustSource,
}

/// Who vouches for a package.
#[derive(Serialize)]
pub(super) struct Verified {
    ok: bool,
    plugin: String,
    version: String,
    digest: String,
    required: usize,
    signed_by: Vec<Signer>,
    not_counted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    written: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Signer {
    signer: String,
    key: String,
    statement: Statement,
}

impl Verify {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not vouched for", self.file.display());
        let (_, verified) = verify(&what, &self.file, &self.trust.get(&what)?)?;
        format.show(&verified);
        Ok(())
    }
}

/// Reads a package and verifies all that it claims: first signatures over bytes, then the manifest inside.
pub(super) fn verify(
    what: &str,
    file: &Path,
    trust: &Trust,
) -> Result<(Package, Verified), Problem> {
    let package = Package::read(file).map_err(|error| not_read(what, &error))?;
    let refused = |error| not_vouched(what, &error);
    let vouched = package.vouch(trust, SystemTime::now()).map_err(refused)?;
    let surface = surface(what, &package.component)?;
    package
        .confirm(&vouched, surface.manifest())
        .map_err(refused)?;
    let verified = Verified::new(&package, &vouched, surface.manifest(), trust);
    Ok((package, verified))
}

impl Verified {
    fn new(package: &Package, vouched: &Vouched, manifest: &Manifest, trust: &Trust) -> Self {
        let signers = vouched.by().iter().map(|signed| Signer {
            signer: signed.signer.clone(),
            key: signed.key.to_string(),
            statement: signed.statement.clone(),
        });
        Self {
            ok: true,
            plugin: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: vouched.digest().to_string(),
            required: trust.require(),
            signed_by: signers.collect(),
            not_counted: vouched.rejected().iter().map(ToString::to_string).collect(),
            notes: package.notes.clone(),
            written: Vec::new(),
        }
    }

    /// The plugin's name.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// With the files that were written after it.
    pub(super) fn with_written(mut self, files: Vec<PathBuf>) -> Self {
        self.written = files;
        self
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.plugin, self.version)?;
        writeln!(f, "{}", self.digest)?;
        writeln!(
            f,
            "signed by {} trusted keys, {} required",
            self.signed_by.len(),
            self.required
        )?;
        for Signer {
            signer,
            key,
            statement,
        } in &self.signed_by
        {
            writeln!(f, "  {signer} ({key}): {}", in_words(statement))?;
        }
        for rejected in &self.not_counted {
            writeln!(f, "  not counted: {}", foreign(rejected))?;
        }
        for file in &self.written {
            writeln!(f, "written {}", file.display())?;
        }
        if let Some(notes) = &self.notes {
            writeln!(f, "notes")?;
            for line in notes.lines() {
                writeln!(f, "  {}", foreign(line))?;
            }
        }
        Ok(())
    }
}

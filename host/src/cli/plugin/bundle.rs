use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::change::Operator;
use super::install::install;
use super::passphrase::PassphraseSource;
use super::sign::{Validity, not_signed};
use super::trust::TrustSource;
use super::verify::{Verify, verify};
use super::{Exit, Format, Problem, key, not_read, surface};
use crate::packages::{Digest, NotBundled, Package, pack, read_notes, write_new};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Bundle {
    /// Make one file of a component, the signatures beside it, and notes.
    Create(Create),
    /// Check that a bundle is as its maker made it, and who vouches for what is in it.
    #[command(
        after_help = "Example:\n  backchannel plugin bundle verify overlap.bundle --data /var/lib/backchannel"
    )]
    Verify(Verify),
    /// Verify a bundle, then unpack it.
    Load(Load),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin bundle create overlap.wasm --notes NOTES.md --key author.key --to overlap.bundle"
)]
pub(in crate::cli) struct Create {
    /// The component; signatures beside it (FILE.minisig, FILE.KEY.minisig) are taken along.
    file: PathBuf,
    /// Where the bundle goes.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// What operators should know, in Markdown.
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// The secret key that signs the bundle's list of files.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    validity: Validity,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin bundle load overlap.bundle --data /var/lib/backchannel"
)]
pub(in crate::cli) struct Load {
    /// The bundle.
    file: PathBuf,
    /// The folder that the component and its signatures go to [default: with --data, the plugins of that node; else here].
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustSource,
}

#[derive(Serialize)]
struct Created {
    ok: bool,
    bundle: PathBuf,
    bytes: usize,
    digest: Digest,
    plugin: String,
    version: String,
    signatures: usize,
}

impl Bundle {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::Create(create) => create.run(format),
            Self::Verify(verify) => verify.run(format),
            Self::Load(load) => load.run(format),
        }
    }
}

impl Create {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = "no bundle was made";
        let mut package = Package::read(&self.file).map_err(|error| not_read(what, &error))?;
        if let Some(notes) = &self.notes {
            package.notes = Some(read_notes(notes).map_err(|error| not_read(what, &error))?);
        }
        let surface = surface(what, &package.component)?;
        let key = key::unlock(what, &self.key, &self.passphrase)?;
        let bytes = pack(&package, surface.manifest(), self.validity.get(), &key);
        let bytes = bytes.map_err(|error| match error {
            NotBundled::NotSigned(error) => not_signed(what, &error),
            NotBundled::Bundle(error) => Problem::new(Exit::Input, what, &error, error.advice()),
        })?;
        write_new(&self.to, &bytes).map_err(|error| not_read(what, &error))?;
        format.show(&Created {
            ok: true,
            bundle: self.to,
            bytes: bytes.len(),
            digest: Digest::of(&bytes),
            plugin: surface.manifest().name.clone(),
            version: surface.manifest().version.clone(),
            signatures: package.signatures.len(),
        });
        Ok(())
    }
}

impl Load {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} was not unpacked", self.file.display());
        if let (None, Some(data)) = (&self.to, &self.trust.data) {
            let (_, shown) = install(&self.file, &[], &Operator::of(data.clone()))?;
            format.show(&shown);
            return Ok(());
        }
        let (package, verified) = verify(&what, &self.file, &self.trust.get(&what)?)?;
        // The name is made of letters, digits and hyphens.
        let folder = self.to.unwrap_or_else(|| ".".into());
        let file = folder.join(format!("{}.wasm", verified.plugin()));
        let written = package
            .write(&file)
            .map_err(|error| not_read(&what, &error))?;
        format.show(&verified.with_written(written));
        Ok(())
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bundle,
            bytes,
            plugin,
            version,
            signatures,
            digest,
            ..
        } = self;
        writeln!(
            f,
            "{}: {plugin} {version} with {signatures} signatures, {bytes} bytes",
            bundle.display()
        )?;
        write!(f, "{digest}")
    }
}

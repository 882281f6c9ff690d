use std::fmt;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Exit, Format, Problem};
use crate::handlers::{Capability, Limits, LoadError, Manifest, Plugin, Runtime, Terms};

#[derive(Debug, Subcommand)]
pub(super) enum Handler {
    /// Show what a component is, what it treats and what it could do, without running it.
    Inspect(Inspect),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel handler inspect my-handler.wasm")]
pub(super) struct Inspect {
    /// The component.
    file: PathBuf,
}

/// What a component could do.
#[derive(Serialize)]
struct Inspected {
    ok: bool,
    file: String,
    bytes: usize,
    sha256: String,
    manifest: Manifest,
    imports: Vec<Import>,
}

#[derive(Serialize)]
struct Import {
    import: String,
    grant: &'static str,
    allows: &'static str,
}

impl Handler {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let Self::Inspect(Inspect { file }) = self;
        let what = format!("{} cannot be used as a handler", file.display());
        let component = std::fs::read(&file).map_err(|error| {
            Problem::new(
                Exit::Input,
                what.clone(),
                error,
                "check the path and its permissions",
            )
        })?;
        let refused = |error: LoadError| {
            let todo = error.advice();
            Problem::new(Exit::Refused, what.clone(), error, todo)
        };
        let runtime = Runtime::new().map_err(|error| {
            let todo = "raise the limit of address space (ulimit -v)";
            Problem::new(Exit::Failed, "the wasm engine does not start", error, todo)
        })?;
        let runtime = runtime.compiling_in(std::env::current_exe().ok());
        let manifest = Plugin::inspect(&component, &Limits::default()).map_err(refused)?;
        let imports = Plugin::asks_for(&runtime, &component).map_err(refused)?;
        // Loading with all that it asks for checks its exports too.
        let wanted: Vec<Capability> = imports.iter().map(|(_, capability)| *capability).collect();
        let terms = Terms::granting(&wanted);
        Plugin::load(&runtime, &component, terms, None).map_err(refused)?;
        format.show(&Inspected {
            ok: true,
            file: file.display().to_string(),
            bytes: component.len(),
            sha256: hex::encode(Sha256::digest(&component)),
            manifest,
            imports: imports
                .into_iter()
                .map(|(import, capability)| Import {
                    import,
                    grant: capability.name(),
                    allows: capability.in_words(),
                })
                .collect(),
        });
        Ok(())
    }
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest {
            name,
            version,
            licence,
            authors,
            description,
            contract,
            kinds,
            initiates,
        } = &self.manifest;
        writeln!(f, "{name} {version} ({licence})")?;
        if !description.is_empty() {
            writeln!(f, "{description}")?;
        }
        if !authors.is_empty() {
            writeln!(f, "by        {}", authors.join(", "))?;
        }
        writeln!(f, "file      {}, {} bytes", self.file, self.bytes)?;
        writeln!(f, "sha256    {}", self.sha256)?;
        writeln!(f, "contract  backchannel:n2n@{contract}")?;
        writeln!(f, "treats    {}", kinds.join(", "))?;
        if !initiates.is_empty() {
            writeln!(
                f,
                "begins    what a researcher asks with {}",
                initiates.join(", ")
            )?;
        }
        writeln!(f, "it may")?;
        writeln!(f, "  answer messages of its kinds, to their senders")?;
        for import in &self.imports {
            writeln!(f, "  {} [{}]", import.allows, import.grant)?;
        }
        write!(
            f,
            "it cannot see files, network, environment, clock, private keys or other plugins"
        )
    }
}

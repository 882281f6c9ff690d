use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::sign::in_words;
use super::{Format, Problem, foreign, not_read, surface};
use crate::cli::output::table;
use crate::handlers::{FIXED_LIMITS, Limit, Manifest, Surface};
use crate::packages::{Digest, Package, Signature, Statement};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin inspect my-handler.wasm")]
pub(in crate::cli) struct Inspect {
    /// A component, or a bundle.
    file: PathBuf,
}

/// What a component is and could do, as far as it can be read without running or compiling it. Nobody has vouched for it.
#[derive(Serialize)]
struct Inspected {
    ok: bool,
    file: PathBuf,
    bundle: bool,
    bytes: usize,
    sha256: String,
    manifest: Manifest,
    imports: Vec<Import>,
    declared_and_unused: Vec<&'static str>,
    limits: Vec<LimitRow>,
    fixed_limits: Vec<FixedRow>,
    signatures: Vec<Claim>,
    notes: Option<String>,
}

#[derive(Serialize)]
struct Import {
    import: String,
    grant: &'static str,
    allows: &'static str,
    reason: String,
}

#[derive(Serialize)]
struct LimitRow {
    name: &'static str,
    starting: u64,
    wanted: u64,
    bounds: &'static str,
}

#[derive(Serialize)]
struct FixedRow {
    name: &'static str,
    value: u64,
    bounds: &'static str,
}

/// What a signature says, unverified.
#[derive(Serialize)]
struct Claim {
    key: String,
    says: Option<Statement>,
}

impl Inspect {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} cannot be used as a plugin", self.file.display());
        let package = Package::read(&self.file).map_err(|error| not_read(&what, &error))?;
        let surface = surface(&what, &package.component)?;
        format.show(&Inspected::new(&self.file, &package, &surface));
        Ok(())
    }
}

impl Inspected {
    fn new(file: &Path, package: &Package, surface: &Surface) -> Self {
        let manifest = surface.manifest().clone();
        let reason = |grant: &str| {
            manifest
                .capabilities
                .get(grant)
                .cloned()
                .unwrap_or_default()
        };
        let wanted = manifest.wanted_limits();
        Self {
            ok: true,
            file: file.to_owned(),
            bundle: package.is_bundle(),
            bytes: package.component.len(),
            sha256: Digest::of(&package.component).hex(),
            imports: surface
                .imports()
                .iter()
                .map(|(import, capability)| Import {
                    import: import.clone(),
                    grant: capability.name(),
                    allows: capability.in_words(),
                    reason: reason(capability.name()),
                })
                .collect(),
            declared_and_unused: surface.unused().iter().map(|one| one.name()).collect(),
            limits: Limit::ALL
                .map(|limit| LimitRow {
                    name: limit.name(),
                    starting: limit.default(),
                    wanted: wanted.get(limit),
                    bounds: limit.in_words(),
                })
                .into(),
            fixed_limits: FIXED_LIMITS
                .iter()
                .map(|limit| FixedRow {
                    name: limit.name,
                    value: limit.value,
                    bounds: limit.in_words,
                })
                .collect(),
            signatures: package.signatures.iter().map(Claim::of).collect(),
            notes: package.notes.clone(),
            manifest,
        }
    }
}

impl Claim {
    fn of(signature: &Signature) -> Self {
        Self {
            key: signature.key().to_string(),
            says: signature.claim().ok(),
        }
    }
}

impl fmt::Display for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        writeln!(
            f,
            "{} {} ({})",
            manifest.name, manifest.version, manifest.licence
        )?;
        if !manifest.description.is_empty() {
            writeln!(f, "{}", manifest.description)?;
        }
        if !manifest.authors.is_empty() {
            writeln!(f, "by        {}", manifest.authors.join(", "))?;
        }
        let kind = if self.bundle { "bundle" } else { "file" };
        writeln!(
            f,
            "{kind:<9} {}; the component has {} bytes",
            self.file.display(),
            self.bytes
        )?;
        writeln!(f, "sha256    {}", self.sha256)?;
        writeln!(f, "contract  backchannel:n2n@{}", manifest.contract)?;
        writeln!(f, "treats    {}", manifest.kinds.join(", "))?;
        if !manifest.initiates.is_empty() {
            writeln!(
                f,
                "begins    what a researcher asks with {}",
                manifest.initiates.join(", ")
            )?;
        }
        self.signatures(f)?;
        self.powers(f)?;
        self.limits(f)?;
        if let Some(notes) = &self.notes {
            writeln!(f, "its notes")?;
            for line in notes.lines() {
                writeln!(f, "  {}", foreign(line))?;
            }
        }
        Ok(())
    }
}

impl Inspected {
    fn signatures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.signatures.is_empty() {
            return writeln!(f, "signed    by nobody");
        }
        for Claim { key, says } in &self.signatures {
            let says = match says {
                Some(statement) => in_words(statement),
                None => "says nothing that could count".into(),
            };
            writeln!(
                f,
                "signed    by key {key}: {says} (not verified: see `plugin verify`)"
            )?;
        }
        Ok(())
    }

    fn powers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "it may")?;
        writeln!(
            f,
            "  answer messages of its kinds, to their senders, and read what the answers to its own hold"
        )?;
        if !self.manifest.initiates.is_empty() {
            writeln!(
                f,
                "  ask the other parties of a run for data, in runs that a researcher begins"
            )?;
        }
        if let Some(demand) = self.manifest.assurance {
            writeln!(f, "  only with peers that have {demand}")?;
        }
        writeln!(f, "and, where it is granted,")?;
        for import in &self.imports {
            writeln!(f, "  {} [{}]", import.allows, import.grant)?;
            if !import.reason.is_empty() {
                writeln!(f, "      its author says: {}", foreign(&import.reason))?;
            }
        }
        if self.imports.is_empty() {
            writeln!(f, "  nothing: it imports no capability")?;
        }
        writeln!(
            f,
            "it cannot see files, network, environment, clock, private keys, other plugins, or messages of other kinds"
        )?;
        match self.declared_and_unused.as_slice() {
            [] => writeln!(f, "it declares what it uses, and no more"),
            unused => writeln!(f, "it declares and does not use: {}", unused.join(", ")),
        }
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "limits, where the operator sets no others")?;
        let mut rows = Vec::new();
        for limit in &self.limits {
            let wanted = match limit.wanted == limit.starting {
                true => String::new(),
                false => format!("; it wants {}", limit.wanted),
            };
            rows.push(vec![
                format!("  {}", limit.name),
                limit.starting.to_string(),
                format!("{}{wanted}", limit.bounds),
            ]);
        }
        for limit in &self.fixed_limits {
            rows.push(vec![
                format!("  {}", limit.name),
                limit.value.to_string(),
                format!("{}; fixed", limit.bounds),
            ]);
        }
        writeln!(f, "{}", table(&[], rows))
    }
}

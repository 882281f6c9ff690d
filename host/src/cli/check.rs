use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output::{foreign, with_progress};
use super::{Format, Problem, project, tried};
use crate::authoring::{self, Checked, Project};
use crate::handlers::Manifest;

/// Check that a host would take a plugin: its world, what it imports and declares, its kinds, its size, its limits.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing of the component runs. Exits with 3 when a file cannot be used, with 5 when no host would load the component.\n\nExample:\n  backchannel check\n  backchannel check dist/my-handler.wasm"
)]
pub(super) struct Check {
    /// A component, a bundle, or the folder of a project that is built [default: the current one].
    #[arg(value_name = "FILE|PROJECT")]
    plugin: Option<PathBuf>,
}

/// What a component that hosts will take is.
#[derive(Serialize)]
pub(super) struct Report {
    name: String,
    version: String,
    bytes: usize,
    world: String,
    contract: String,
    kinds: Vec<String>,
    initiates: Vec<String>,
    protocols: Vec<String>,
    imports: Vec<&'static str>,
    limits: Vec<Wish>,
    notes: Vec<String>,
}

/// A limit that it wants to be another than the starting one.
#[derive(Serialize)]
struct Wish {
    name: &'static str,
    wanted: u64,
    starting: u64,
}

#[derive(Serialize)]
struct Shown {
    ok: bool,
    #[serde(flatten)]
    report: Report,
}

impl Check {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let checking = tokio::task::spawn_blocking(move || self.check());
        let report = match with_progress("checking the component", checking).await {
            Ok(report) => report?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        format.show(&Shown { ok: true, report });
        Ok(())
    }

    fn check(self) -> Result<Report, Problem> {
        if let Some(file) = self.plugin.as_deref().filter(|path| !path.is_dir()) {
            let component = tried::component(file)?;
            return Report::of(&file.display().to_string(), &component, None);
        }
        let project = project::read(&self.plugin.unwrap_or_default())?;
        let file = project::component(&project)?;
        let component = tried::component(&file)?;
        Report::of(&file.display().to_string(), &component, Some(&project))
    }
}

impl Report {
    /// What the component of this name is, after all checks.
    pub(super) fn of(
        name: &str,
        component: &[u8],
        project: Option<&Project>,
    ) -> Result<Self, Problem> {
        let runtime = tried::runtime()?;
        let checked = authoring::check(&runtime, name, component, project);
        Ok(Self::new(checked.map_err(project::problem)?))
    }

    fn new(checked: Checked) -> Self {
        let Checked {
            manifest,
            bytes,
            imports,
            notes,
        } = checked;
        let wanted = manifest.wanted_limits();
        let wishes = wanted.iter().map(|(limit, wanted)| Wish {
            name: limit.name(),
            wanted,
            starting: limit.default(),
        });
        Self {
            limits: wishes.filter(|wish| wish.wanted != wish.starting).collect(),
            world: world(&manifest),
            imports: imports.iter().map(|capability| capability.name()).collect(),
            name: manifest.name,
            version: manifest.version,
            bytes,
            contract: manifest.contract,
            kinds: manifest.kinds,
            initiates: manifest.initiates,
            protocols: manifest.protocols,
            notes,
        }
    }
}

/// What its manifest makes it, in the contract's words.
fn world(manifest: &Manifest) -> String {
    let exchanges = match manifest.initiates.is_empty() {
        true => "message-handler",
        false => "protocol",
    };
    let worlds = [
        (!manifest.kinds.is_empty(), exchanges),
        (!manifest.protocols.is_empty(), "multi-party"),
    ];
    let worlds = worlds.into_iter().filter(|(is_of_it, _)| *is_of_it);
    let names: Vec<_> = worlds.map(|(_, name)| name).collect();
    names.join(" and ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |list: String, none: &str| match list.is_empty() {
            true => none.to_owned(),
            false => foreign(&list),
        };
        let Self { name, bytes, .. } = self;
        writeln!(
            f,
            "plugin    {name} {}, {bytes} bytes",
            foreign(&self.version)
        )?;
        writeln!(
            f,
            "world     {} of contract {}",
            self.world,
            foreign(&self.contract)
        )?;
        for (of, names) in [
            ("kinds", &self.kinds),
            ("initiates", &self.initiates),
            ("protocols", &self.protocols),
        ] {
            if !names.is_empty() {
                writeln!(f, "{of:9} {}", foreign(&names.join(", ")))?;
            }
        }
        writeln!(f, "imports   {}", or(self.imports.join(", "), "nothing"))?;
        let limits: Vec<_> = self.limits.iter().map(ToString::to_string).collect();
        writeln!(
            f,
            "limits    {}",
            or(limits.join(", "), "the starting ones")
        )?;
        for note in &self.notes {
            writeln!(f, "note      {}", foreign(note))?;
        }
        write!(f, "a host that grants this will load it")
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} (starts at {})",
            self.name, self.wanted, self.starting
        )
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::check::Report;
use super::output::with_progress;
use super::{Format, Problem, project};
use crate::authoring::{self, Built, Language, Project};
use crate::packages::Digest;

/// How often it is looked whether a source has changed.
const LOOK: Duration = Duration::from_millis(300);

/// Build the plugin of the project in the current folder, and check it.
#[derive(Debug, Args)]
#[command(
    after_help = "Rust needs cargo; Python needs python3 with its venv module, JavaScript node with npm: what makes components of them is installed\nonce, in a version of its own, below XDG_CACHE_HOME or ~/.cache.\n\nExample:\n  backchannel build\n  backchannel build --watch"
)]
pub(super) struct Build {
    /// The project's folder [default: the current one].
    project: Option<PathBuf>,
    /// Build again whenever a source changes, until it is interrupted.
    #[arg(long)]
    watch: bool,
}

#[derive(Serialize)]
struct Shown {
    ok: bool,
    file: PathBuf,
    sha256: String,
    #[serde(flatten)]
    checked: Report,
}

impl Build {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let folder = self.project.unwrap_or_default();
        if !self.watch {
            format.show(&build(&folder).await?);
            return Ok(());
        }
        let mut built = None;
        loop {
            // What it is before it is built: a change that comes while it is built is not missed.
            let changed = Project::read(&folder).ok().map(|it| it.changed());
            if built.is_none() || built != Some(changed) {
                match build(&folder).await {
                    Ok(shown) => format.show(&shown),
                    Err(problem) => {
                        problem.report(format);
                    }
                }
                built = Some(changed);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn build(folder: &Path) -> Result<Shown, Problem> {
    let project = project::read(folder)?;
    let language = project.language();
    let built = tokio::task::spawn_blocking(move || {
        let built = authoring::build(&project);
        built
            .map(|built| (project, built))
            .map_err(project::problem)
    });
    // Cargo shows its own progress.
    let built = match language {
        Language::Rust => built.await,
        Language::Python | Language::Js => with_progress("making a component", built).await,
    };
    let (project, built) = joined(built)?;
    let checked = tokio::task::spawn_blocking(move || {
        checked(&built, &project).map(|checked| (built, checked))
    });
    let (Built { file, component }, checked) =
        joined(with_progress("checking the component", checked).await)?;
    Ok(Shown {
        ok: true,
        file,
        sha256: Digest::of(&component).hex(),
        checked,
    })
}

/// Builds a project and checks it, for commands that need its component.
pub(super) fn of(project: &Project) -> Result<Built, Problem> {
    let built = authoring::build(project).map_err(project::problem)?;
    checked(&built, project)?;
    Ok(built)
}

fn checked(built: &Built, project: &Project) -> Result<Report, Problem> {
    let name = built.file.display().to_string();
    Report::of(&name, &built.component, Some(project))
}

fn joined<T>(done: Result<Result<T, Problem>, tokio::task::JoinError>) -> Result<T, Problem> {
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "built     {}", self.file.display())?;
        self.checked.fmt(f)
    }
}

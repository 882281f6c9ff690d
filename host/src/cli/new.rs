use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Exit, Format, Problem};
use crate::authoring::Language;
use crate::scaffold::{ProjectName, Template, scaffold};

/// Begin a plugin: a project that builds, with a case, a scenario, a README and a CI file.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel new hello --lang rust && cd hello && backchannel build && backchannel test\n  backchannel new pair-keys --lang python --template protocol\n  backchannel new count-rows --lang js --template multi-party"
)]
pub(super) struct New {
    /// Its name, also that of its folder: lower-case words with hyphens.
    name: String,
    /// What it is written in.
    #[arg(long, value_enum)]
    lang: Language,
    /// What it begins as.
    #[arg(long, value_enum, default_value_t)]
    template: Template,
}

#[derive(Serialize)]
struct Begun {
    ok: bool,
    folder: PathBuf,
    files: Vec<PathBuf>,
    /// What tries it: cases, or networks.
    #[serde(skip)]
    tried_by: &'static str,
}

impl New {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} is not begun", self.name.escape_debug());
        let name: ProjectName = self.name.parse().map_err(|error| {
            let todo = "take another name; the folder, the plugin and its kinds get it";
            Problem::new(Exit::Input, &what, error, todo)
        })?;
        let folder = PathBuf::from(name.to_string());
        let files = scaffold(&folder, &name, self.lang, self.template).map_err(|error| {
            let why = format!("{}: {error}", folder.display());
            let todo = "take another name, or go to another folder";
            Problem::new(Exit::Input, &what, why, todo)
        })?;
        format.show(&Begun {
            ok: true,
            folder,
            files,
            tried_by: match self.template {
                Template::Handler | Template::Protocol => "test",
                Template::MultiParty => "sim",
            },
        });
        Ok(())
    }
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |file: &&PathBuf| {
            ["vendor", "wit", "types"]
                .iter()
                .any(|it| file.starts_with(it))
        };
        let (given, own): (Vec<_>, Vec<_>) = self.files.iter().partition(given);
        for file in own {
            writeln!(f, "{}", self.folder.join(file).display())?;
        }
        let more = given.len();
        writeln!(f, "and {more} files of the SDK and the contract")?;
        let folder: &Path = &self.folder;
        writeln!(
            f,
            "next  cd {} && backchannel build && backchannel {}",
            folder.display(),
            self.tried_by
        )
    }
}

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::{Exit, Problem, not_read};
use crate::packages::read_file;

/// Where a passphrase is, other than in its owner's head.
const VARIABLE: &str = "BACKCHANNEL_PASSPHRASE";

/// minisign's limit, and a line end.
const LONGEST: usize = 1024 + 2;

#[derive(Debug, Args)]
pub(in crate::cli) struct PassphraseSource {
    /// A file whose first line is the passphrase [default: BACKCHANNEL_PASSPHRASE, else it is asked for].
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseSource {
    /// The passphrase; typed twice where it is `new`. Asked for on a terminal only.
    pub(super) fn get(&self, what: &str, new: bool) -> Result<Zeroizing<String>, Problem> {
        if let Some(path) = &self.passphrase_file {
            let bytes = read_file(path, LONGEST).map_err(|error| not_read(what, &error))?;
            let bytes = Zeroizing::new(bytes);
            let text = std::str::from_utf8(&bytes).map_err(|_| {
                let why = format!("{} is not text", path.display());
                Problem::new(
                    Exit::Input,
                    what,
                    why,
                    "put the passphrase in the file's first line",
                )
            })?;
            return Ok(Zeroizing::new(
                text.lines().next().unwrap_or_default().to_owned(),
            ));
        }
        if let Ok(passphrase) = std::env::var(VARIABLE) {
            return Ok(Zeroizing::new(passphrase));
        }
        if !std::io::stdin().is_terminal() {
            let todo = format!("give --passphrase-file FILE, or set {VARIABLE}");
            return Err(Problem::new(
                Exit::Input,
                what,
                "there is no terminal to ask for the passphrase",
                todo,
            ));
        }
        let ask = |prompt| {
            rpassword::prompt_password(prompt)
                .map(Zeroizing::new)
                .map_err(|error| {
                    let todo = format!("give --passphrase-file FILE, or set {VARIABLE}");
                    Problem::new(Exit::Input, what, error, todo)
                })
        };
        let passphrase = ask("Passphrase of the key: ")?;
        if new && *passphrase != *ask("Once more: ")? {
            let why = "the two passphrases are not the same";
            return Err(Problem::new(Exit::Input, what, why, "try again"));
        }
        Ok(passphrase)
    }
}

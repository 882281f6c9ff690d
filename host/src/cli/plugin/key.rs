use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use super::passphrase::PassphraseSource;
use super::{Exit, Format, Problem, not_read};
use crate::files::write_whole;
use crate::packages::{KeyError, PublicKey, SigningKey, read_file, write_new};

/// A key file has a comment and a line.
const LONGEST_KEY: usize = 16 << 10;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Key {
    /// Make a key: FILE holds the secret half under a passphrase, FILE.pub the public half.
    New(New),
    /// Show the public half of a key.
    Show(Show),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin key new dr-lee.key")]
pub(in crate::cli) struct New {
    /// Where the secret half goes.
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  backchannel plugin key show dr-lee.key.pub")]
pub(in crate::cli) struct Show {
    /// A public or secret key, as `plugin key new` or minisign made it.
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
}

#[derive(Serialize)]
struct Shown {
    ok: bool,
    id: String,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_file: Option<PathBuf>,
}

impl Key {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        match self {
            Self::New(new) => new.run(format),
            Self::Show(show) => show.run(format),
        }
    }
}

impl New {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = "no key was made";
        let public_file = PathBuf::from(format!("{}.pub", self.file.display()));
        for file in [&self.file, &public_file] {
            if file.exists() {
                let why = format!("{} is there already", file.display());
                let todo = "choose another name; a key that was used must not be lost";
                return Err(Problem::new(Exit::Input, what, why, todo));
            }
        }
        let passphrase = self.passphrase.get(what, true)?;
        let (secret, public) =
            SigningKey::create(&passphrase).map_err(|error| unusable(what, &error))?;
        let not_written = |error| {
            let why = format!("{}: {error}", self.file.display());
            Problem::new(
                Exit::Input,
                what,
                why,
                "check the folder and its permissions",
            )
        };
        write_whole(&self.file, secret.as_bytes(), 0o600).map_err(not_written)?;
        write_new(&public_file, public.to_file().as_bytes())
            .map_err(|error| not_read(what, &error))?;
        let mut shown = Shown::of(&public);
        shown.secret_file = Some(self.file);
        shown.public_file = Some(public_file);
        format.show(&shown);
        Ok(())
    }
}

impl Show {
    fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} cannot be shown", self.file.display());
        let text = read_text(&what, &self.file)?;
        let public = match text.parse::<PublicKey>() {
            Ok(public) => public,
            Err(_) => {
                let passphrase = self.passphrase.get(&what, false)?;
                let key = SigningKey::unlock(&text, &passphrase);
                key.and_then(|key| key.public_key())
                    .map_err(|error| unusable(&what, &error))?
            }
        };
        format.show(&Shown::of(&public));
        Ok(())
    }
}

/// Unlocks the secret key in `file`.
pub(in crate::cli) fn unlock(
    what: &str,
    file: &Path,
    passphrase: &PassphraseSource,
) -> Result<SigningKey, Problem> {
    let text = read_text(what, file)?;
    if text.parse::<PublicKey>().is_ok() {
        let why = format!("{} is a public key", file.display());
        return Err(Problem::new(
            Exit::Input,
            what,
            why,
            "give the secret half: the file without .pub",
        ));
    }
    let passphrase = passphrase.get(what, false)?;
    SigningKey::unlock(&text, &passphrase).map_err(|error| unusable(what, &error))
}

/// The text of a key file.
pub(super) fn read_text(what: &str, file: &Path) -> Result<Zeroizing<String>, Problem> {
    let bytes = read_file(file, LONGEST_KEY).map_err(|error| not_read(what, &error))?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| {
        let why = format!("{} is not a key: it is not text", file.display());
        Problem::new(
            Exit::Input,
            what,
            why,
            "give a file that `plugin key new` or minisign made",
        )
    })
}

pub(super) fn unusable(what: &str, error: &KeyError) -> Problem {
    let exit = match error {
        KeyError::WrongPassphrase => Exit::Refused,
        KeyError::NotMade(_) => Exit::Failed,
        _ => Exit::Input,
    };
    Problem::new(exit, what, error, error.advice())
}

impl Shown {
    fn of(public: &PublicKey) -> Self {
        Self {
            ok: true,
            id: public.id().to_string(),
            public_key: public.to_string(),
            secret_file: None,
            public_file: None,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key     {}", self.id)?;
        writeln!(f, "public  {}", self.public_key)?;
        if let (Some(secret), Some(public)) = (&self.secret_file, &self.public_file) {
            writeln!(
                f,
                "files   {} (keep it secret), {}",
                secret.display(),
                public.display()
            )?;
        }
        write!(
            f,
            "to trust it, an operator writes under [trust.keys] in policy.toml: NAME = \"{}\"",
            self.public_key
        )
    }
}

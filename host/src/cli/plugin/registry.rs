use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Exit, Format, Problem, foreign, not_read, surface};
use crate::cli::output::with_progress;
use crate::packages::{Access, Digest, Package, Registry, RegistryError, read_file};

/// Where the password of a registry is, if no file holds it.
const PASSWORD: &str = "BACKCHANNEL_REGISTRY_PASSWORD";

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin push registry.example.org/plugins/overlap:1.0.0 overlap.wasm"
)]
pub(in crate::cli) struct Push {
    /// The package's name in the registry: REGISTRY/REPOSITORY:TAG.
    reference: String,
    /// The component, with its signatures beside it, or a bundle.
    file: PathBuf,
    #[command(flatten)]
    access: AccessSource,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel plugin pull registry.example.org/plugins/overlap@sha256:… --to overlap.wasm"
)]
pub(in crate::cli) struct Pull {
    /// The package's name in the registry: REGISTRY/REPOSITORY@sha256:…, or with a tag and --digest.
    reference: String,
    /// The digest that `plugin push` gave to whoever pushed it.
    #[arg(long, value_name = "sha256:…")]
    digest: Option<Digest>,
    /// Take what the tag stands for now: whoever runs the registry decides that.
    #[arg(long, conflicts_with = "digest")]
    resolve: bool,
    /// Where the component goes; its signatures go beside it [default: the repository's last word, with .wasm].
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    access: AccessSource,
}

/// How a registry is reached.
#[derive(Debug, Args)]
struct AccessSource {
    /// Speak HTTP without TLS: for a registry on this machine.
    #[arg(long)]
    plain_http: bool,
    /// The certificate authority of the registry, if it is none of the system's: a PEM file.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The user at the registry.
    #[arg(long)]
    user: Option<String>,
    /// A file whose first line is the user's password [default: BACKCHANNEL_REGISTRY_PASSWORD].
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Pushed {
    ok: bool,
    reference: String,
    digest: Digest,
    plugin: String,
    version: String,
    signatures: usize,
}

#[derive(Serialize)]
struct Pulled {
    ok: bool,
    digest: Digest,
    component: PathBuf,
    sha256: Digest,
    written: Vec<PathBuf>,
}

impl Push {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} was not pushed", self.file.display());
        let package = Package::read(&self.file).map_err(|error| not_read(&what, &error))?;
        let surface = surface(&what, &package.component)?;
        let registry = self.access.open(&what, &self.reference)?;
        let pushing = registry.push(&package, surface.manifest());
        let pushed = with_progress("pushing", pushing).await;
        let digest = pushed.map_err(|error| failed(&what, &error))?;
        format.show(&Pushed {
            ok: true,
            reference: registry.pinned_to(digest),
            digest,
            plugin: surface.manifest().name.clone(),
            version: surface.manifest().version.clone(),
            signatures: package.signatures.len(),
        });
        Ok(())
    }
}

impl Pull {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = format!("{} was not pulled", foreign(&self.reference));
        let registry = self.access.open(&what, &self.reference)?;
        let failed = |error| failed(&what, &error);
        let digest = match (registry.pinned(), self.digest) {
            (Some(pinned), Some(given)) if pinned != given => {
                let why = format!("the name says {pinned}, --digest says {given}");
                return Err(Problem::new(Exit::Input, what, why, "give the digest once"));
            }
            (Some(digest), _) | (None, Some(digest)) => digest,
            (None, None) => {
                let digest = with_progress("asking", registry.resolve())
                    .await
                    .map_err(failed)?;
                if !self.resolve {
                    let why = format!("a tag can be moved; now it stands for {digest}");
                    let todo = "compare it with what the author says and give --digest, or give --resolve to take it as it is";
                    return Err(Problem::new(Exit::Refused, what, why, todo));
                }
                digest
            }
        };
        let package = with_progress("pulling", registry.pull(digest))
            .await
            .map_err(failed)?;
        let component = self.to.unwrap_or_else(|| registry.file_name());
        let written = package
            .write(&component)
            .map_err(|error| not_read(&what, &error))?;
        format.show(&Pulled {
            ok: true,
            digest,
            sha256: package.digest(),
            component,
            written,
        });
        Ok(())
    }
}

impl AccessSource {
    fn open(&self, what: &str, reference: &str) -> Result<Registry, Problem> {
        let mut access = Access {
            plain_http: self.plain_http,
            ..Access::default()
        };
        let read =
            |path: &Path, limit| read_file(path, limit).map_err(|error| not_read(what, &error));
        if let Some(path) = &self.ca {
            access.authority = Some(read(path, 1 << 20)?);
        }
        if let Some(user) = &self.user {
            let password = match &self.password_file {
                Some(path) => {
                    let text = String::from_utf8_lossy(&read(path, 64 << 10)?).into_owned();
                    text.lines().next().unwrap_or_default().to_owned()
                }
                None => std::env::var(PASSWORD).map_err(|_| {
                    let todo = format!("give --password-file FILE, or set {PASSWORD}");
                    Problem::new(
                        Exit::Input,
                        what,
                        format!("there is no password for {user}"),
                        todo,
                    )
                })?,
            };
            access.credentials = Some((user.clone(), password));
        }
        Registry::new(reference, access).map_err(|error| failed(what, &error))
    }
}

fn failed(what: &str, error: &RegistryError) -> Problem {
    let exit = match error {
        RegistryError::Reference { .. } => Exit::Input,
        error if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Refused,
    };
    Problem::new(exit, what, foreign(&error.to_string()), error.advice())
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plugin,
            version,
            signatures,
            reference,
            ..
        } = self;
        writeln!(f, "pushed {plugin} {version} with {signatures} signatures")?;
        write!(f, "to be pulled as {reference}")
    }
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pulled {}", self.digest)?;
        for file in &self.written {
            writeln!(f, "written {}", file.display())?;
        }
        write!(
            f,
            "nobody has vouched for it yet: backchannel plugin verify {}",
            self.component.display()
        )
    }
}

//! Guests as Cargo knows them, and their compilation to core wasm modules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

/// What guests are compiled to.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The stack is small because handlers recurse little. The memory they begin with holds all that a message needs: the stack, the
/// constants and 64 KiB, the least that the allocator takes. To grow it and to shrink it again would cost the host two system calls
/// per message, of which each waits for the other processors; what is more than enough, it would clear in vain.
const LINKER_FLAGS: [&str; 2] = [
    "-Clink-arg=-zstack-size=65536",
    "-Clink-arg=--initial-memory=196608",
];

/// What the outer Cargo or its user set for the native build, and would change or break this one.
const NATIVE_ONLY: [&str; 9] = [
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Guests of one workspace, in the order of their names.
#[derive(Deserialize)]
pub struct Guests {
    /// The workspace's folder.
    pub workspace_root: PathBuf,
    /// The guests.
    pub packages: Vec<Guest>,
}

/// One package.
#[derive(Deserialize)]
pub struct Guest {
    /// Its name.
    pub name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) authors: Vec<String>,
    pub(crate) description: Option<String>,
    manifest_path: PathBuf,
    metadata: Option<Metadata>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Metadata {
    backchannel: Option<Declaration>,
}

/// The table `[package.metadata.backchannel]`, which packages of this workspace have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The kinds of message it handles and sends.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The researcher's requests it begins a run for.
    #[serde(default)]
    pub initiates: Vec<String>,
    /// The protocols that it runs together with other parties.
    #[serde(default)]
    pub protocols: Vec<String>,
    /// The capabilities it uses, by name, each with the reason that operators read, or an empty text.
    #[serde(default)]
    pub capabilities: BTreeMap<String, String>,
    /// The limits it needs, by name, where the host's starting ones are too low.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
    /// What it demands of each peer that it has to do with: `channel-key` or `identity-key`.
    pub assurance: Option<Assurance>,
}

/// How sure a host must be of a peer's name.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// More than the published key.
    ChannelKey,
    /// An identity key that an operator pinned or a roster names.
    IdentityKey,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// Why there is no core module.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A program of the Rust toolchain does not start.
    #[error("{program} cannot be run: {error}")]
    NotRun {
        /// Which.
        program: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The standard library of the target is not there, and could not be added.
    #[error("the standard library for {TARGET} is not installed, and could not be added: {0}")]
    NoTarget(String),
    /// Cargo cannot make sense of the package.
    #[error("cargo does not take {}:\n{said}", .manifest.display())]
    NoPackage {
        /// Its `Cargo.toml`.
        manifest: PathBuf,
        /// What Cargo says.
        said: String,
    },
    /// The package makes no core module.
    #[error("{0} has no library of crate type cdylib")]
    NoLibrary(String),
    /// Cargo has said on standard error what is wrong.
    #[error("the guest does not compile, see above")]
    NotCompiled,
    /// What was compiled cannot be read.
    #[error("{} cannot be read: {error}", .file.display())]
    NotRead {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Guests {
    /// The packages of the workspace that the package or workspace at `manifest` (a `Cargo.toml`) belongs to.
    ///
    /// # Errors
    ///
    /// When Cargo does not run, or does not take the manifest.
    pub fn find(manifest: &Path) -> Result<Self, CompileError> {
        let mut cargo = cargo();
        cargo.args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--manifest-path",
        ]);
        let output = cargo.arg(manifest).output();
        let output = output.map_err(|error| not_run("cargo", error))?;
        let no_package = |said: String| CompileError::NoPackage {
            manifest: manifest.to_owned(),
            said,
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(no_package(said.trim().to_owned()));
        }
        let mut guests: Self = serde_json::from_slice(&output.stdout)
            .map_err(|error| no_package(error.to_string()))?;
        guests.packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(guests)
    }

    /// The core modules of all guests, in their order, built in `target_dir` with the profile `guest`. What Cargo says goes
    /// to standard error.
    ///
    /// # Errors
    ///
    /// When the toolchain is not there or a guest does not compile.
    pub fn compile(&self, target_dir: &Path) -> Result<Vec<Vec<u8>>, CompileError> {
        ensure_target()?;
        let mut cargo = cargo();
        cargo.args(["build", "--lib", "--profile=guest", "--target", TARGET]);
        for guest in &self.packages {
            cargo.args(["--package", &guest.name]);
        }
        cargo.arg("--target-dir").arg(target_dir);
        // Beats a build directory set for the outer build, which is locked.
        cargo.env("CARGO_BUILD_BUILD_DIR", target_dir);
        // Beats every other source of flags.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags().join("\x1f"));
        let status = cargo.current_dir(&self.workspace_root).status();
        if !status.map_err(|error| not_run("cargo", error))?.success() {
            return Err(CompileError::NotCompiled);
        }
        let built = target_dir.join(TARGET).join("guest");
        let read = |guest: &Guest| {
            let file = built.join(guest.core_file()?);
            fs::read(&file).map_err(|error| CompileError::NotRead { file, error })
        };
        self.packages.iter().map(read).collect()
    }

    /// The flags, and for the texts of panics names that are the same on every machine: an operator's grant is bound to
    /// the component's digest.
    fn rustflags(&self) -> Vec<String> {
        let mut flags: Vec<String> = LINKER_FLAGS.map(String::from).into();
        let mut rename = |from: &Path, to| {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        };
        rename(&self.workspace_root, "/workspace");
        if let Some(home) = cargo_home() {
            rename(&home, "/cargo");
        }
        flags
    }
}

impl Guest {
    /// What the package says about itself as a guest, if it does so in its `Cargo.toml`.
    pub fn declaration(&self) -> Option<&Declaration> {
        self.metadata.as_ref()?.backchannel.as_ref()
    }

    /// Whether its folder is one of those in `folder`.
    pub fn is_in(&self, folder: &Path) -> bool {
        self.manifest_path.ancestors().nth(2) == Some(folder)
    }

    /// Whether its folder is `folder`.
    pub fn is_at(&self, folder: &Path) -> bool {
        self.manifest_path.parent() == Some(folder)
    }

    /// The name of the file that its `cdylib` becomes.
    fn core_file(&self) -> Result<String, CompileError> {
        let mut targets = self.targets.iter();
        let library = targets.find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"));
        let library = library.ok_or_else(|| CompileError::NoLibrary(self.name.clone()))?;
        Ok(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

/// Sees to it that the standard library for the wasm target is there.
fn ensure_target() -> Result<(), CompileError> {
    if target_is_installed()? {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    let added = rustup.args(["target", "add", TARGET]).output();
    let why = match added {
        Ok(output) if output.status.success() && target_is_installed()? => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("rustup: {error}"),
    };
    Err(CompileError::NoTarget(why))
}

fn target_is_installed() -> Result<bool, CompileError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--print=target-libdir", "--target", TARGET]);
    let output = rustc.output().map_err(|error| not_run("rustc", error))?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
}

fn not_run(program: &'static str, error: io::Error) -> CompileError {
    CompileError::NotRun { program, error }
}

/// The Cargo that runs this, without what belongs to the native build.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for variable in NATIVE_ONLY {
        cargo.env_remove(variable);
    }
    cargo
}

fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

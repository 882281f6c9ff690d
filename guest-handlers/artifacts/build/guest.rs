//! Guests as Cargo knows them, and their compilation to core wasm modules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

const TARGET: &str = "wasm32-unknown-unknown";

/// The stack is small because handlers recurse little, and the memory they begin with holds all that a message needs:
/// growing it would cost the host a system call per message.
const LINKER_FLAGS: [&str; 2] = [
    "-Clink-arg=-zstack-size=65536",
    "-Clink-arg=--initial-memory=262144",
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

/// The guests of one workspace, in the order of their names.
#[derive(Deserialize)]
pub struct Guests {
    pub workspace_root: PathBuf,
    pub packages: Vec<Guest>,
}

/// One package that declares itself a guest.
#[derive(Deserialize)]
pub struct Guest {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub authors: Vec<String>,
    pub description: Option<String>,
    manifest_path: PathBuf,
    metadata: Option<Metadata>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Metadata {
    backchannel: Option<Declaration>,
}

/// The table `[package.metadata.backchannel]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The kinds of message it handles and sends.
    pub kinds: Vec<String>,
    /// The researcher's requests it begins a run for.
    #[serde(default)]
    pub initiates: Vec<String>,
    /// The capabilities it uses, by name, each with the reason that operators read, or an empty text.
    #[serde(default)]
    pub capabilities: BTreeMap<String, String>,
    /// The limits it needs, by name, where the host's starting ones are too low.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// The guests of the workspace that the package or workspace at `manifest` (a `Cargo.toml`) belongs to.
pub fn find(manifest: &Path) -> Result<Guests> {
    let mut cargo = cargo();
    cargo.args([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--manifest-path",
    ]);
    let output = cargo.arg(manifest).output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed for {}:\n{}",
        manifest.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut guests: Guests =
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")?;
    guests
        .packages
        .retain(|package| package.declaration().is_some());
    guests.packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

impl Guest {
    /// What the package says about itself as a guest, if it is one.
    pub fn declaration(&self) -> Option<&Declaration> {
        self.metadata.as_ref()?.backchannel.as_ref()
    }

    /// Whether its folder is one of those in `folder`.
    #[allow(
        dead_code,
        reason = "the example that shares this file takes every guest"
    )]
    pub fn is_in(&self, folder: &Path) -> bool {
        self.manifest_path.ancestors().nth(2) == Some(folder)
    }

    /// The name of the file that its `cdylib` becomes.
    fn core_file(&self) -> Result<String> {
        let mut targets = self.targets.iter();
        let library = targets
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            .with_context(|| format!("{} has no library of crate type cdylib", self.name))?;
        Ok(format!("{}.wasm", library.name.replace('-', "_")))
    }
}

impl Guests {
    /// The core modules of all guests, in their order, built in `target_dir` with the profile `guest`.
    pub fn compile(&self, target_dir: &Path) -> Result<Vec<Vec<u8>>> {
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
        ensure!(
            status.context("cannot run cargo")?.success(),
            "the guests do not compile, see above"
        );

        let built = target_dir.join(TARGET).join("guest");
        let read = |guest: &Guest| {
            let file = built.join(guest.core_file()?);
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
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

/// Sees to it that the standard library for the wasm target is there.
fn ensure_target() -> Result<()> {
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
    bail!(
        "the built-in handlers are compiled to {TARGET}, and its standard library is not installed.\n\
         It could not be added: {why}\n\
         Run `rustup target add {TARGET}`, or install that target's rust-std as you installed Rust, and build again."
    )
}

fn target_is_installed() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(rustc);
    rustc.args(["--print=target-libdir", "--target", TARGET]);
    let output = rustc.output().context("cannot run rustc")?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
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

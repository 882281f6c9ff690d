//! Toolchains that this program installs for its user: one folder each, of one version, made once.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, process};

use super::{AuthoringError, Fault};

/// In a folder once it is whole.
const WHOLE: &str = "whole";

/// A program of a toolchain, run to its end.
pub(super) struct Tool<'a> {
    /// What it is for: "installing componentize-py".
    pub(super) doing: &'a str,
    /// What to do if it is not there.
    pub(super) missing: &'a str,
    /// What to do if it fails.
    pub(super) failed: &'a str,
}

impl Tool<'_> {
    /// Runs it. What it says is shown on standard error if it fails.
    pub(super) fn run(&self, command: &mut Command) -> Result<(), AuthoringError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let ended = command.stdin(Stdio::null()).output();
        let output = ended.map_err(|error| {
            let why = format!("{program} cannot be run: {error}");
            AuthoringError::new(
                Fault::Build,
                format!("{} failed", self.doing),
                why,
                self.missing,
            )
        })?;
        if output.status.success() {
            return Ok(());
        }
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            if !said.trim().is_empty() {
                eprintln!("{}", said.trim_end());
            }
        }
        Err(AuthoringError::new(
            Fault::Build,
            format!("{} failed", self.doing),
            format!("{program} ended with {}, see above", output.status),
            self.failed,
        ))
    }
}

/// The folder of the toolchain `name`, made by `make` if it is not there. Two commands that need it at a time make it once.
pub(super) fn toolchain(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), AuthoringError>,
) -> Result<PathBuf, AuthoringError> {
    let failed = |error: io::Error| {
        AuthoringError::new(
            Fault::Build,
            format!("{name} cannot be installed"),
            error,
            "set XDG_CACHE_HOME to a folder of yours on a disk with 500 MB to spare",
        )
    };
    let cache = cache_folder().map_err(failed)?;
    let folder = cache.join(name);
    let whole = folder.join(WHOLE);
    if whole.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).map_err(failed)?;
    let lock = File::create(cache.join(format!("{name}.lock"))).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if whole.exists() {
        return Ok(folder);
    }
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir(&folder).map_err(failed)?;
    eprintln!("installing {name} in {}, this once", cache.display());
    make(&folder)?;
    fs::write(whole, process::id().to_string()).map_err(failed)?;
    Ok(folder)
}

/// Where this program keeps what it can make anew: `backchannel` in `XDG_CACHE_HOME`, or in `~/.cache`.
pub fn cache_folder() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    let cache = cache.filter(|cache| cache.is_absolute());
    let nowhere = || io::Error::new(ErrorKind::NotFound, "there is no home folder");
    Ok(cache.ok_or_else(nowhere)?.join("backchannel"))
}

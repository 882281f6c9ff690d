//! Builds every guest beside this package to a component and writes one constant for each.
//!
//! A guest is a package with a `[package.metadata.backchannel]` table, so none can be forgotten here. Two packages have
//! this script: one for the built-in handlers, one for the guests of the tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result};
use backchannel_component::{Guest, Guests, package};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One directive per line, and Cargo shows them without the noise of a panic.
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is Cargo's to set")?);
    let here = env::var_os("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR is Cargo's to set")?;
    let here = Path::new(&here);
    let beside = here.parent().context("a package is in a folder")?;
    let mut guests = Guests::find(&here.join("Cargo.toml"))?;
    let ours = |guest: &Guest| guest.is_in(beside) && guest.declaration().is_some();
    guests.packages.retain(ours);

    println!("cargo::rerun-if-changed={}", beside.display());
    let root = &guests.workspace_root;
    for source in ["guest-handlers", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }

    // A target directory of its own: the outer Cargo holds the lock on its own until this script is done. The first to be
    // built hands it on to the second.
    let target = match env::var_os("DEP_BACKCHANNEL_GUESTS_TARGET") {
        Some(target) => PathBuf::from(target),
        None => out.join("target"),
    };
    println!("cargo::metadata=TARGET={}", target.display());
    let cores = guests.compile(&target)?;
    let mut constants = String::new();
    let mut all = String::new();
    for (guest, core) in guests.packages.iter().zip(cores) {
        let component = package(guest, &core)?;
        fs::write(out.join(format!("{}.wasm", guest.name)), component)?;

        let name = &guest.name;
        let constant = name.to_uppercase().replace('-', "_");
        writeln!(constants, "/// The component `{name}`.")?;
        writeln!(
            constants,
            "pub const {constant}: &[u8] = include_bytes!({:?});",
            format!("{name}.wasm")
        )?;
        writeln!(all, "    ({name:?}, {constant}),")?;
    }
    writeln!(
        constants,
        "/// Every component with its name, in the order of the names."
    )?;
    writeln!(constants, "pub const ALL: &[(&str, &[u8])] = &[\n{all}];")?;
    fs::write(out.join("components.rs"), constants)?;
    Ok(())
}

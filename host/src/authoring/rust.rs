//! Rust to a component: Cargo, and the encoder that is linked into this program.

use std::env;
use std::path::{Path, PathBuf};

use backchannel_component::{CompileError, Guests, TARGET, encode};

use super::{AuthoringError, Fault, Project};

/// The component of a Rust project, without a manifest. What Cargo says goes to standard error.
pub(super) fn component(project: &Project) -> Result<Vec<u8>, AuthoringError> {
    let folder = project.absolute_folder()?;
    let failed = |error: CompileError| not_compiled(project, &error);
    let mut guests = Guests::find(&folder.join("Cargo.toml")).map_err(failed)?;
    // Cargo follows symbolic links.
    let folder = folder.canonicalize().unwrap_or(folder);
    guests.packages.retain(|package| package.is_at(&folder));
    let target = target(&guests.workspace_root);
    let cores = guests.compile(&target).map_err(failed)?;
    let core = cores.first().ok_or_else(|| {
        AuthoringError::new(
            Fault::Project,
            format!("{} is not built", project.name()),
            "its Cargo.toml describes a workspace and no package",
            "put backchannel.toml beside the Cargo.toml of the handler's package",
        )
    })?;
    encode(core).map_err(|error| {
        AuthoringError::new(
            Fault::Build,
            format!("{} does not become a component", project.name()),
            format!("{error:#}"),
            "export a handler with export_handler! or export_protocol!, or a part with export_rounds!, and leave wasm-bindgen and WASI libraries out",
        )
    })
}

/// Where Cargo would build.
fn target(workspace: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => target.into(),
        None => workspace.join("target"),
    }
}

fn not_compiled(project: &Project, error: &CompileError) -> AuthoringError {
    let what = format!("{} is not built", project.name());
    let (fault, todo) = match error {
        CompileError::NotRun { .. } => (
            Fault::Build,
            "install Rust, https://rustup.rs, and see that cargo is found on PATH".to_owned(),
        ),
        CompileError::NoTarget(_) => (
            Fault::Build,
            format!(
                "run `rustup target add {TARGET}`, or install that target's rust-std as you installed Rust"
            ),
        ),
        CompileError::NoPackage { .. } => (Fault::Project, "correct Cargo.toml".to_owned()),
        CompileError::NoLibrary(_) => (
            Fault::Project,
            "write `crate-type = [\"cdylib\"]` under [lib] in Cargo.toml".to_owned(),
        ),
        CompileError::NotCompiled => (
            Fault::Build,
            "correct what the compiler names; a missing crate is fetched from the registry"
                .to_owned(),
        ),
        CompileError::NotRead { .. } => (Fault::Build, "build again".to_owned()),
    };
    AuthoringError::new(fault, what, error, todo)
}

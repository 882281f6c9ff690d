//! Python to a component: componentize-py, in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cached::{Tool, toolchain};
use super::{AuthoringError, Fault, Project, world};

/// The version of componentize-py that components are made with.
const COMPONENTIZE: &str = "0.25.0";

/// The module of the handler, in `src`; and of the part, in a project that has no handler.
const HANDLER: &str = "handler";
const ROUNDS: &str = "rounds";

/// The component of a Python project, without a manifest. All WASI of the interpreter is replaced by stubs.
pub(super) fn component(project: &Project) -> Result<Vec<u8>, AuthoringError> {
    let program = componentize()?;
    let module = if project.treats() { HANDLER } else { ROUNDS };
    let world = world::write(project)?;
    let made = world.path().join("component.wasm");
    let folder = project.absolute_folder()?;
    let tool = Tool {
        doing: &format!("making a component of src/{module}.py"),
        missing: "remove the folder and build again: it is installed anew",
        failed: "correct what Python names above; an interface that cannot be imported is to be declared under [capabilities] in backchannel.toml",
    };
    let mut command = Command::new(program);
    command
        .arg("--quiet")
        .arg("--wit-path")
        .arg(world.path())
        .args(["--world", world::WORLD, "componentize", "--stub-wasi"]);
    for path in ["src", "vendor"] {
        command.arg("--python-path").arg(folder.join(path));
    }
    command.arg("--output").arg(&made).arg(module);
    // The author's own mistakes are what is of interest, and not where the tool was.
    tool.run(command.env("RUST_BACKTRACE", "0"))?;
    fs::read(&made).map_err(|error| {
        let todo = "build again";
        AuthoringError::new(Fault::Build, "there is no component", error, todo)
    })
}

/// Where the program is; installed if it is not yet.
fn componentize() -> Result<PathBuf, AuthoringError> {
    let name = format!("componentize-py-{COMPONENTIZE}");
    let folder = toolchain(&name, install)?;
    Ok(folder.join("bin/componentize-py"))
}

fn install(folder: &Path) -> Result<(), AuthoringError> {
    let environment = Tool {
        doing: "making a virtual environment",
        missing: "install Python 3.10 or newer, with its venv module (Debian: apt install python3-venv)",
        failed: "install the venv module of your Python (Debian: apt install python3-venv)",
    };
    let mut python = Command::new("python3");
    environment.run(python.args(["-m", "venv"]).arg(folder))?;
    let package = Tool {
        doing: "installing componentize-py",
        missing: "install Python 3.10 or newer, with its venv module (Debian: apt install python3-venv)",
        failed: "see that PyPI, or the index that your pip is set to, can be reached; there are wheels for Linux, macOS and Windows",
    };
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip.args(["--only-binary", ":all:"]);
    package.run(pip.arg(format!("componentize-py=={COMPONENTIZE}")))
}

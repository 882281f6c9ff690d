//! JavaScript to a component: componentize-js, in a folder of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cached::{Tool, toolchain};
use super::{AuthoringError, Fault, Project, world};

/// The version of componentize-js that components are made with, as `componentize/package.json` has it.
const COMPONENTIZE: &str = "0.23.0";

/// The module of the handler; and of the part, in a project that has no handler.
const HANDLER: &str = "src/handler.js";
const ROUNDS: &str = "src/rounds.js";

/// What npm is to install, with the digest of each package.
const PACKAGE: &str = include_str!("componentize/package.json");
const LOCK: &str = include_str!("componentize/package-lock.json");
/// What node is to run.
const SCRIPT: &str = include_str!("componentize/componentize.mjs");

/// What to do if node is not there.
const NO_NODE: &str = "install Node.js 20 or newer, with npm (Debian: apt install nodejs npm)";

/// The component of a JavaScript project, without a manifest. The engine is built without its WASI.
pub(super) fn component(project: &Project) -> Result<Vec<u8>, AuthoringError> {
    let folder = project.absolute_folder()?;
    let module = if project.treats() { HANDLER } else { ROUNDS };
    let source = folder.join(module);
    check_syntax(&source)?;
    let toolchain = componentize()?;
    let world = world::write(project)?;
    let made = world.path().join("component.wasm");
    let tool = Tool {
        doing: &format!("making a component of {module}"),
        missing: NO_NODE,
        failed: "correct what is named above; an interface that cannot be imported is to be declared under [capabilities] in backchannel.toml",
    };
    let mut node = Command::new("node");
    node.arg(toolchain.join("componentize.mjs"));
    node.arg(&source).arg(world.path()).arg(world::WORLD);
    tool.run(node.arg(&made).current_dir(&folder))?;
    fs::read(&made).map_err(not_there)
}

/// Has node look at the modules: the toolchain says that there is an error, and not where.
fn check_syntax(source: &Path) -> Result<(), AuthoringError> {
    let tool = Tool {
        doing: "reading the sources",
        missing: NO_NODE,
        failed: "correct the line that node names above",
    };
    tool.run(Command::new("node").arg("--check").arg(source))?;
    let beside = source.parent().map(fs::read_dir);
    let modules = beside.into_iter().flatten().flatten().flatten();
    for module in modules.map(|entry| entry.path()) {
        if module != source && module.extension().is_some_and(|end| end == "js") {
            tool.run(Command::new("node").arg("--check").arg(&module))?;
        }
    }
    Ok(())
}

fn not_there(error: io::Error) -> AuthoringError {
    AuthoringError::new(Fault::Build, "there is no component", error, "build again")
}

/// The folder that the toolchain is in; installed if it is not yet.
fn componentize() -> Result<PathBuf, AuthoringError> {
    toolchain(&format!("componentize-js-{COMPONENTIZE}"), install)
}

fn install(folder: &Path) -> Result<(), AuthoringError> {
    for (name, content) in [
        ("package.json", PACKAGE),
        ("package-lock.json", LOCK),
        ("componentize.mjs", SCRIPT),
    ] {
        fs::write(folder.join(name), content).map_err(not_there)?;
    }
    let tool = Tool {
        doing: "installing componentize-js",
        missing: NO_NODE,
        failed: "see that the npm registry, or the one that your npm is set to, can be reached",
    };
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    tool.run(npm.current_dir(folder))
}

//! Which files a project begins with.

use super::Embedded;
use crate::authoring::Language;

/// What a project begins as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Treats messages: a request and its reply.
    #[default]
    Handler,
    /// Also begins exchanges when a researcher asks for a set-up.
    Protocol,
}

macro_rules! templates {
    ($($from:literal: $($path:literal),+);+ $(;)?) => {
        [$($(Embedded {
            path: $path,
            text: include_str!(concat!("templates/", $from, "/", $path)),
        }),+),+]
    };
}

/// What every project in Rust has.
const RUST: [Embedded; 4] = templates!(
    "rust/all":
        ".ci/run",
        ".gitignore",
        "Cargo.toml",
        "README.md"
);

/// What every project in Python; `types` is made by componentize-py, and tests/authoring/run holds it to the contract has.
const PYTHON: [Embedded; 19] = templates!(
    "python/all":
        ".ci/run",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "types/componentize_py_types.py",
        "types/wit_world/__init__.py",
        "types/wit_world/exports/__init__.py",
        "types/wit_world/exports/handler.py",
        "types/wit_world/exports/initiator.py",
        "types/wit_world/imports/__init__.py",
        "types/wit_world/imports/agreement.py",
        "types/wit_world/imports/channel_keys.py",
        "types/wit_world/imports/log.py",
        "types/wit_world/imports/material.py",
        "types/wit_world/imports/random.py",
        "types/wit_world/imports/sharing.py",
        "types/wit_world/imports/store.py",
        "types/wit_world/imports/types.py",
        "vendor/backchannel_sdk.py"
);

/// What every project in JavaScript; `types` is made by jco, and tests/authoring/run holds it to the contract has.
const JS: [Embedded; 17] = templates!(
    "js/all":
        ".ci/run",
        ".gitignore",
        "README.md",
        "package.json",
        "tsconfig.json",
        "types/interfaces/backchannel-n2n-agreement.d.ts",
        "types/interfaces/backchannel-n2n-channel-keys.d.ts",
        "types/interfaces/backchannel-n2n-handler.d.ts",
        "types/interfaces/backchannel-n2n-initiator.d.ts",
        "types/interfaces/backchannel-n2n-log.d.ts",
        "types/interfaces/backchannel-n2n-material.d.ts",
        "types/interfaces/backchannel-n2n-random.d.ts",
        "types/interfaces/backchannel-n2n-sharing.d.ts",
        "types/interfaces/backchannel-n2n-store.d.ts",
        "types/interfaces/backchannel-n2n-types.d.ts",
        "types/protocol.d.ts",
        "vendor/backchannel-sdk.js"
);

/// The files of one template, from the project's folder.
pub(super) fn of(language: Language, template: Template) -> Vec<Embedded> {
    let mut files: Vec<Embedded> = match language {
        Language::Rust => RUST.into(),
        Language::Python => PYTHON.into(),
        Language::Js => JS.into(),
    };
    match template {
        Template::Handler => files.extend(templates!(
            "shared/handler": "cases/messages.toml", "scenarios/greeting.toml"
        )),
        Template::Protocol => files.extend(templates!(
            "shared/protocol": "cases/runs.toml", "scenarios/agreement.toml"
        )),
    }
    match (language, template) {
        (Language::Rust, Template::Handler) => {
            files.extend(templates!("rust/handler": "backchannel.toml", "src/lib.rs"));
        }
        (Language::Rust, Template::Protocol) => {
            files.extend(templates!("rust/protocol": "backchannel.toml", "src/lib.rs"));
        }
        (Language::Python, Template::Handler) => {
            files.extend(templates!("python/handler": "backchannel.toml", "src/handler.py"));
        }
        (Language::Python, Template::Protocol) => {
            files.extend(templates!(
                "python/protocol": "backchannel.toml", "src/handler.py", "src/initiator.py"
            ));
        }
        (Language::Js, Template::Handler) => {
            files.extend(templates!("js/handler": "backchannel.toml", "src/handler.js"));
        }
        (Language::Js, Template::Protocol) => {
            files.extend(templates!(
                "js/protocol": "backchannel.toml", "src/handler.js", "src/initiator.js"
            ));
        }
    }
    files
}

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
    /// Runs a protocol of several parties, round by round, when a researcher asks them to.
    MultiParty,
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
const RUST: [Embedded; 2] = templates!(
    "rust/all":
        ".gitignore",
        "Cargo.toml"
);

/// What every project in Python has. `types` is made by componentize-py, and tests/authoring/run holds it to the contract.
const PYTHON: [Embedded; 20] = templates!(
    "python/all":
        ".gitignore",
        "pyproject.toml",
        "types/componentize_py_types.py",
        "types/wit_world/__init__.py",
        "types/wit_world/exports/__init__.py",
        "types/wit_world/exports/handler.py",
        "types/wit_world/exports/initiator.py",
        "types/wit_world/exports/rounds.py",
        "types/wit_world/imports/__init__.py",
        "types/wit_world/imports/agreement.py",
        "types/wit_world/imports/blinding.py",
        "types/wit_world/imports/channel_keys.py",
        "types/wit_world/imports/inputs.py",
        "types/wit_world/imports/log.py",
        "types/wit_world/imports/material.py",
        "types/wit_world/imports/random.py",
        "types/wit_world/imports/sharing.py",
        "types/wit_world/imports/store.py",
        "types/wit_world/imports/types.py",
        "vendor/backchannel_sdk.py"
);

/// What every project in JavaScript has. `types` is made by jco, and tests/authoring/run holds it to the contract.
const JS: [Embedded; 18] = templates!(
    "js/all":
        ".gitignore",
        "package.json",
        "tsconfig.json",
        "types/interfaces/backchannel-n2n-agreement.d.ts",
        "types/interfaces/backchannel-n2n-blinding.d.ts",
        "types/interfaces/backchannel-n2n-channel-keys.d.ts",
        "types/interfaces/backchannel-n2n-handler.d.ts",
        "types/interfaces/backchannel-n2n-initiator.d.ts",
        "types/interfaces/backchannel-n2n-inputs.d.ts",
        "types/interfaces/backchannel-n2n-log.d.ts",
        "types/interfaces/backchannel-n2n-material.d.ts",
        "types/interfaces/backchannel-n2n-random.d.ts",
        "types/interfaces/backchannel-n2n-rounds.d.ts",
        "types/interfaces/backchannel-n2n-sharing.d.ts",
        "types/interfaces/backchannel-n2n-store.d.ts",
        "types/interfaces/backchannel-n2n-types.d.ts",
        "types/any.d.ts",
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
        Template::MultiParty => files.extend(templates!(
            "shared/multi-party": "scenarios/count.toml"
        )),
    }
    match (language, template) {
        (Language::Rust, Template::Handler) => {
            files.extend(templates!(
                "rust/messages": ".ci/run", "README.md";
                "rust/handler": "backchannel.toml", "src/lib.rs"
            ));
        }
        (Language::Rust, Template::Protocol) => {
            files.extend(templates!(
                "rust/messages": ".ci/run", "README.md";
                "rust/protocol": "backchannel.toml", "src/lib.rs"
            ));
        }
        (Language::Rust, Template::MultiParty) => {
            files.extend(templates!(
                "rust/multi-party": ".ci/run", "README.md", "backchannel.toml", "src/lib.rs"
            ));
        }
        (Language::Python, Template::Handler) => {
            files.extend(templates!(
                "python/messages": ".ci/run", "README.md";
                "python/handler": "backchannel.toml", "src/handler.py"
            ));
        }
        (Language::Python, Template::Protocol) => {
            files.extend(templates!(
                "python/messages": ".ci/run", "README.md";
                "python/protocol": "backchannel.toml", "src/handler.py", "src/initiator.py"
            ));
        }
        (Language::Python, Template::MultiParty) => {
            files.extend(templates!(
                "python/multi-party": ".ci/run", "README.md", "backchannel.toml", "src/rounds.py"
            ));
        }
        (Language::Js, Template::Handler) => {
            files.extend(templates!(
                "js/messages": ".ci/run", "README.md";
                "js/handler": "backchannel.toml", "src/handler.js"
            ));
        }
        (Language::Js, Template::Protocol) => {
            files.extend(templates!(
                "js/messages": ".ci/run", "README.md";
                "js/protocol": "backchannel.toml", "src/handler.js", "src/initiator.js"
            ));
        }
        (Language::Js, Template::MultiParty) => {
            files.extend(templates!(
                "js/multi-party": ".ci/run", "README.md", "backchannel.toml", "src/rounds.js"
            ));
        }
    }
    files
}

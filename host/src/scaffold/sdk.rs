//! What a project is given beside its template: the contract, and the Rust SDK, as they are in this repository.

use toml_edit::{DocumentMut, Item};

use super::Embedded;

/// Where the SDK's manifest goes.
pub(super) const MANIFEST: &str = "vendor/backchannel-sdk/Cargo.toml";

/// The versions that this repository was tested with. Cargo takes out what a project does not need.
pub(super) const LOCK: &str = include_str!("../../../Cargo.lock");

const SDK: &str = include_str!("../../../guest-handlers/sdk/Cargo.toml");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

macro_rules! embedded {
    ($to:literal, $from:literal, $($path:literal),+ $(,)?) => {
        &[$(Embedded {
            path: concat!($to, $path),
            text: include_str!(concat!("../../../", $from, $path)),
        }),+]
    };
}

/// The WIT files.
pub(super) const CONTRACT: &[Embedded] = embedded!(
    "wit/",
    "wit/",
    "0.1/capabilities.wit",
    "0.1/handler.wit",
    "0.1/rounds.wit",
    "0.1/types.wit",
    "0.1/worlds.wit",
);

/// The SDK, without its manifest. Its bindings are made from `../../wit/0.1`, here as there.
pub(super) const SOURCES: &[Embedded] = embedded!(
    "vendor/backchannel-sdk/",
    "guest-handlers/sdk/",
    "examples/echo.rs",
    "examples/tally.rs",
    "src/bindings.rs",
    "src/bytes.rs",
    "src/capabilities.rs",
    "src/decoder.rs",
    "src/fields.rs",
    "src/handler.rs",
    "src/initiator.rs",
    "src/integer.rs",
    "src/lib.rs",
    "src/message.rs",
    "src/part.rs",
    "src/rounds.rs",
    "src/testing.rs",
    "src/testing/capabilities.rs",
    "src/testing/curve.rs",
    "src/testing/network.rs",
    "src/testing/played.rs",
);

/// The SDK's manifest, with what it takes from the workspace written out.
pub(super) fn manifest() -> Result<String, toml_edit::TomlError> {
    let mut sdk: DocumentMut = SDK.parse()?;
    let workspace: DocumentMut = WORKSPACE.parse()?;
    let workspace = &workspace["workspace"];
    sdk.remove("lints");
    for (table, of) in [
        ("package", &workspace["package"]),
        ("dependencies", &workspace["dependencies"]),
    ] {
        let Some(table) = sdk.get_mut(table).and_then(Item::as_table_like_mut) else {
            continue;
        };
        for (key, item) in table.iter_mut() {
            let inherits = item
                .as_table_like()
                .is_some_and(|it| it.contains_key("workspace"));
            if inherits {
                *item = of[key.get()].clone();
            }
        }
    }
    Ok(sdk.to_string())
}

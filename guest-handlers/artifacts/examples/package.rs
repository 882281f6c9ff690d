//! Makes components of the guests in another workspace, as the build script does of the built-in ones.
//!
//! ```text
//! cargo run -p backchannel-artifacts --example package -- ../my-handler/Cargo.toml .
//! ```

#[path = "../build/component.rs"]
mod component;
#[path = "../build/guest.rs"]
mod guest;

use std::path::Path;
use std::{env, fs};

use anyhow::{Result, bail, ensure};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [manifest, out] = arguments.as_slice() else {
        bail!("give the Cargo.toml of a guest and a directory for its component");
    };
    let guests = guest::find(Path::new(manifest))?;
    ensure!(
        !guests.packages.is_empty(),
        "no package of {manifest} has a [package.metadata.backchannel] table"
    );
    let cores = guests.compile(&guests.workspace_root.join("target"))?;
    for (guest, core) in guests.packages.iter().zip(cores) {
        let component = component::package(guest, &core)?;
        let file = Path::new(out).join(format!("{}.wasm", guest.name));
        fs::write(&file, &component)?;
        println!("{} ({} bytes)", file.display(), component.len());
    }
    Ok(())
}

//! Turns `proto/*.proto` into Rust. The compiler is protox, so no `protoc` need be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "../proto";
    println!("cargo:rerun-if-changed={folder}");
    let files = protox::compile(
        ["researcher.proto", "relay.proto", "control.proto"],
        [folder],
    )?;
    tonic_prost_build::configure()
        // `Bytes` are slices of what was received or is sent: a message of 100 MiB is not copied per slice.
        .bytes(".researcher")
        .bytes(".backchannel.relay.v1.FromNode")
        .bytes(".backchannel.relay.v1.Slice")
        .btree_map(".researcher")
        .compile_fds(files)?;
    Ok(())
}

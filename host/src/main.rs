//! The `backchannel` program: see `backchannel --help`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    backchannel::cli::Cli::parse().run()
}

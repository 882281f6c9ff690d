//! The `backchannel` program: see `backchannel --help`.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // A node starts this program to compile plugins, each time in a process of its own.
    if let Some(code) = backchannel::handlers::serve_compiler(std::env::args()) {
        return code;
    }
    backchannel::cli::Cli::parse().run()
}

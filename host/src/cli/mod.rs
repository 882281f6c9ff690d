//! The commands, one file each.

mod audit;
mod backup;
mod bench;
mod build;
mod cases;
mod check;
mod chosen;
mod column;
mod compiled;
mod daemon;
mod demo;
mod explain;
mod fuzz;
mod identity;
mod import;
mod log_limit;
mod logs;
mod new;
mod node;
mod output;
mod page;
mod peer;
mod plugin;
mod problem;
mod project;
mod relay;
mod replay;
mod report;
mod roster;
mod run;
mod secagg;
mod sim;
mod status;
mod telemetry;
mod test;
mod top;
mod tried;
mod trust;
mod whom;
mod written;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use output::{Format, Output};
pub use problem::{Exit, Problem};

/// Node-to-node messages of a federated-learning network: through the researcher's server, readable by the nodes only,
/// each protocol a sandboxed wasm component.
#[derive(Debug, Parser)]
#[command(name = "backchannel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How results are shown.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Output,
    /// What is logged to standard error: a level, or `module=level` pairs [default: info for daemons, else warn].
    #[arg(long, global = true, env = "BACKCHANNEL_LOG", value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole network on this machine: a relay, nodes, their set-ups and a secure sum.
    Demo(demo::Demo),
    /// Run a relay: the researcher's side.
    Relay(relay::RelayCommand),
    /// Run a node beside a researcher.
    Node(node::NodeCommand),
    /// Have a node accept its researcher's new certificate.
    #[command(
        after_help = "The node must be stopped. Its settings are given as to `backchannel node`.\n\nExample:\n  backchannel trust 5A:E8:…:0C --config node.toml"
    )]
    Trust(trust::Trust),
    /// Show how a running node or relay fares.
    Status(status::StatusCommand),
    /// Say what became of a message.
    Explain(explain::Explain),
    /// Show the log of a running node, with what its plugins wrote.
    Logs(logs::Logs),
    /// What was decided, allowed, refused and limited on a node: check it, look at it.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show and export what a node is known by.
    #[command(subcommand)]
    Identity(identity::Identity),
    /// See and decide which keys a node takes for its peers'.
    #[command(subcommand)]
    Peer(peer::Peer),
    /// A federation's signed list of nodes and their keys: sign it, verify it, have a node believe it.
    #[command(subcommand)]
    Roster(roster::Roster),
    /// Write all that is in a node's key store to a file, encrypted as the store is. The node may run.
    Backup(backup::BackupCommand),
    /// Put a backup in the place of a node's key store. The node must be stopped; when it starts, it says that its store is an older one.
    Restore(backup::RestoreCommand),
    /// Lock a node's key store up with what policy.toml names now. The node must be stopped. The store itself is not written anew.
    Relock(backup::RelockCommand),
    /// Set up secure aggregation, and use it.
    #[command(subcommand)]
    Secagg(secagg::Secagg),
    /// Have nodes run a plugin's protocol with each other, and show their results.
    Run(run::Run),
    /// Bring over what another program's node keeps.
    #[command(subcommand)]
    Import(import::Import),
    /// Begin a plugin: a project that builds, with a case, a scenario, a README and a CI file.
    New(new::New),
    /// Build the plugin of the project in the current folder, and check it.
    Build(build::Build),
    /// Check that a host would take a plugin: its world, what it imports and declares, its kinds, its size, its limits.
    Check(check::Check),
    /// Run whole networks in this process, with faults, and check what must hold.
    Sim(sim::Sim),
    /// Feed a plugin inputs that nobody means well with.
    Fuzz(fuzz::Fuzz),
    /// Run the cases that a plugin's author wrote: messages and runs, and what is expected of each.
    Test(test::Test),
    /// Measure what a plugin costs per message: time, instructions, memory; and the limits that follow.
    Bench(bench::BenchCommand),
    /// Run recorded calls of plugins again, and say what is different.
    Replay(replay::Replay),
    /// Show what happened in a recorded run, as text or as a page.
    Report(report::ReportCommand),
    /// See what plugins could do, decide what they may do on a node, vouch for them, ship them.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
}

impl Command {
    /// Whether its result is also a page for a browser.
    fn has_page(&self) -> bool {
        matches!(self, Self::Sim(_) | Self::Report(_) | Self::Bench(_))
    }
}

impl Cli {
    /// Runs the command to its end.
    pub fn run(self) -> ExitCode {
        let daemon = matches!(self.command, Command::Node(_) | Command::Relay(_));
        let default = if daemon { "info" } else { "warn" };
        // What goes wrong is for people, where the result is for a browser.
        let format = self.output.format().unwrap_or_default();
        if self.output == Output::Html && !self.command.has_page() {
            let why = "only `sim`, `report` and `bench` have a page";
            let todo = "leave -o html out, or use -o json for a program";
            let what = "the result of this command cannot be shown as HTML";
            return Problem::new(Exit::Input, what, why, todo).report(format);
        }
        let logs = match daemon::log(self.log.as_deref().unwrap_or(default)) {
            Ok(logs) => logs,
            Err(problem) => return problem.report(format),
        };
        let runtime = match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let todo = "raise the limits of threads and open files";
                return Problem::new(
                    Exit::Failed,
                    "the program cannot start its threads",
                    error,
                    todo,
                )
                .report(format);
            }
        };
        let done = runtime.block_on(async {
            match self.command {
                Command::Demo(demo) => demo.run(format).await,
                Command::Relay(relay) => relay.run(format).await,
                Command::Node(node) => node.run(format, logs).await,
                Command::Trust(trust) => trust.run(format).await,
                Command::Status(status) => status.run(format).await,
                Command::Explain(explain) => explain.run(format).await,
                Command::Logs(logs) => logs.run(format).await,
                Command::Audit(audit) => audit.run(format),
                Command::Identity(identity) => identity.run(format).await,
                Command::Peer(peer) => peer.run(format).await,
                Command::Roster(roster) => roster.run(format).await,
                Command::Backup(backup) => backup.run(format).await,
                Command::Restore(restore) => restore.run(format),
                Command::Relock(relock) => relock.run(format),
                Command::Secagg(secagg) => secagg.run(format).await,
                Command::Run(run) => run.run(format).await,
                Command::New(new) => new.run(format),
                Command::Build(build) => build.run(format).await,
                Command::Check(check) => check.run(format).await,
                Command::Sim(sim) => sim.run(self.output).await,
                Command::Fuzz(fuzz) => fuzz.run(format).await,
                Command::Test(test) => test.run(format).await,
                Command::Bench(bench) => bench.run(self.output).await,
                Command::Replay(replay) => replay.run(format).await,
                Command::Report(report) => report.run(self.output),
                Command::Import(import) => import.run(format),
                Command::Plugin(plugin) => plugin.run(format).await,
            }
        });
        // Threads that still wait for a disk or a name server must not keep a finished command alive.
        runtime.shutdown_timeout(std::time::Duration::from_millis(500));
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => problem.report(format),
        }
    }
}

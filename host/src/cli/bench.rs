use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::chosen::Chosen;
use super::output::{foreign, print, table, with_progress};
use super::{Exit, Output, Problem, cases, tried};
use crate::cases::CaseFile;
use crate::costs::{
    self, Cost, Costs, Effort, LeftOut, Meter, Most, RULE, Samples, Suggested, of_bytes,
    of_instructions, of_time,
};
use crate::message::one_line;

/// In seconds, for one case.
const HOUR: u64 = 60 * 60;
/// Names of cases are cut here in a table, in bytes.
const LONGEST_NAME: usize = 44;

/// Measure what a plugin costs per message: its author's cases are run again and again, in fresh instances, as a node runs messages.
#[derive(Debug, Args)]
#[command(
    name = "bench",
    after_help = format!("\
Times are of the engine that nodes have, which interrupts by the clock: the computing of all calls
of a case, the making of their instances among it, without waits. Instructions are of the engine that
counts them, and are the same on every machine; so are memory, host calls, effects and log lines, of
which the most of one message, or of one step of a run, is shown. `sandbox` is how much of the p50
making the instances takes, with nothing called of them.

A case in which the host stops the plugin, or that does not do what it expects, is not measured.

--suggest-limits goes by this rule:
{RULE}

Example:
  backchannel bench
  backchannel bench my-handler.wasm --cases my-handler/cases --repeat 1000
  backchannel bench my-handler.wasm --suggest-limits
  backchannel bench key-request --cases guest-handlers/key-request/cases -o html > key-request.html

Exit codes: 0 measured; 1 a case does not do what it expects; 3 a file cannot be used.")
)]
pub(super) struct BenchCommand {
    #[command(flatten)]
    chosen: Chosen,
    /// How often each case is timed.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
    /// For how long each case is timed at most, once it was five times.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=HOUR))]
    seconds: u64,
    /// Show limits for policy.toml in place of the table: of what was measured, with headroom.
    #[arg(long)]
    suggest_limits: bool,
}

#[derive(Serialize)]
struct Measured {
    ok: bool,
    plugins: Vec<OfPlugin>,
    /// Whether this program was built without optimising: the host's part of the times is longer then.
    debug_build: bool,
    #[serde(skip)]
    suggest_limits: bool,
}

#[derive(Serialize)]
struct OfPlugin {
    #[serde(flatten)]
    costs: Costs,
    /// All cases together.
    all: All,
    /// None where a case does not do what it expects.
    suggested: Vec<Suggested>,
}

#[derive(Serialize)]
struct All {
    time: Samples,
    most: Most,
}

impl BenchCommand {
    pub(super) async fn run(self, output: Output) -> Result<(), Problem> {
        // Cases have a runtime of their own.
        let measuring = tokio::task::spawn_blocking(move || self.measure());
        let measured = match with_progress("measuring", measuring).await {
            Ok(measured) => measured?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let verdict = measured.verdict();
        if verdict.is_err() && measured.suggest_limits && output == Output::Text {
            return verdict;
        }
        match output.format() {
            Some(format) => format.show(&measured),
            None => {
                let plugins = measured.plugins.into_iter();
                let costs: Vec<_> = plugins.map(|plugin| plugin.costs).collect();
                print(&costs::page(&costs));
            }
        }
        verdict.map_err(Problem::beside_result)
    }

    fn measure(self) -> Result<Measured, Problem> {
        let mut by_plugin: BTreeMap<String, Vec<CaseFile>> = BTreeMap::new();
        for file in self.chosen.files()? {
            let plugin = self.chosen.plugin_of(&file)?;
            by_plugin.entry(plugin).or_default().push(file);
        }
        let effort = Effort {
            times: self.repeat,
            at_most: Duration::from_secs(self.seconds),
        };
        let (counting, as_on_a_node) = (tried::runtime()?, tried::runtime_of_nodes()?);
        let mut plugins = Vec::new();
        for (plugin, files) in by_plugin {
            let component = cases::component(&plugin)?;
            let meter = Meter::new(&counting, &as_on_a_node, component, effort)
                .map_err(|error| tried::not_loaded(&plugin, &error))?;
            plugins.push(OfPlugin::measured(&meter, &files)?);
        }
        Ok(Measured {
            ok: plugins.iter().all(|plugin| plugin.costs.wrong().is_none()),
            plugins,
            debug_build: cfg!(debug_assertions),
            suggest_limits: self.suggest_limits,
        })
    }
}

impl OfPlugin {
    fn measured(meter: &Meter, files: &[CaseFile]) -> Result<Self, Problem> {
        let wrong = |error| cases::problem(&error);
        let costs = meter.measure(files).map_err(wrong)?;
        let suggested = match costs.wrong() {
            None => costs.suggested(),
            Some(_) => Vec::new(),
        };
        let failing = meter.fail_under(&suggested, files, &costs).map_err(wrong)?;
        if let Some(first) = failing.first() {
            return Err(Problem::new(
                Exit::Failed,
                "no limits follow from what was measured",
                format!(
                    "{:?} does not do what it expects under them",
                    foreign(first)
                ),
                "report it, with the plugin and its cases: this is not the plugin's doing",
            ));
        }
        Ok(Self {
            all: All {
                time: costs.time(),
                most: costs.most(),
            },
            costs,
            suggested,
        })
    }
}

impl Measured {
    /// Whether all is well; if not, as a problem.
    fn verdict(&self) -> Result<(), Problem> {
        let mut plugins = self.plugins.iter();
        let Some(first) = plugins.find_map(|plugin| plugin.costs.wrong()) else {
            return Ok(());
        };
        Err(Problem::new(
            Exit::Failed,
            "not all cases could be measured",
            format!(
                "{}:{} {:?} does not do what it expects: {}",
                first.file.display(),
                first.line,
                foreign(&first.case),
                foreign(&first.why)
            ),
            "see `backchannel test`, and mend the plugin or the case; or leave it out with --name",
        ))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, plugin) in self.plugins.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            if self.suggest_limits {
                f.write_str(&plugin.costs.policy_fragment())?;
            } else {
                plugin.fmt(f)?;
            }
        }
        if self.debug_build && !self.suggest_limits {
            write!(
                f,
                "\nThis is a debug build: the host's part of the times is longer than a node's."
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for OfPlugin {
    /// A line for each case, for all of them, and for an instance alone; then what was not measured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let costs = &self.costs;
        writeln!(
            f,
            "{} {}, component of {}\n",
            costs.plugin,
            foreign(&costs.version),
            of_bytes(costs.file_bytes)
        )?;
        let headings = [
            "case", "times", "p50", "p99", "max", "sandbox", "handle", "final", "memory", "calls",
            "effects", "bytes", "log",
        ];
        let cases = costs.cases.iter().map(|cost| row_of(costs, cost));
        let all = row("all cases", &self.all.time, String::new(), &self.all.most);
        let mut alone = row(
            "instance alone",
            &costs.sandbox,
            String::new(),
            &Most::default(),
        );
        alone.truncate(5);
        alone.resize(headings.len(), String::new());
        let rows = cases.chain([all, alone]).collect();
        writeln!(f, "{}", table(&headings, rows))?;
        for case in &costs.left_out {
            write!(f, "\n{}", left_out(case))?;
        }
        Ok(())
    }
}

fn row_of(costs: &Costs, cost: &Cost) -> Vec<String> {
    let sandbox = of_time(costs.sandbox_of(cost));
    row(
        &one_line(&cost.case, LONGEST_NAME),
        &cost.time,
        sandbox,
        &cost.most,
    )
}

fn row(name: &str, time: &Samples, sandbox: String, most: &Most) -> Vec<String> {
    vec![
        name.to_owned(),
        time.len().to_string(),
        of_time(time.p50()),
        of_time(time.p99()),
        of_time(time.longest()),
        sandbox,
        of_instructions(most.handle_instructions),
        of_instructions(most.final_instructions),
        of_bytes(most.memory_bytes),
        most.host_calls.to_string(),
        most.effects.to_string(),
        of_bytes(most.effect_bytes),
        most.log_lines.to_string(),
    ]
}

fn left_out(case: &LeftOut) -> String {
    let what = if case.fault {
        "FAIL, not measured"
    } else {
        "not measured"
    };
    format!("{what}: {}: {}\n", foreign(&case.case), foreign(&case.why))
}

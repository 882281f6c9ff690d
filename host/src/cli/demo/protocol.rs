//! The demo of one protocol: its plugin installed, approved and enabled on each node as an operator does it, run by the relay's
//! researcher, and its result beside what anybody could compute who had all the data.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::consortium::{Suite, introduce};
use super::data;
use super::network::{Network, NodeProcess, command};
use super::report::in_words;
use crate::cli::column;
use crate::cli::output::{table, with_progress};
use crate::cli::run::{Order, Ran, encode, run};
use crate::cli::{Exit, Problem};
use crate::node::make_private_folder;

/// A protocol that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// 32 random bytes that no party could choose.
    CommonRandomness,
    /// The sum of the parties' vectors, some of whom may vanish.
    SecureAggregation,
    /// How many patients all parties have in common.
    PatientOverlap,
}

/// What came of it.
#[derive(Serialize)]
pub(super) struct Shown {
    ok: bool,
    nodes: usize,
    suite: u8,
    ran: Ran,
    /// What is to be compared with the result of the first party.
    expected: Json,
    elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
}

/// Bins of the histogram that is summed.
const BINS: usize = 10;

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::CommonRandomness => "common-randomness",
            Self::SecureAggregation => "secure-aggregation",
            Self::PatientOverlap => "patient-overlap",
        }
    }

    /// What the researcher asks for.
    fn params(self) -> Json {
        match self {
            Self::CommonRandomness => json!({}),
            Self::SecureAggregation => json!({ "input": "demo", "clip": 1000 }),
            Self::PatientOverlap => json!({ "input": "demo" }),
        }
    }

    /// Runs it in a network of its own.
    pub(super) async fn run(
        self,
        nodes: usize,
        suite: Suite,
        folder: &Path,
        kept: Option<String>,
    ) -> Result<Shown, Problem> {
        let started = tokio::time::Instant::now();
        let inputs = self.inputs(nodes, folder)?;
        let nodes = super::network::nodes(folder, nodes);
        introduce(&nodes, suite)?;
        for (node, input) in nodes.iter().zip(&inputs) {
            self.install(node, input.as_deref()).await?;
        }
        let network =
            with_progress("starting the processes", Network::start(folder, nodes)).await?;
        let ran = self.ask(&network).await;
        with_progress("stopping the processes", network.stop()).await;
        let ran = ran?;
        let expected = self.expected(&inputs)?;
        Ok(Shown {
            ok: ran.is_ok() && self.is_right(&ran, &expected),
            nodes: inputs.len(),
            suite: suite.number(),
            ran,
            expected,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            kept,
        })
    }

    /// One file for each node, if the protocol reads any.
    fn inputs(self, nodes: usize, folder: &Path) -> Result<Vec<Option<PathBuf>>, Problem> {
        match self {
            Self::CommonRandomness => Ok(vec![None; nodes]),
            Self::SecureAggregation => {
                let files = data::deal_out(&[], nodes, folder)?;
                files.iter().map(|file| histogram(file).map(Some)).collect()
            }
            Self::PatientOverlap => (0..nodes)
                .map(|at| patients(at, nodes, folder).map(Some))
                .collect(),
        }
    }

    /// As an operator does it: by commands, and one entry of `policy.toml` by hand.
    async fn install(self, node: &NodeProcess, input: Option<&Path>) -> Result<(), Problem> {
        let failed = |error: &dyn fmt::Display| {
            let what = format!("{} cannot be installed on {}", self.name(), node.id);
            Problem::new(
                Exit::Failed,
                what,
                error,
                "run it again with --keep DIR and look there",
            )
        };
        make_private_folder(&node.data).map_err(|error| failed(&error))?;
        let name = self.name();
        let approve = ["approve", name, "--all-declared", "--reason", "a demo"];
        for words in [&["install", name][..], &approve, &["enable", name]] {
            let mut plugin = command().map_err(|error| failed(&error))?;
            plugin
                .arg("plugin")
                .args(words)
                .arg("--data")
                .arg(&node.data);
            let done = plugin.output().await.map_err(|error| failed(&error))?;
            if !done.status.success() {
                return Err(failed(&String::from_utf8_lossy(&done.stderr).trim()));
            }
        }
        if let Some(input) = input {
            let kind = if self == Self::PatientOverlap {
                "ids"
            } else {
                "numbers"
            };
            // A histogram has a row for each bin, and patients are more than 20 in any case.
            let entry = format!(
                "\n[[plugin.{name}.inputs]]\nname = \"demo\"\nfile = {}\nkind = \"{kind}\"\nmin-rows = {BINS}\n",
                json!(input.display().to_string()),
            );
            let policy = node.data.join("policy.toml");
            let appended = OpenOptions::new().append(true).open(&policy);
            let appended = appended.and_then(|mut policy| policy.write_all(entry.as_bytes()));
            appended.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    async fn ask(self, network: &Network) -> Result<Ran, Problem> {
        let params = self.params();
        let params = params.as_object().into_iter().flatten();
        let order = Order {
            protocol: self.name().to_owned(),
            parties: network.nodes.iter().map(|node| node.id.clone()).collect(),
            run_id: String::new(),
            params: encode(
                params
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            )?,
            quorum: None,
            wait: 600,
        };
        run(&network.relay, order).await
    }

    /// What the first party's result has to say, computed from everybody's files.
    fn expected(self, inputs: &[Option<PathBuf>]) -> Result<Json, Problem> {
        let read =
            |file: &PathBuf| std::fs::read_to_string(file).map_err(|error| unwritten(file, &error));
        let files = inputs
            .iter()
            .flatten()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        match self {
            Self::CommonRandomness => Ok(Json::Null),
            Self::SecureAggregation => {
                let mut sum = [0.0; BINS];
                for (bin, number) in files.iter().flat_map(|file| file.lines().enumerate()) {
                    sum[bin] += number.parse::<f64>().unwrap_or(f64::NAN);
                }
                Ok(json!(sum))
            }
            Self::PatientOverlap => {
                let sets = files
                    .iter()
                    .map(|file| file.lines().collect::<BTreeSet<_>>());
                let all = sets.reduce(|all, set| all.intersection(&set).copied().collect());
                Ok(json!(all.unwrap_or_default().len()))
            }
        }
    }

    fn is_right(self, ran: &Ran, expected: &Json) -> bool {
        let of_first = |field: &str| ran.results().next().map(|result| result[field].clone());
        match self {
            Self::CommonRandomness => {
                let drawn: BTreeSet<_> = ran
                    .results()
                    .map(|result| result["random"].to_string())
                    .collect();
                drawn.len() == 1
            }
            Self::SecureAggregation => {
                let numbers = |list: &Json| {
                    list.as_array()
                        .map(|list| list.iter().map(Json::as_f64).collect::<Vec<_>>())
                };
                // Counts are whole numbers, which the protocol's fixed point holds exactly.
                of_first("sum").is_some_and(|sum| numbers(&sum) == numbers(expected))
            }
            Self::PatientOverlap => of_first("overlap").as_ref() == Some(expected),
        }
    }
}

/// How many of a hospital's biopsies fall into each bin of their mean radius, one a line.
fn histogram(file: &Path) -> Result<PathBuf, Problem> {
    /// The widest bin's lower end, and the bins' width.
    const BINNED: (f64, f64) = (5.0, 2.5);
    let mut bins = [0_u32; BINS];
    for radius in column::read(file, data::DEFAULT_COLUMN)? {
        let at = ((radius - BINNED.0) / BINNED.1).clamp(0.0, (BINS - 1) as f64);
        // Within the bins, and never negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bin = at as usize;
        bins[bin] += 1;
    }
    let lines: String = bins.iter().map(|count| format!("{count}\n")).collect();
    let path = file.with_extension("histogram");
    std::fs::write(&path, lines).map_err(|error| unwritten(&path, &error))?;
    Ok(path)
}

/// Patients of a hospital: of those of a region, all but every so-many-th, another for each hospital.
fn patients(at: usize, nodes: usize, folder: &Path) -> Result<PathBuf, Problem> {
    let here = (0..1000).filter(|number| number % (nodes + 1) != at);
    let lines: String = here
        .map(|number| format!("patient-{number:04}\n"))
        .collect();
    let path = folder.join(format!("hospital-{}.ids", at + 1));
    std::fs::write(&path, lines).map_err(|error| unwritten(&path, &error))?;
    Ok(path)
}

fn unwritten(path: &Path, error: &std::io::Error) -> Problem {
    let what = format!("{} cannot be used", path.display());
    Problem::new(Exit::Input, what, error, "check free space and permissions")
}

impl Shown {
    /// An error, beside the result, unless it is right.
    pub(super) fn verdict(&self) -> Result<(), Problem> {
        if self.ok {
            return Ok(());
        }
        let todo = "run it again with --keep DIR --log info and look at the logs there";
        let problem = Problem::new(
            Exit::Failed,
            "the demo's results are wrong",
            "see the report above",
            todo,
        );
        Err(problem.beside_result())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.ran)?;
        let mut rows = Vec::new();
        if !self.expected.is_null() {
            rows.push(vec!["from all data".to_owned(), self.expected.to_string()]);
        }
        rows.push(vec![
            "as it should be".to_owned(),
            if self.ok { "yes" } else { "NO" }.to_owned(),
        ]);
        rows.push(vec![
            "time".to_owned(),
            format!("{:.1} s", self.elapsed_ms as f64 / 1000.0),
        ]);
        write!(f, "{}", table(&[], rows))?;
        write!(
            f,
            "\n\nAll messages between the nodes went through the relay, as ciphertext.\n{}",
            in_words(self.suite)
        )?;
        if let Some(kept) = &self.kept {
            write!(f, "\nLogs and data directories are in {kept}.")?;
        }
        Ok(())
    }
}

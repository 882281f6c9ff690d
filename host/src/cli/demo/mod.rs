//! `demo`: a whole network on one machine, for real: each node and the relay a process of its own, with the commands that
//! an operator and a researcher would use.

mod consortium;
mod data;
mod network;
mod protocol;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use tokio::time::Instant;

use super::output::with_progress;
use super::secagg::{self, Scheme};
use super::status::{connect, failed};
use super::{Exit, Format, Problem, column};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{CommitmentRequest, SetUpReply, StatusRequest};
use crate::secure_sum::additive::commitments_sum_to_identity;
use consortium::{Suite, introduce};
use network::Network;
use protocol::Protocol;
use report::{Report, SecureSum, ServerKeys, SetUps};

/// Run a whole network on this machine: a relay, nodes, their set-ups and a secure sum.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  backchannel demo\n  backchannel demo --nodes 10 -o json\n  backchannel demo --suite 1\n  backchannel demo --data a.csv b.csv --column age\n  backchannel demo --protocol patient-overlap"
)]
pub(super) struct Demo {
    /// How many nodes [default: one per file, or 3].
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// One CSV file per node [default: a public data set of biopsies, dealt out].
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "column")]
    data: Vec<PathBuf>,
    /// The column whose mean is computed [default: radius_mean of the built-in data].
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Show this protocol of several parties in place of the set-ups and the secure sum.
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["data", "column"])]
    protocol: Option<Protocol>,
    /// Have the nodes talk in this suite.
    #[arg(long, value_enum, value_name = "N", default_value = "2")]
    suite: Suite,
    /// Keep everything the processes wrote in this directory.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// More processes than this do not fit a laptop.
const MOST_NODES: usize = 100;

impl Demo {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let started = Instant::now();
        let nodes = self.number_of_nodes()?;
        let column = self
            .column
            .clone()
            .unwrap_or_else(|| data::DEFAULT_COLUMN.to_owned());
        let folder = network::Folder::new(self.keep.clone())?;
        let kept = self.keep.map(|path| path.display().to_string());
        if let Some(protocol) = self.protocol {
            let shown = protocol.run(nodes, self.suite, folder.path(), kept).await?;
            format.show(&shown);
            return shown.verdict();
        }
        let files = data::deal_out(&self.data, nodes, folder.path())?;
        // Read before anything is started: a bad file is the user's to know first.
        let numbers = files
            .iter()
            .map(|file| column::read(file, &column))
            .collect::<Result<Vec<_>, _>>()?;

        let nodes = network::nodes(folder.path(), nodes);
        introduce(&nodes, self.suite)?;
        let starting = Network::start(folder.path(), nodes);
        let network = with_progress("starting the processes", starting).await?;
        let outcome = Self::rounds(&network, self.suite, &files, &column, &numbers).await;
        with_progress("stopping the processes", network.stop()).await;
        let mut report = outcome?;
        report.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.kept = kept;
        format.show(&report);
        if report.ok {
            Ok(())
        } else {
            let todo = "run it again with --keep DIR --log info and look at the logs there";
            Err(Problem::new(
                Exit::Failed,
                "the demo's results are wrong",
                "see the report above",
                todo,
            ))
        }
    }

    fn number_of_nodes(&self) -> Result<usize, Problem> {
        let wrong = |why: String| {
            Problem::new(
                Exit::Input,
                "the demo cannot start",
                why,
                "see backchannel demo --help",
            )
        };
        let nodes = match (self.nodes, self.data.len()) {
            (Some(nodes), 0) => nodes,
            (None, 0) => 3,
            (None, files) => files,
            (Some(nodes), files) if nodes == files => nodes,
            (Some(nodes), files) => {
                return Err(wrong(format!(
                    "{nodes} nodes need as many files, there are {files}"
                )));
            }
        };
        if (2..=MOST_NODES).contains(&nodes) {
            Ok(nodes)
        } else {
            Err(wrong(format!(
                "secure aggregation needs 2 to {MOST_NODES} nodes here, not {nodes}"
            )))
        }
    }

    /// What a researcher and the operators would do one after the other.
    async fn rounds(
        network: &Network,
        suite: Suite,
        files: &[PathBuf],
        column: &str,
        numbers: &[Vec<f64>],
    ) -> Result<Report, Problem> {
        let pairs = set_up(network, Scheme::Dh).await?;
        let keys = set_up(network, Scheme::ServerKey).await?;
        let sums_to_zero = sums_to_zero(network, &keys).await?;
        let mut protected = Vec::with_capacity(files.len());
        for (node, file) in network.nodes.iter().zip(files) {
            protected.push(secagg::protect(&node.data, &pairs.secagg_id, 1, file, column).await?);
        }
        let sum = secagg::aggregate(&protected)?;
        let secure_sum = SecureSum::compared(&sum, numbers);
        let (channels, messages) = counted(network, suite).await?;
        let expected = network.nodes.len() * (network.nodes.len() - 1) / 2;
        Ok(Report {
            ok: sums_to_zero && secure_sum.is_right() && channels == expected,
            nodes: network.nodes.len(),
            suite: suite.number(),
            channels,
            messages,
            secure_sum,
            server_key: ServerKeys { sums_to_zero },
            set_up_ms: SetUps {
                channels_and_pair_secrets: pairs.elapsed_ms,
                server_keys: keys.elapsed_ms,
            },
            elapsed_ms: 0,
            kept: None,
        })
    }
}

async fn set_up(network: &Network, scheme: Scheme) -> Result<SetUpReply, Problem> {
    let parties = network.nodes.iter().map(|node| node.id.clone()).collect();
    secagg::set_up(
        &network.relay,
        scheme,
        parties,
        String::new(),
        String::new(),
    )
    .await
}

/// All keys together, the researcher's among them: by their commitments, so nobody shows one.
async fn sums_to_zero(network: &Network, keys: &SetUpReply) -> Result<bool, Problem> {
    let what = "the server keys cannot be checked";
    let mut commitments = vec![keys.commitment.clone()];
    for node in &network.nodes {
        let mut client = NodeClient::new(connect(&node.data).await?);
        let secagg_id = keys.secagg_id.clone();
        let reply = client.commitment(CommitmentRequest { secagg_id }).await;
        commitments.push(
            reply
                .map_err(|status| failed(what, &status))?
                .into_inner()
                .commitment,
        );
    }
    let wrong = |why: String| Problem::new(Exit::Failed, what, why, "run the demo again");
    let points = commitments
        .into_iter()
        .map(|bytes| {
            <[u8; 33]>::try_from(bytes)
                .map_err(|bytes| wrong(format!("a commitment of {} bytes", bytes.len())))
        })
        .collect::<Result<Vec<_>, _>>()?;
    commitments_sum_to_identity(&points).map_err(|error| wrong(error.to_string()))
}

/// Channels in that suite that are ready at both ends, and messages by kind as their receivers counted them.
async fn counted(
    network: &Network,
    suite: Suite,
) -> Result<(usize, BTreeMap<String, u64>), Problem> {
    let mut ends = Vec::new();
    let mut messages = BTreeMap::new();
    for node in &network.nodes {
        let mut client = NodeClient::new(connect(&node.data).await?);
        let status = client.status(StatusRequest {}).await;
        let status = status
            .map_err(|status| failed("a node does not answer", &status))?
            .into_inner();
        ends.extend(
            status
                .channels
                .into_iter()
                .filter(|channel| channel.suite == u32::from(suite.number()))
                .map(|channel| (node.id.clone(), channel.peer)),
        );
        for (kind, count) in status.received {
            *messages.entry(kind).or_default() += count;
        }
    }
    let both = ends
        .iter()
        .filter(|(a, b)| a < b && ends.contains(&(b.clone(), a.clone())))
        .count();
    Ok((both, messages))
}

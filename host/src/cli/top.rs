use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tonic::transport::Channel;

use super::output::{foreign, table, with_progress};
use super::status::{connect, failed};
use super::{Format, Problem};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{PluginUse, TopRequest};

/// Show what each plugin of a running node takes, live.
#[derive(Debug, Args)]
#[command(
    after_help = "Numbers count from the node's start, over all versions of a plugin. Not on a terminal, or with -o json, it shows them once.\n\n\
                  Example:\n  backchannel plugin top --data /var/lib/backchannel"
)]
pub(super) struct Top {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Show it once.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    every: f64,
}

/// Half a line of `top(1)`: from here on what was on the screen goes.
const HOME: &str = "\u{1b}[H";
const CLEAR_TO_END: &str = "\u{1b}[J";
const CLEAR_LINE: &str = "\u{1b}[K\n";

impl Top {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let channel = with_progress("connecting", connect(&self.data)).await?;
        let live = !self.once && format == Format::Text && std::io::stdout().is_terminal();
        if !live {
            format.show(&look(&channel).await?);
            return Ok(());
        }
        print!("{HOME}{CLEAR_TO_END}");
        loop {
            let shown = look(&channel).await?;
            let mut out = std::io::stdout().lock();
            // Written over what was there, so that it does not flicker.
            let text = shown.to_string().replace('\n', CLEAR_LINE);
            let written =
                write!(out, "{HOME}{text}{CLEAR_LINE}{CLEAR_TO_END}").and_then(|()| out.flush());
            drop(out);
            if written.is_err() {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs_f64(self.every)) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("0.1 to 3600 seconds".to_owned())
    }
}

async fn look(channel: &Channel) -> Result<Shown, Problem> {
    let reply = NodeClient::new(channel.clone()).top(TopRequest {}).await;
    let reply = reply.map_err(|status| failed("the plugins' numbers cannot be had", &status))?;
    let plugins = reply.into_inner().plugins;
    Ok(Shown {
        plugins: plugins.into_iter().map(ShownPlugin::from).collect(),
    })
}

#[derive(Serialize)]
struct Shown {
    plugins: Vec<ShownPlugin>,
}

#[derive(Serialize)]
struct ShownPlugin {
    name: String,
    messages: u64,
    calls: BTreeMap<String, u64>,
    in_flight: u64,
    p50_s: Option<f64>,
    p99_s: Option<f64>,
    computing_s: f64,
    memory_peak: u64,
    host_calls: u64,
    effects: u64,
    effect_bytes: u64,
    limit_hits: BTreeMap<String, u64>,
}

impl From<PluginUse> for ShownPlugin {
    fn from(of: PluginUse) -> Self {
        let named = |counts: std::collections::HashMap<String, u64>| -> BTreeMap<_, _> {
            counts
                .into_iter()
                .map(|(name, count)| (foreign(&name), count))
                .collect()
        };
        let calls = named(of.calls);
        Self {
            name: foreign(&of.name),
            messages: calls.values().sum(),
            calls,
            in_flight: of.in_flight,
            p50_s: of.p50,
            p99_s: of.p99,
            computing_s: of.computing,
            memory_peak: of.memory_peak,
            host_calls: of.host_calls,
            effects: of.effects,
            effect_bytes: of.effect_bytes,
            limit_hits: named(of.limit_hits),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.plugins.iter().map(|plugin| {
            let ms = |seconds: Option<f64>| {
                seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{:.1}", seconds * 1e3))
            };
            let count = |name: &str| plugin.calls.get(name).copied().unwrap_or_default();
            let hits: Vec<_> = plugin
                .limit_hits
                .iter()
                .map(|(limit, count)| format!("{limit} {count}"))
                .collect();
            vec![
                plugin.name.clone(),
                plugin.messages.to_string(),
                plugin.in_flight.to_string(),
                ms(plugin.p50_s),
                ms(plugin.p99_s),
                format!("{:.2}", plugin.computing_s),
                (plugin.memory_peak >> 10).to_string(),
                plugin.host_calls.to_string(),
                plugin.effects.to_string(),
                (count("failed") + count("refused")).to_string(),
                count("trapped").to_string(),
                hits.join(", "),
            ]
        });
        let headings = [
            "plugin",
            "calls",
            "now",
            "p50 ms",
            "p99 ms",
            "computing s",
            "peak KiB",
            "host calls",
            "effects",
            "failed",
            "traps",
            "limits hit",
        ];
        match self.plugins.is_empty() {
            true => f.write_str("no plugin has treated anything yet"),
            false => f.write_str(&table(&headings, rows.collect())),
        }
    }
}

//! How a daemon's numbers are handed out.

use std::net::SocketAddr;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Exit, Problem};
use crate::telemetry::{MetricsServer, Push, Source};

/// The flags of nodes and relays.
#[derive(Debug, Default, Args)]
pub(super) struct Telemetry {
    /// Serve metrics for Prometheus on http://ADDRESS:PORT/metrics. Whoever reaches it can read them: prefer 127.0.0.1.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Send metrics to this OpenTelemetry collector (OTLP, gRPC) every 15 s, such as http://127.0.0.1:4317.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

/// What was asked for, ready to begin.
pub(super) struct Prepared {
    server: Option<MetricsServer>,
    push: Option<Push>,
}

impl Telemetry {
    /// Takes the port and reads the address, before anything else starts.
    pub(super) async fn prepare(self, role: &str, id: &str) -> Result<Prepared, Problem> {
        let server = match self.metrics {
            Some(address) => Some(MetricsServer::bind(address).await.map_err(|error| {
                let what = format!("metrics cannot be served on {address}");
                Problem::new(
                    Exit::Unreachable,
                    what,
                    error,
                    "choose another --metrics address",
                )
            })?),
            None => None,
        };
        let push = match self.otlp {
            Some(endpoint) => Some(Push::new(&endpoint, role, id).map_err(|error| {
                let todo = "write it as http://HOST:PORT; for another network, run a collector on this machine";
                Problem::new(Exit::Input, "metrics cannot be sent", error, todo)
            })?),
            None => None,
        };
        Ok(Prepared { server, push })
    }
}

impl Prepared {
    /// Where metrics are served, if they are.
    pub(super) fn address(&self) -> Option<String> {
        let address = self.server.as_ref()?.local_addr().ok()?;
        Some(address.to_string())
    }

    /// Hands out the numbers of `source` until `stop`.
    pub(super) fn start(self, source: &Source, stop: &CancellationToken) {
        if let Some(server) = self.server {
            tokio::spawn(server.serve(source.clone(), stop.clone()));
        }
        if let Some(push) = self.push {
            tokio::spawn(push.run(source.clone(), stop.clone()));
        }
    }
}

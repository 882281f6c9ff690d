use std::fmt;

use clap::Args;
use serde::Serialize;

use super::node::{NodeCommand, failed};
use super::{Exit, Format, Problem};
use crate::node::trust;
use crate::transport::Fingerprint;

/// Trust a researcher's new certificate.
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// The SHA-256 of the certificate, in hex: as the researcher tells it, on another way than through this network.
    fingerprint: String,
    /// The node's settings.
    #[command(flatten)]
    node: NodeCommand,
}

/// What is trusted from now on.
#[derive(Serialize)]
struct Shown {
    ok: bool,
    researcher: String,
    address: String,
    fingerprint: String,
    /// What was trusted so far, if another.
    before: Option<String>,
}

impl Trust {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let what = "nothing more is trusted than before";
        let given: Fingerprint = self.fingerprint.parse().map_err(|error| {
            let todo =
                "give the 64 hex digits of the certificate's SHA-256, with colons or without";
            Problem::new(Exit::Input, what, error, todo)
        })?;
        let config = self.node.settings()?;
        if let Some(file) = &config.certificate {
            let why = format!("this node accepts the certificate in {}", file.display());
            let todo = "put the researcher's new certificate into that file";
            return Err(Problem::new(Exit::Input, what, why, todo));
        }
        let trusted = trust(&config, given)
            .await
            .map_err(|error| failed(what, error))?;
        format.show(&Shown {
            ok: true,
            researcher: trusted.certificate.researcher_id().to_string(),
            address: config.researcher.to_string(),
            fingerprint: trusted.certificate.fingerprint().to_string(),
            before: trusted.before.map(|before| before.to_string()),
        });
        Ok(())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "trusted from now on: {} at {} with the certificate {}",
            self.researcher, self.address, self.fingerprint
        )?;
        match &self.before {
            Some(before) => writeln!(f, "trusted no more:     {before}"),
            None => Ok(()),
        }
    }
}

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Protected;
use crate::cli::column;
use crate::cli::output::with_progress;
use crate::cli::status::{connect, failed};
use crate::cli::{Exit, Format, Problem};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{ProtectRequest, StatusRequest};
use crate::secure_sum::fixed_point::FixedPoint;

/// On a node: mask a column's sum, so that it counts only together with all parties'.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel secagg protect --node node-a --id secagg_1 --round 1 --data patients.csv --column age -o json > a.json"
)]
pub(in crate::cli) struct Protect {
    /// The node's data directory.
    #[arg(long, value_name = "DIR")]
    node: PathBuf,
    /// The set-up's id.
    #[arg(long, value_name = "ID")]
    id: String,
    /// The round: higher than any before, the same at all parties.
    #[arg(long)]
    round: u64,
    /// The CSV file.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column to sum.
    #[arg(long, value_name = "NAME")]
    column: String,
}

impl Protect {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        let protected = protect(&self.node, &self.id, self.round, &self.data, &self.column).await?;
        format.show(&protected);
        Ok(())
    }
}

/// Has a node mask the sum and the count of a column.
pub(in crate::cli) async fn protect(
    node: &Path,
    secagg_id: &str,
    round: u64,
    data: &Path,
    column: &str,
) -> Result<Protected, Problem> {
    let what = format!(
        "column {column:?} of {} cannot be protected",
        data.display()
    );
    let numbers = column::read(data, column)?;
    let mut client = NodeClient::new(with_progress("connecting", connect(node)).await?);
    let status = client.status(StatusRequest {}).await;
    let status = status
        .map_err(|status| failed(&what, &status))?
        .into_inner();
    let Some(context) = status
        .contexts
        .into_iter()
        .find(|context| context.secagg_id == secagg_id)
    else {
        let why = format!("node {} has no secagg context {secagg_id}", status.node_id);
        return Err(Problem::new(
            Exit::Input,
            what,
            why,
            "run the set-up first, or take an id from `backchannel status`",
        ));
    };
    let unsummable = |error| {
        let todo = "use a smaller unit for the column, or fewer parties";
        Problem::new(Exit::Input, what.clone(), error, todo)
    };
    let encoding = FixedPoint::new(context.parties.len()).map_err(unsummable)?;
    let request = ProtectRequest {
        secagg_id: secagg_id.to_owned(),
        round,
        vector: vec![
            encoding.encode_sum(&numbers).map_err(unsummable)?,
            numbers.len() as u64,
        ],
    };
    let reply = with_progress("masking", client.protect(request)).await;
    let reply = reply.map_err(|status| failed(&what, &status))?.into_inner();
    let [sum, count] = reply.vector[..] else {
        return Err(Problem::new(
            Exit::Failed,
            what,
            "the node masked something else",
            "use the node's own version of this program",
        ));
    };
    Ok(Protected {
        node: reply.node_id,
        secagg_id: secagg_id.to_owned(),
        round,
        parties: reply.parties,
        column: column.to_owned(),
        vector: [sum.to_string(), count.to_string()],
    })
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sum, count] = &self.vector;
        writeln!(
            f,
            "{} of {}, round {} of {}",
            self.column, self.node, self.round, self.secagg_id
        )?;
        writeln!(f, "masked sum    {sum}")?;
        writeln!(f, "masked count  {count}")?;
        write!(
            f,
            "counts only together with those of all {} parties: {}",
            self.parties.len(),
            self.parties.join(", ")
        )
    }
}

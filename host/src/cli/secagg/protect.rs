use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Protected, values};
use crate::cli::column;
use crate::cli::output::with_progress;
use crate::cli::status::{connect, failed};
use crate::cli::{Exit, Format, Problem};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{ProtectRequest, StatusRequest};
use crate::secure_sum::fixed_point::FixedPoint;
use crate::secure_sum::quantize::{CLIPPING_RANGE, Quantization, TARGET_RANGE};

/// On a node: protect a column's sum or a vector, so that it counts only together with all parties'.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel secagg protect --node node-a --id secagg_1 --round 1 --data patients.csv --column age -o json > a.json\n  backchannel secagg protect --node node-a --id secagg_1 --round 2 --values model.json --weight 120 -o json > a.json"
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
    /// A CSV file, to mask the sum and the count of one of its columns (in a dh context).
    #[arg(
        long,
        value_name = "FILE",
        requires = "column",
        required_unless_present = "values"
    )]
    data: Option<PathBuf>,
    /// The column to sum.
    #[arg(long, value_name = "NAME", requires = "data")]
    column: Option<String>,
    /// A JSON list of numbers, to protect as a Fed-BioMed node does: quantised, then masked (LOM, in a dh context) or
    /// encrypted (Joye-Libert, in a server-key context).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "column"])]
    values: Option<PathBuf>,
    /// With --values: the largest absolute value kept, the same at all parties.
    #[arg(long, value_name = "N", default_value_t = CLIPPING_RANGE, conflicts_with = "data")]
    clipping_range: u64,
    /// With --values: the steps of the quantisation, the same at all parties. Fed-BioMed's analytics take
    /// 36028797018963968, with a clipping range of 100000000000000.
    #[arg(long, value_name = "N", default_value_t = TARGET_RANGE, conflicts_with = "data")]
    target_range: u64,
    /// With --values: how much they count, such as the number of samples [default: each party the same].
    #[arg(long, value_name = "N", conflicts_with = "data")]
    weight: Option<u64>,
}

impl Protect {
    pub(super) async fn run(self, format: Format) -> Result<(), Problem> {
        if let (Some(data), Some(column)) = (&self.data, &self.column) {
            let protected = protect(&self.node, &self.id, self.round, data, column).await?;
            format.show(&protected);
        }
        if let Some(file) = &self.values {
            let settings = values::Settings {
                node: &self.node,
                secagg_id: &self.id,
                round: self.round,
                quantization: Quantization {
                    clipping_range: self.clipping_range,
                    target_range: self.target_range,
                },
                weight: self.weight,
            };
            values::protect(settings, file, format).await?;
        }
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

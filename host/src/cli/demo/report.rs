use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::cli::output::table;
use crate::cli::secagg::Sum;

/// What the demo found.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    pub(super) nodes: usize,
    /// In which the nodes talked.
    pub(super) suite: u8,
    /// Pairs of nodes with a ready channel in that suite.
    pub(super) channels: usize,
    /// Node-to-node messages, by kind.
    pub(super) messages: BTreeMap<String, u64>,
    pub(super) secure_sum: SecureSum,
    pub(super) server_key: ServerKeys,
    pub(super) set_up_ms: SetUps,
    pub(super) elapsed_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<String>,
}

/// The secure mean beside the one that anybody could compute who had all the data.
#[derive(Serialize)]
pub(super) struct SecureSum {
    column: String,
    count: u64,
    mean: f64,
    plaintext_count: u64,
    plaintext_mean: f64,
    /// Between the two means.
    max_abs_error: f64,
}

/// How long the nodes took, from the researcher's request to the last answer. The channels are set up with the first.
#[derive(Serialize)]
pub(super) struct SetUps {
    pub(super) channels_and_pair_secrets: u64,
    pub(super) server_keys: u64,
}

#[derive(Serialize)]
pub(super) struct ServerKeys {
    pub(super) sums_to_zero: bool,
}

impl SecureSum {
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of rows are far below 2^53"
    )]
    pub(super) fn compared(sum: &Sum, numbers: &[Vec<f64>]) -> Self {
        let plaintext_count = numbers.iter().map(|numbers| numbers.len() as u64).sum();
        let plaintext_mean = numbers.iter().flatten().sum::<f64>() / plaintext_count as f64;
        Self {
            column: sum.column.clone(),
            count: sum.count,
            mean: sum.mean,
            plaintext_count,
            plaintext_mean,
            max_abs_error: (sum.mean - plaintext_mean).abs(),
        }
    }

    /// Each number was rounded to six decimals; beyond that only floating point differs.
    pub(super) fn is_right(&self) -> bool {
        self.count == self.plaintext_count
            && self.max_abs_error <= 1e-6 + self.plaintext_mean.abs() * 1e-12
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecureSum {
            column,
            count,
            mean,
            plaintext_mean,
            max_abs_error,
            ..
        } = &self.secure_sum;
        let messages = self
            .messages
            .iter()
            .map(|(kind, count)| vec![format!("  {kind}"), count.to_string()]);
        let mut rows = vec![
            vec!["nodes".to_owned(), self.nodes.to_string()],
            vec!["suite".to_owned(), self.suite.to_string()],
            vec!["channels".to_owned(), self.channels.to_string()],
            vec![
                "messages".to_owned(),
                self.messages.values().sum::<u64>().to_string(),
            ],
        ];
        rows.extend(messages);
        rows.extend([
            vec![
                format!("secure mean of {column}"),
                format!("{mean:.9} ({count} rows)"),
            ],
            vec!["plaintext mean".to_owned(), format!("{plaintext_mean:.9}")],
            vec!["difference".to_owned(), format!("{max_abs_error:.1e}")],
            vec![
                "server keys sum to zero".to_owned(),
                if self.server_key.sums_to_zero {
                    "yes"
                } else {
                    "NO"
                }
                .to_owned(),
            ],
            vec![
                "time".to_owned(),
                format!("{:.1} s", self.elapsed_ms as f64 / 1000.0),
            ],
        ]);
        writeln!(f, "{}", table(&[], rows))?;
        write!(
            f,
            "\nAll messages between the nodes went through the relay, as ciphertext.\n{}",
            in_words(self.suite)
        )?;
        if let Some(kept) = &self.kept {
            write!(f, "\nLogs and data directories are in {kept}.")?;
        }
        Ok(())
    }
}

/// What a suite is worth.
pub(super) fn in_words(suite: u8) -> &'static str {
    match suite {
        1 => {
            "Suite 1 is Fed-BioMed's: a relay that puts itself between two nodes when they\nset their channel up reads and forges all of it."
        }
        2 => {
            "Suite 2: each node knows the others' identity keys from a signed roster, and\nthe relay can neither read nor forge."
        }
        _ => {
            "Suite 3: each node knows the others' identity keys from a signed roster, and\nthe relay can neither read nor forge; nor can a later quantum computer read what\nit records today."
        }
    }
}

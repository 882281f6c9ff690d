use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::values::ProtectedValues;
use super::{Protected, values};
use crate::cli::output::foreign;
use crate::cli::{Exit, Format, Problem};
use crate::secure_sum::fixed_point::FixedPoint;
use crate::secure_sum::lom;

/// Most rows that all parties together can have: some 10^12, a file of terabytes. A count that still holds masks is
/// random, and below this once in 2^24 times.
const MOST_ROWS: u64 = 1 << 40;

/// Add up what all parties protected.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  backchannel secagg aggregate a.json b.json c.json\n  backchannel secagg aggregate --relay relay a.json b.json"
)]
pub(in crate::cli) struct Aggregate {
    /// One file per party, as `secagg protect -o json` wrote it.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The relay's data directory: it keeps the researcher's key of a server-key set-up.
    #[arg(long, value_name = "DIR")]
    relay: Option<PathBuf>,
}

/// A secure sum.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Sum {
    ok: bool,
    secagg_id: String,
    round: u64,
    pub(in crate::cli) column: String,
    pub(in crate::cli) count: u64,
    pub(in crate::cli) sum: f64,
    pub(in crate::cli) mean: f64,
}

impl Aggregate {
    pub(super) fn run(self, format: Format) -> Result<(), Problem> {
        let mut columns = Vec::new();
        let mut vectors = Vec::new();
        for file in &self.files {
            match read(file)? {
                Contribution::Column(column) => columns.push(column),
                Contribution::Vector(vector) => vectors.push(vector),
            }
        }
        if vectors.is_empty() {
            format.show(&aggregate(&columns)?);
        } else if columns.is_empty() {
            format.show(&values::aggregate(&vectors, self.relay.as_deref())?);
        } else {
            return Err(Problem::new(
                Exit::Input,
                "the contributions do not add up",
                "some are sums of a column and others are vectors",
                "have all parties protect the same",
            ));
        }
        Ok(())
    }
}

/// What a file holds.
enum Contribution {
    Column(Protected),
    Vector(ProtectedValues),
}

fn read(file: &Path) -> Result<Contribution, Problem> {
    let what = || format!("{} cannot be aggregated", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problem::new(
            Exit::Input,
            what(),
            error,
            "check the path and its permissions",
        )
    })?;
    // Asked first, so that an error is about the fields that such a file has.
    #[derive(Deserialize)]
    struct Kind {
        scheme: Option<IgnoredAny>,
    }
    let parsed = match serde_json::from_str::<Kind>(&text) {
        Ok(Kind { scheme: Some(_) }) => serde_json::from_str(&text).map(Contribution::Vector),
        _ => serde_json::from_str(&text).map(Contribution::Column),
    };
    parsed.map_err(|error| {
        let todo = "give a file that `secagg protect -o json` wrote";
        Problem::new(Exit::Input, what(), error, todo)
    })
}

/// Adds up the contributions of all parties. One missing, twice or of another round would make the result random, so that is
/// an error, and so is a result that can only be random.
pub(in crate::cli) fn aggregate(protected: &[Protected]) -> Result<Sum, Problem> {
    let problem = |why: String, todo: &str| {
        Problem::new(Exit::Input, "the contributions do not add up", why, todo)
    };
    let Some(first) = protected.first() else {
        return Err(problem("there are none".into(), "give one file per party"));
    };
    let same = |one: &Protected| {
        (
            one.secagg_id == first.secagg_id,
            one.round == first.round,
            one.column == first.column,
            one.parties == first.parties,
        ) == (true, true, true, true)
    };
    if let Some(other) = protected.iter().find(|one| !same(one)) {
        let why = format!(
            "{} and {} protected different things (set-up, round, column or parties)",
            foreign(&first.node),
            foreign(&other.node)
        );
        return Err(problem(
            why,
            "have all parties protect the same column in the same round of the same set-up",
        ));
    }
    let parties: BTreeSet<_> = first.parties.iter().collect();
    let given: BTreeSet<_> = protected.iter().map(|one| &one.node).collect();
    let missing: Vec<_> = parties
        .difference(&given)
        .map(|party| foreign(party))
        .collect();
    if !missing.is_empty() {
        let why = format!("nothing from {}", missing.join(", "));
        return Err(problem(
            why,
            "ask them to protect theirs: without all parties the masks do not cancel out",
        ));
    }
    if given.len() != protected.len() || given != parties {
        return Err(problem(
            "a party is there twice, or one that is none".into(),
            "give one file per party",
        ));
    }
    let vectors = protected
        .iter()
        .map(vector)
        .collect::<Result<Vec<_>, _>>()?;
    let sums = lom::aggregate(&vectors)
        .map_err(|error| problem(error.to_string(), "protect them again"))?;
    let encoding = FixedPoint::new(parties.len())
        .map_err(|error| problem(error.to_string(), "give one file per party"))?;
    let [sum, count] = sums[..] else {
        return Err(problem(
            "the vectors are too short".into(),
            "protect them again",
        ));
    };
    let random = |why: String| {
        let why = format!(
            "{why}, so the masks did not cancel out: a party protected with the secrets of another set-up, or a file was changed"
        );
        problem(
            why,
            "run the set-up again under a new id and have all parties protect again; see that the files come from the parties",
        )
    };
    let sum = encoding
        .decode_sum(sum)
        .map_err(|error| random(error.to_string()))?;
    if count > MOST_ROWS || (count == 0 && sum != 0.0) {
        return Err(random(format!(
            "no {} parties have {count} rows with the sum {sum}",
            parties.len()
        )));
    }
    if count == 0 {
        return Err(problem(
            format!(
                "the column {} has no rows at any party",
                foreign(&first.column)
            ),
            "protect a column that has numbers at one party at least",
        ));
    }
    Ok(Sum {
        ok: true,
        secagg_id: foreign(&first.secagg_id),
        round: first.round,
        column: foreign(&first.column),
        count,
        sum,
        mean: mean(sum, count),
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "there are at most MOST_ROWS, far below 2^53"
)]
fn mean(sum: f64, count: u64) -> f64 {
    sum / count as f64
}

fn vector(one: &Protected) -> Result<Vec<u64>, Problem> {
    let numbers = one
        .vector
        .iter()
        .map(|number| number.parse())
        .collect::<Result<_, _>>();
    numbers.map_err(|error| {
        let what = format!("the contribution of {} cannot be read", foreign(&one.node));
        Problem::new(
            Exit::Input,
            what,
            error,
            "give the file as `secagg protect -o json` wrote it",
        )
    })
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} over all parties, round {} of {}",
            self.column, self.round, self.secagg_id
        )?;
        writeln!(f, "count  {}", self.count)?;
        writeln!(f, "sum    {}", self.sum)?;
        write!(f, "mean   {}", self.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contribution(node: &str, sum: u64, count: u64) -> Protected {
        Protected {
            node: node.into(),
            secagg_id: "s".into(),
            round: 1,
            parties: vec!["a".into(), "b".into()],
            column: "age".into(),
            vector: [sum.to_string(), count.to_string()],
        }
    }

    fn text(problem: Problem) -> String {
        format!("{:?}", miette::Report::new(problem))
    }

    #[test]
    fn names_the_party_whose_contribution_is_missing() {
        let problem = aggregate(&[contribution("a", 1, 1)]).expect_err("refused");
        assert!(text(problem).contains("nothing from b"));
    }

    #[test]
    fn shows_what_a_partys_file_says_as_harmless_lines() {
        let evil = |node| Protected {
            column: "age\u{1b}[2J\nok".into(),
            ..contribution(node, encoded(&[1.0]), 1)
        };

        let sum = aggregate(&[evil("a"), evil("b")]).expect("complete");

        assert_eq!(sum.column, "age\\u{1b}[2J\\nok");
    }

    #[test]
    fn refuses_contributions_that_do_not_belong_together() {
        let other_round = Protected {
            round: 2,
            ..contribution("b", 1, 1)
        };
        assert!(aggregate(&[contribution("a", 1, 1), other_round]).is_err());
        let stranger = contribution("mallory", 1, 1);
        assert!(aggregate(&[contribution("a", 1, 1), contribution("b", 1, 1), stranger]).is_err());
        assert!(
            aggregate(&[
                contribution("a", 1, 1),
                contribution("b", 1, 1),
                contribution("b", 1, 1)
            ])
            .is_err()
        );
    }

    /// A sum that two parties can have encoded, unmasked.
    fn encoded(numbers: &[f64]) -> u64 {
        let encoding = FixedPoint::new(2).expect("two");
        encoding.encode_sum(numbers).expect("small")
    }

    #[test]
    fn refuses_a_result_in_which_the_masks_did_not_cancel_out() {
        let honest = contribution("a", encoded(&[1.0]), 1);
        for (sum, count) in [
            // A mask left in the count, in the sum, and in a sum without rows.
            (encoded(&[1.0]), (1 << 40) + 7),
            (encoded(&[1.0]), 0_u64.wrapping_sub(2)),
            ((1 << 63) - 1, 1),
            (encoded(&[1.0]).wrapping_sub(1 << 63), 1),
            (encoded(&[1.0]), 0_u64.wrapping_sub(1)),
        ] {
            let refused = aggregate(&[honest.clone(), contribution("b", sum, count)]);

            let problem = refused.expect_err("garbage");
            assert!(text(problem).contains("masks"), "{sum} {count}");
        }
    }

    #[test]
    fn refuses_a_mean_over_no_rows() {
        let nothing = |node| contribution(node, encoded(&[]), 0);

        let problem = aggregate(&[nothing("a"), nothing("b")]).expect_err("no mean");

        assert!(text(problem).contains("rows"));
    }

    #[test]
    fn adds_up_sums_and_counts() {
        // Masks that cancel out, as pair secrets make them.
        let a = contribution(
            "a",
            encoded(&[1.0, 2.5]).wrapping_add(99),
            2_u64.wrapping_sub(7),
        );
        let b = contribution("b", encoded(&[-0.5]).wrapping_sub(99), 1 + 7);

        let sum = aggregate(&[a, b]).expect("complete");
        assert_eq!((sum.count, sum.sum, sum.mean), (3, 3.0, 1.0));
    }
}

//! Vectors of real numbers, such as a model's parameters: protected and averaged as Fed-BioMed does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Scheme;
use crate::cli::output::{foreign, with_progress};
use crate::cli::status::{connect, failed};
use crate::cli::{Exit, Format, Problem};
use crate::control;
use crate::message::SecaggId;
use crate::proto::control::ProtectValuesRequest;
use crate::proto::control::node_client::NodeClient;
use crate::secure_sum::joye_libert::{self, Ciphertext, Packing};
use crate::secure_sum::lom;
use crate::secure_sum::quantize::Quantization;

/// One party's protected vector: what `protect --values` writes and `aggregate` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtectedValues {
    node: String,
    secagg_id: String,
    round: u64,
    parties: Vec<String>,
    scheme: Scheme,
    clipping_range: u64,
    target_range: u64,
    weight: Option<u64>,
    /// How many numbers it stands for.
    count: usize,
    /// What a Fed-BioMed researcher is sent: integers in decimal, as JSON numbers lose digits beyond 2^53.
    protected: Vec<String>,
}

/// What a vector is protected with.
pub(super) struct Settings<'a> {
    pub(super) node: &'a Path,
    pub(super) secagg_id: &'a str,
    pub(super) round: u64,
    pub(super) quantization: Quantization,
    pub(super) weight: Option<u64>,
}

/// The average of the parties' vectors.
#[derive(Debug, Serialize)]
pub(super) struct Average {
    ok: bool,
    secagg_id: String,
    round: u64,
    total_weight: u64,
    values: Vec<f64>,
}

/// Has a node protect the numbers in `file`.
pub(super) async fn protect(
    settings: Settings<'_>,
    file: &Path,
    format: Format,
) -> Result<(), Problem> {
    let what = format!("the values of {} cannot be protected", file.display());
    let values = read(file, &what)?;
    let count = values.len();
    let Quantization {
        clipping_range,
        target_range,
    } = settings.quantization;
    let request = ProtectValuesRequest {
        secagg_id: settings.secagg_id.to_owned(),
        round: settings.round,
        values,
        clipping_range,
        target_range,
        weight: settings.weight,
    };
    let channel = with_progress("connecting", connect(settings.node)).await?;
    let mut client = NodeClient::new(channel).max_decoding_message_size(control::LONGEST_MESSAGE);
    let reply = with_progress("protecting", client.protect_values(request)).await;
    let reply = reply.map_err(|status| failed(&what, &status))?.into_inner();
    let (scheme, protected) = match reply.scheme.as_str() {
        "dh" => {
            let masked = reply.masked.iter().map(ToString::to_string).collect();
            (Scheme::Dh, masked)
        }
        _ => (Scheme::ServerKey, reply.encrypted),
    };
    format.show(&ProtectedValues {
        node: reply.node_id,
        secagg_id: settings.secagg_id.to_owned(),
        round: settings.round,
        parties: reply.parties,
        scheme,
        clipping_range,
        target_range,
        weight: settings.weight,
        count,
        protected,
    });
    Ok(())
}

fn read(file: &Path, what: &str) -> Result<Vec<f64>, Problem> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let todo = "check the path and its permissions";
        Problem::new(Exit::Input, what, error, todo)
    })?;
    let todo = "write the file as a JSON list of numbers, such as [0.5, -1.25]";
    let values: Vec<f64> = serde_json::from_str(&text)
        .map_err(|error| Problem::new(Exit::Input, what, error, todo))?;
    if values.is_empty() {
        return Err(Problem::new(Exit::Input, what, "the list is empty", todo));
    }
    Ok(values)
}

/// The average over all parties. `relay` is the data directory of the relay that keeps the researcher's server key.
pub(super) fn aggregate(
    protected: &[ProtectedValues],
    relay: Option<&Path>,
) -> Result<Average, Problem> {
    let first = belong_together(protected)?;
    let total_weight = total_weight(protected)?;
    let sums = match first.scheme {
        Scheme::Dh => {
            let vectors = parsed::<u64>(protected)?;
            lom::aggregate(&vectors).map_err(|error| problem(error, "protect them again"))?
        }
        Scheme::ServerKey => open(first, &parsed(protected)?, relay)?,
    };
    if sums.len() != first.count {
        return Err(problem(
            "the vectors have not as many numbers as they say",
            "give the files as `secagg protect -o json` wrote them",
        ));
    }
    let quantization = Quantization {
        clipping_range: first.clipping_range,
        target_range: first.target_range,
    };
    let values = quantization
        .decode(&sums, total_weight)
        .map_err(|error| problem(error, "protect them again, all with the same ranges"))?;
    Ok(Average {
        ok: true,
        secagg_id: foreign(&first.secagg_id),
        round: first.round,
        total_weight,
        values,
    })
}

fn open(
    first: &ProtectedValues,
    vectors: &[Vec<Ciphertext>],
    relay: Option<&Path>,
) -> Result<Vec<u64>, Problem> {
    let todo = "give the relay's data directory with --relay: it keeps the researcher's server key";
    let relay =
        relay.ok_or_else(|| problem("a server-key sum needs the researcher's key", todo))?;
    let id = SecaggId::try_from(first.secagg_id.as_str()).map_err(|error| {
        problem(
            error,
            "give the files as `secagg protect -o json` wrote them",
        )
    })?;
    let key = control::researcher_key(relay, &id).map_err(|error| {
        let why = format!("the researcher's key of {id} cannot be read: {error}");
        problem(why, todo)
    })?;
    let quantization = Quantization {
        clipping_range: first.clipping_range,
        target_range: first.target_range,
    };
    let packing =
        Packing::new(quantization.value_bits(), first.parties.len()).ok_or_else(|| {
            problem(
                "no plaintext holds values of that range",
                "protect them again",
            )
        })?;
    joye_libert::aggregate(&key, packing, first.round, vectors, first.count)
        .map_err(|error| problem(error, "protect them again, all in the same round"))
}

/// One vector of each party, all protected alike: without one, or with one of another round, the result would be random.
fn belong_together(protected: &[ProtectedValues]) -> Result<&ProtectedValues, Problem> {
    let Some(first) = protected.first() else {
        return Err(problem("there are none", "give one file per party"));
    };
    let alike = |one: &&ProtectedValues| ProtectedValues {
        node: String::new(),
        weight: None,
        protected: Vec::new(),
        ..(*one).clone()
    };
    if let Some(other) = protected.iter().find(|one| alike(one) != alike(&first)) {
        let why = format!(
            "{} and {} protected different things (set-up, round, ranges, length or parties)",
            foreign(&first.node),
            foreign(&other.node)
        );
        let todo =
            "have all parties protect vectors of one length in the same round of the same set-up";
        return Err(problem(why, todo));
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
            "ask them to protect theirs: without all parties nothing can be read",
        ));
    }
    if given.len() != protected.len() || given != parties {
        let why = "a party is there twice, or one that is none";
        return Err(problem(why, "give one file per party"));
    }
    Ok(first)
}

/// Of all parties; without weights each counts one, as the reference's `total_sample_size` would.
fn total_weight(protected: &[ProtectedValues]) -> Result<u64, Problem> {
    let weights: Vec<u64> = protected.iter().filter_map(|one| one.weight).collect();
    if weights.is_empty() {
        return Ok(protected.len() as u64);
    }
    if weights.len() != protected.len() {
        let why = "some parties gave a weight and others none";
        return Err(problem(
            why,
            "protect them again, all with --weight or none",
        ));
    }
    let total = weights
        .iter()
        .try_fold(0_u64, |sum, weight| sum.checked_add(*weight));
    total.ok_or_else(|| problem("the weights are too large", "protect them again"))
}

fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
    protected: &[ProtectedValues],
) -> Result<Vec<Vec<T>>, Problem> {
    let parse = |one: &ProtectedValues| {
        let numbers = one.protected.iter().map(|number| number.parse());
        numbers.collect::<Result<Vec<T>, _>>().map_err(|error| {
            let why = format!(
                "the vector of {} cannot be read: {error}",
                foreign(&one.node)
            );
            problem(why, "give the files as `secagg protect -o json` wrote them")
        })
    };
    protected.iter().map(parse).collect()
}

fn problem(why: impl fmt::Display, todo: &str) -> Problem {
    Problem::new(Exit::Input, "the contributions do not add up", why, todo)
}

impl fmt::Display for ProtectedValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, round, .. } = self;
        let (node, secagg_id) = (foreign(&self.node), foreign(&self.secagg_id));
        writeln!(f, "{count} numbers of {node}, round {round} of {secagg_id}")?;
        let size = self.protected.len();
        match self.scheme {
            Scheme::Dh => writeln!(f, "masked (LOM): {size} integers")?,
            Scheme::ServerKey => writeln!(f, "encrypted (Joye-Libert): {size} integers")?,
        }
        writeln!(
            f,
            "counts only together with those of all {} parties: {}",
            self.parties.len(),
            foreign(&self.parties.join(", "))
        )?;
        write!(f, "-o json shows the integers")
    }
}

impl fmt::Display for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "average over all parties, round {} of {}",
            self.round, self.secagg_id
        )?;
        for value in &self.values {
            writeln!(f, "{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(node: &str, protected: &[u64]) -> ProtectedValues {
        ProtectedValues {
            node: node.into(),
            secagg_id: "s".into(),
            round: 1,
            parties: vec!["a".into(), "b".into()],
            scheme: Scheme::Dh,
            clipping_range: 3,
            target_range: 8192,
            weight: None,
            count: protected.len(),
            protected: protected.iter().map(ToString::to_string).collect(),
        }
    }

    fn refusal(protected: &[ProtectedValues]) -> String {
        let problem = aggregate(protected, None).expect_err("refused");
        format!("{:?}", miette::Report::new(problem))
    }

    #[test]
    fn names_the_party_whose_vector_is_missing() {
        assert!(refusal(&[]).contains("there are none"));
        assert!(refusal(&[vector("a", &[1])]).contains("nothing from b"));
    }

    #[test]
    fn refuses_vectors_that_do_not_belong_together() {
        let a = vector("a", &[1]);
        for other in [
            ProtectedValues {
                round: 2,
                ..vector("b", &[1])
            },
            ProtectedValues {
                target_range: 4,
                ..vector("b", &[1])
            },
            ProtectedValues {
                scheme: Scheme::ServerKey,
                ..vector("b", &[1])
            },
            vector("b", &[1, 2]),
        ] {
            assert!(refusal(&[a.clone(), other]).contains("different things"));
        }
        assert!(refusal(&[a.clone(), vector("b", &[1]), vector("b", &[1])]).contains("twice"));
        let weighted = ProtectedValues {
            weight: Some(2),
            ..vector("b", &[1])
        };
        assert!(refusal(&[a, weighted]).contains("weight"));
    }

    #[test]
    fn refuses_lengths_and_texts_that_are_not_what_they_say() {
        let short = |node| ProtectedValues {
            count: 2,
            ..vector(node, &[1])
        };
        assert!(refusal(&[short("a"), short("b")]).contains("not as many"));
        let text = ProtectedValues {
            protected: vec!["-1".into()],
            ..vector("b", &[1])
        };
        assert!(refusal(&[vector("a", &[1]), text]).contains("of b"));
    }

    #[test]
    fn a_server_key_sum_says_where_the_key_is() {
        let of = |node| ProtectedValues {
            scheme: Scheme::ServerKey,
            ..vector(node, &[1])
        };
        assert!(refusal(&[of("a"), of("b")]).contains("--relay"));
    }

    #[test]
    fn averages_by_weight() {
        let quantization = Quantization::TRAINING;
        let masked = |node, value: f64, weight, mask: u64| {
            let encoded = quantization
                .encode(&[value], Some(weight))
                .expect("in range");
            ProtectedValues {
                weight: Some(weight),
                ..vector(node, &[encoded[0].wrapping_add(mask)])
            }
        };
        let average = aggregate(
            &[
                masked("a", 1.0, 1, 99),
                masked("b", -1.0, 3, 99_u64.wrapping_neg()),
            ],
            None,
        );
        let average = average.expect("complete");
        assert_eq!(average.total_weight, 4);
        assert!((average.values[0] + 0.5).abs() < 0.001, "{average:?}");
    }
}

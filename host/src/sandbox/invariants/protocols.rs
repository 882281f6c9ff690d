//! What a scenario expects of the protocols of several parties that it has run.

use std::collections::BTreeSet;

use crate::inputs::InputName;
use crate::message::{NodeId, Value};
use crate::sandbox::evidence::Evidence;
use crate::sandbox::ran::Ran;
use crate::sandbox::scenario::{Outcome, Run, Scenario};

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let ran = evidence.ran.iter();
    let ran = ran.filter_map(|ran| Some((ran, evidence.scenario.runs.get(ran.place)?)));
    ran.flat_map(|(ran, run)| of_run(evidence.scenario, ran, run))
        .collect()
}

fn of_run(scenario: &Scenario, ran: &Ran, run: &Run) -> Vec<String> {
    let mut found = ended(scenario, ran, run);
    let mut results: Vec<(&NodeId, Value)> = Vec::new();
    for (party, result) in &ran.done {
        match Value::decode(result) {
            Ok(result) => results.push((party, result)),
            Err(error) => found.push(format!(
                "{} has no result: that of {party} is no MessagePack: {error}",
                ran.run
            )),
        }
    }
    let with = |name: &str| -> Vec<(&NodeId, &Value)> {
        let with = results.iter();
        with.filter_map(|(party, result)| Some((*party, result.get(name)?)))
            .collect()
    };
    let mut names: BTreeSet<&str> = run.expect.alike.iter().map(String::as_str).collect();
    for (name, expected) in &run.expect.result {
        names.insert(name);
        for (party, value) in with(name) {
            if value != expected {
                found.push(format!(
                    "{} has another {name}: {party} reports {value:?}, expected is {expected:?}",
                    ran.run
                ));
            }
        }
    }
    for name in &run.expect.alike {
        let values = with(name);
        if let [(first, value), others @ ..] = values.as_slice()
            && let Some((other, _)) = others.iter().find(|(_, other)| other != value)
        {
            found.push(format!(
                "{} has two values of {name}: {first} and {other} report others",
                ran.run
            ));
        }
    }
    if let Some(input) = &run.expect.sum_of {
        names.insert(SUM);
        let sums = results.iter();
        let sums = sums.filter_map(|(party, result)| Some((party, result.get(SUM)?, result)));
        found.extend(sums.filter_map(|(party, sum, result)| {
            let why = wrong_sum(scenario, input, sum, result)?;
            Some(format!(
                "{} has a wrong sum: {party} reports {why}",
                ran.run
            ))
        }));
    }
    if run.expect.outcome.has_done() {
        let missing = names.into_iter().filter(|name| with(name).is_empty());
        found.extend(
            missing.map(|name| format!("{} lacks a result: nobody reports {name}", ran.run)),
        );
    }
    found
}

/// How it ended for each party, and whom they hold responsible.
fn ended(scenario: &Scenario, ran: &Ran, run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let parties = run.parties.as_deref().unwrap_or(&scenario.nodes);
    for party in parties {
        let (is, how) = match (ran.done.contains_key(party), ran.failed.get(party)) {
            (true, _) => (Some(Outcome::Done), "done".to_owned()),
            (false, Some(failed)) => (Some(Outcome::Failed), format!("failed: {}", failed.why)),
            (false, None) => (None, "silent".to_owned()),
        };
        if let Some(expected) = run.expect.outcome.of(party)
            && is != Some(expected)
        {
            let expected = expected.name();
            found.push(format!(
                "{} ended otherwise: for {party} it is {how}, expected is {expected}",
                ran.run
            ));
        }
    }
    let blamed = ran.failed.values().flat_map(|failed| &failed.blamed);
    let blamed: BTreeSet<_> = blamed.cloned().collect();
    if let Some(expected) = &run.expect.blames
        && blamed != *expected
    {
        let names = |nodes: &BTreeSet<NodeId>| -> String {
            let names: Vec<_> = nodes.iter().map(NodeId::as_str).collect();
            if names.is_empty() {
                "nobody".into()
            } else {
                names.join(", ")
            }
        };
        found.push(format!(
            "{} blames otherwise: {}, expected is {}",
            ran.run,
            names(&blamed),
            names(expected)
        ));
    }
    found
}

/// The field of a result that holds a sum of vectors, and that which says whose.
const SUM: &str = "sum";
const WHOSE: &str = "parties";

/// Why a reported sum is not that of the parties' inputs, to the last bit: a scenario's numbers are such that rounding changes none.
fn wrong_sum(
    scenario: &Scenario,
    input: &InputName,
    sum: &Value,
    result: &Value,
) -> Option<String> {
    let Some(sum) = numbers(sum) else {
        return Some("no numbers".into());
    };
    let parties: Option<Vec<&str>> = match result.get(WHOSE) {
        Some(Value::List(parties)) => parties.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(parties) = parties.filter(|parties| !parties.is_empty()) else {
        return Some("not whose it is".into());
    };
    let mut expected = vec![0.0; sum.len()];
    for party in parties {
        let vector = match vector(scenario, input, party) {
            Ok(vector) if vector.len() == sum.len() => vector,
            Ok(vector) => {
                let (has, sums) = (vector.len(), sum.len());
                return Some(format!("{sums} sums, but {party} has {has} values"));
            }
            Err(why) => return Some(format!("a sum with {party}: {why}")),
        };
        for (expected, value) in expected.iter_mut().zip(vector) {
            *expected += value;
        }
    }
    let mut pairs = sum.iter().zip(&expected).enumerate();
    let (at, (sum, expected)) = pairs.find(|(_, (sum, expected))| sum != expected)?;
    Some(format!("{sum} at place {at}, expected is {expected}"))
}

fn vector(scenario: &Scenario, input: &InputName, party: &str) -> Result<Vec<f64>, String> {
    let node = scenario.nodes.iter().find(|node| node.as_str() == party);
    let node = node.ok_or("there is no such node")?;
    let roles = scenario.plugins.iter().filter(|role| role.is_at(node));
    let mut inputs = roles.filter_map(|role| scenario.inputs_at(role, node).remove(input));
    let input = inputs.next().ok_or("it has no such input")?;
    input.numbers().map_err(|error| error.to_string())
}

#[allow(clippy::cast_precision_loss, reason = "a sum that large is wrong")]
fn numbers(value: &Value) -> Option<Vec<f64>> {
    let Value::List(numbers) = value else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => number.to_i64().map(|number| number as f64),
        _ => None,
    };
    numbers.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::sample::{Sample, node};
    use super::*;
    use crate::message::ProtocolOutcome;

    /// A run of three nodes that hold two numbers each, with this said of it.
    fn sample(expect: &str) -> Sample {
        let text = format!(
            r#"nodes = 3
[[plugin]]
file = "p.wasm"
[[plugin.inputs]]
name = "values"
kind = "numbers"
values = [1, 0.5]
min-rows = 1
[[run]]
at = "1s"
protocol = "sums"
run = "sum-0"
{expect}"#
        );
        let mut sample = Sample::new();
        sample.scenario = Scenario::parse(&text, Path::new("")).expect("a scenario");
        let run = "sum-0".parse().expect("an id");
        let begun = Ran::begun(0, run, Duration::ZERO, &sample.scenario.nodes);
        sample.ran.push(begun);
        sample
    }

    fn done(sample: &mut Sample, n: usize, fields: &str) {
        let run = "at = \"1s\"\nprotocol = \"sums\"\nrun = \"sum-0\"";
        let text = format!("nodes = 2\n[[run]]\n{run}\nparams = {{ {fields} }}");
        let scenario = Scenario::parse(&text, Path::new("")).expect("fields");
        let result = scenario.runs[0].params.encode();
        sample.ran[0].hear(node(n), ProtocolOutcome::Done(result));
    }

    fn failed(sample: &mut Sample, n: usize, blamed: usize) {
        let (blamed, why) = (vec![node(blamed)], "given up".into());
        sample.ran[0].hear(node(n), ProtocolOutcome::Failed { blamed, why });
    }

    #[test]
    fn finds_a_party_for_which_a_run_ended_otherwise() {
        let mut all = sample("outcome = \"done\"");
        assert_eq!(broken(&all.evidence()).len(), 3, "silent");
        for n in 0..3 {
            done(&mut all, n, "");
        }
        all.holds(broken);

        let mut one = sample("outcome = { node-0 = \"failed\" }");
        failed(&mut one, 0, 1);
        one.holds(broken);
        done(&mut one, 1, "");
        one.holds(broken);
        one = sample("outcome = { node-0 = \"failed\" }");
        done(&mut one, 0, "");
        assert_eq!(broken(&one.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_wrong_field_and_where_there_must_be_a_result_a_missing_one() {
        let mut any = sample("result = { overlap = 3 }");
        any.holds(broken);
        done(&mut any, 0, "overlap = 3");
        done(&mut any, 1, "other = 4");
        any.holds(broken);
        done(&mut any, 2, "overlap = 4");
        assert_eq!(broken(&any.evidence()).len(), 1);

        let mut one = sample("result = { overlap = 3 }\noutcome = { node-0 = \"done\" }");
        done(&mut one, 0, "other = 3");
        assert_eq!(
            broken(&one.evidence()),
            ["sum-0 lacks a result: nobody reports overlap"]
        );
    }

    #[test]
    fn finds_results_that_are_not_alike() {
        let mut sample = sample("alike = [\"random\"]");
        done(&mut sample, 0, "random = \"a\"");
        done(&mut sample, 1, "random = \"a\"");
        sample.holds(broken);

        done(&mut sample, 2, "random = \"b\"");
        assert_eq!(broken(&sample.evidence()).len(), 1);
    }

    #[test]
    fn finds_a_sum_that_is_not_that_of_the_parties_which_it_names() {
        let whole = "sum = [2.0, 1.0], parties = [\"node-0\", \"node-2\"]";
        for (reported, finds) in [
            (whole.to_owned(), 0),
            (whole.replace("1.0", "1.5"), 1),
            (whole.replace("2.0, ", ""), 1),
            (whole.replace("2.0", "\"2\""), 1),
            (whole.replace("node-2", "node-7"), 1),
            ("sum = [2.0, 1.0]".to_owned(), 1),
            ("sum = [], parties = []".to_owned(), 1),
            ("included = true".to_owned(), 0),
        ] {
            let mut sample = sample("sum-of = \"values\"");
            done(&mut sample, 0, &reported);
            assert_eq!(broken(&sample.evidence()).len(), finds, "{reported}");
        }
    }

    #[test]
    fn finds_who_is_blamed_and_must_not_be_and_the_other_way_round() {
        let mut none = sample("blames = []");
        none.holds(broken);
        failed(&mut none, 0, 1);
        assert_eq!(
            broken(&none.evidence()),
            ["sum-0 blames otherwise: node-1, expected is nobody"]
        );
        let mut other = sample("blames = [\"node-2\"]");
        assert_eq!(broken(&other.evidence()).len(), 1);
        failed(&mut other, 0, 2);
        other.holds(broken);
    }
}

//! What a scenario expects of the protocols that it has parties run.

use std::collections::BTreeSet;

use crate::message::{NodeId, Value};
use crate::sandbox::evidence::Evidence;
use crate::sandbox::protocol_run::Ran;
use crate::sandbox::scenario::ExpectedRun;

pub(super) fn broken(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for expected in &evidence.scenario.expect.runs {
        let name = &expected.name;
        match evidence.ran.iter().find(|ran| ran.name == *name) {
            Some(ran) => {
                let how = otherwise(expected, ran).into_iter();
                found.extend(how.map(|how| format!("{name}: {how}")));
            }
            None => found.push(format!("{name}: it was not begun")),
        }
    }
    found
}

/// In what a run went otherwise.
fn otherwise(expected: &ExpectedRun, ran: &Ran) -> Vec<String> {
    let mut found = Vec::new();
    for party in expected.done.iter().flatten() {
        if !ran.done.contains_key(party) {
            found.push(format!("{party} did not finish: {}", how(ran, party)));
        }
    }
    for party in expected.failed.iter().flatten() {
        if !ran.failed.contains_key(party) {
            found.push(format!("{party} did not fail: {}", how(ran, party)));
        }
    }
    if let Some(blamed) = &expected.blamed {
        let blamed: BTreeSet<_> = blamed.iter().collect();
        let whom = ran.blamed();
        if whom != blamed {
            found.push(format!("blamed are {whom:?}, expected is {blamed:?}"));
        }
    }
    for (party, result) in &ran.done {
        found.extend(lacks(&expected.result, result).map(|field| {
            let has = result.get(field);
            format!("the result of {party} has {has:?} as {field:?}")
        }));
    }
    let mut results = ran.done.values();
    if let Some(first) = results.next() {
        for field in &expected.alike {
            let one = first.get(field);
            if one.is_none() || !results.clone().all(|other| other.get(field) == one) {
                found.push(format!("results differ in {field:?}, or lack it"));
            }
        }
    }
    found
}

/// The fields of `expected` that are not the same in `result`.
fn lacks<'a>(expected: &'a Value, result: &'a Value) -> impl Iterator<Item = &'a str> {
    let fields = match expected {
        Value::Map(fields) => fields.as_slice(),
        _ => &[],
    };
    fields.iter().filter_map(|(name, value)| {
        let name = name.as_str()?;
        (result.get(name) != Some(value)).then_some(name)
    })
}

fn how(ran: &Ran, party: &NodeId) -> String {
    match ran.failed.get(party) {
        Some((why, _)) => why.clone(),
        None if ran.done.contains_key(party) => "it finished".to_owned(),
        None if ran.silent.contains(party) => "it was silent".to_owned(),
        None => "it was not asked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::{Sample, node};
    use super::*;

    /// A run that node 0 and node 1 finished with the same result, and in which node 2 blames node 1.
    fn ran() -> Sample {
        let mut sample = Sample::new();
        let result = Value::Map(vec![("random".into(), "ff".into())]);
        sample.ran.push(Ran {
            name: "run".parse().expect("valid"),
            begun: Duration::ZERO,
            done: [(node(0), result.clone()), (node(1), result)].into(),
            failed: [(node(2), ("it lied".to_owned(), vec![node(1)]))].into(),
            silent: BTreeSet::new(),
        });
        sample.scenario.expect.runs.push(ExpectedRun {
            name: "run".parse().expect("valid"),
            done: Some([node(0), node(1)].into()),
            failed: Some([node(2)].into()),
            blamed: Some([node(1)].into()),
            result: Value::Map(vec![("random".into(), "ff".into())]),
            alike: vec!["random".to_owned()],
        });
        sample
    }

    #[test]
    fn finds_each_way_in_which_a_run_went_otherwise() {
        ran().holds(broken);
        let changes: [(fn(&mut Ran, &mut ExpectedRun), &str); 7] = [
            (
                |ran, _| ran.name = "other".parse().expect("valid"),
                "not begun",
            ),
            (|ran, _| drop(ran.done.remove(&node(1))), "did not finish"),
            (|_, it| it.failed = Some([node(0)].into()), "it finished"),
            (|_, it| it.blamed = Some(BTreeSet::new()), "expected is {}"),
            (|_, it| it.alike = vec!["sum".to_owned()], "lack it"),
            (
                |ran, _| {
                    ran.done.insert(node(0), Value::Map(Vec::new()));
                },
                "the result of node-0 has None",
            ),
            (
                |ran, it| {
                    it.result = Value::Map(Vec::new());
                    let other = Value::Map(vec![("random".into(), "00".into())]);
                    ran.done.insert(node(1), other);
                },
                "results differ",
            ),
        ];
        for (change, how) in changes {
            let mut sample = ran();
            change(&mut sample.ran[0], &mut sample.scenario.expect.runs[0]);
            let found = broken(&sample.evidence());
            assert!(
                found.iter().any(|found| found.contains(how)),
                "{how}: {found:?}"
            );
        }
    }
}

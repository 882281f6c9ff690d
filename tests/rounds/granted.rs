//! Runs that use what operators grant: given as the policy says, told of in the audit log, and in no log or trace.

use std::fs;

use backchannel_test_guests::COMPARING;
use serde_json::{Value, json};

use crate::harness::{Network, json, run};
use crate::{FAILED, begin, ended, nodes_with, parties};

const IDS: [&str; 2] = ["a", "b"];
const MRN: &str = "mrn-4711-secret";
const AGE: &str = "57.031253";

/// The rows of a table: 20 patients, some of them the other's too.
fn table(first: usize) -> String {
    let row = |n| format!("P{n},{}\n", 20 + n);
    let rows: String = (first..first + 20).map(row).collect();
    format!("mrn,age\n{MRN},{AGE}\n{rows}")
}

fn input(name: &str, column: &str, kind: &str, more: &str) -> String {
    format!(
        "\n[[plugin.comparing.inputs]]\nname = \"{name}\"\nfile = \"cohort.csv\"\ncolumn = \"{column}\"\nkind = \"{kind}\"\n{more}"
    )
}

/// Two nodes that may compare, each with a table beside its policy. Nothing is granted yet.
fn network() -> Network {
    let network = nodes_with(&IDS, "comparing", COMPARING);
    for (id, first) in IDS.into_iter().zip([0, 15]) {
        fs::write(
            format!("{}/cohort.csv", network.node(id).data()),
            table(first),
        )
        .expect("written");
    }
    network
}

/// Grants a node's plugin inputs, beside those it has; what the command says.
fn grant(network: &Network, id: &str, inputs: &str) -> Value {
    let data = network.node(id).data();
    let path = format!("{data}/policy.toml");
    let policy = fs::read_to_string(&path).expect("a policy");
    fs::write(&path, policy + inputs).expect("written");
    json(&["plugin", "reload", "--data", data])
}

fn grant_all(network: &Network) {
    for id in IDS {
        let reloaded = grant(
            network,
            id,
            &(input("patients", "mrn", "ids", "") + &input("ages", "age", "numbers", "")),
        );
        assert_eq!(reloaded["warnings"], json!([]));
    }
}

#[test]
fn a_plugin_without_inputs_is_given_none_and_neither_side_hears_where_they_would_be() {
    let network = network();
    let (ran, code) = ended(begin(&network, "comparing", &json!({}), &[]));
    assert_eq!(code, FAILED);
    for party in parties(&ran).values() {
        let text = party["text"].as_str().expect("a text");
        assert!(text.contains("no input") && !text.contains("csv"), "{text}");
    }
}

#[test]
fn what_is_granted_is_used_and_told_of_and_shows_nowhere() {
    let network = network();
    grant_all(&network);

    let (ran, code) = ended(begin(&network, "comparing", &json!({}), &[]));

    assert_eq!(code, 0, "{ran}");
    for party in parties(&ran).values() {
        // One by its secret id, and P15 to P19.
        assert_eq!(party["result"]["common"], 6, "{ran}");
    }
    for id in IDS {
        let node = network.node(id);
        let shown = json(&[
            "audit",
            "show",
            "--data",
            node.data(),
            "--operation",
            "input_used",
        ]);
        let text = shown.to_string();
        for part in ["\"patients\"", "\"ages\"", "\"rows\":21", "comparing"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let loaded = json(&[
            "audit",
            "show",
            "--data",
            node.data(),
            "--operation",
            "plugin_loaded",
        ]);
        assert!(
            loaded.to_string().contains("patients: ids, column mrn of "),
            "{loaded}"
        );
        let audit = fs::read_to_string(format!("{}/audit.jsonl", node.data())).expect("there");
        let status = node.status().to_string();
        for (what, text) in [("log", node.log()), ("audit", audit), ("status", status)] {
            assert!(!text.contains(MRN) && !text.contains(AGE), "{what}: {text}");
        }
    }
}

#[test]
fn a_minimum_that_is_not_met_refuses_the_run_and_tells_its_operator() {
    let network = network();
    grant_all(&network);
    let data = network.node("b").data();
    fs::write(
        format!("{data}/cohort.csv"),
        format!("mrn,age\n{MRN},{AGE}\n"),
    )
    .expect("written");

    let reloaded = json(&["plugin", "reload", "--data", data]);
    let (ran, code) = ended(begin(&network, "comparing", &json!({}), &[]));

    let warnings = reloaded["warnings"].as_array().expect("warnings");
    assert_eq!(warnings.len(), 2, "{reloaded}");
    assert_eq!(code, FAILED);
    let text = parties(&ran)["b"]["text"].to_string();
    assert!(text.contains("min-rows = 20"), "{text}");
    let log = network.node("b").log();
    let line = "its input patients cannot be given: it has fewer rows than min-rows = 20";
    assert!(log.contains(line) && !log.contains(MRN), "{log}");
}

#[test]
fn a_node_starts_without_its_data_and_finds_them_when_they_are_there() {
    let mut network = network();
    grant_all(&network);
    let table_of_a = format!("{}/cohort.csv", network.node("a").data());
    let kept = fs::read(&table_of_a).expect("there");
    fs::remove_file(&table_of_a).expect("gone");
    network.node_mut("a").stop();

    network.node_mut("a").start_again();
    network.until_connected();
    let (ran, code) = ended(begin(&network, "comparing", &json!({}), &[]));
    assert_eq!(code, FAILED, "{ran}");
    let text = parties(&ran)["a"]["text"].to_string();
    assert!(
        text.contains("cannot be read") && !text.contains("csv"),
        "{text}"
    );

    fs::write(&table_of_a, kept).expect("back");
    let (ran, code) = ended(begin(&network, "comparing", &json!({}), &[]));
    assert_eq!(code, 0, "{ran}");
}

#[test]
fn the_list_names_the_line_that_grants_and_a_wrong_one_is_refused_with_its_own() {
    let network = network();
    grant_all(&network);
    let data = network.node("a").data();

    let list = run(&["plugin", "list", "--data", data]).out;
    let policy = fs::read_to_string(format!("{data}/policy.toml")).expect("a policy");
    let line = policy
        .lines()
        .position(|line| line == "name = \"patients\"");
    let line = line.expect("a line") + 1;
    let granted =
        format!("patients: ids, column mrn of cohort.csv, at least 20 rows (policy.toml:{line})");
    assert!(list.contains(&granted), "{list}");

    let wrong = input("more", "mrn", "names", "");
    fs::write(format!("{data}/policy.toml"), format!("{policy}{wrong}")).expect("written");
    let refused = run(&["plugin", "reload", "--data", data]);
    let line = policy.lines().count() + 6;
    assert_eq!(refused.code, 3);
    assert!(
        refused.err.contains(&format!("policy.toml:{line}:")),
        "{}",
        refused.err
    );
}

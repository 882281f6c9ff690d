//! The demo: what it reports, and what it refuses before it starts anything.

use crate::INPUT;
use crate::harness::{Folder, json, problem};

/// What nodes say to each other in a set-up of each scheme.
const OF_RUNS: [&str; 4] = [
    "KeyRequest",
    "KeyReply",
    "AdditiveSSharingRequest",
    "AdditiveSSharingReply",
];

#[test]
fn shows_suite_1_when_it_is_asked_for() {
    let report = json(&["demo", "--nodes", "2", "--suite", "1"]);

    assert_eq!(
        (&report["ok"], &report["suite"], &report["channels"]),
        (&true.into(), &1.into(), &1.into())
    );
    for kind in [&OF_RUNS[..], &["ChannelSetupRequest", "ChannelSetupReply"]].concat() {
        assert!(
            report["messages"][kind].as_u64() >= Some(2),
            "{kind}: {report}"
        );
    }
    assert_eq!(report["messages"]["handshake"].as_u64(), None);
}

#[test]
fn shows_suite_3_when_it_is_asked_for() {
    let report = json(&["demo", "--nodes", "2", "--suite", "3"]);

    assert_eq!(
        (&report["ok"], &report["suite"], &report["channels"]),
        (&true.into(), &3.into(), &1.into())
    );
    assert!(report["messages"]["handshake"].as_u64() >= Some(3));
}

#[test]
fn reports_every_field_that_its_readers_rely_on() {
    let report = json(&["demo", "--nodes", "2"]);

    assert_eq!(
        (&report["ok"], &report["nodes"], &report["channels"]),
        (&true.into(), &2.into(), &1.into())
    );
    assert_eq!(report["suite"], 2, "secure against the relay by default");
    for kind in OF_RUNS {
        assert!(
            report["messages"][kind].as_u64() >= Some(2),
            "{kind}: {report}"
        );
    }
    assert!(report["messages"]["handshake"].as_u64() >= Some(3));
    assert_eq!(report["messages"]["ChannelSetupRequest"].as_u64(), None);
    let sum = &report["secure_sum"];
    assert_eq!(
        (&sum["column"], &sum["count"]),
        (&"radius_mean".into(), &569.into())
    );
    let number = |name: &str| {
        sum[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {report}"))
    };
    assert!((number("mean") - number("plaintext_mean")).abs() <= number("max_abs_error"));
    assert!(number("max_abs_error") < 1e-6);
    assert_eq!(report["server_key"]["sums_to_zero"], true);
    assert!(report["elapsed_ms"].as_u64() > Some(0));
}

#[test]
fn averages_a_column_of_the_users_own_files() {
    let folder = Folder::new();
    let a = folder.write("a.csv", "name,age\nada,36\ngrace,85\n");
    let b = folder.write("b.csv", "age,name\n41,alan\n");

    let report = json(&["demo", "--data", &a, &b, "--column", "age"]);

    assert_eq!(
        (
            &report["secure_sum"]["count"],
            &report["secure_sum"]["mean"]
        ),
        (&3.into(), &54.0.into())
    );
}

#[test]
fn refuses_fewer_than_two_nodes_and_files_that_do_not_match() {
    let folder = Folder::new();
    let csv = folder.write("a.csv", "age\n36\n");
    for nodes in ["0", "1", "101"] {
        problem(INPUT, &["demo", "--nodes", nodes]);
    }
    problem(INPUT, &["demo", "--data", &csv, "--column", "age"]);
    problem(
        INPUT,
        &[
            "demo", "--nodes", "3", "--data", &csv, &csv, "--column", "age",
        ],
    );
}

#[test]
fn refuses_data_that_cannot_be_summed() {
    let folder = Folder::new();
    let good = folder.write("good.csv", "age\n36\n");
    let refused = |file: &str, column: &str, why: &str| {
        let problem = problem(INPUT, &["demo", "--data", &good, file, "--column", column]);
        assert!(problem.why.contains(why), "{problem:?}");
    };
    refused(&good, "height", "there are: age");
    refused(
        &folder.write("cell.csv", "age\n36\nmany\n"),
        "age",
        "line 3",
    );
    refused(&folder.at("missing.csv"), "age", "");
    refused(&folder.write("huge.csv", "age\n1e300\n"), "age", "");
}

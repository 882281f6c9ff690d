//! Set-ups and sums that cannot be.

use crate::harness::{Folder, Network, json, problem};
use crate::{FAILED, INPUT};

#[test]
fn refuses_fewer_than_two_parties_unknown_ones_and_one_twice() {
    let network = Network::start(&["a", "b"]);
    let set_up = |parties: &str, exit| {
        problem(
            exit,
            &[
                "secagg",
                "setup",
                "--relay",
                network.relay.data(),
                "--scheme",
                "dh",
                "--parties",
                parties,
            ],
        )
    };

    assert!(set_up("a", INPUT).why.contains("at least two"));
    let twice = set_up("a,a", INPUT);
    assert!(twice.why.contains("twice"), "{twice:?}");
    let unknown = set_up("a,b,ghost", FAILED);
    assert!(
        unknown.why.contains("ghost is not connected"),
        "{unknown:?}"
    );
    assert!(
        network.node("a").status()["contexts"]
            .as_array()
            .expect("a list")
            .is_empty()
    );

    let delete = [
        "secagg",
        "delete",
        "--relay",
        network.relay.data(),
        "--id",
        "no-such-run",
        "--parties",
        "a,b",
    ];
    let unknown = problem(INPUT, &delete);
    assert!(unknown.why.contains("no-such-run"), "{unknown:?}");
}

#[test]
fn refuses_data_that_cannot_be_summed() {
    let network = Network::start(&["a", "b"]);
    let id = network.set_up("dh");
    let node = network.node("a").data();
    let refused = |name: &str, csv: &str, column: &str, why: &str| {
        let file = network.folder.write(name, csv);
        let args = [
            "secagg", "protect", "--node", node, "--id", &id, "--round", "1", "--data", &file,
            "--column", column,
        ];
        let problem = problem(INPUT, &args);
        assert!(problem.why.contains(why), "{name}: {problem:?}");
    };

    refused("column.csv", "age,mass\n36,70\n", "height", "age, mass");
    refused("cell.csv", "age\n36\nunknown\n", "age", "line 3");
    refused("gap.csv", "age\n36\n\"\"\n", "age", "line 3");
    refused("huge.csv", "age\n1e300\n", "age", "");
    refused(
        "large.csv",
        "age\n9000000000000\n9000000000000\n",
        "age",
        "",
    );
    refused("rows.csv", "age\n", "age", "no rows");
    refused("ragged.csv", "age,mass\n36\n", "age", "");

    // None of these used the round up.
    let file = network.folder.write("good.csv", "age\n36\n");
    network.protect("a", &id, 1, &file, "age");
}

#[test]
fn refuses_a_round_that_was_used_an_unknown_run_and_a_server_key() {
    let network = Network::start(&["a", "b"]);
    let (dh, server_key) = (network.set_up("dh"), network.set_up("server-key"));
    let csv = network.folder.write("ages.csv", "age\n36\n41\n");
    network.protect("a", &dh, 5, &csv, "age");
    let refused = |id: &str, round: &str, why: &str| {
        let node = network.node("a").data();
        let args = [
            "secagg", "protect", "--node", node, "--id", id, "--round", round, "--data", &csv,
            "--column", "age",
        ];
        let problem = problem(INPUT, &args);
        assert!(problem.why.contains(why), "{problem:?}");
    };

    refused(&dh, "5", "round 5 was used");
    refused(&dh, "4", "round 4 was used");
    refused("no-such-run", "1", "no-such-run");
    refused(&server_key, "1", "server-key");

    network.protect("a", &dh, 6, &csv, "age");
}

#[test]
fn refuses_contributions_that_do_not_add_up() {
    let network = Network::start(&["a", "b"]);
    let id = network.set_up("dh");
    let csv = network.folder.write("ages.csv", "age\n36\n41\n");
    let [a1, b1, b2] = [("a", 1), ("b", 1), ("b", 2)]
        .map(|(node, round)| network.protect(node, &id, round, &csv, "age"));
    let refused = |files: &[&str], why: &str| {
        let problem = problem(INPUT, &[&["secagg", "aggregate"], files].concat());
        assert!(problem.why.contains(why), "{problem:?}");
    };

    refused(&[&a1], "nothing from b");
    refused(&[&a1, &a1], "nothing from b");
    refused(&[&a1, &b1, &b1], "twice");
    refused(&[&a1, &b2], "different things");

    let sum = json(&["secagg", "aggregate", &a1, &b1]);
    assert_eq!((&sum["count"], &sum["sum"]), (&4.into(), &154.0.into()));
}

#[test]
fn refuses_contributions_that_cannot_be_read() {
    let folder = Folder::new();
    let files = [
        folder.at("missing.json"),
        folder.write("text.json", "36"),
        folder.write("other.json", "{\"ok\":true}"),
        folder.write("binary.json", [0xff, 0xfe]),
    ];
    for file in files {
        problem(INPUT, &["secagg", "aggregate", &file]);
    }
}

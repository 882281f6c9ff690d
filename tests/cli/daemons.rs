//! Relays and nodes that must not start.

use std::net::TcpListener;

use backchannel::key_store::{KeyStore, Lock};
use backchannel::randomness::Randomness;

use crate::harness::{Daemon, Folder, RESEARCHER, json, problem};
use crate::{INPUT, REFUSED, UNREACHABLE};

fn node<'a>(id: &'a str, researcher: &'a str, data: &'a str) -> [&'a str; 7] {
    [
        "node",
        "--id",
        id,
        "--researcher",
        researcher,
        "--data",
        data,
    ]
}

#[test]
fn refuses_a_port_that_is_in_use() {
    let folder = Folder::new();
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();

    let args = [
        "relay",
        "--researcher-id",
        RESEARCHER,
        "--data",
        &folder.at("relay"),
        "--listen",
        &address,
    ];
    let problem = problem(UNREACHABLE, &args);

    assert!(
        problem.why.contains(&address) && problem.why.contains("in use"),
        "{problem:?}"
    );
    assert!(problem.to_do.contains("--listen"), "{problem:?}");
}

#[test]
fn says_when_the_researcher_cannot_be_reached() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);

    let refused = problem(UNREACHABLE, &node("a", &address, &folder.at("a")));
    assert!(refused.why.contains(&address), "{refused:?}");

    let unknown = problem(
        UNREACHABLE,
        &node("b", "no-such-host.invalid:50051", &folder.at("b")),
    );
    assert!(unknown.why.contains("no-such-host.invalid"), "{unknown:?}");
}

#[test]
fn says_when_nothing_runs_on_a_data_directory() {
    let folder = Folder::new();
    problem(UNREACHABLE, &["status", "--data", &folder.at("nothing")]);
}

#[test]
fn refuses_a_relay_with_another_certificate_than_the_pinned_file() {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let other = Daemon::relay(folder.path(), "other");
    let pinned = format!("{}/relay-certificate.pem", other.data());

    let data = folder.at("a");
    let args = [
        &node("a", &relay.address, &data)[..],
        &["--certificate", &pinned],
    ]
    .concat();
    let problem = problem(REFUSED, &args);

    assert!(problem.why.contains("certificate"), "{problem:?}");
}

#[test]
fn refuses_a_relay_whose_certificate_changed_since_the_first_contact() {
    let folder = Folder::new();
    let mut relay = Daemon::relay(folder.path(), "relay");
    let mut first = Daemon::node(folder.path(), "a", &relay.address);
    first.stop();
    relay.stop();
    let _impostor = Daemon::relay_at(folder.path(), "impostor", &relay.address);

    let problem = problem(REFUSED, &node("a", &relay.address, first.data()));

    assert!(problem.why.contains("another certificate"), "{problem:?}");
    assert!(problem.to_do.contains("--certificate"), "{problem:?}");
    assert!(problem.to_do.contains("backchannel trust"), "{problem:?}");
}

#[test]
fn trusts_a_new_certificate_by_its_fingerprint_and_no_other() {
    let folder = Folder::new();
    let mut relay = Daemon::relay(folder.path(), "relay");
    let mut first = Daemon::node(folder.path(), "a", &relay.address);
    let known = relay.status()["fingerprint"].clone();
    first.stop();
    relay.stop();
    let renewed = Daemon::relay_at(folder.path(), "renewed", &relay.address);
    let fingerprint = renewed.status()["fingerprint"].clone();
    let [known_text, new_text] =
        [&known, &fingerprint].map(|text| text.as_str().expect("a fingerprint").to_owned());
    let data = first.data().to_owned();
    let settings = &node("a", &relay.address, &data)[1..];
    let trust = |fingerprint| [&["trust", fingerprint][..], settings].concat();

    problem(INPUT, &trust("5A:E8"));
    let refused = problem(REFUSED, &trust(&known_text));
    assert!(refused.why.contains(&new_text), "{refused:?}");
    problem(REFUSED, &node("a", &relay.address, &data));

    let trusted = json(&trust(&new_text));
    assert_eq!(
        (&trusted["fingerprint"], &trusted["before"]),
        (&fingerprint, &known)
    );
    first.start_again();
    // A node that runs has its store to itself.
    problem(REFUSED, &trust(&new_text));
    first.stop();
    let audit = std::fs::read_dir(&data).expect("a folder");
    let audit = audit.filter_map(|file| std::fs::read_to_string(file.expect("a file").path()).ok());
    let recorded = |text: String| text.contains("researcher_certificate_changed");
    assert!(audit.into_iter().any(recorded));
}

#[test]
fn trusts_a_researchers_new_certificate_once_it_is_given() {
    let folder = Folder::new();
    let mut relay = Daemon::relay(folder.path(), "relay");
    Daemon::node(folder.path(), "a", &relay.address).stop();
    relay.stop();
    let renewed = Daemon::relay_at(folder.path(), "renewed", &relay.address);
    let certificate = folder.at("renewed/relay-certificate.pem");

    Daemon::node_given(folder.path(), "a", &renewed.address, &certificate).stop();
    Daemon::node(folder.path(), "a", &renewed.address).stop();
}

#[test]
fn refuses_a_certificate_file_that_is_none() {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let data = folder.at("a");
    for file in [folder.at("missing.pem"), folder.write("text.pem", "hello")] {
        let args = [
            &node("a", &relay.address, &data)[..],
            &["--certificate", &file],
        ]
        .concat();
        problem(INPUT, &args);
    }
}

#[test]
fn refuses_a_store_that_is_damaged_foreign_or_anothers_and_leaves_it_alone() {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let path = |node: &str| folder.path().join(node).join("node.redb");
    for node in ["text", "empty", "foreign", "anothers"] {
        std::fs::create_dir(folder.path().join(node)).expect("a folder");
    }
    std::fs::write(path("text"), "name,age\nada,36\n").expect("written");
    std::fs::write(path("empty"), "").expect("written");
    drop(redb::Database::create(path("foreign")).expect("made"));
    let owner = "somebody".parse().expect("an id");
    drop(
        KeyStore::open(
            &path("anothers"),
            &owner,
            &Lock::Off,
            &Randomness::from_seed(1),
        )
        .expect("made"),
    );

    let refused = |name: &str, why: &str| {
        let problem = problem(REFUSED, &node("a", &relay.address, &folder.at(name)));
        assert!(problem.why.contains(why), "{name}: {problem:?}");
    };
    refused("text", "cannot be read");
    refused("empty", "empty");
    refused("foreign", "not made by");
    refused("anothers", "somebody");

    assert_eq!(
        std::fs::read(path("text")).expect("there"),
        b"name,age\nada,36\n"
    );
    assert_eq!(std::fs::read(path("empty")).expect("there"), b"");
    KeyStore::open(
        &path("anothers"),
        &owner,
        &Lock::Off,
        &Randomness::from_seed(1),
    )
    .expect("still its owner's");
}

#[test]
fn names_the_line_of_a_configuration_that_cannot_be_used() {
    let folder = Folder::new();
    let unknown = folder.write("unknown.toml", "id = \"a\"\nreseacher = \"r:1\"\n");
    let problem_there = problem(INPUT, &["node", "--config", &unknown]);
    assert!(
        problem_there.why.contains("line 2") && problem_there.why.contains("reseacher"),
        "{problem_there:?}"
    );

    let broken = folder.write("broken.toml", "id = \"a\"\nname = [\n");
    assert!(
        problem(INPUT, &["node", "--config", &broken])
            .why
            .contains("line")
    );
    problem(INPUT, &["node", "--config", &folder.at("missing.toml")]);
    problem(INPUT, &["node", "--id", "a", "--data", &folder.at("a")]);
    problem(INPUT, &node("a", "no-port", &folder.at("a")));
    problem(INPUT, &node("a\u{7}", "r:1", &folder.at("a")));
}

#[test]
fn refuses_a_second_relay_or_node_on_one_data_directory() {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let first = Daemon::node(folder.path(), "a", &relay.address);

    problem(REFUSED, &node("a", &relay.address, first.data()));
    let args = [
        "relay",
        "--researcher-id",
        RESEARCHER,
        "--data",
        relay.data(),
        "--listen",
        "127.0.0.1:0",
    ];
    problem(REFUSED, &args);

    // Those that run are none the worse.
    assert_eq!(first.status()["role"], "node");
    assert_eq!(relay.status()["role"], "relay");
}

#[test]
fn refuses_a_relay_for_another_researcher_than_its_certificates() {
    let folder = Folder::new();
    let mut relay = Daemon::relay(folder.path(), "relay");
    relay.stop();
    let args = [
        "relay",
        "--researcher-id",
        "another",
        "--data",
        relay.data(),
        "--listen",
        "127.0.0.1:0",
    ];
    let problem = problem(REFUSED, &args);
    assert!(problem.why.contains("another"), "{problem:?}");
}

#[test]
fn refuses_a_data_directory_that_cannot_be_made() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    let inside = format!("{file}/data");
    problem(
        INPUT,
        &[
            "relay",
            "--researcher-id",
            RESEARCHER,
            "--data",
            &inside,
            "--listen",
            "127.0.0.1:0",
        ],
    );
    problem(INPUT, &node("a", "127.0.0.1:1", &inside));
}

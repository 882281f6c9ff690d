//! Moving in from Fed-BioMed, as an operator does it: a component folder made by Fed-BioMed 6.4.1
//! (`fixtures/fedbiomed-node`), the built program, and what Fed-BioMed itself makes of the same keys.

mod harness;

use std::path::{Path, PathBuf};

use harness::{Daemon, Folder, json, problem, run};
use num_bigint::BigInt;
use serde_json::{Value, json as object};

/// A file, a value or an argument cannot be used.
const INPUT: i32 = 3;
/// Something does not match what is trusted.
const REFUSED: i32 = 5;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/fedbiomed-node")
        .join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// A copy of the fixture's component folder, to be spoiled.
fn component(folder: &Folder) -> PathBuf {
    let copy = folder.path().join("component");
    for name in ["etc/config.ini", "var/db_hospital-a.json"] {
        let path = copy.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::copy(fixture("component").join(name), path).expect("copied");
    }
    copy
}

fn database(component: &Path) -> PathBuf {
    component.join("var/db_hospital-a.json")
}

/// Name and content of everything below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn refuses_a_folder_that_is_not_a_nodes_and_makes_no_store() {
    let folder = Folder::new();
    let (data, copy) = (folder.at("data"), component(&folder));
    let import = || {
        problem(
            INPUT,
            &["import", "fedbiomed", text(&copy), "--data", &data],
        )
    };
    let whole = std::fs::read_to_string(database(&copy)).expect("a fixture");
    let spoil = |text: &str| std::fs::write(database(&copy), text).expect("written");

    let elsewhere = folder.at("nowhere");
    let missing = ["import", "fedbiomed", &elsewhere, "--data", &data];
    assert!(problem(INPUT, &missing).why.contains("config.ini"));
    spoil(&whole[..whole.len() / 2]);
    assert!(import().why.contains("not JSON"));
    spoil("{\"ChannelManager\": []}");
    assert!(import().why.contains("ChannelManager"));
    std::fs::remove_file(database(&copy)).expect("removed");
    assert!(import().why.contains("db_hospital-a.json"));
    std::fs::write(copy.join("etc/config.ini"), "[default\n").expect("written");
    assert!(import().why.contains("line 1"));

    assert!(!Path::new(&data).exists());
}

#[test]
fn refuses_the_folder_of_a_node_that_runs() {
    let folder = Folder::new();
    let (data, copy) = (folder.at("data"), component(&folder));
    // What the reference's process looks like from outside.
    let mut node = std::process::Command::new("sh")
        .args(["-c", "read line", "-m", "fedbiomed.node.node_pm"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    let whole = std::fs::read_to_string(database(&copy)).expect("a fixture");
    let state = object!({ "1": { "state": "running", "pid": node.id() } });
    let running = whole.replacen('{', &format!("{{\"NodeProcessState\": {state}, "), 1);
    std::fs::write(database(&copy), running).expect("written");
    let import = ["import", "fedbiomed", text(&copy), "--data", &data];
    let start = ["node", "--fedbiomed", text(&copy), "--data", &data];

    let refused = [problem(INPUT, &import), problem(INPUT, &start)];
    node.kill().expect("a child of ours");
    node.wait().expect("a child of ours");

    for refused in refused {
        assert!(refused.why.contains("runs"), "{refused:?}");
        assert!(refused.to_do.contains("stop"), "{refused:?}");
    }
    assert!(!Path::new(&data).exists());
    // A process that was killed has noted nothing.
    json(&import);
}

#[test]
fn refuses_the_store_of_another_node() {
    let folder = Folder::new();
    let data = folder.at("data");
    let component = fixture("component");
    let import = ["import", "fedbiomed", text(&component), "--data", &data];
    json(&import);

    let other = [&import[..], &["--id", "hospital-b"]].concat();
    let refused = problem(REFUSED, &other);
    assert!(refused.why.contains("hospital-a"), "{refused:?}");
}

#[test]
fn names_each_row_that_it_does_not_take_and_why() {
    let folder = Folder::new();
    let (data, copy) = (folder.at("data"), component(&folder));
    let bytes = std::fs::read(database(&copy)).expect("a fixture");
    // The numbers of a server key are longer than a JSON number of this library: only the text is changed.
    let spoiled = String::from_utf8(bytes)
        .expect("text")
        .replacen(
            "\"distant_node_id\": \"hospital-b\"",
            "\"distant_node_id\": \"hospital-a\"",
            1,
        )
        .replacen("\"secagg_version\": \"2\"", "\"secagg_version\": \"1\"", 1);
    std::fs::write(database(&copy), spoiled).expect("written");

    let shown = json(&["import", "fedbiomed", text(&copy), "--data", &data]);

    assert_eq!(shown["channels"][0]["outcome"], "not taken");
    assert!(
        shown["channels"][0]["why"]
            .as_str()
            .expect("why")
            .contains("itself")
    );
    assert_eq!(shown["channels"][1]["outcome"], "taken");
    assert!(
        shown["contexts"][0]["why"]
            .as_str()
            .expect("why")
            .contains("version")
    );
    assert_eq!(shown["contexts"][1]["outcome"], "taken");
}

#[test]
fn allows_suite_1_once_and_leaves_what_the_operator_said_of_it() {
    let folder = Folder::new();
    let (data, copy) = (folder.at("data"), component(&folder));
    let import = ["import", "fedbiomed", text(&copy), "--data", &data];
    let policy = || std::fs::read_to_string(format!("{data}/policy.toml")).expect("a policy");

    assert_eq!(json(&import)["suite_1_allowed"], true);

    assert!(policy().contains("[channels]\nsuite-1 = \"any\"\n"));
    assert_eq!(json(&import)["suite_1_allowed"], false);
    let nobody = "version = 1\n[channels]\nsuite-1 = []\n";
    folder.write("data/policy.toml", nobody);
    assert_eq!(json(&import)["suite_1_allowed"], false);
    assert_eq!(policy(), nobody);
}

#[test]
fn takes_everything_once_and_never_changes_the_source() {
    let folder = Folder::new();
    let (data, copy) = (folder.at("data"), component(&folder));
    let before = contents(&copy);
    let import = ["import", "fedbiomed", text(&copy), "--data", &data];
    let outcomes = |shown: &Value| -> Vec<String> {
        ["channels", "contexts"]
            .iter()
            .flat_map(|kind| shown[kind].as_array().expect("a list"))
            .map(|entry| {
                format!(
                    "{} {}",
                    entry["id"].as_str().expect("an id"),
                    entry["outcome"].as_str().expect("an outcome")
                )
            })
            .collect()
    };

    let first = json(&import);
    assert_eq!(
        outcomes(&first),
        [
            "hospital-b taken",
            "hospital-c taken",
            "secagg_fixture_dh taken",
            "secagg_fixture_server_key taken"
        ]
    );
    assert_eq!(
        first["not_read"],
        object!([{ "table": "Datasets", "rows": 1 }])
    );
    let again = json(&import);
    assert!(
        outcomes(&again)
            .iter()
            .all(|entry| entry.ends_with("already there")),
        "{again}"
    );
    let for_people = run(&import).out;
    assert!(
        for_people.contains("already there") && for_people.contains("Datasets"),
        "{for_people}"
    );

    assert_eq!(contents(&copy), before);
}

#[test]
fn a_node_of_a_component_folder_protects_as_fed_biomed_does() {
    let folder = Folder::new();
    let (component, expected) = (fixture("component"), expected());
    let relay = Daemon::relay(folder.path(), "relay");
    let id_of = |scheme: &str| expected["ids"][scheme].as_str().expect("an id");
    keep_researcher_key(&relay, id_of("server-key"), &expected["researcher_key"]);
    let cases = expected["cases"].as_array().expect("a list");
    for (number, case) in cases.iter().enumerate() {
        // All cases are of round 3, which serves once: a store for each.
        let name = format!("node{number}");
        let data = folder.at(&name);
        let import = ["import", "fedbiomed", text(&component), "--data", &data];
        json(&[&import[..], &["--last-round", "2"]].concat());
        // The folder says localhost:50051, which may be anybody's.
        let researcher = ["--researcher", &relay.address];
        let words = [&["node", "--fedbiomed", text(&component)][..], &researcher].concat();
        let node = Daemon::start(folder.path(), &name, &words);
        let status = node.status();
        assert_eq!(
            (&status["id"], &status["name"]),
            (&"hospital-a".into(), &"Hospital A".into())
        );
        assert_eq!(status["channels"], object!([]), "no peer's key is known");

        for scheme in ["dh", "server-key"] {
            let case = Case {
                case,
                scheme,
                id: id_of(scheme),
                expected: &expected,
            };
            let used = problem(INPUT, &case.protect(&folder, &node, 2).words());
            assert!(used.why.contains("round 2 was used"), "{used:?}");

            let protected = json(&case.protect(&folder, &node, 3).words());
            assert_eq!(
                protected["protected"], case.case[scheme]["hospital-a"],
                "{scheme}"
            );
            let again = problem(INPUT, &case.protect(&folder, &node, 3).words());
            assert!(again.why.contains("round 3 was used"), "{again:?}");

            let average = case.aggregate(&folder, &relay, protected);
            assert_eq!(average["values"], case.case["average"], "{scheme}");
        }
    }
}

/// A recorded case in one scheme.
struct Case<'a> {
    case: &'a Value,
    scheme: &'a str,
    id: &'a str,
    expected: &'a Value,
}

/// A command's arguments.
struct Words(Vec<String>);

impl Words {
    fn words(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

impl Case<'_> {
    fn protect(&self, folder: &Folder, node: &Daemon, round: u64) -> Words {
        let values = folder.write("values.json", self.case["values"]["hospital-a"].to_string());
        let mut words: Vec<String> = [
            "secagg",
            "protect",
            "--node",
            node.data(),
            "--id",
            self.id,
            "--values",
            &values,
        ]
        .map(str::to_owned)
        .into();
        words.extend([
            format!("--round={round}"),
            format!("--clipping-range={}", self.case["clipping_range"]),
            format!("--target-range={}", self.case["target_range"]),
        ]);
        if let Some(weight) = self.case["weights"]["hospital-a"].as_u64() {
            words.push(format!("--weight={weight}"));
        }
        Words(words)
    }

    /// The average of our vector and what Fed-BioMed made of the other parties'.
    fn aggregate(&self, folder: &Folder, relay: &Daemon, own: Value) -> Value {
        let mut files = Vec::new();
        for party in self.expected["parties"].as_array().expect("a list") {
            let party = party.as_str().expect("a name");
            let mut file = own.clone();
            if party != "hospital-a" {
                file["node"] = party.into();
                file["weight"] = self.case["weights"][party].clone();
                file["protected"] = self.case[self.scheme][party].clone();
            }
            files.push(folder.write(&format!("{party}.json"), file.to_string()));
        }
        let words = ["secagg", "aggregate", "--relay", relay.data()];
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        json(&[&words[..], &files].concat())
    }
}

/// As the relay keeps it after a set-up.
fn keep_researcher_key(relay: &Daemon, id: &str, key: &Value) {
    let key: BigInt = key.as_str().expect("text").parse().expect("a number");
    let keys = Path::new(relay.data()).join("server-keys");
    std::fs::create_dir_all(&keys).expect("made");
    std::fs::write(keys.join(hex::encode(id)), key.to_signed_bytes_be()).expect("written");
}

#[test]
fn flags_go_before_variables_and_variables_before_the_file() {
    let folder = Folder::new();
    let component = fixture("component");
    let import = |id: &[&str], data: &str| {
        let data = folder.at(data);
        let words = [
            "import",
            "fedbiomed",
            text(&component),
            "--data",
            &data,
            "-o",
            "json",
        ];
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_backchannel"))
            .args([&words[..], id].concat())
            .env("FBM_DEFAULT_ID", "hospital-c")
            .output()
            .expect("it runs");
        let shown: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        shown["id"].as_str().expect("an id").to_owned()
    };

    assert_eq!(import(&[], "c"), "hospital-c");
    assert_eq!(import(&["--id", "hospital-a"], "a"), "hospital-a");
}

//! Who is whom: identities, pins and rosters, with a node that runs and without one.

use serde_json::Value;

use crate::harness::{Folder, Network, Problem, json, problem, run};
use crate::{INPUT, REFUSED, USAGE};

/// Nodes that never ran, in folders by their ids, and a consortium of two keys of which a node wants both.
pub struct Desk {
    pub folder: Folder,
    passphrase: String,
    pub keys: [String; 2],
}

impl Desk {
    pub fn new() -> Self {
        let folder = Folder::new();
        let desk = Self {
            passphrase: folder.write("passphrase", "correct horse\n"),
            keys: ["kim.key", "lee.key"].map(|name| folder.at(name)),
            folder,
        };
        for key in &desk.keys {
            let new = ["plugin", "key", "new", key];
            json(&[&new[..], &["--passphrase-file", &desk.passphrase]].concat());
        }
        desk
    }

    /// The node's identity, and its file.
    pub fn identity(&self, node: &str) -> (Value, String) {
        let (data, file) = (
            self.folder.at(node),
            self.folder.at(&format!("{node}.toml")),
        );
        let export = [
            "identity", "export", "--data", &data, "--id", node, "--to", &file,
        ];
        (json(&export), file)
    }

    pub fn trust_the_consortium(&self, node: &str) {
        let keys = self.keys.each_ref().map(|key| {
            let file = std::fs::read_to_string(format!("{key}.pub")).expect("a public key");
            file.lines().last().expect("a key").to_owned()
        });
        let policy = format!(
            "version = 1\n[roster]\nthreshold = 2\n[roster.keys]\nkim = \"{}\"\nlee = \"{}\"\n",
            keys[0], keys[1]
        );
        self.folder.write(&format!("{node}/policy.toml"), policy);
    }

    /// Writes a roster of these nodes, by their keys.
    fn roster(&self, version: u64, nodes: &[(&str, &str)]) -> String {
        let now = time::OffsetDateTime::now_utc();
        self.roster_of(version, now, now + time::Duration::days(100), nodes)
    }

    pub fn roster_of(
        &self,
        version: u64,
        issued: time::OffsetDateTime,
        expires: time::OffsetDateTime,
        nodes: &[(&str, &str)],
    ) -> String {
        let time = |time: time::OffsetDateTime| {
            time.format(&time::format_description::well_known::Rfc3339)
                .expect("a time")
        };
        let mut text = format!(
            "format = 1\nfederation = \"heart-eu\"\nversion = {version}\nissued = {}\nexpires = {}\n",
            time(issued),
            time(expires)
        );
        for (id, key) in nodes {
            text +=
                &format!("[[node]]\nid = \"{id}\"\nsite = \"Hospital {id}\"\nkey = \"{key}\"\n");
        }
        self.folder.write(&format!("roster-{version}.toml"), text)
    }

    fn sign(&self, roster: &str, key: &str) {
        let sign = ["roster", "sign", roster, "--key", key];
        json(&[&sign[..], &["--passphrase-file", &self.passphrase]].concat());
    }

    /// Signed by both.
    pub fn signed(&self, version: u64, nodes: &[(&str, &str)]) -> String {
        let roster = self.roster(version, nodes);
        self.keys.iter().for_each(|key| self.sign(&roster, key));
        roster
    }

    fn not_applied(&self, exit: i32, roster: &str) -> Problem {
        problem(
            exit,
            &["roster", "apply", roster, "--data", &self.folder.at("a")],
        )
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect("a text")
}

fn peers(data: &str) -> Value {
    json(&["peer", "list", "--data", data])
}

#[test]
fn a_node_that_never_ran_has_an_identity_and_keeps_it() {
    let desk = Desk::new();
    let data = desk.folder.at("a");
    let none = problem(INPUT, &["identity", "show", "--data", &data]);
    assert!(none.to_do.contains("--id"), "{none:?}");
    let (first, file) = desk.identity("a");
    let again = json(&["identity", "show", "--data", &data]);
    assert_eq!(
        (&first["key"], &first["fingerprint"]),
        (&again["key"], &again["fingerprint"])
    );
    let file = std::fs::read_to_string(file).expect("a file");
    assert!(
        file.contains(text(&first, "key")) && !file.contains(&text(&first, "fingerprint")[..5])
    );
    let export = run(&["identity", "export", "--data", &data]);
    assert_eq!(export.out, file);

    problem(REFUSED, &["identity", "show", "--data", &data, "--id", "b"]);
    problem(
        INPUT,
        &[
            "identity",
            "show",
            "--data",
            &desk.folder.at("c"),
            "--id",
            "c\n",
        ],
    );
    let nowhere = desk.folder.at("no/folder/file");
    problem(
        INPUT,
        &["identity", "export", "--data", &data, "--to", &nowhere],
    );
}

#[test]
fn a_peer_is_pinned_once_its_fingerprint_was_read_out() {
    let desk = Desk::new();
    desk.identity("a");
    let ((b, file), (c, file_of_c)) = (desk.identity("b"), desk.identity("c"));
    let data = desk.folder.at("a");
    let pin = |node: &str, file: &str, fingerprint: &str| {
        let pin = ["peer", "pin", node, file, "--fingerprint", fingerprint];
        [&pin[..], &["--data", &data, "--by", "Ada"]]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let refused = |exit, words: &[String]| {
        problem(exit, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let said = text(&b, "fingerprint");
    let other = refused(REFUSED, &pin("b", &file, text(&c, "fingerprint")));
    assert!(other.to_do.contains("telephone"), "{other:?}");
    refused(INPUT, &pin("c", &file, said));
    refused(INPUT, &pin("b", &file, "12345"));
    let misheard = refused(INPUT, &pin("b", &file, &format!("99999{}", &said[5..])));
    assert!(misheard.why.contains("group 1"), "{misheard:?}");
    refused(INPUT, &pin("b", &desk.passphrase, said));
    refused(INPUT, &pin("b", &desk.folder.at("nothing"), said));
    refused(
        INPUT,
        &pin("b", &desk.folder.write("bytes", [0xff, 0xfe]), said),
    );
    let own = desk.identity("a");
    refused(INPUT, &pin("a", &own.1, text(&own.0, "fingerprint")));
    let without = run(&["peer", "pin", "b", &file, "--data", &data]);
    assert_eq!(without.code, USAGE, "{without:?}");
    assert_eq!(peers(&data)["peers"], serde_json::json!([]));

    let words = pin("b", &file, said);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    assert_eq!(json(&words)["already"], false);
    assert_eq!(json(&words)["already"], true);
    let listed = &peers(&data)["peers"][0];
    assert_eq!(
        (text(listed, "source"), text(listed, "key")),
        ("pin", text(&b, "key"))
    );
    assert_eq!(
        (&listed["suites"], &listed["confirmed"]),
        (&serde_json::json!([2]), &true.into())
    );

    // The same node with another key: its data are lost, or somebody is in between.
    std::fs::remove_dir_all(desk.folder.at("b")).expect("removed");
    let (new, file) = desk.identity("b");
    let changed = refused(REFUSED, &pin("b", &file, text(&new, "fingerprint")));
    assert!(changed.to_do.contains("peer unpin b"), "{changed:?}");
    problem(INPUT, &["peer", "unpin", "c", "--data", &data]);
    let unpin = ["peer", "unpin", "b", "--data", &data];
    assert_eq!(text(&json(&unpin), "key"), text(&b, "key"));
    let words = pin("b", &file_of_c, text(&c, "fingerprint"));
    refused(INPUT, &words);

    let audit = json_lines(&["audit", "show", "--data", &data]);
    for operation in ["peer_pinned", "peer_unpinned", "pin_refused"] {
        assert!(audit.contains(operation), "{operation}: {audit}");
    }
}

/// What a command prints.
fn json_lines(args: &[&str]) -> String {
    let outcome = run(&[args, &["-o", "json"]].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.out
}

#[test]
fn a_roster_is_believed_when_enough_have_signed_it() {
    let desk = Desk::new();
    let [a, b, c] = ["a", "b", "c"].map(|node| desk.identity(node).0);
    let keys = [&a, &b, &c].map(|identity| text(identity, "key").to_owned());
    let [key_a, key_b, key_c] = keys.each_ref().map(String::as_str);
    let data = desk.folder.at("a");

    let first = desk.roster(1, &[("a", key_a), ("b", key_b)]);
    let nobody = desk.not_applied(INPUT, &first);
    assert!(nobody.to_do.contains("[roster.keys]"), "{nobody:?}");
    desk.trust_the_consortium("a");
    desk.not_applied(REFUSED, &first);
    desk.sign(&first, &desk.keys[0]);
    let one = desk.not_applied(REFUSED, &first);
    assert!(one.why.contains("1 of 2"), "{one:?}");
    let signature = std::fs::read(format!("{first}.minisig")).expect("a signature");
    desk.folder.write("roster-1.toml.again.minisig", signature);
    let twice = desk.not_applied(REFUSED, &first);
    assert!(twice.why.contains("counts once"), "{twice:?}");
    desk.sign(&first, &desk.keys[1]);

    let verified = json(&["roster", "verify", &first, "--data", &data]);
    assert_eq!(verified["nodes"][1]["fingerprint"], b["fingerprint"]);
    let applied = json(&["roster", "apply", &first, "--data", &data]);
    assert_eq!(
        (&applied["already"], &applied["added"]),
        (&false.into(), &serde_json::json!(["a", "b"]))
    );
    assert_eq!(
        json(&["roster", "apply", &first, "--data", &data])["already"],
        true
    );
    let listed = peers(&data);
    assert_eq!(
        listed["roster"]["signed_by"],
        serde_json::json!(["kim", "lee"])
    );
    assert_eq!(listed["peers"][0]["why"], "roster 1");

    let second = desk.signed(2, &[("a", key_a), ("c", key_c)]);
    let applied = json(&["roster", "apply", &second, "--data", &data]);
    assert_eq!(
        (&applied["added"], &applied["removed"]),
        (&serde_json::json!(["c"]), &serde_json::json!(["b"]))
    );
    let rollback = desk.not_applied(REFUSED, &first);
    assert!(rollback.why.contains("version 2"), "{rollback:?}");
    let other = desk.signed(2, &[("a", key_a)]);
    let equivocation = desk.not_applied(REFUSED, &other);
    assert!(equivocation.why.contains("two"), "{equivocation:?}");
    let foreign = desk.signed(3, &[("a", key_b)]);
    let own = desk.not_applied(REFUSED, &foreign);
    assert!(own.why.contains("this node"), "{own:?}");

    let changed = std::fs::read_to_string(&foreign).expect("a roster");
    desk.folder
        .write("roster-3.toml", changed.replace("Hospital a", "Hospital b"));
    let wrong = desk.not_applied(REFUSED, &foreign);
    assert!(wrong.why.contains("changed or swapped"), "{wrong:?}");
    assert_eq!(
        peers(&data)["roster"]["version"],
        2,
        "it believes what it did"
    );
}

#[test]
fn a_pin_against_the_roster_and_a_roster_against_a_pin_are_refused() {
    let desk = Desk::new();
    let [a, b, c] = ["a", "b", "c"].map(|node| desk.identity(node));
    desk.trust_the_consortium("a");
    let data = desk.folder.at("a");
    let (key_a, key_c) = (text(&a.0, "key"), text(&c.0, "key"));
    let apply = |roster: &str| ["roster", "apply", roster, "--data", &data].map(str::to_owned);
    let pin = [
        "peer",
        "pin",
        "b",
        &b.1,
        "--fingerprint",
        text(&b.0, "fingerprint"),
        "--data",
        &data,
    ];

    json(&pin);
    let other = desk.signed(1, &[("a", key_a), ("b", key_c)]);
    let against = desk.not_applied(REFUSED, &other);
    assert!(against.to_do.contains("peer unpin b"), "{against:?}");
    json(&["peer", "unpin", "b", "--data", &data]);
    json(&apply(&other).each_ref().map(String::as_str));
    let against = problem(REFUSED, &pin);
    assert!(against.why.contains("roster 1"), "{against:?}");
}

#[test]
fn a_roster_out_of_its_time_or_with_a_mistake_is_neither_signed_nor_believed() {
    let desk = Desk::new();
    let key = text(&desk.identity("a").0, "key").to_owned();
    desk.trust_the_consortium("a");
    let (now, day) = (time::OffsetDateTime::now_utc(), time::Duration::DAY);
    let refused = |roster: &str, exit| {
        let sign = ["roster", "sign", roster, "--key", &desk.keys[0]];
        problem(
            exit,
            &[&sign[..], &["--passphrase-file", &desk.passphrase]].concat(),
        )
    };
    for (issued, expires) in [
        (now - 365 * day, now - day),
        (now + 365 * day, now + 400 * day),
    ] {
        let roster = desk.roster_of(1, issued, expires, &[("a", &key)]);
        let out = refused(&roster, REFUSED);
        assert!(out.to_do.contains("clock"), "{out:?}");
    }
    for nodes in [
        &[("a", &key[..]), ("a", &key[..])][..],
        &[("a", "p256:02")],
        &[("", &key[..])],
    ] {
        let roster = desk.roster(1, nodes);
        let mistake = refused(&roster, INPUT);
        assert!(mistake.why.contains("line"), "{mistake:?}");
    }
    refused(&desk.folder.at("nothing"), INPUT);
    refused(&desk.folder.write("bytes", [0xff]), INPUT);
    let data = desk.folder.at("a");
    let roster = desk.folder.at("nothing");
    problem(INPUT, &["roster", "verify", &roster, "--data", &data]);
    desk.not_applied(INPUT, &roster);
    desk.folder
        .write("a/policy.toml", "version = 1\n[channels]\nsuite-1 = 1\n");
    let policy = problem(INPUT, &["peer", "list", "--data", &data]);
    assert!(policy.why.contains("policy.toml:3"), "{policy:?}");
}

#[test]
fn a_node_that_runs_does_the_same_and_a_relay_nothing() {
    let network = Network::start(&["a", "b"]);
    let [a, b] = ["a", "b"].map(|node| network.node(node).data().to_owned());
    let file = network.folder.at("b.toml");
    let exported = json(&["identity", "export", "--data", &b, "--to", &file]);
    let said = text(&exported, "fingerprint");
    let pin = [
        "peer",
        "pin",
        "b",
        &file,
        "--fingerprint",
        said,
        "--data",
        &a,
    ];
    assert_eq!(json(&pin)["already"], false);
    let listed = peers(&a);
    assert_eq!(listed["peers"][0]["key"], exported["key"]);
    let shown = run(&["peer", "list", "--data", &a]);
    assert!(shown.out.contains(said), "{shown:?}");
    let misheard = format!("99999{}", &said[5..]);
    problem(
        INPUT,
        &[
            "peer",
            "pin",
            "b",
            &file,
            "--fingerprint",
            &misheard,
            "--data",
            &a,
        ],
    );
    let other = text(&json(&["identity", "show", "--data", &a]), "fingerprint").to_owned();
    problem(
        REFUSED,
        &[
            "peer",
            "pin",
            "b",
            &file,
            "--fingerprint",
            &other,
            "--data",
            &a,
        ],
    );
    json(&["peer", "unpin", "b", "--data", &a]);
    problem(INPUT, &["peer", "unpin", "b", "--data", &a]);

    problem(INPUT, &["identity", "show", "--data", network.relay.data()]);
    problem(INPUT, &["peer", "list", "--data", network.relay.data()]);
}

//! What a thief of the disk finds, and what becomes of a store that is put back.

use std::fs;

use crate::harness::{Daemon, Folder, copy_of_store, json, problem, run, told};
use crate::{INPUT, REFUSED};

const IN_THE_CLEAR: &str = "version = 1\n[store]\nkey = \"off\"\n";

/// Makes a node's store, with an identity.
fn made(folder: &Folder, id: &str) {
    json(&["identity", "show", "--data", &folder.at(id), "--id", id]);
}

fn with_policy(policy: &str) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("a")).expect("a folder");
    folder.write("a/policy.toml", policy);
    folder
}

fn holds(file: &str, secret: &[u8]) -> bool {
    let content = fs::read(file).expect("a file");
    content.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn a_store_on_disk_shows_no_secret_unless_its_operator_said_so() {
    let folder = Folder::new();
    made(&folder, "a");
    let store = copy_of_store(folder.path(), "a");
    let randomness = backchannel::randomness::Randomness::from_seed(0);
    let identity = store.identity(&randomness).expect("a key").to_bytes();
    for secret in [store.seed().as_bytes(), &*identity] {
        for file in ["a/node.redb", "a/node.key"] {
            assert!(!holds(&folder.at(file), secret), "{file}");
        }
    }

    // The same search finds them in one in the clear; and once a key is named, no more.
    let folder = with_policy(IN_THE_CLEAR);
    made(&folder, "a");
    let data = folder.path().join("a");
    let open = |lock| {
        let path = data.join("node.redb");
        let id = "a".parse().expect("an id");
        backchannel::key_store::KeyStore::open(&path, &id, lock, &randomness).expect("a store")
    };
    let store = open(&backchannel::key_store::Lock::Off);
    let seed = *store.seed().as_bytes();
    drop(store);
    assert!(holds(&folder.at("a/node.redb"), &seed));
    let id = |data: &str| json(&["identity", "show", "--data", data])["key"].clone();
    let before = id(&folder.at("a"));
    folder.write("a/policy.toml", "version = 1\n");
    assert_eq!(id(&folder.at("a")), before, "it is the same node");
    assert!(!holds(&folder.at("a/node.redb"), &seed));
}

#[test]
fn a_key_or_passphrase_that_is_wrong_or_missing_is_named_and_changes_nothing() {
    let folder = with_policy("version = 1\n[store]\nkey = \"passphrase-file:pass\"\n");
    folder.write("a/pass", "correct horse\n");
    made(&folder, "a");
    let data = folder.at("a");
    let show = ["identity", "show", "--data", &data];
    let before = json(&show);

    folder.write("a/pass", "battery staple\n");
    let wrong = problem(REFUSED, &show);
    assert!(wrong.why.contains("does not open it"), "{wrong:?}");
    assert!(wrong.to_do.contains("[store]"), "{wrong:?}");
    fs::remove_file(folder.at("a/pass")).expect("removed");
    let missing = problem(INPUT, &show);
    assert!(missing.why.contains("pass cannot be read"), "{missing:?}");
    folder.write("a/policy.toml", IN_THE_CLEAR);
    let off = problem(REFUSED, &show);
    assert!(off.why.contains("it is encrypted"), "{off:?}");
    folder.write(
        "a/policy.toml",
        "version = 1\n[store]\nkey = \"env:NOBODY_SETS_THIS\"\n",
    );
    let unset = problem(INPUT, &show);
    assert!(unset.why.contains("NOBODY_SETS_THIS"), "{unset:?}");
    folder.write("a/policy.toml", "version = 1\n");
    let beside = problem(INPUT, &show);
    assert!(beside.why.contains("store.key is not there"), "{beside:?}");

    let right = "version = 1\n[store]\nkey = \"passphrase-file:pass\"\n";
    folder.write("a/policy.toml", right);
    folder.write("a/pass", "correct horse\n");
    assert_eq!(json(&show), before);
}

#[test]
fn a_running_node_is_backed_up_and_what_is_put_back_says_that_it_is_older() {
    let folder = Folder::new();
    let relay = Daemon::relay(folder.path(), "relay");
    let mut node = Daemon::node(folder.path(), "a", &relay.address);
    let (data, file) = (folder.at("a"), folder.at("a.backup"));
    let key = |data: &str| json(&["identity", "show", "--data", data])["key"].clone();

    json(&["backup", "--data", &data, "--to", &file]);
    let there = run(&["backup", "--data", &data, "--to", &file]);
    assert_eq!(there.code, INPUT, "it is not written over: {there:?}");
    let in_use = run(&["restore", &file, "--data", &data, "--replace"]);
    assert_eq!(in_use.code, REFUSED, "{in_use:?}");
    let before = key(&data);
    node.stop();
    let in_the_way = problem(REFUSED, &["restore", &file, "--data", &data]);
    assert!(in_the_way.to_do.contains("--replace"), "{in_the_way:?}");
    assert_eq!(told(&node, "store_set_back").len(), 0);

    json(&["restore", &file, "--data", &data, "--replace"]);
    node.start_again();

    assert_eq!(key(&data), before);
    assert_eq!(told(&node, "backup_made").len(), 1);
    let set_back = told(&node, "store_set_back");
    assert_eq!(
        (set_back.len(), &set_back[0]["status"]),
        (1, &"warning".into())
    );
    assert!(node.log().contains("older than what was last used here"));

    // On a new machine, with the key and nothing else.
    let elsewhere = folder.at("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let no_key = problem(INPUT, &["restore", &file, "--data", &elsewhere]);
    assert!(no_key.why.contains("store.key is not there"), "{no_key:?}");
    fs::copy(folder.at("a/store.key"), folder.at("elsewhere/store.key")).expect("copied");
    json(&["restore", &file, "--data", &elsewhere]);
    assert_eq!(key(&elsewhere), before);
}

#[test]
fn another_lock_does_not_write_the_store_anew() {
    let folder = Folder::new();
    made(&folder, "a");
    let data = folder.at("a");
    let show = ["identity", "show", "--data", &data];
    let before = json(&show);
    folder.write("a/pass", "correct horse\n");
    folder.write(
        "a/policy.toml",
        "version = 1\n[store]\nkey = \"passphrase-file:pass\"\n",
    );
    problem(REFUSED, &show);

    json(&["relock", "--from", "file:store.key", "--data", &data]);

    fs::remove_file(folder.at("a/store.key")).expect("removed");
    assert_eq!(json(&show), before);
}

#[test]
fn a_store_in_the_clear_does_not_take_the_place_of_an_encrypted_one() {
    let folder = Folder::new();
    made(&folder, "a");
    let theirs = with_policy(IN_THE_CLEAR);
    made(&theirs, "a");
    let before = fs::read(folder.at("a/node.redb")).expect("a store");
    fs::copy(theirs.at("a/node.redb"), folder.at("a/node.redb")).expect("put there");

    let (data, backup) = (folder.at("a"), theirs.at("a.backup"));
    let refused = problem(REFUSED, &["identity", "show", "--data", &data]);

    assert!(refused.why.contains("in the clear"), "{refused:?}");
    fs::write(folder.at("a/node.redb"), before).expect("put back");
    json(&["backup", "--data", &theirs.at("a"), "--to", &backup]);
    let restore = ["restore", &backup, "--data", &data, "--replace"];
    let refused = problem(REFUSED, &restore);
    assert!(
        refused.why.contains("anybody can have made it"),
        "{refused:?}"
    );
}

#[test]
fn a_key_of_a_store_that_was_moved_away_is_not_written_over() {
    let (folder, other) = (Folder::new(), Folder::new());
    made(&folder, "a");
    made(&other, "a");
    let (data, backup) = (folder.at("a"), other.at("a.backup"));
    json(&["backup", "--data", &other.at("a"), "--to", &backup]);
    let key = json(&["identity", "show", "--data", &data])["key"].clone();
    fs::rename(folder.at("a/node.redb"), folder.at("moved")).expect("moved");
    fs::copy(other.at("a/store.key"), folder.at("a/theirs")).expect("copied");
    folder.write(
        "a/policy.toml",
        "version = 1\n[store]\nkey = \"file:theirs\"\n",
    );

    let refused = problem(REFUSED, &["restore", &backup, "--data", &data]);

    assert!(
        refused.why.contains("the key of another store"),
        "{refused:?}"
    );
    fs::rename(folder.at("moved"), folder.at("a/node.redb")).expect("moved back");
    folder.write("a/policy.toml", "version = 1\n");
    assert_eq!(json(&["identity", "show", "--data", &data])["key"], key);
}

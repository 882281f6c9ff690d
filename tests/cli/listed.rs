//! Relays that were given a roster, and nodes that prove to them who they are: real processes.

use std::path::Path;

use backchannel::packages::{Signature, SigningKey, write_signature};

use crate::harness::{Daemon, Network, Problem, RESEARCHER, json, problem, run, until};
use crate::whom::Desk;
use crate::{INPUT, REFUSED, USAGE};

/// A consortium of two and the nodes that it knows.
struct Federation {
    desk: Desk,
    keys: Vec<(&'static str, String)>,
}

impl Federation {
    fn of(ids: &[&'static str]) -> Self {
        let desk = Desk::new();
        let keys = ids.iter().map(|id| {
            let key = desk.identity(id).0["key"]
                .as_str()
                .expect("a key")
                .to_owned();
            (*id, key)
        });
        let keys = keys.collect();
        Self { desk, keys }
    }

    /// Has the first `count` nodes in the roster that the relay is given, which both keys have signed.
    fn publish(&self, version: u64, count: usize) -> String {
        let listed: Vec<_> = self.keys[..count]
            .iter()
            .map(|(id, key)| (*id, key.as_str()))
            .collect();
        self.put(&self.desk.signed(version, &listed))
    }

    /// Puts a roster with its signatures where the relay looks.
    fn put(&self, roster: &str) -> String {
        let name = Path::new(roster).file_name().expect("a name");
        let name = name.to_str().expect("text");
        for file in std::fs::read_dir(self.desk.folder.path()).expect("a folder") {
            let file = file.expect("a file").path();
            let found = file.file_name().and_then(|name| name.to_str());
            if let Some(rest) = found.and_then(|found| found.strip_prefix(name)) {
                let to = self.desk.folder.at(&format!("roster.toml{rest}"));
                std::fs::copy(&file, to).expect("copied");
            }
        }
        self.desk.folder.at("roster.toml")
    }

    fn public_keys(&self) -> [String; 2] {
        self.desk.keys.each_ref().map(|key| format!("{key}.pub"))
    }

    fn relay(&self, more: &[&str]) -> Daemon {
        let [kim, lee] = self.public_keys();
        let roster = self.desk.folder.at("roster.toml");
        let listing = [
            "--roster",
            &roster,
            "--roster-key",
            &kim,
            "--roster-key",
            &lee,
        ];
        let args = [&listing[..], more].concat();
        Daemon::relay_with(self.desk.folder.path(), "relay", "127.0.0.1:0", &args)
    }

    /// A node that believes the roster, too.
    fn node(&self, id: &str, relay: &Daemon) -> Daemon {
        self.desk.trust_the_consortium(id);
        let (roster, data) = (self.desk.folder.at("roster.toml"), self.desk.folder.at(id));
        json(&["roster", "apply", &roster, "--data", &data]);
        Daemon::secure_node(self.desk.folder.path(), id, &relay.address)
    }

    /// What a relay says that does not start.
    fn no_relay(&self, exit: i32, more: &[&str]) -> Problem {
        let (data, roster) = (
            self.desk.folder.at("relay"),
            self.desk.folder.at("roster.toml"),
        );
        let relay = ["relay", "--researcher-id", RESEARCHER, "--data", &data];
        let listing = ["--listen", "127.0.0.1:0", "--roster", &roster];
        problem(exit, &[&relay[..], &listing, more].concat())
    }
}

/// What the relay says of a node.
fn of<'a>(status: &'a serde_json::Value, id: &str) -> &'a serde_json::Value {
    let nodes = status["nodes"].as_array().expect("a list");
    nodes.iter().find(|node| node["id"] == id).expect("a node")
}

#[test]
fn listed_nodes_talk_through_a_relay_that_knows_them_and_a_stolen_id_is_seen() {
    let federation = Federation::of(&["a", "b"]);
    federation.publish(1, 2);
    let relay = federation.relay(&[]);
    let nodes = ["a", "b"].map(|id| federation.node(id, &relay)).into();
    let Federation { desk, .. } = federation;
    let mut network = Network {
        relay,
        nodes,
        folder: desk.folder,
    };
    network.until_connected();
    network.set_up("dh");
    let status = network.relay.status();
    for id in ["a", "b"] {
        let node = of(&status, id);
        assert_eq!(
            (&node["proven"], &node["refused"]),
            (&true.into(), &0.into())
        );
    }
    assert_eq!(status["roster"]["federation"], "heart-eu", "{status}");

    // The relay forgets all, and is shown anew.
    network.relay.kill();
    network.relay.start_again();
    network.until_connected();
    network.set_up("server-key");

    // Somebody who has the id, and another key.
    network.node_mut("a").stop();
    let args = ["node", "--id", "a", "--researcher", &network.relay.address];
    let thief = Daemon::start(network.folder.path(), "thief", &args);
    until("the thief is refused twice", || {
        let refused = of(&network.relay.status(), "a")["refused"].as_u64();
        (refused >= Some(2)).then_some(())
    });
    let status = network.relay.status();
    assert!(
        status["refused"]["identity not proven"].as_u64() >= Some(2),
        "{status}"
    );
    assert_eq!(network.relay.logged("identity not proven", "").0, 1);
    let connection = thief.status()["connection"].to_string();
    assert!(connection.contains("no proof by the key"), "{connection}");
    let shown = run(&["status", "--data", network.relay.data()]).out;
    assert!(shown.contains("calls refused"), "{shown}");

    // Its node is let in beside it, and nothing of it was lost.
    network.node_mut("a").start_again();
    network.until_connected();
    network.set_up("dh");
    assert_eq!(of(&network.relay.status(), "a")["proven"], true);
}

#[test]
fn a_hangup_has_the_relay_read_its_roster_again_and_refuse_an_older_one() {
    let federation = Federation::of(&["a", "b"]);
    federation.publish(1, 1);
    let older = federation.desk.folder.at("roster-1.toml");
    let relay = federation.relay(&["--only-listed"]);
    let version = || relay.status()["roster"]["version"].as_u64();
    assert_eq!(version(), Some(1));
    let b = Daemon::secure_node(federation.desk.folder.path(), "b", &relay.address);
    until("b is refused", || {
        let refused = relay.status()["refused"]["not listed"].as_u64();
        (refused >= Some(1)).then_some(())
    });

    federation.publish(2, 2);
    relay.hang_up();
    until("the relay goes by the next roster", || {
        (version() == Some(2)).then_some(())
    });
    until("b comes in", || {
        let status = relay.status();
        let nodes = status["nodes"].as_array().expect("a list");
        let is_in = |node: &serde_json::Value| node["id"] == "b" && node["proven"] == true;
        nodes.iter().any(is_in).then_some(())
    });

    federation.put(&older);
    relay.hang_up();
    until("the relay refuses the older one", || {
        let log = relay.log();
        let refused = log.contains("keeps the roster that it had") && log.contains("version 1");
        refused.then_some(())
    });
    assert_eq!(version(), Some(2));
    drop(b);
}

#[test]
fn a_relay_does_not_start_with_a_roster_that_it_must_not_believe() {
    let federation = Federation::of(&["a"]);
    let [kim, lee] = federation.public_keys();
    let both = ["--roster-key", &kim, "--roster-key", &lee];
    let missing = federation.no_relay(INPUT, &both);
    assert!(missing.why.contains("roster.toml"), "{missing:?}");

    // Signed by one of two.
    let roster = federation.desk.signed(1, &[]);
    federation.put(&roster);
    let other = Desk::new();
    let stranger = format!("{}.pub", other.keys[1]);
    let unsigned = federation.no_relay(REFUSED, &["--roster-key", &kim, "--roster-key", &stranger]);
    assert!(unsigned.why.contains("1 of 2"), "{unsigned:?}");

    let now = time::OffsetDateTime::now_utc();
    let day = time::Duration::DAY;
    let key = federation.keys[0].1.clone();
    let listed = [("a", key.as_str())];
    let expired = federation
        .desk
        .roster_of(2, now - day * 2, now - day, &listed);
    // The command does not sign one that is over.
    for key in &federation.desk.keys {
        let locked = std::fs::read_to_string(key).expect("a key");
        let key = SigningKey::unlock(&locked, "correct horse").expect("a key");
        let file = std::fs::read(&expired).expect("a roster");
        let signature = Signature::of_file(&file, "roster 2", &key).expect("signed");
        write_signature(Path::new(&expired), &signature).expect("written");
    }
    federation.put(&expired);
    let expired = federation.no_relay(REFUSED, &both);
    assert!(expired.why.contains("expired at"), "{expired:?}");
    assert!(expired.to_do.contains("present roster"), "{expired:?}");

    let data = federation.desk.folder.at("relay");
    let relay = ["relay", "--researcher-id", RESEARCHER, "--data", &data];
    for more in [
        &["--roster", "roster.toml"][..],
        &["--only-listed"],
        &["--roster-key", &kim],
        &[
            "--roster",
            "r",
            "--roster-key",
            &kim,
            "--roster-threshold",
            "0",
        ],
    ] {
        let outcome = run(&[&relay[..], more].concat());
        assert_eq!(outcome.code, USAGE, "{more:?}: {outcome:?}");
    }
    let out_of_reach =
        federation.no_relay(INPUT, &["--roster-key", &kim, "--roster-threshold", "2"]);
    assert!(
        out_of_reach.why.contains("2 signatures"),
        "{out_of_reach:?}"
    );
}

//! Plugins that may work for some only, or until a day: what is outside is dropped with a reason.

use serde_json::json;

use crate::component::echo;
use crate::harness::{Network, Peer, RESEARCHER, run, until};
use crate::{dropped, echoed, install, plugin};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_outside_of_its_plugins_scope_is_dropped() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let (friend, stranger) = (
        Peer::join(&network, "friend", "n").await,
        Peer::join(&network, "stranger", "n").await,
    );
    let digest = install(&network.folder, data, &echo("1.0.0"));
    let approve = |more: &[&str]| {
        plugin(
            data,
            &[&["approve", &digest, "--reason", "trial"], more].concat(),
        )
    };
    approve(&["--party", "friend", "--researcher", RESEARCHER]);
    plugin(data, &["enable", "echo"]);

    assert_eq!(echoed(&friend, "hello").await, "hello");
    stranger.echo("me too").await;
    until("the stranger's is dropped", || {
        (dropped(&network, "n", "out of scope") == 1).then_some(())
    });
    let log = network.node("n").log();
    assert!(
        log.contains("stranger") && log.contains("may not work with"),
        "{log}"
    );

    approve(&["--researcher", "another"]);
    friend.echo("hello?").await;
    until("another researcher's is dropped", || {
        (dropped(&network, "n", "out of scope") == 2).then_some(())
    });

    approve(&["--researcher", RESEARCHER, "--until", "2020-02-29"]);
    friend.echo("hello?").await;
    until("it is too late", || {
        (dropped(&network, "n", "out of scope") == 3).then_some(())
    });
    let row = crate::row_of(data, &digest);
    assert!(
        row["scope"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|one| one
                .as_str()
                .is_some_and(|one| one.contains("until 2020-02-29 (policy.toml:"))),
        "{row}"
    );
}

#[test]
fn a_run_outside_of_its_plugins_scope_fails_and_says_why() {
    let network = Network::start(&["a", "b"]);
    let data = network.node("a").data();
    std::fs::write(
        format!("{data}/policy.toml"),
        "version = 1\n[channels]\nsuite-1 = \"any\"\n[plugin.key-request]\nexperiments = [\"heart\"]\n",
    )
    .expect("written");
    plugin(data, &["reload"]);
    let set_up = |experiment: &str| {
        let relay = network.relay.data();
        run(&[
            "secagg",
            "setup",
            "--relay",
            relay,
            "--scheme",
            "dh",
            "--parties",
            "a,b",
            "--experiment",
            experiment,
        ])
    };

    let other = set_up("lung");
    assert_ne!(other.code, 0, "{other:?}");
    let said = format!("{}{}", other.out, other.err);
    assert!(
        said.contains("key-request") && said.contains("lung"),
        "{said}"
    );
    assert_eq!(set_up("heart").code, 0);
}

#[test]
fn a_set_up_on_a_disabled_plugin_says_so() {
    let network = Network::start(&["a", "b"]);
    plugin(network.node("a").data(), &["disable", "key-request"]);

    let failed = network.begin_set_up("dh").outcome();

    assert_ne!(failed.code, 0, "{failed:?}");
    let said = format!("{}{}", failed.out, failed.err);
    assert!(
        said.contains("key-request") && said.contains("off"),
        "{said}"
    );
    let listed = crate::row(network.node("a").data(), |row| {
        row["plugin"] == "key-request"
    });
    assert_eq!(listed["enabled"], json!(false));
}

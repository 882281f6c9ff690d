//! A plugin's life: installed, approved, enabled, upgraded, rolled back, disabled, removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::component::{echo, talkative};
use crate::harness::{Network, Peer, until};
use crate::{INPUT, REFUSED, dropped, echoed, install, plugin, refused, row, row_of, set_to_work};

/// Messages on their way at once in the test of an upgrade under load.
const AT_A_TIME: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_treats_messages_only_while_it_is_enabled() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let peer = Peer::join(&network, "p", "n").await;
    let unanswered = async |reason: &str| {
        let before = dropped(&network, "n", reason);
        peer.echo("anybody?").await;
        until(reason, || {
            (dropped(&network, "n", reason) > before).then_some(())
        });
    };

    unanswered("unknown kind").await;
    let digest = install(&network.folder, data, &echo("1.0.0"));
    unanswered("unknown kind").await;
    assert_eq!(row_of(data, &digest)["standing"], "installed");
    plugin(
        data,
        &["approve", "echo", "--reason", "trial", "--by", "Ada"],
    );
    unanswered("plugin off").await;
    let approved = row_of(data, &digest);
    assert_eq!(
        (&approved["standing"], &approved["enabled"]),
        (&json!("approved"), &json!(false))
    );
    let says = approved["approved"].as_str().expect("a text");
    assert!(says.contains("Ada") && says.contains("trial"), "{says}");

    let enabled = plugin(data, &["enable", "echo"]);
    assert_eq!(enabled["running"], true);
    assert_eq!(echoed(&peer, "hello").await, "hello");
    assert_eq!(row_of(data, &digest)["in_force"], true);

    plugin(data, &["disable", "echo"]);
    unanswered("plugin off").await;
    plugin(data, &["enable", "echo"]);
    assert_eq!(echoed(&peer, "again").await, "again");
    plugin(data, &["remove", "echo"]);
    unanswered("unknown kind").await;
    let left = std::fs::read_dir(format!("{data}/plugins"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decided_is_in_force_after_a_restart() {
    let mut network = Network::start(&["n"]);
    let data = network.node("n").data().to_owned();
    network.node_mut("n").stop();
    let enabled = {
        set_to_work(&network.folder, &data, &echo("1.0.0"));
        plugin(&data, &["enable", "echo"])
    };
    assert_eq!(enabled["running"], false);

    network.node_mut("n").start_again();
    network.until_connected();

    let peer = Peer::join(&network, "p", "n").await;
    assert_eq!(echoed(&peer, "hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_could_do_more_waits_for_its_approval() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let first = set_to_work(&network.folder, data, &echo("1.0.0"));
    let peer = Peer::join(&network, "p", "n").await;
    let file = network.folder.write("echo-1.1.0.wasm", talkative("1.1.0"));

    let problem = refused(REFUSED, data, &["upgrade", &file]);
    assert!(problem.why.contains("log"), "{problem:?}");
    assert!(
        problem.to_do.contains("plugin approve sha256:"),
        "{problem:?}"
    );
    assert_eq!(echoed(&peer, "hello").await, "hello");

    let second = row(data, |row| row["version"] == "1.1.0")["digest"].clone();
    let second = second.as_str().expect("a digest");
    let approve = ["approve", second, "--grant", "log", "--reason", "wanted"];
    assert_eq!(plugin(data, &approve)["next"], true);
    assert_eq!(echoed(&peer, "still").await, "still");
    plugin(data, &["upgrade", second]);
    assert_eq!(echoed(&peer, "hello").await, "heard: hello");
    assert_eq!(row_of(data, &first)["standing"], "previous");

    plugin(data, &["rollback", "echo"]);
    assert_eq!(echoed(&peer, "hello").await, "hello");
    let back = row_of(data, &first);
    assert_eq!(
        (&back["standing"], &back["grants"]),
        (&json!("approved"), &json!([]))
    );
    refused(INPUT, data, &["rollback", "echo"]);
    refused(REFUSED, data, &["upgrade", second]);
    let problem = refused(INPUT, data, &["approve", "echo", "--reason", "which?"]);
    assert!(
        problem.why.contains(&first) && problem.why.contains(second),
        "{problem:?}"
    );

    plugin(data, &["remove", "echo"]);
    let left = std::fs::read_dir(format!("{data}/plugins")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_while_a_plugin_is_upgraded_and_rolled_back() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    set_to_work(&network.folder, data, &echo("1.0.0"));
    let peer = Arc::new(Peer::join(&network, "p", "n").await);
    // Known peers may have more in work than strangers.
    peer.set_up(&network, "s");
    let done = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn({
        let (peer, done) = (peer.clone(), done.clone());
        async move {
            let mut answered = 0;
            // As many at a time as keep the node busy; a lost one would be waited for in vain.
            while !done.load(Ordering::SeqCst) {
                let asked = join_all((0..AT_A_TIME).map(|_| peer.echo("load"))).await;
                peer.until_answered(&asked).await;
                answered += asked.len();
            }
            answered
        }
    });

    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        let file = network.folder.write("new.wasm", echo(version));
        assert_eq!(plugin(data, &["upgrade", &file])["running"], true);
    }
    for _ in 0..3 {
        plugin(data, &["rollback", "echo"]);
    }
    done.store(true, Ordering::SeqCst);

    let answered = asking.await.expect("all answered");
    assert!(answered > 6 * AT_A_TIME, "{answered} messages are no load");
    println!("{answered} messages during six changes, none lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_work_outlives_a_change_of_its_plugin() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let peer = Peer::join(&network, "p", "n").await;
    let waiting = peer.ask("run").await;
    until("it is in work", || {
        network.node("n").status()["received"]["KeyRequest"].as_u64()
    });

    std::fs::write(
        format!("{data}/policy.toml"),
        "version = 1\n[channels]\nsuite-1 = \"any\"\n[plugin.key-request.limits]\nmemory-mib = 8\n",
    )
    .expect("written");
    let reloaded = plugin(data, &["reload"]);
    assert!(
        reloaded["changes"][0]
            .as_str()
            .expect("a change")
            .contains("key-request"),
        "{reloaded}"
    );

    peer.set_up(&network, "run");
    peer.until_answered(&[waiting]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_plugin_has_no_further_effect_within_a_second() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let peer = Peer::join(&network, "p", "n").await;
    // It waits for what this node prepares for the run, for up to half a minute.
    let waiting = peer.ask("run").await;
    until("it is in work", || {
        network.node("n").status()["received"]["KeyRequest"].as_u64()
    });

    plugin(data, &["disable", "key-request"]);
    let disabled = Instant::now();
    until("it is cut off", || {
        (dropped(&network, "n", "plugin off") == 1).then_some(())
    });
    assert!(
        disabled.elapsed() < Duration::from_secs(1),
        "{:?}",
        disabled.elapsed()
    );
    assert_eq!(peer.answered(&waiting), None);

    plugin(data, &["enable", "key-request"]);
    peer.set_up(&network, "run");
    assert_eq!(peer.answered(&waiting), None);
}

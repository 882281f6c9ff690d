//! `policy.toml` as a person edits it, under a running node: what cannot be used is refused with its line, and the node keeps
//! what it had.

use std::fs;

use crate::component::echo;
use crate::harness::{Folder, Network, Peer, until};
use crate::{INPUT, REFUSED, dropped, echoed, plugin, refused, set_to_work};

fn policy(data: &str) -> String {
    fs::read_to_string(format!("{data}/policy.toml")).expect("a policy")
}

fn write(data: &str, text: &str) {
    fs::write(format!("{data}/policy.toml"), text).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_policy_is_refused_with_its_line_and_the_node_keeps_what_it_had() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    set_to_work(&network.folder, data, &echo("1.0.0"));
    let peer = Peer::join(&network, "p", "n").await;
    let good = policy(data);

    let lines = good.lines().count();
    let version = good.lines().position(|line| line.starts_with("version"));
    let version = version.expect("a version") + 1;
    let broken = [
        (format!("{good}nonsense = [\n"), lines + 1),
        (
            format!("{good}[plugin.echo.limits]\nmemory = 1\n"),
            lines + 2,
        ),
        (format!("{good}[trust]\nrequire = 1\n"), lines + 2),
        (format!("{good}[plugin.Echo]\n"), lines + 1),
        (good.replace("version = 1", "version = 99"), version),
    ];
    for (text, line) in broken {
        write(data, &text);
        let problem = refused(INPUT, data, &["reload"]);
        assert!(
            problem.why.contains(&format!("policy.toml:{line}")),
            "{line}: {problem:?}"
        );
        network.node("n").hang_up();
        assert_eq!(echoed(&peer, "still here").await, "still here");
        // Commands do not write over what they cannot read.
        refused(INPUT, data, &["disable", "echo"]);
        assert_eq!(policy(data), text);
    }
    until("the log says so", || {
        network
            .node("n")
            .log()
            .contains(&format!("policy.toml:{version}"))
            .then_some(())
    });

    write(data, &good);
    assert_eq!(plugin(data, &["reload"])["changes"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_policy_gives_nothing_and_still_takes_back() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    set_to_work(&network.folder, data, &echo("1.0.0"));
    let peer = Peer::join(&network, "p", "n").await;
    assert_eq!(echoed(&peer, "hello").await, "hello");

    // It disables one plugin, and enables another that is not installed.
    let other = policy(data)
        .replace("[plugin.echo]", "[plugin.other]")
        .replace("version = 1\n", "");
    let other = &other[other.find("[plugin.other]").expect("an entry")..];
    let other = other.replacen("digest = \"sha256:", "digest = \"sha256:0000", 1);
    let mut lines: Vec<_> = other.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("digest") {
            line.truncate("digest = \"sha256:".len() + 64);
            line.push('"');
        }
    }
    let both = format!(
        "{}\n{}\n",
        policy(data).replace("enabled = true", "enabled = false"),
        lines.join("\n")
    );
    write(data, &both);

    let problem = refused(REFUSED, data, &["reload"]);
    assert!(problem.why.contains("not installed"), "{problem:?}");
    peer.echo("anybody?").await;
    until("it is off", || {
        (dropped(&network, "n", "plugin off") == 1).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reads_its_policy_again_at_a_hangup() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    set_to_work(&network.folder, data, &echo("1.0.0"));
    let peer = Peer::join(&network, "p", "n").await;
    assert_eq!(echoed(&peer, "hello").await, "hello");

    write(
        data,
        &policy(data).replace("enabled = true", "enabled = false"),
    );
    network.node("n").hang_up();

    until("it is off", || {
        network
            .node("n")
            .log()
            .contains("echo treats nothing")
            .then_some(())
    });
    peer.echo("anybody?").await;
    until("its messages are dropped", || {
        (dropped(&network, "n", "plugin off") == 1).then_some(())
    });
}

#[test]
fn a_node_does_not_start_with_a_policy_that_it_cannot_read() {
    let folder = Folder::new();
    let relay = crate::harness::Daemon::relay(folder.path(), "relay");
    let data = folder.at("n");
    fs::create_dir(&data).expect("a folder");
    write(&data, "version = 1\n[plugin.key-request]\ngrants = []\n");

    let args = [
        "node",
        "--id",
        "n",
        "--researcher",
        &relay.address,
        "--data",
        &data,
    ];
    let problem = crate::harness::problem(INPUT, &args);

    assert!(problem.why.contains("policy.toml:2"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_without_a_plugin_that_it_cannot_load() {
    let mut network = Network::start(&["n"]);
    let data = network.node("n").data().to_owned();
    let digest = set_to_work(&network.folder, &data, &echo("1.0.0"));
    network.node_mut("n").stop();
    let hex = digest.trim_start_matches("sha256:");
    fs::remove_file(format!("{data}/plugins/{hex}.wasm")).expect("removed");

    network.node_mut("n").start_again();
    network.until_connected();

    let log = network.node("n").log();
    assert!(
        log.contains("left out") && log.contains("not installed"),
        "{log}"
    );
    Peer::join(&network, "p", "n").await;
}

//! Plugins that demand an identity key of whoever they have to do with.

use serde_json::json;

use crate::component::{changed, echo};
use crate::harness::{Network, Peer, until};
use crate::{dropped, plugin, refused, set_to_work};

fn demanding(component: &[u8]) -> Vec<u8> {
    changed(component, &json!({ "assurance": "identity-key" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_less_assurance_than_its_plugin_demands_never_reaches_it() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    let peer = Peer::join(&network, "p", "n").await;
    set_to_work(&network.folder, data, &demanding(&echo("1.0.0")));

    let asked = peer.echo("of suite 1").await;

    until("it is dropped", || {
        (dropped(&network, "n", "less assurance than demanded") == 1).then_some(())
    });
    assert_eq!(peer.answered(&asked), None);
}

#[test]
fn a_run_with_a_party_of_which_no_key_is_confirmed_fails_at_once_and_says_why() {
    let network = Network::start(&["a", "b"]);
    let about = json!({ "name": "careful-keys", "assurance": "identity-key" });
    let careful = changed(backchannel_artifacts::KEY_REQUEST, &about);
    let file = network.folder.write("careful-keys.wasm", careful);
    for node in &network.nodes {
        let data = node.data();
        plugin(data, &["disable", "key-request"]);
        let digest = plugin(data, &["install", &file])["digest"].clone();
        let digest = digest.as_str().expect("a digest");
        let words = ["approve", digest, "--all-declared", "--reason", "trial"];
        plugin(data, &words);
        plugin(data, &["enable", "careful-keys"]);
    }

    let failed = network.begin_set_up("dh").outcome();

    assert_ne!(failed.code, 0, "{failed:?}");
    let said = format!("{}{}", failed.out, failed.err);
    assert!(
        said.contains("an identity key that somebody confirmed, and b has none here"),
        "{said}"
    );
}

#[test]
fn an_upgrade_that_demands_less_waits_for_its_approval() {
    let network = Network::start(&["n"]);
    let data = network.node("n").data();
    set_to_work(&network.folder, data, &demanding(&echo("1.0.0")));
    let file = network.folder.write("new.wasm", echo("1.1.0"));

    let problem = refused(crate::REFUSED, data, &["upgrade", &file]);

    assert!(
        problem.why.contains("peers without an identity key"),
        "{problem:?}"
    );
}

//! Attacks of plugins that run.

use backchannel::message::Value;
use backchannel::primitives::{derive_secret_key, public_key_pem};

use backchannel_test_guests::ATTACKER;

use crate::harness::{Running, until};
use crate::made;
use crate::stage::{CPU, OUT_OF_SERVICE, Stage, WALL, install, loot};
use crate::{RUNNING, report};

/// Number, attack, and what the node says that stopped it.
const STOPPED: [(u8, &str, &str); 30] = [
    (7, "loop", "handle-cpu-ms = 200"),
    (8, "loop-in-finalize", "final-cpu-ms = 100"),
    (9, "recurse", "trapped"),
    (10, "host-calls", "host-calls = 1000"),
    (11, "wait", "handle-wall-ms = 6000"),
    (12, "grow-memory", "memory-mib = 32"),
    (13, "gigabyte-list", "out of bounds of memory"),
    (13, "aliased-lists", "lifted-mib = 8"),
    (13, "long-failure", "lifted-mib = 8"),
    (14, "resources", "handles = 1000"),
    (14, "forged-handle", "unknown handle"),
    (14, "dropped-twice", "unknown handle"),
    (14, "dropped-then-returned", "unknown handle"),
    (16, "log-gigabyte", "out of bounds of memory"),
    (17, "many-effects", "effects = 2000"),
    (17, "two-replies", "a second reply"),
    (17, "huge-reply", "out of bounds of memory"),
    (17, "large-reply", "lifted-mib = 8"),
    (18, "store-megabytes", "store-kib = 1024"),
    (18, "store-many-keys", "store-keys = 1000"),
    (19, "other-receiver", "which are the host's"),
    (19, "other-sender", "which are the host's"),
    (19, "other-kind", "KeyReply is none of the plugin's kinds"),
    (20, "unasked", "has not made to it"),
    (20, "publish", "publish does not belong here"),
    (20, "establish", "establish does not belong here"),
    (21, "peer-key", "has not made to it"),
    (24, "panic", "trapped"),
    (24, "panic-in-finalize", "trapped"),
    (24, "fail-in-finalize", "refused: on purpose"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_stopped_and_nobody_else_notices() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_attacker(CPU, WALL).await;
    let liar = derive_secret_key(&[66; 32], b"liar").public_key();
    let pem = public_key_pem(&liar).expect("a key").into_bytes();
    let mut silenced = Vec::new();
    for (number, attack, stopped_by) in STOPPED {
        let log = stage.node().log().len();
        let argument = match attack {
            "peer-key" | "establish" => pem.as_slice(),
            "other-receiver" | "other-sender" => b"q",
            _ => b"run",
        };
        let (id, message) = stage.begin(attack, argument).await;
        silenced.push(id);
        let line = stage.until_logged(log, stopped_by);
        // A failure that the plugin returns is its own business: the log and the message's journey have it.
        if attack != "fail-in-finalize" {
            let record = stage.record(message);
            if let Some((limit, value)) = stopped_by.split_once(" = ") {
                assert_eq!(record["limit"], limit, "{record}");
                assert_eq!(record["value"].to_string(), value, "{record}");
                assert!(record["decided_by"].is_string(), "{record}");
            }
        }
        stage.check(attack).await;
        report(number, attack, &said(&line));
        if stage.node().log().split_off(log).contains(OUT_OF_SERVICE) {
            stage.pardon();
        }
    }
    // Whatever was stopped stays without an answer, the cancelled ones too.
    assert!(silenced.iter().all(|id| stage.peer.heard(id).is_none()));
}

/// What a line of the log says, without when and where.
fn said(line: &str) -> String {
    let from = line.find("FB324: ").map(|at| at + 7);
    let from = from.or_else(|| line.find(OUT_OF_SERVICE)).unwrap_or(0);
    line[from..].chars().take(150).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_shows_nothing_that_is_anothers() {
    let _running = RUNNING.read().await;
    let mut stage = Stage::with_attacker(CPU, WALL).await;

    // 15: kept in a global for the next message.
    assert_eq!(stage.attack("remember", b"a secret of p").await, b"");
    assert_eq!(stage.attack("remember", b"").await, b"");
    stage.check("remember").await;
    report(
        15,
        "remember",
        "each message has a fresh instance: it is gone",
    );

    // 18: what another plugin stored.
    let survivor = [
        ("attacker", "survivor"),
        ("AttackRequest", "DefendRequest"),
        ("AttackReply", "DefendReply"),
    ];
    let survivor = survivor
        .iter()
        .fold(ATTACKER.to_vec(), |bytes, (text, other)| {
            made::with_text(&bytes, text, other)
        });
    let grants = ["log", "material", "channel-keys", "store"].map(|grant| ["--grant", grant]);
    install(&stage.network, &survivor, "survivor", grants.as_flattened());
    let secret = |attack: &str| {
        vec![
            ("attack".into(), attack.into()),
            (
                "argument".into(),
                Value::Bin(b"a secret of survivor".to_vec()),
            ),
        ]
    };
    stage.peer.say("DefendRequest", secret("store")).await;
    let kept = until("the survivor has stored it", || {
        let (handle, peer) = (tokio::runtime::Handle::current(), &stage.peer);
        tokio::task::block_in_place(|| {
            handle.block_on(async {
                let (id, _) = peer.say("DefendRequest", secret("other-store")).await;
                peer.until_answered(std::slice::from_ref(&id)).await;
                let found = loot(&peer.heard(&id).expect("an answer"));
                (!found.is_empty()).then_some(found)
            })
        })
    });
    assert_eq!(kept, b"secreta secret of survivor");
    // The image of a plugin's memory is made with its first instance, and kept.
    stage.settle();
    assert_eq!(stage.attack("other-store", b"").await, b"");
    stage.check("other-store").await;
    report(
        18,
        "other-store",
        "the store is each plugin's own: it is empty",
    );

    // 22: what another plugin published for the same run.
    stage.peer.set_up(&stage.network, "run");
    let log = stage.node().log().len();
    let (id, _) = stage.begin("other-run", b"run").await;
    let answer = until("the wait is over", || {
        let stopped = stage.node().log().split_off(log).contains("handle-wall-ms");
        let heard = stage.peer.heard(&id);
        (stopped || heard.is_some()).then_some(heard)
    });
    assert_eq!(answer.map_or(Vec::new(), |answer| loot(&answer)), b"");
    stage.check("other-run").await;
    report(
        22,
        "other-run",
        "material is each plugin's own: there is none",
    );

    // What it was granted tells no secret.
    let key = stage.attack("own-key", b"").await;
    assert!(key.starts_with(b"-----BEGIN PUBLIC KEY-----"));
    stage.check("own-key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_takes_so_much_and_no_commands() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_attacker(CPU, WALL).await;
    for attack in ["log-flood", "log-megabytes"] {
        let log = stage.node().log().len();
        stage.attack(attack, b"").await;
        let log = stage.node().log().split_off(log);
        let of_plugin = log.lines().filter(|line| line.contains("flood"));
        let bytes: usize = of_plugin.map(str::len).sum();
        assert!(bytes > 0 && bytes < 64 << 10, "{attack}: {bytes} bytes");
        stage.check(attack).await;
        report(
            16,
            attack,
            &format!("log-kib = 16: {bytes} bytes with what the node adds"),
        );
    }
    let log = stage.node().log().len();
    let fake = b"ERROR backchannel: a line that looks like the node's";
    stage.attack("log-escapes", fake).await;
    let log = stage.node().log().split_off(log);
    let line = log.lines().find(|line| line.contains("looks like"));
    assert!(line.is_some_and(|line| line.contains("plugin")), "{log}");
    assert!(
        !log.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}', '\u{9b}']),
        "{log:?}"
    );
    stage.check("log-escapes").await;
    report(
        16,
        "log-escapes",
        "escaped: one line, under the plugin's name",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_starts_or_takes_tables_is_stopped() {
    let _running = RUNNING.read().await;
    let mut stage = Stage::with_attacker(CPU, WALL).await;
    let endless = "(func $endless (loop $again (br $again))) (start $endless)";
    let starts = made::handler("starts", "StartRequest", 1, endless, "");
    install(&stage.network, &starts, "starts", &[]);
    let grows = "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again))";
    let tables = made::handler("tables", "TableRequest", 1, "(table $t 1 funcref)", grows);
    install(&stage.network, &tables, "tables", &[]);
    stage.settle();
    for (number, attack, kind, stopped_by) in [
        (1, "loop-at-start", "StartRequest", "handle-cpu-ms = 1000"),
        (12, "grow-tables", "TableRequest", "table-elements = 10000"),
    ] {
        let log = stage.node().log().len();
        stage.peer.say(kind, vec![]).await;
        let line = stage.until_logged(log, stopped_by);
        stage.check(attack).await;
        report(number, attack, &said(&line));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_plugin_that_asked_completes_a_request() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_attacker(CPU, WALL).await;
    let (relay, parties) = (stage.network.relay.data().to_owned(), "n,p");
    stage.peer.hold();
    let words = [
        "secagg",
        "setup",
        "--relay",
        &relay,
        "--scheme",
        "dh",
        "--parties",
        parties,
        "--id",
        "run",
        "-o",
        "json",
    ];
    let under_way = Running::start(&words);
    until("the node asks", || {
        (stage.peer.held().len() == 1).then_some(())
    });
    let asked = stage.peer.held()[0]
        .request_id
        .clone()
        .expect("a request's id");

    // Another plugin's, and pending.
    let forged = || vec![("loot".into(), Value::Bin(b"forged".to_vec()))];
    let log = stage.node().log().len();
    stage.peer.say_under(&asked, "AttackReply", forged()).await;
    stage.until_logged(log, "has not made to it");
    assert_eq!(stage.node().status()["pending"], 1);
    // Another peer's.
    let log = stage.node().log().len();
    stage.other.say_under(&asked, "AttackReply", forged()).await;
    stage.until_logged(log, "has not made to it");
    stage.peer.release().await;
    let outcome = under_way.outcome();
    assert_eq!(outcome.code, 0, "{outcome:?}");
    // Answered.
    let log = stage.node().log().len();
    let unasked = vec![
        ("attack".into(), "unasked".into()),
        ("argument".into(), Value::Bin(b"forged".to_vec())),
    ];
    stage.peer.say_under(&asked, "AttackRequest", unasked).await;
    let line = stage.until_logged(log, "has not made to it");
    stage.check("deliver").await;
    report(20, "deliver", &said(&line));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_peer_is_changed_by_nobody_else() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_attacker(CPU, WALL).await;
    stage.other.set_up(&stage.network, "run of q");
    let liar = derive_secret_key(&[66; 32], b"liar").public_key();
    let pem = public_key_pem(&liar).expect("a key").into_bytes();
    let log = stage.node().log().len();
    stage.begin("peer-key", &pem).await;
    stage.until_logged(log, "has not made to it");
    // Both peers' keys still are what they were, or neither could read its answer.
    stage.check("peer-key").await;
    let channels = stage.node().status()["channels"].clone();
    let mut channels = channels.as_array().expect("a list").iter();
    assert!(channels.any(|channel| channel["peer"] == "q"));
    report(
        21,
        "peer-key",
        "set-peer-key names no peer: it is the sender's, and only if it was asked",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_again_and_again_is_out_of_service_until_it_is_enabled() {
    let _running = RUNNING.read().await;
    let stage = Stage::with_attacker(CPU, WALL).await;
    let log = stage.node().log().len();
    for _ in 0..5 {
        let log = stage.node().log().len();
        stage.begin("panic", b"").await;
        stage.until_logged(log, "trapped");
    }
    let line = stage.until_logged(log, OUT_OF_SERVICE);
    let (id, _) = stage.begin("peace", b"").await;
    let after = stage.node().log().len();
    stage.begin("peace", b"").await;
    stage.until_logged(after, OUT_OF_SERVICE);
    assert!(stage.peer.heard(&id).is_none());
    stage.check("quarantine").await;
    stage.pardon();
    stage.attack("peace", b"").await;
    report(24, "quarantine", &said(&line));
}

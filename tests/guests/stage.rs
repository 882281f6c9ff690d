//! Where attacks take place: a relay, a node with the honest plugin and the attacker, and two peers.

use std::time::{Duration, Instant};

use backchannel::message::{Inner, MessageId, RequestId, Value};
use backchannel_test_guests::{ATTACKER, HONEST};
use serde_json::Value as Json;

use crate::harness::{Daemon, Network, Peer, json, run, until};

/// By how much an attack may make the node grow, in KiB.
const GROWTH: u64 = 64 << 10;
/// What the node says of a plugin that failed too often.
pub const OUT_OF_SERVICE: &str = "out of service";

/// How long connections may take to close.
const LINGER: Duration = Duration::from_secs(30);
/// How many threads may come and go: those that wait for the disk live for 10 s.
const THREADS: usize = 16;

/// The attacker's own limits. It is given less time to compute and to wait, so that a test does not wait longer; and so
/// much more to wait than to compute that a busy machine does not mix them up.
pub const CPU: &str = "handle-cpu-ms=200";
pub const WALL: &str = "handle-wall-ms=6000";

pub struct Stage {
    pub network: Network,
    /// Whose messages bear the attacks.
    pub peer: Peer,
    /// Who has nothing to do with them.
    pub other: Peer,
    before: Vitals,
}

/// What leaks show in.
struct Vitals {
    memory_kib: u64,
    descriptors: Vec<String>,
    threads: usize,
}

impl Stage {
    /// The node has the honest plugin, and those that come with it.
    pub async fn with_honest_plugin() -> Self {
        let network = Network::start(&["n"]);
        install(&network, HONEST, "honest", &[]);
        Self::on(network).await
    }

    /// It has the attacker too.
    pub async fn with_attacker(cpu: &str, wall: &str) -> Self {
        let network = Network::start(&["n"]);
        install(&network, HONEST, "honest", &[]);
        let attacker = [
            "--grant",
            "log",
            "--grant",
            "material",
            "--grant",
            "channel-keys",
            "--grant",
            "store",
            "--limit",
            cpu,
            "--limit",
            wall,
        ];
        install(&network, ATTACKER, "attacker", &attacker);
        let mut stage = Self::on(network).await;
        stage.attack("peace", b"").await;
        stage.before = vitals(stage.node());
        stage
    }

    async fn on(network: Network) -> Self {
        let peer = Peer::join(&network, "p", "n").await;
        let other = Peer::join(&network, "q", "n").await;
        let mut stage = Self {
            network,
            peer,
            other,
            before: Vitals {
                memory_kib: 0,
                descriptors: Vec::new(),
                threads: 0,
            },
        };
        // What a node opens once and keeps.
        stage.peer.set_up(&stage.network, "first run");
        for _ in 0..3 {
            stage.honest_plugin_answers().await;
        }
        stage.before = vitals(stage.node());
        stage
    }

    pub fn node(&self) -> &Daemon {
        self.network.node("n")
    }

    /// Sends an attack and waits for nothing.
    pub async fn begin(&self, attack: &str, argument: &[u8]) -> (RequestId, MessageId) {
        let fields = vec![
            ("attack".into(), attack.into()),
            ("argument".into(), Value::Bin(argument.to_vec())),
        ];
        self.peer.say("AttackRequest", fields).await
    }

    /// Sends an attack that is to be answered; what the answer shows.
    pub async fn attack(&self, attack: &str, argument: &[u8]) -> Vec<u8> {
        let (id, _) = self.begin(attack, argument).await;
        self.peer.until_answered(std::slice::from_ref(&id)).await;
        loot(&self.peer.heard(&id).expect("an answer"))
    }

    /// The node's next line about the attacker since `log` that holds `words`.
    pub fn until_logged(&self, log: usize, words: &str) -> String {
        until(&format!("the log says {words:?}"), || {
            let log = self.node().log().split_off(log);
            // What put a plugin out of service repeats what its last attack ran into.
            let is_it = |line: &&str| {
                line.contains(words) && (words == OUT_OF_SERVICE || !line.contains(OUT_OF_SERVICE))
            };
            let line = log.lines().find(is_it);
            line.map(str::to_owned)
        })
    }

    /// What the audit log says of a message that was stopped: one record, beside those of grants that it used and of log
    /// lines that were cut.
    pub fn record(&self, message: MessageId) -> Json {
        let path = format!("{}/audit.jsonl", self.node().data());
        let message = message.to_string();
        let of_message = || {
            let log = std::fs::read_to_string(&path).expect("an audit log");
            let records = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let stopped = |record: &Json| {
                let cut = record["limit"]
                    .as_str()
                    .is_some_and(|limit| limit.starts_with("log-"));
                record["message"] == message.as_str() && record["status"] != "success" && !cut
            };
            records.filter(stopped).collect::<Vec<Json>>()
        };
        let mut records = until("the record of what happened", || {
            Some(of_message()).filter(|records| !records.is_empty())
        });
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// Both peers ask the honest plugin, and get their own text back.
    pub async fn honest_plugin_answers(&self) {
        for (peer, text) in [(&self.peer, "from p"), (&self.other, "from q")] {
            let fields = vec![("text".into(), text.into())];
            let (id, _) = peer.say("EchoRequest", fields.clone()).await;
            peer.until_answered(std::slice::from_ref(&id)).await;
            let answer = peer.heard(&id).expect("an answer");
            assert_eq!(answer.kind, "EchoReply");
            assert_eq!(answer.fields, Value::Map(fields), "another's bytes");
        }
    }

    /// From now on what there is is compared with what there is now.
    pub fn settle(&mut self) {
        self.before = vitals(self.node());
    }

    /// What must hold after every attack.
    pub async fn check(&self, attack: &str) {
        self.honest_plugin_answers().await;
        let before = &self.before;
        // Connections of the command line and answers on their way close in their own time.
        let mut open = Vec::new();
        let closed = within(LINGER, || {
            open = self.node().descriptors();
            open.len() <= before.descriptors.len()
        });
        open.retain(|link| !before.descriptors.contains(link));
        assert!(closed, "{attack}: {open:?} are still open");
        until(&format!("{attack}: memory is given back"), || {
            (self.node().memory_kib() <= before.memory_kib + GROWTH).then_some(())
        });
        let threads = self.node().threads();
        assert!(
            threads <= before.threads + THREADS,
            "{attack}: {threads} threads"
        );
        assert!(!self.node().log().contains("panicked"), "{attack}");
    }

    /// Puts the attacker back into service.
    pub fn pardon(&self) {
        json(&["plugin", "enable", "attacker", "--data", self.node().data()]);
    }
}

/// Whether something comes true in time.
fn within(time: Duration, mut look: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if look() {
            return true;
        }
        if began.elapsed() > time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn vitals(node: &Daemon) -> Vitals {
    Vitals {
        memory_kib: node.memory_kib(),
        descriptors: node.descriptors(),
        threads: node.threads(),
    }
}

/// What an attacker's answer shows.
pub fn loot(answer: &Inner) -> Vec<u8> {
    let loot = answer.fields.get("loot").and_then(Value::as_bin);
    loot.expect("loot").to_vec()
}

/// Installs, approves and enables a plugin, as an operator does.
pub fn install(network: &Network, component: &[u8], name: &str, terms: &[&str]) -> Json {
    let data = network.node("n").data();
    let file = network.folder.write(&format!("{name}.wasm"), component);
    json(&["plugin", "install", &file, "--data", data]);
    let approve = ["plugin", "approve", name, "--data", data];
    json(&[&approve, terms, &["--reason", "a test", "--by", "a tester"]].concat());
    json(&["plugin", "enable", name, "--data", data])
}

/// The reason why one of these steps is refused; the first that is.
pub fn refused(network: &Network, component: &[u8], name: &str, terms: &[&str]) -> String {
    let data = network.node("n").data();
    let file = network.folder.write("refused.wasm", component);
    let steps: [Vec<&str>; 3] = [
        vec!["plugin", "install", &file, "--data", data],
        [
            &["plugin", "approve", name, "--data", data][..],
            terms,
            &["--reason", "a test", "--by", "a tester"],
        ]
        .concat(),
        vec!["plugin", "enable", name, "--data", data],
    ];
    for step in steps {
        let outcome = run(&[&step[..], &["-o", "json"]].concat());
        if outcome.code != 0 {
            let said: Json = serde_json::from_str(&outcome.out).expect("a problem");
            let error = &said["error"];
            assert!(error["to_do"].as_str().is_some_and(|text| !text.is_empty()));
            return format!("{}: {}", step[1], error["why"].as_str().expect("a reason"));
        }
    }
    panic!("{name} was installed, approved and enabled");
}

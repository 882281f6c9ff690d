use std::io::{Read, Write};
use std::net::TcpStream;

use prometheus_parse::{Scrape, Value};

use crate::harness::{Daemon, Network, allow_suite_1, until};

/// The numbers that a daemon serves.
fn scraped(address: &str) -> Scrape {
    let mut connection = TcpStream::connect(address).expect("connected");
    let request = "GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    connection.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    Scrape::parse(body.lines().map(|line| Ok(line.to_owned()))).expect("well-formed")
}

fn number(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found = scrape.samples.iter().find(|sample| {
        sample.metric == name
            && labels
                .iter()
                .all(|(key, value)| sample.labels.get(key) == Some(value))
    });
    match found.map(|sample| &sample.value) {
        Some(Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value)) => *value,
        Some(Value::Histogram(buckets)) => buckets.last().map_or(0.0, |bucket| bucket.count),
        _ => panic!("{name} {labels:?} is not there"),
    }
}

#[test]
fn a_node_and_a_relay_serve_their_numbers_to_prometheus() {
    let mut network = Network::start(&["b"]);
    let folder = network.folder.path();
    let address = network.relay.address.clone();
    let args = [
        "node",
        "--id",
        "a",
        "--researcher",
        &address,
        "--metrics",
        "127.0.0.1:0",
    ];
    allow_suite_1(&folder.join("a"));
    let node = Daemon::start(folder, "a", &args);
    let metrics = node.metrics.clone().expect("an address");
    network.nodes.push(node);
    network.until_connected();
    network.set_up("dh");

    let numbers = scraped(&metrics);
    let number = |name: &str, labels: &[(&str, &str)]| number(&numbers, name, labels);
    assert!(number("backchannel_messages_sent_total", &[("kind", "KeyRequest")]) >= 1.0);
    assert!(
        number(
            "backchannel_messages_received_total",
            &[("kind", "KeyReply")]
        ) >= 1.0
    );
    let calls = number(
        "backchannel_plugin_calls_total",
        &[("plugin", "key-request"), ("outcome", "done")],
    );
    assert!(calls >= 2.0, "{calls}");
    let histogram = number(
        "backchannel_plugin_call_seconds",
        &[("plugin", "key-request")],
    );
    assert_eq!(histogram, calls);
    assert!(
        number(
            "backchannel_plugin_memory_peak_bytes",
            &[("plugin", "key-request")]
        ) >= 65536.0
    );
    assert_eq!(number("backchannel_connected", &[]), 1.0);
    assert_eq!(number("backchannel_channels", &[]), 1.0);
    assert_eq!(number("backchannel_audit_records_lost_total", &[]), 0.0);
    let setups = [("kind", "SecaggRequest"), ("outcome", "success")];
    assert_eq!(number("backchannel_secagg_setup_seconds", &setups), 1.0);

    let folder = network.folder.path();
    let listen = [
        "relay",
        "--researcher-id",
        "R2",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ];
    let relay = Daemon::start(folder, "relay2", &listen);
    let metrics = relay.metrics.clone().expect("an address");
    let _node = Daemon::node(folder, "c", &relay.address);
    until("the relay counts its node", || {
        let connected = self::number(&scraped(&metrics), "backchannel_relay_nodes_connected", &[]);
        (connected == 1.0).then_some(())
    });
}

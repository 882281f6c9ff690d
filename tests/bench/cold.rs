//! A cold set-up: nodes that have never talked set up their channels and agree on pair secrets. Each node is a process.

use crate::harness::json;
use crate::row::Row;

/// How many nodes, and how often.
const NETWORKS: [(usize, usize); 3] = [(3, 9), (10, 5), (40, 3)];

pub fn measure() -> Vec<Row> {
    let mut rows = Vec::new();
    for suite in ["1", "2"] {
        for (nodes, times) in NETWORKS {
            let mut seconds: Vec<_> = (0..times).map(|_| set_up(nodes, suite)).collect();
            seconds.sort_by(f64::total_cmp);
            let key = format!("cold-setup-{nodes}-suite-{suite}");
            let how = format!("{nodes} nodes, median of {times}");
            rows.push(Row::new(key, seconds[times / 2], "s", how));
        }
    }
    rows
}

fn set_up(nodes: usize, suite: &str) -> f64 {
    let report = json(&["demo", "--nodes", &nodes.to_string(), "--suite", suite]);
    let ms = report["set_up_ms"]["channels_and_pair_secrets"].as_f64();
    ms.expect("a time") / 1e3
}

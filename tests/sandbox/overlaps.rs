//! Faults that are alike and overlap: each begins and ends for itself.

use std::path::Path;

use backchannel::sandbox::{Scenario, Verdict};

use super::stage::{holds, of};

fn run(faults: &str) -> Verdict {
    let scenario = format!("nodes = 3\nheal = \"30s\"\n{faults}");
    let simulation = of(Scenario::parse(&scenario, Path::new("")).expect("a scenario"));
    let verdict = simulation.run(1).expect("run");
    holds(&simulation, &verdict);
    verdict
}

#[test]
fn a_node_is_back_after_healing_although_a_fault_that_never_came_was_drawn_alike() {
    let verdict = run(r#"
[[fault]]
at = "1s"
kind = "kill"
node = "node-1"
for = "10min"
draw = "1"

[[fault]]
at = "1h"
kind = "kill"
node = "node-1"
for = "1s"
"#);

    assert_eq!(verdict.injected["kill"], 1);
}

#[test]
fn faults_of_one_draw_end_each_at_its_time() {
    let fault = |at: &str, kind: &str, lasting: &str| {
        format!(
            "[[fault]]\nat = \"{at}\"\nkind = \"{kind}\"\nnode = \"node-1\"\nfor = \"{lasting}\"\ndraw = \"7\"\n"
        )
    };
    let kinds = ["full", "torn", "stopped", "partition", "backup", "damage"];
    for kind in kinds {
        run(&(fault("1s", kind, "10s") + &fault("2s", kind, "2s")));
    }
}

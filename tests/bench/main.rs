//! What whole processes cost: a relay and nodes on this machine, beside bare tonic doing the same work in the same run.
//!
//! `cargo bench --bench processes [NAME…]` measures what is named, or all, and prints a JSON object for each row: what it is, its value
//! and how it was measured. `tests/bench/run` makes the table of them.

#[path = "../harness/mod.rs"]
mod harness;

mod bare;
mod cold;
mod forwarding;
mod many;
mod plugins;
mod process;
mod requests;
mod row;
mod starts;
mod waiting;
mod wire;

use row::Row;

/// What can be measured: its name, and what measures it.
type Measurement = (&'static str, fn() -> Vec<Row>);

const MEASUREMENTS: [Measurement; 7] = [
    ("starts", starts::measure),
    ("requests", requests::measure),
    ("cold", cold::measure),
    ("waiting", waiting::measure),
    ("forwarding", forwarding::measure),
    ("many", many::measure),
    ("plugins", plugins::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == bare::SERVE) {
        return bare::serve();
    }
    if arguments.first().is_some_and(|first| first == waiting::ASK) {
        return waiting::serve(&arguments[1..]);
    }
    // Cargo's own are flags.
    let names: Vec<_> = arguments
        .iter()
        .filter(|name| !name.starts_with("--"))
        .collect();
    let known = |name: &str| MEASUREMENTS.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let known = MEASUREMENTS.map(|(name, _)| name);
        eprintln!("no measurement {unknown:?}: there are {}", known.join(", "));
        std::process::exit(2);
    }
    for (name, measure) in MEASUREMENTS {
        if names.is_empty() || names.iter().any(|chosen| *chosen == name) {
            measure().iter().for_each(|row| println!("{row}"));
        }
    }
}

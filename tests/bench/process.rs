//! What a process has used so far, as Linux counts it (proc(5)).

use std::time::Duration;

/// Computing time, the kernel's for it included. Counted in ticks of 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name before them may hold spaces.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("ticks");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Its share of the memory that is in use, in MiB: what it has for itself, and its part of what it shares (PSS).
pub fn memory_mib(pid: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let rollup = rollup.expect("a running process of ours");
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Pss:"))
        .expect("its share");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<f64>().expect("a number") / 1024.0
}

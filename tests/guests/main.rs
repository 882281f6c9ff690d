//! Guests that attack the host: components and files, each against a real node with an honest plugin beside them. Which attack
//! ends how is in [README.md](README.md), which is what this prints.

mod fairness;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod made;
mod random;
mod running;
mod stage;

use std::io::Write;

use tokio::sync::RwLock;

/// Held by every test while it runs; the one that measures holds it alone.
static RUNNING: RwLock<()> = RwLock::const_new(());

/// Tells a tester how an attack ended, whether its output is captured or not.
fn report(number: u8, attack: &str, outcome: &str) {
    let line = format!("attack {number:2}  {attack:<22}  {}\n", outcome.trim());
    // Nobody to tell is no reason to fail.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

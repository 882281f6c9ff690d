//! Suite 2 as its users meet it: two nodes, and a relay between them that does what it likes.

mod crashed;
mod crossed;
mod erased;
mod limited;
mod misbehaved;
mod moved;
mod oracle;
mod renewed;
mod repeated;
mod script;
mod secrets;
mod stage;
mod tampered;
mod vectors;

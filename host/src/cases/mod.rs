//! Tests of a plugin as its author writes them: a message or a run, what the plugin finds, and what it is expected to do.
//!
//! In reading order: [`CaseFile`] is a TOML file of [`Case`]s; [`Bench`] runs them, on the host's own code, in virtual time and from
//! a seed; [`Outcome`] is what came, each [`Check`] with its difference, and what it took, [`Turn`] by turn; [`Rewrite`] puts what came
//! in the place of what was expected; [`Repeated`] is one case, to be run again and again.
//!
//! What is not here: networks of nodes ([`crate::sandbox`]). A case has one node, whose peers say what the case has them say.

mod bench;
mod case;
mod check;
mod error;
mod expected;
mod form;
mod inputs;
mod integer;
mod meet;
mod parse;
mod read;
mod repeated;
mod rewrite;
mod rounds;
mod show;
mod turn;
mod written;

pub use bench::Bench;
pub use case::{Case, CaseFile, Place};
pub use check::{Check, Outcome};
pub use error::CasesError;
pub use repeated::Repeated;
pub use rewrite::Rewrite;
pub use turn::Turn;

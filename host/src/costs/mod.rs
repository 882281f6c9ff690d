//! What a plugin costs: its author's cases, each run again and again as a node runs messages, and measured.
//!
//! In reading order: [`Meter`] runs them; [`Costs`] is what came of it, a [`Cost`] for each case and what was [`LeftOut`];
//! [`Samples`] are times that were measured; a [`Suggested`] limit follows from what was measured by a rule; [`page`] shows all of it to
//! people.
//!
//! Times are of the engine that a node runs plugins on, and of this machine. Instructions, memory and counts are of the engine that counts
//! instructions, and are the same wherever and however often they are measured.

mod amount;
mod cost;
mod meter;
mod page;
mod plot;
mod samples;
mod suggested;

pub use amount::{of_bytes, of_instructions, of_time};
pub use cost::{Cost, Costs, LeftOut, Most};
pub use meter::{Effort, Meter};
pub use page::page;
pub use samples::Samples;
pub use suggested::{RULE, Suggested};

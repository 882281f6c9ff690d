//! Data that an operator grants a plugin by name: numbers, or ids of which it sees no more than blinded points.
//!
//! In reading order: an [`Input`] says where values stand and what they are, and [gives](Input::numbers) them to whoever may have them;
//! a [`Source`] is read [value by value](Source::read), and no further than its bounds.
//!
//! What is read is patients' data. No error and nothing that can be printed here holds a value: only names, files and lines.
//!
//! Reading blocks.

mod column;
mod error;
mod file;
mod input;
mod name;
mod source;
mod vector;

pub use error::ReadError;
pub use input::{Input, InputError, Inputs, LEAST_ROWS, MOST_ROWS, OutOfRange, number};
pub use name::{InputName, NotAnInputName};
pub use source::{Cell, Kind, Source};

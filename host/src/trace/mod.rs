//! What happened, as plain data, and the file it is kept in: every call of a plugin with all that went in and came out, and, in
//! a simulation, what became of each message.
//!
//! In reading order: [`Session`] is one instance of a plugin, from its message or run to its last [`Call`], with every
//! [`HostCall`] and what it gave back; [`Event`] is what happened around it; [`Bytes`] are shown, or, where they are secret, left
//! out; [`Trace`] is the file; [`shown`] is how people read it.
//!
//! What is not here: who writes one ([`crate::handlers`], [`crate::sandbox`]), and what is done with it.

mod bytes;
mod event;
mod file;
mod lines;
mod secrets;
mod session;
pub mod shown;

pub use bytes::{Bytes, NotBytes, Piece};
pub use event::{Event, What};
pub use file::{Header, Made, Plugin, Simulated, Trace, TraceError, Writer};
pub use secrets::{Secrets, TooMany, each_bytes};
pub use session::{
    Answer, Call, Cost, Effect, Ended, Entry, HostCall, Incoming, Request, RunOf, Session, Value,
    Work,
};

//! What the author of a handler depends on.
//!
//! A handler is a wasm component that treats the messages nodes send each other. It comes in two halves: `handle`
//! reads a message, may wait, and changes nothing; `finalize` turns what `handle` found into [`Effect`]s, which the
//! host checks and carries out. A handler is cancelled between the two, or not at all.
//!
//! A whole one, which the compiler checks (`examples/echo.rs`):
//!
//! ```
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! A protocol that several parties go through together has neither half: it is a [`Part`], round by round. A whole one
//! (`examples/tally.rs`):
//!
//! ```
#![doc = include_str!("../examples/tally.rs")]
//! ```
//!
//! # In reading order
//!
//! - [`Handler`] and [`export_handler!`]: the two halves.
//! - [`Message`], [`Outgoing`], [`Bytes`], [`ByteArray`], [`Integer`]: fields in and out, typed with serde.
//! - [`material`], [`channel_keys`], [`agreement`], [`sharing`], [`store`], [`random`], [`log`]: what the host offers. A
//!   component imports those it calls, and loads where the operator grants them.
//! - [`Initiator`] and [`export_protocol!`]: for a plugin that begins exchanges when a researcher asks.
//! - [`Part`] and [`export_rounds!`]: for a plugin whose protocols several parties run together; [`Start`], [`Round`] and
//!   [`Next`] are what it is given and says, [`inputs`] and [`blinding`] what the host offers to it alone.
//! - `testing`: a host made of plain values, for `cargo test` without wasm. Not there in wasm builds.
//!
//! # What it leaves to the host
//!
//! Keys, addresses, encryption, signatures, request ids, time-outs and the network. A handler has no file, no socket,
//! no clock and no randomness of its own: the build freezes what looks like entropy, so use only what the host grants.

#![deny(unsafe_code)]
#![allow(
    clippy::test_attr_in_doctest,
    reason = "the examples show tests; they run as those of examples/"
)]

// The bindings are used from guests' crates by the name this crate has there.
extern crate self as backchannel_sdk;

#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all)]
pub mod bindings;
mod bytes;
mod capabilities;
mod decoder;
pub mod fields;
mod handler;
mod initiator;
mod integer;
mod message;
mod part;
mod rounds;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(inline)]
pub use bindings::initiator::exports::backchannel::n2n::initiator::{
    Addressed, Answer, Setup, Step,
};
#[doc(inline)]
pub use bindings::message_handler::backchannel::n2n::types::{
    Assurance, Datum, Effect, Entry, Envelope, Failure, Message, Outgoing, PeerKey, PeerShare,
    SecaggContext,
};
#[doc(inline)]
pub use bindings::multi_party::exports::backchannel::n2n::rounds::{
    Blame, Gather, Next, Parcel, Round, Start,
};
pub use bytes::{ByteArray, Bytes};
pub use capabilities::{
    agreement, blinding, channel_keys, inputs, log, material, random, sharing, store,
};
pub use handler::Handler;
#[doc(hidden)]
pub use handler::HandlerOf;
pub use initiator::Initiator;
#[doc(hidden)]
pub use initiator::InitiatorOf;
pub use integer::Integer;
pub use part::Part;
#[doc(hidden)]
pub use part::PartOf;
#[doc(hidden)]
pub use wit_bindgen;

/// Uses the memory a component starts with before it asks for more: growing costs the host a system call per message.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

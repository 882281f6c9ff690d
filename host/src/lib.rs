//! backchannel: how the nodes of a federated-learning network talk to each other *through* the researcher's server.
//!
//! ```text
//!        node                          researcher's server                   node
//!  ┌───────────────────┐             ┌──────────────────────┐        ┌───────────────────┐
//!  │ handler (wasm)    │             │                      │        │    handler (wasm) │
//!  │   ▲ message       │             │  relay: one mailbox  │        │       effects │   │
//!  │   │       │effects│             │  per node; sees who  │        │               ▼   │
//!  │ router    ▼       │   gRPC/TLS  │  talks to whom, and  │        │      post, router │
//!  │ open     seal     │ ──────────▶ │  ciphertext          │ ◀───── │       seal   open │
//!  └───────────────────┘             └──────────────────────┘        └───────────────────┘
//! ```
//!
//! This crate is the native host. It does transport, overlay cryptography and key storage; every protocol message is
//! treated by a *handler*, a sandboxed wasm component that has no access to any of these. On the wire it is
//! Fed-BioMed 6.4, byte for byte.
//!
//! It does not train models, and holds no data sets: a hospital runs it beside what does.
//!
//! # In reading order
//!
//! - [`message`]: what goes over the wire, as plain data. [`overlay`]: `seal` and `open`, pure functions, on
//!   [`primitives`]. [`noise`]: a key exchange between who knows each other. [`sessions`]: suites 2 and 3, what
//!   they say to each other then.
//! - [`audit`]: what an operator can read afterwards. [`trace`]: what a tester can. `html`: what pages for a browser have in common.
//! - [`identity`]: the key that a node is known by. [`key_store`]: what survives a restart. [`channels`]: which keys are used with which
//!   peer.
//! - [`inputs`]: data that an operator grants a plugin. [`curve`]: its ids, compared without being shown.
//! - [`handlers`]: plugins, what they may import, what comes out of them.
//! - [`packages`]: how a plugin is signed, reviewed, bundled and shipped. `policy`: what an operator allows it.
//!   `plugins`: what runs of that. [`roster`]: a federation's signed list of nodes. `peers`: whom a node believes.
//! - [`secure_channels`]: suites 2 and 3 at work, and in which suite each peer is talked to. [`introduction`]: a key that nobody confirmed.
//! - `requests`, `post`, `router`: asking peers, the way out, the way in. `setups`: a researcher's requests. `rounds`: protocols of
//!   several parties, who hand each other `parcels`. `runs`: each run once. `open_requests`: a killed node's answers.
//! - [`transport`]: a node's connection to its researcher. [`relay`]: the researcher's side. [`node_proof`]: how a relay knows its nodes.
//! - [`secure_sum`]: what the agreed keys are for.
//! - [`fedbiomed`]: moving in, from what a Fed-BioMed node keeps.
//! - [`node`]: all of it wired together. [`sandbox`]: whole networks of it in one process, with faults.
//! - [`cases`]: tests of one plugin. [`replay`]: its recorded calls run again, with the same or another version. [`fuzz`]: with
//!   inputs nobody sent. [`report`]: a trace as people look at it. [`costs`]: what a plugin takes, and the limits that follow.
//! - [`authoring`]: a plugin in the making, from its sources to a component that hosts take. [`scaffold`]: the project it begins as.
//! - `control` and [`cli`]: how people reach it.
//!
//! A layer uses those before it in this list, never those after it; `tests/layers.rs` holds the code to that.
//!
//! # A message, sealed and opened
//!
//! ```
//! use backchannel::message::{Inner, NodeId, ResearcherId, Value};
//! use backchannel::overlay::{self, ChannelKeys};
//! use backchannel::primitives::derive_secret_key;
//! use backchannel::randomness::Randomness;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (a, b) = (derive_secret_key(&[1; 32], b"a"), derive_secret_key(&[2; 32], b"b"));
//! let fields = Value::Map(vec![("secagg_id".into(), "run 1".into())]);
//! let request = Inner::new(NodeId::try_from("a")?, NodeId::try_from("b")?, None, "KeyRequest", fields)?;
//!
//! let researcher = ResearcherId::try_from("researcher")?;
//! let keys_at_a = ChannelKeys::new(&a, &b.public_key());
//! let sealed = overlay::seal(&keys_at_a, &researcher, &request, false, &mut Randomness::from_system()?)?;
//!
//! let keys_at_b = ChannelKeys::new(&b, &a.public_key());
//! assert_eq!(overlay::open(&keys_at_b, &sealed)?, request);
//! # Ok(())
//! # }
//! ```

pub mod audit;
pub mod authoring;
pub mod cases;
pub mod channels;
mod chronicle;
pub mod cli;
pub mod clock;
mod control;
pub mod costs;
pub mod curve;
pub mod fedbiomed;
mod files;
pub mod fuzz;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod handlers;
mod html;
pub mod identity;
pub mod inputs;
pub mod introduction;
mod journeys;
pub mod key_store;
mod logs;
pub mod message;
pub mod metrics;
pub mod node;
pub mod node_proof;
pub mod noise;
mod open_requests;
pub mod overlay;
pub mod packages;
mod parcels;
mod peers;
mod plugins;
mod policy;
mod post;
pub mod primitives;
pub mod proto;
pub mod randomness;
pub mod relay;
pub mod replay;
pub mod report;
mod requests;
pub mod roster;
mod rounds;
mod router;
mod runs;
pub mod sandbox;
pub mod scaffold;
pub mod secure_channels;
pub mod secure_sum;
pub mod sessions;
mod setups;
mod tasks;
mod telemetry;
pub mod trace;
pub mod transport;
mod witness;

use serde::{Deserialize, Serialize};

/// Something that happened in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Microseconds since the trace began.
    pub at: u64,
    /// What.
    pub what: What,
}

/// Messages to nodes have numbers, as the relay counts them; overlay messages also their id on the wire, hex, by which the
/// nodes know them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant's words say what its fields are")]
pub enum What {
    /// A node began to work, for the how many-th time.
    Started { node: String, life: u32 },
    /// It could not.
    NotStarted { node: String, why: String },
    /// It died over an operation of its disk.
    Died { node: String },
    /// A fault of a node, its link or the relay began: kill, power, partition, relay, full …
    FaultBegan { fault: String, node: String },
    /// What it does, or did.
    FaultDid {
        fault: String,
        node: String,
        how: String,
    },
    /// And ended.
    FaultEnded { fault: String, node: String },
    /// The researcher asked a node.
    Asked {
        n: u64,
        to: String,
        kind: String,
        run: String,
    },
    /// A node answered the researcher.
    Answered { from: String, with: String },
    /// A node sealed a message: what the relay cannot see of it.
    Sealed {
        id: String,
        from: String,
        to: String,
        kind: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<String>,
        setup: bool,
    },
    /// The relay took it: what the relay sees.
    Relayed {
        n: u64,
        id: String,
        from: String,
        to: String,
        bytes: u64,
    },
    /// A fault hit a message at the relay: drop, dup, corrupt, delay …, and how.
    Hit { n: u64, fault: String, how: String },
    /// A node got a message from the relay.
    Delivered { n: u64, to: String },
    /// The relay no longer has a message that nobody got.
    Lost { n: u64, why: String },
    /// A node is done with an overlay message that it got.
    Treated {
        id: String,
        node: String,
        from: String,
        /// What it was, if it could be opened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// The plugin that treated it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plugin: Option<String>,
        /// The effects that were carried out, in words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        effects: Vec<String>,
        /// The id of the reply.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<String>,
        /// Why nothing was done; none when all was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<String>,
    },
    /// What must hold does not.
    Broken { invariant: String, how: String },
}

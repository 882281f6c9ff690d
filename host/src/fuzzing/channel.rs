use std::sync::LazyLock;

use p256::SecretKey;

use crate::message::{NodeId, ResearcherId};
use crate::overlay::ChannelKeys;
use crate::primitives::derive_secret_key;

/// A channel between two nodes, the same in every run.
pub(super) struct Channel {
    pub(super) source: NodeId,
    pub(super) dest: NodeId,
    pub(super) researcher: ResearcherId,
    pub(super) sender: ChannelKeys,
    pub(super) receiver: ChannelKeys,
}

/// Its ids are those of the recordings in `tests/fixtures/fedbiomed`, so that recorded messages can be sealed for it.
pub(super) static CHANNEL: LazyLock<Channel> = LazyLock::new(|| {
    let key = |label: &[u8]| -> SecretKey { derive_secret_key(&[1; 32], label) };
    let (a, b) = (key(b"a"), key(b"b"));
    Channel {
        source: "NODE_alpha".parse().expect("an id"),
        dest: "NODE_beta".parse().expect("an id"),
        researcher: "RESEARCHER_vec".parse().expect("an id"),
        sender: ChannelKeys::new(&a, &b.public_key()),
        receiver: ChannelKeys::new(&b, &a.public_key()),
    }
});

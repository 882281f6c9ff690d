use std::sync::LazyLock;

use zeroize::Zeroizing;

use crate::message::{NodeId, ResearcherId};
use crate::overlay::ChannelKeys;
use crate::primitives::{derive_secret_key, ecdh};

/// A channel between two nodes, the same in every run.
pub(super) struct Channel {
    pub(super) source: NodeId,
    pub(super) dest: NodeId,
    pub(super) researcher: ResearcherId,
    pub(super) sender: ChannelKeys,
    pub(super) receiver: ChannelKeys,
    pub(super) secret: Zeroizing<[u8; 32]>,
}

/// Its ids are those of the recordings in `tests/fixtures/fedbiomed`, so that recorded messages can be sealed for it.
pub(super) static CHANNEL: LazyLock<Channel> = LazyLock::new(|| {
    let [a, b] = [b"a", b"b"].map(|label| derive_secret_key(&[1; 32], label));
    Channel {
        source: "NODE_alpha".parse().expect("an id"),
        dest: "NODE_beta".parse().expect("an id"),
        researcher: "RESEARCHER_vec".parse().expect("an id"),
        sender: ChannelKeys::new(&a, &b.public_key()),
        receiver: ChannelKeys::new(&b, &a.public_key()),
        secret: ecdh(&a, &b.public_key()),
    }
});

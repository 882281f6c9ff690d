use super::n2n::channel_keys;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::{CallState, Subject};
use crate::message::NodeId;

impl channel_keys::Host for CallState {
    fn own_public_key(&mut self) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        self.host_call(
            Capability::ChannelKeys,
            "own-public-key",
            Vec::new,
            |state| {
                let Subject::Message(envelope) = &state.subject else {
                    return refused("channel-keys is for handlers: a run has no sender");
                };
                let Ok(peer) = NodeId::try_from(envelope.source.as_str()) else {
                    return refused("the sender has no valid id");
                };
                let channels = &state.services.sources.channels;
                Ok(Ok(channels.own_public_key(&peer)?.into_bytes()))
            },
        )
    }
}

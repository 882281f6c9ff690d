use super::n2n::channel_keys;
use super::{Failure, refused};
use crate::handlers::Capability;
use crate::handlers::state::{CallState, Subject};
use crate::message::NodeId;

impl channel_keys::Host for CallState {
    fn own_public_key(&mut self) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        self.count_call(Capability::ChannelKeys)?;
        let Subject::Message(envelope) = &self.subject else {
            return refused("channel-keys is for handlers: a run has no sender");
        };
        match NodeId::try_from(envelope.source.as_str()) {
            Ok(peer) => Ok(Ok(self
                .services
                .channels
                .own_public_key(&peer)?
                .into_bytes())),
            Err(_) => refused("the sender has no valid id"),
        }
    }
}

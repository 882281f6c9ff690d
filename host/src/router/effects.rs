//! Carrying out what a message's `finalize` asked for: all of it, or none.

use super::{Dropped, Handled, Router, Sender};
use crate::handlers::{CallError, Effect, Refused};

impl Router {
    /// The half that is never cancelled.
    pub(super) async fn finish(&self, handled: Handled) -> Result<(), Dropped> {
        let Handled {
            plugin,
            sender,
            found,
        } = handled;
        let effects = found.finalize().await?;
        for effect in &effects {
            self.check(plugin.name(), &sender, effect)?;
        }
        for effect in effects {
            self.carry_out(plugin.name(), &sender, effect).await?;
        }
        Ok(())
    }

    /// What only the node's state tells; grants and budgets were checked with the guest's call.
    fn check(&self, plugin: &str, sender: &Sender, effect: &Effect) -> Result<(), Dropped> {
        match effect {
            Effect::Deliver(_) | Effect::SetPeerKey(_) => {
                Ok(self
                    .requests
                    .check(plugin, &sender.source, sender.request_id.as_ref())?)
            }
            Effect::Reply(_) => Ok(()),
            Effect::Publish(_) => Err(misplaced(plugin, "publish")),
            Effect::Establish(_) => Err(misplaced(plugin, "establish")),
        }
    }

    async fn carry_out(
        &self,
        plugin: &str,
        sender: &Sender,
        effect: Effect,
    ) -> Result<(), Dropped> {
        let id = sender.request_id.as_ref();
        match effect {
            Effect::Reply(outgoing) if sender.setup => {
                let sent =
                    self.post
                        .send_setup(&sender.researcher, &sender.source, id.cloned(), outgoing);
                Ok(sent.await?)
            }
            Effect::Reply(outgoing) => {
                let sent =
                    self.post
                        .send(&sender.researcher, &sender.source, id.cloned(), outgoing);
                Ok(sent.await?)
            }
            Effect::Deliver(body) => Ok(self.requests.deliver(plugin, &sender.source, id, body)?),
            Effect::SetPeerKey(pem) => {
                let (channels, peer) = (self.channels.clone(), sender.source.clone());
                // Waits for the disk.
                let set = tokio::task::spawn_blocking(move || channels.set_peer_key(&peer, &pem));
                Ok(set.await.map_err(|_| Dropped::Stopping)??)
            }
            Effect::Publish(_) => Err(misplaced(plugin, "publish")),
            Effect::Establish(_) => Err(misplaced(plugin, "establish")),
        }
    }
}

fn misplaced(plugin: &str, effect: &'static str) -> Dropped {
    Dropped::Call(CallError::Effect {
        plugin: plugin.into(),
        why: Refused::OutOfPlace(effect),
    })
}

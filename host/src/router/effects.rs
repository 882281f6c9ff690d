//! Carrying out what a message's `finalize` asked for: all of it, or none.

use super::{Dropped, Handled, Router, Sender};
use crate::channels::ChannelError;
use crate::handlers::{Body, CallError, Effect, Outgoing, Refused};
use crate::primitives;
use crate::requests::Answered;
use crate::tasks::blocking;

/// The effects of one message, all of them possible.
#[derive(Default)]
struct Plan {
    peer_key: Option<Vec<u8>>,
    deliver: Option<Body>,
    reply: Option<Outgoing>,
}

impl Router {
    /// The half that is never cancelled.
    pub(super) async fn finish(&self, handled: Handled) -> Result<(), Dropped> {
        let Handled {
            plugin,
            sender,
            found,
        } = handled;
        let plan = plan(plugin.name(), &sender, found.finalize().await?)?;
        let asked = if plan.peer_key.is_some() || plan.deliver.is_some() {
            let id = sender.request_id.as_ref();
            Some(self.requests.take(plugin.name(), &sender.source, id)?)
        } else {
            None
        };
        self.carry_out(sender, plan, asked).await
    }

    /// In an order in which whoever is woken finds all done.
    async fn carry_out(
        &self,
        sender: Sender,
        plan: Plan,
        asked: Option<Answered>,
    ) -> Result<(), Dropped> {
        if let Some(pem) = plan.peer_key {
            self.take_peer_key(&sender, pem).await?;
        }
        if let (Some(asked), Some(body)) = (asked, plan.deliver) {
            asked.deliver(body);
        }
        if let Some(outgoing) = plan.reply {
            let (to, id) = (&sender.source, sender.request_id);
            if sender.setup {
                let sent = self.post.send_setup(&sender.researcher, to, id, outgoing);
                sent.await?;
            } else {
                let sent = self.post.reply(&sender.researcher, to, id, outgoing);
                sent.await?;
            }
        }
        Ok(())
    }

    async fn take_peer_key(&self, sender: &Sender, pem: Vec<u8>) -> Result<(), Dropped> {
        let (channels, peer) = (self.channels.clone(), sender.source.clone());
        if !self.post.wants(&peer) {
            return Ok(channels.meet(&peer, &pem)?);
        }
        // Waits for the disk.
        let set = blocking(move || channels.set_peer_key(&peer, &pem));
        Ok(set.await.ok_or(Dropped::Stopping)??)
    }
}

/// Checks what only the content tells; grants and budgets were checked with the guest's call.
fn plan(plugin: &str, sender: &Sender, effects: Vec<Effect>) -> Result<Plan, Dropped> {
    let misplaced = |effect| {
        Dropped::Call(CallError::Effect {
            plugin: plugin.into(),
            why: Refused::OutOfPlace(effect),
        })
    };
    let mut plan = Plan::default();
    for effect in effects {
        match effect {
            Effect::Reply(outgoing) => plan.reply = Some(outgoing),
            Effect::Deliver(body) => plan.deliver = Some(body),
            Effect::SetPeerKey(pem) => {
                let peer = || sender.source.clone();
                primitives::parse_public_key_pem(&pem)
                    .map_err(|_| ChannelError::BadKey { peer: peer() })?;
                plan.peer_key = Some(pem);
            }
            Effect::Publish(_) => return Err(misplaced("publish")),
            Effect::Establish(_) => return Err(misplaced("establish")),
        }
    }
    Ok(plan)
}

//! Carrying out what a message's `finalize` asked for: all of it, or none.

use super::{Dropped, Handled, Router, Sender};
use crate::channels::ChannelError;
use crate::handlers::{Body, CallError, Called, Effect, Entry, Outgoing, Plugin, Refused};
use crate::journeys::Trip;
use crate::message::Inner;
use crate::post::PostError;
use crate::primitives;
use crate::tasks::blocking;

/// The effects of one message, all of them possible.
#[derive(Default)]
struct Plan {
    peer_key: Option<Vec<u8>>,
    deliver: Option<Body>,
    reply: Option<Outgoing>,
    entries: Vec<Entry>,
}

impl Router {
    /// The half that is never cancelled.
    pub(super) async fn finish(&self, handled: Handled, trip: &Trip) -> Result<(), Dropped> {
        let Handled {
            plugin,
            sender,
            found,
            witness,
            usage: mut taken,
            in_work: _in_work,
        } = handled;
        // The last moment to stop it: what `finalize` has begun is done to its end.
        if plugin.is_taken_back() {
            return Err(Dropped::Off(plugin.name().into()));
        }
        let Called { usage, result } = found.finalize().await;
        taken += &usage;
        let done = match result {
            Ok(effects) => self.carry_out(&plugin, &sender, effects, trip).await,
            Err(error) => Err(error.into()),
        };
        let error = match &done {
            Err(Dropped::Call(error)) => Some(error),
            _ => None,
        };
        taken.hits.extend(error.and_then(CallError::limit));
        self.treated(trip, witness, &taken, &sender, error);
        done
    }

    /// First what can be refused, then what goes to disk, then what others see: in an order in which whoever is woken finds
    /// all done.
    async fn carry_out(
        &self,
        plugin: &Plugin,
        sender: &Sender,
        effects: Vec<Effect>,
        trip: &Trip,
    ) -> Result<(), Dropped> {
        let plan = plan(plugin.name(), sender, effects)?;
        self.can_be_sent(sender, plan.reply.as_ref())?;
        let (to, id) = (&sender.source, sender.request_id.as_ref());
        let asked = if plan.peer_key.is_some() || plan.deliver.is_some() {
            Some(self.requests.take(plugin.name(), to, id)?)
        } else {
            None
        };
        let done = |words| trip.note(|journey| journey.effects.push(words));
        if !plan.entries.is_empty() {
            let words = format!("store {} entries", plan.entries.len());
            self.store(plugin, sender, plan.entries).await?;
            done(words);
        }
        if let Some(pem) = plan.peer_key {
            self.take_peer_key(sender, pem).await?;
            done("take the sender's channel key".to_owned());
        }
        if let (Some(asked), Some(body)) = (asked, plan.deliver) {
            done(format!("deliver {} bytes to who asked", body.len()));
            asked.deliver(body);
        }
        if let Some(outgoing) = plan.reply {
            let words = format!("reply with a {}", outgoing.kind);
            let (researcher, id) = (&sender.researcher, id.cloned());
            let reply = if sender.setup {
                let sent = self.post.send_setup(researcher, to, id, outgoing);
                sent.await?
            } else {
                self.post.reply(researcher, to, id, outgoing).await?
            };
            done(words);
            trip.note(|journey| journey.reply = Some(reply));
        }
        Ok(())
    }

    /// Fields that do not make a message must be known before anything else is done.
    fn can_be_sent(&self, sender: &Sender, reply: Option<&Outgoing>) -> Result<(), Dropped> {
        let Some(Outgoing { kind, fields }) = reply else {
            return Ok(());
        };
        let (own, to, id) = (
            self.own.clone(),
            sender.source.clone(),
            sender.request_id.clone(),
        );
        Inner::new(own, to, id, kind.as_str(), fields.clone())
            .map_err(|error| PostError::NotAMessage(error.to_string()))?;
        Ok(())
    }

    async fn store(
        &self,
        plugin: &Plugin,
        sender: &Sender,
        entries: Vec<Entry>,
    ) -> Result<(), Dropped> {
        let (store, seen) = (self.services.sources.store.clone(), self.seen.clone());
        let (changes, digest) = (plugin.changes(entries), sender.digest);
        let stored = blocking(move || match digest {
            Some(digest) => seen.change(&store, &digest, &changes),
            None => store.change_plugin_entries(&changes),
        });
        let stored = stored.await;
        stored
            .ok_or(Dropped::Stopping)?
            .map_err(|error| match plugin.over_quota(&error) {
                Some(over) => Dropped::Call(over),
                None => Dropped::NotStored(error),
            })
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
            Effect::Store(entry) => plan.entries.push(entry),
            Effect::Publish(_) => return Err(misplaced("publish")),
            Effect::Establish(_) => return Err(misplaced("establish")),
        }
    }
    Ok(plan)
}

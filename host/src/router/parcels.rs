//! What parties hand each other in protocols: answered by the host itself, whatever the plugin, without a call of it.

use tokio::time::Instant;

use super::{Dropped, MESSAGE_DEADLINE, Router, Trip};
use crate::handlers::Outgoing;
use crate::message::{Inner, NodeId, ResearcherId};
use crate::parcels::{Answer, Ask};

impl Router {
    /// Treats a message about parcels. Cancelled, it has done nothing but perhaps sent an answer, which its asker asks for again.
    pub(super) async fn parcels(
        &self,
        researcher: &ResearcherId,
        inner: Inner,
        trip: &Trip,
    ) -> Result<(), Dropped> {
        if inner.kind == Ask::KIND {
            self.hand_over(researcher, &inner, trip).await
        } else {
            let asked = self
                .requests
                .take(Ask::KIND, &inner.source, inner.request_id.as_ref())?;
            // Whatever else it is, it is that party's, and as good as nothing.
            let answer = Answer::read(inner.fields).unwrap_or(Answer::Nothing);
            asked.deliver(answer.outgoing().fields.encode().into());
            trip.note(|journey| journey.effects.push("take a parcel in".to_owned()));
            Ok(())
        }
    }

    async fn hand_over(
        &self,
        researcher: &ResearcherId,
        inner: &Inner,
        trip: &Trip,
    ) -> Result<(), Dropped> {
        let ask = Ask::read(inner)?;
        let answer = match self.admits(&ask.run.0, researcher, &inner.source) {
            Ok(()) => {
                let deadline = Instant::now() + ask.patience.min(MESSAGE_DEADLINE);
                let parcels = &self.parcels;
                let held = parcels.wait(&ask.run, ask.round, &inner.source, researcher, deadline);
                held.await
            }
            // Why it gave up may be that it does not admit this. Nobody has to wait for it.
            Err(_) if self.parcels.gave_up(&ask.run, &inner.source, researcher) => Answer::GivenUp,
            Err(dropped) => return Err(dropped),
        };
        let words = match &answer {
            Answer::Held(body) => format!("hand over a parcel of {} bytes", body.len()),
            Answer::Nothing => "answer that there is no parcel".to_owned(),
            Answer::Later => "answer that its round is to come".to_owned(),
            Answer::GivenUp => "answer that the run was given up".to_owned(),
        };
        let outgoing: Outgoing = answer.outgoing();
        let reply = self.post.reply(
            researcher,
            &inner.source,
            inner.request_id.clone(),
            outgoing,
        );
        let reply = reply.await?;
        trip.note(|journey| {
            journey.effects.push(words);
            journey.reply = Some(reply);
        });
        Ok(())
    }

    /// Whether parcels of a protocol may be handed to `party`.
    fn admits(
        &self,
        protocol: &str,
        researcher: &ResearcherId,
        party: &NodeId,
    ) -> Result<(), Dropped> {
        let plugin = self.plugins.for_protocol(protocol);
        let plugin = plugin.ok_or_else(|| match self.plugins.off(protocol) {
            Some(plugin) => Dropped::Off(plugin),
            None => Dropped::UnknownProtocol(protocol.to_owned()),
        })?;
        let today = self.services.sources.clock.today();
        let admitted = plugin.scope().admits_message(researcher, party, today);
        admitted.map_err(|why| Dropped::OutOfScope(plugin.name().into(), why))
    }
}

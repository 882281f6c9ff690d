use std::pin::pin;

use futures::FutureExt;
use tokio::time::Instant;

use super::n2n::material;
use crate::handlers::material::LONGEST_WAIT;
use crate::handlers::state::{CallState, Subject};
use crate::handlers::wait::Left;
use crate::handlers::{Body, Capability, Limit};
use crate::message::{MAX_ID_BYTES, NodeId};
use crate::trace::Value;

impl material::Host for CallState {
    async fn wait(&mut self, run: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let given = || vec![Value::Text(run.clone())];
        if let Some(played) = self.host_call_begins(Capability::Material, "wait", given)? {
            return Ok(played);
        }
        let body = self.material(run).await?;
        self.host_call_ends(&body);
        Ok(body)
    }
}

impl CallState {
    async fn material(&mut self, run: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let (Subject::Message(envelope), Some(limit)) = (&self.subject, self.may_wait_until) else {
            return Ok(None);
        };
        let Ok(peer) = NodeId::try_from(envelope.source.as_str()) else {
            return Ok(None);
        };
        // No run has a longer name; a guest must not fill the host with keys to wait for.
        if run.len() > MAX_ID_BYTES {
            return Ok(None);
        }
        let in_bytes = |body: Option<Body>| body.map(|body| body.to_vec());
        if let Some(answer) = self.answer(&run) {
            return Ok(in_bytes(answer.body));
        }
        let now = Instant::now();
        let until = limit.min(now + LONGEST_WAIT);
        let materials = &self.services.sources.materials;
        let mut waiting = pin!(materials.wait(&self.plugin, &run, &peer, until));
        match waiting.as_mut().now_or_never() {
            // Whoever has waited as long as it may, and goes on to wait, does nothing else.
            Some(None) if now >= limit => Err(self.hit(Limit::HandleWallMs)),
            Some(body) => Ok(in_bytes(body)),
            None if self.can_be_left() => {
                let left = Left {
                    run: run.clone(),
                    peer: peer.clone(),
                    until,
                };
                self.left = Some(left.clone());
                Err(wasmtime::Error::new(left))
            }
            None => Ok(in_bytes(waiting.await)),
        }
    }
}

use super::n2n::material;
use crate::handlers::Capability;
use crate::handlers::material::LONGEST_WAIT;
use crate::handlers::state::{CallState, Subject};
use crate::message::{MAX_ID_BYTES, NodeId};
use crate::trace::Value;
use tokio::time::Instant;

impl material::Host for CallState {
    async fn wait(&mut self, run: String) -> wasmtime::Result<Option<Vec<u8>>> {
        let given = || vec![Value::Text(run.clone())];
        if let Some(played) = self.host_call_begins(Capability::Material, "wait", given)? {
            return Ok(played);
        }
        let body = self.material(&run).await;
        self.host_call_ends(&body);
        Ok(body)
    }
}

impl CallState {
    async fn material(&self, run: &str) -> Option<Vec<u8>> {
        let (Subject::Message(envelope), Some(limit)) = (&self.subject, self.may_wait_until) else {
            return None;
        };
        let Ok(peer) = NodeId::try_from(envelope.source.as_str()) else {
            return None;
        };
        // No run has a longer name; a guest must not fill the host with keys to wait for.
        if run.len() > MAX_ID_BYTES {
            return None;
        }
        let deadline = limit.min(Instant::now() + LONGEST_WAIT);
        let body = self
            .services
            .materials
            .wait(&self.plugin, run, &peer, deadline)
            .await;
        body.map(|body| body.to_vec())
    }
}

//! A message that waits for material does so outside of its instance: what it costs meanwhile is the message.
//!
//! A handler changes nothing before its end. So an instance that has to wait is given up, and when there is an answer another one is given
//! the message anew, finds the answer there, and goes on. That is done once: a handler that waits for something else then waits inside.

use std::sync::Arc;

use tokio::time::Instant;

use super::recorder::Account;
use super::{Body, Found, Materials, Usage};
use crate::message::NodeId;

/// What came of the first half of a message's treatment.
pub enum Handling {
    /// It is done. `None`: there is nothing to be done in a second half.
    Done(Option<Found>),
    /// It goes on when the wait is over.
    Waits(Box<Wait>),
}

/// What a message waits for. Dropping it ends its treatment.
pub struct Wait {
    pub(super) plugin: Arc<str>,
    pub(super) left: Left,
    pub(super) so_far: SoFar,
    /// Told unless another instance goes on.
    pub(super) account: Option<Account>,
}

/// A wait that is over, for [`Plugin::handle_or_wait`](super::Plugin::handle_or_wait) to go on with.
pub struct Waited {
    pub(super) answer: Answer,
    pub(super) so_far: SoFar,
}

/// What an instance was given up over.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it waits for material of the run {run}")]
pub(super) struct Left {
    pub(super) run: String,
    pub(super) peer: NodeId,
    pub(super) until: Instant,
}

/// What an import is to answer.
pub(super) struct Answer {
    pub(super) run: String,
    pub(super) body: Option<Body>,
}

/// What the instance took that was given up.
pub(super) struct SoFar {
    pub(super) begun: Instant,
    pub(super) usage: Usage,
}

impl SoFar {
    /// Counts it with what the next instance took. What else was done is done again, and counts once.
    pub(super) fn add_to(&self, usage: &mut Usage) {
        usage.computing += self.usage.computing;
        usage.fuel = usage
            .fuel
            .map(|fuel| fuel + self.usage.fuel.unwrap_or_default());
    }
}

impl Wait {
    /// Waits until there is an answer, or the plugin may wait no longer.
    pub async fn over(self, materials: &Materials) -> Waited {
        let Left { run, peer, until } = self.left;
        let body = materials.wait(&self.plugin, &run, &peer, until).await;
        if let Some(account) = self.account {
            account.discard();
        }
        Waited {
            answer: Answer { run, body },
            so_far: self.so_far,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::handlers::guests::{envelope, services};
    use crate::handlers::{
        BUILT_IN, Called, Datum, Message, Plugin, Recorder, Runtime, Services, Terms,
    };
    use crate::trace::{Ended, Session};

    fn key_request() -> Arc<Plugin> {
        let runtime = Runtime::new().expect("an engine");
        let terms = Terms::granting(BUILT_IN[1].grants);
        Arc::new(Plugin::load(&runtime, BUILT_IN[1].component, terms).expect("loaded"))
    }

    fn request() -> Message {
        Message {
            kind: "KeyRequest".into(),
            request_id: Some("1".into()),
            // {"secagg_id": "run"}
            fields: [b"\x81\xa9secagg_id".as_slice(), b"\xa3run"].concat(),
        }
    }

    async fn begun(plugin: &Arc<Plugin>, services: &Services, over: Option<Waited>) -> Handling {
        let (envelope, request) = (envelope(), request());
        let called = plugin.handle_or_wait(services, &envelope, &request, over);
        called.await.result.expect("no error")
    }

    fn wait(handling: Handling) -> Wait {
        match handling {
            Handling::Waits(wait) => *wait,
            Handling::Done(_) => panic!("it does not wait"),
        }
    }

    fn publish(services: &Services, plugin: &Plugin) {
        let peer = NodeId::try_from("peer").expect("valid");
        let datum = Datum {
            audience: None,
            body: b"key".to_vec().into(),
        };
        let materials = &services.sources.materials;
        assert!(materials.publish(plugin.shared_name(), "run", &[peer], vec![datum]));
    }

    /// What is told of instances, from now on.
    fn listening(services: &mut Services) -> Arc<Mutex<Vec<Session>>> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = told.clone();
        services.recorder = Recorder::to(
            "me",
            Instant::now(),
            |_| true,
            move |_, session| {
                let mut told = tell.lock().unwrap_or_else(PoisonError::into_inner);
                told.push(session);
            },
        );
        told
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_waits_has_no_instance_and_goes_on_when_there_is_an_answer() {
        let (plugin, services) = (key_request(), services());

        let waits = wait(begun(&plugin, &services, None).await);
        assert_eq!(plugin.memory().load(Ordering::Relaxed), 0);
        publish(&services, &plugin);
        let over = waits.over(&services.sources.materials).await;

        let Handling::Done(Some(found)) = begun(&plugin, &services, Some(over)).await else {
            panic!("nothing found");
        };
        let effects = found.finalize().await.result.expect("effects");
        assert_eq!(effects.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_comes_to_nothing_ends_in_time_for_the_rest() {
        let (plugin, services) = (key_request(), services());
        let before = Instant::now();

        let Called { usage, result } = plugin.handle(&services, envelope(), request()).await;

        assert!(result.expect("no error").is_none(), "it stays silent");
        assert_eq!(before.elapsed().as_secs(), 30);
        assert_eq!((usage.wall.as_secs(), usage.host_calls), (30, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_of_both_instances_is_told_once() {
        let (plugin, mut services) = (key_request(), services());
        let told = listening(&mut services);

        let waits = wait(begun(&plugin, &services, None).await);
        publish(&services, &plugin);
        let over = waits.over(&services.sources.materials).await;
        drop(begun(&plugin, &services, Some(over)).await);

        let told = told.lock().expect("told");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].calls[0].ended, Ended::Found);
        assert_eq!(told[0].calls[0].host_calls.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_is_told_as_cancelled() {
        let (plugin, mut services) = (key_request(), services());
        let told = listening(&mut services);

        drop(begun(&plugin, &services, None).await);

        let told = told.lock().expect("told");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].calls[0].ended, Ended::Cancelled);
    }
}

//! Requests that this node made and whose replies it waits for (the `send_nodes` of the reference).
//!
//! A reply counts only if it comes from the peer that was asked, through the plugin that asked, and once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::handlers::{Body, Outgoing};
use crate::message::{NodeId, RequestId, ResearcherId};
use crate::randomness::Randomness;

/// How long a peer may take to answer (reference: `TIMEOUT_NODE_TO_NODE_REQUEST`).
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// The pending requests of one node.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<BTreeMap<RequestId, Pending>>>);

struct Pending {
    plugin: String,
    peer: NodeId,
    reply: oneshot::Sender<Body>,
    /// To be sent again, should the peer turn out to have a new key.
    sent: Option<Sent>,
}

/// What was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Through whom.
    pub researcher: ResearcherId,
    /// What it says.
    pub outgoing: Outgoing,
    /// When, the last time.
    pub at: Instant,
}

/// A request under way; dropping it forgets the request.
pub struct Ticket {
    requests: Requests,
    id: RequestId,
    peer: NodeId,
    reply: oneshot::Receiver<Body>,
}

/// A request whose reply is at hand. Dropping it leaves the asker without one.
pub struct Answered(oneshot::Sender<Body>);

impl Answered {
    /// Hands `body` to whoever made the request.
    pub fn deliver(self, body: Body) {
        // The asker may have given up in this very moment: then nobody misses the body.
        let _ = self.0.send(body);
    }
}

/// What became of a round of requests.
#[derive(Debug, PartialEq, Eq)]
pub struct Gathered {
    /// The replies, in the order of the requests.
    pub answered: Vec<(NodeId, Body)>,
    /// Who had not answered at the deadline.
    pub silent: Vec<NodeId>,
}

/// A reply to nothing: no request of this id is pending with that peer and plugin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{peer} answers a request {id:?} that {plugin} has not made to it, or that was answered")]
pub struct NotAsked {
    /// Who answered.
    pub peer: NodeId,
    /// The plugin that treated the answer.
    pub plugin: String,
    /// The request it claims to answer.
    pub id: Option<RequestId>,
}

impl Requests {
    /// Makes ready for a reply from `peer`, to be treated by `plugin`.
    pub fn register(&self, plugin: &str, peer: &NodeId, randomness: &Randomness) -> Ticket {
        let id = RequestId::fresh(&mut randomness.clone());
        let (reply, receiver) = oneshot::channel();
        let pending = Pending {
            plugin: plugin.to_owned(),
            peer: peer.clone(),
            reply,
            sent: None,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), pending);
        Ticket {
            requests: self.clone(),
            id,
            peer: peer.clone(),
            reply: receiver,
        }
    }

    /// Takes out the request `id`, if `plugin` waits for a reply from `peer` to it: no other reply to it counts from now on.
    pub fn take(
        &self,
        plugin: &str,
        peer: &NodeId,
        id: Option<&RequestId>,
    ) -> Result<Answered, NotAsked> {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = |id: &&RequestId| {
            pending
                .get(id)
                .is_some_and(|request| request.plugin == plugin && request.peer == *peer)
        };
        match id.filter(asked).and_then(|id| pending.remove(id)) {
            Some(request) => Ok(Answered(request.reply)),
            None => Err(NotAsked {
                peer: peer.clone(),
                plugin: plugin.to_owned(),
                id: id.cloned(),
            }),
        }
    }

    /// Keeps what request `id` says, until it is answered or given up.
    pub fn keep(&self, id: &RequestId, researcher: &ResearcherId, outgoing: &Outgoing) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = pending.get_mut(id) {
            request.sent = Some(Sent {
                researcher: researcher.clone(),
                outgoing: outgoing.clone(),
                at: Instant::now(),
            });
        }
    }

    /// The kept requests that `peer` has not answered.
    pub fn unanswered(&self, peer: &NodeId) -> Vec<(RequestId, Sent)> {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = pending.iter().filter(|(_, request)| request.peer == *peer);
        of_peer
            .filter_map(|(id, request)| Some((id.clone(), request.sent.clone()?)))
            .collect()
    }

    /// How many requests wait for their reply.
    pub fn pending(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Ticket {
    /// The id that the request must carry.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The reply, or nothing at `deadline`.
    pub async fn reply_by(mut self, deadline: Instant) -> Option<Body> {
        timeout_at(deadline, &mut self.reply).await.ok()?.ok()
    }

    /// The reply if it comes before `until`, else the ticket: a reply may be late.
    pub async fn reply_before(mut self, until: Instant) -> Result<Option<Body>, Self> {
        match timeout_at(until, &mut self.reply).await {
            Ok(reply) => Ok(reply.ok()),
            Err(_) => Err(self),
        }
    }

    /// Waits for the replies to all `tickets` until `deadline`.
    pub async fn gather(tickets: Vec<Ticket>, deadline: Instant) -> Gathered {
        let replies = join_all(tickets.into_iter().map(|ticket| async move {
            let peer = ticket.peer.clone();
            (peer, ticket.reply_by(deadline).await)
        }));
        let mut gathered = Gathered {
            answered: Vec::new(),
            silent: Vec::new(),
        };
        for (peer, reply) in replies.await {
            match reply {
                Some(body) => gathered.answered.push((peer, body)),
                None => gathered.silent.push(peer),
            }
        }
        gathered
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.requests
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Value;

    fn node(name: &str) -> NodeId {
        NodeId::try_from(name).expect("a valid id")
    }

    fn ask(requests: &Requests, peer: &str) -> Ticket {
        requests.register(
            "key-request",
            &node(peer),
            &Randomness::from_seed(peer.len() as u64),
        )
    }

    #[tokio::test]
    async fn refuses_a_reply_from_another_peer_or_plugin_or_to_nothing() {
        let requests = Requests::default();
        let ticket = ask(&requests, "b");

        assert!(
            requests
                .take("key-request", &node("c"), Some(ticket.id()))
                .map(|asked| asked.deliver(vec![1].into()))
                .is_err()
        );
        assert!(
            requests
                .take("other", &node("b"), Some(ticket.id()))
                .map(|asked| asked.deliver(vec![1].into()))
                .is_err()
        );
        assert!(
            requests
                .take("key-request", &node("b"), None)
                .map(|asked| asked.deliver(vec![1].into()))
                .is_err()
        );
        assert_eq!(requests.pending(), 1);
    }

    #[tokio::test]
    async fn refuses_a_second_reply() {
        let requests = Requests::default();
        let ticket = ask(&requests, "b");
        let id = ticket.id().clone();
        requests
            .take("key-request", &node("b"), Some(&id))
            .map(|asked| asked.deliver(vec![1].into()))
            .expect("the first");

        assert!(
            requests
                .take("key-request", &node("b"), Some(&id))
                .map(|asked| asked.deliver(vec![2].into()))
                .is_err()
        );
        assert_eq!(ticket.reply_by(Instant::now()).await, Some(vec![1].into()));
    }

    #[tokio::test(start_paused = true)]
    async fn names_who_stayed_silent_at_the_deadline() {
        let requests = Requests::default();
        let tickets = vec![ask(&requests, "b"), ask(&requests, "cc")];
        requests
            .take("key-request", &node("cc"), Some(tickets[1].id()))
            .map(|asked| asked.deliver(vec![7].into()))
            .expect("asked");

        let gathered = Ticket::gather(tickets, Instant::now() + REPLY_TIMEOUT).await;
        assert_eq!(gathered.answered, vec![(node("cc"), vec![7].into())]);
        assert_eq!(gathered.silent, vec![node("b")]);
        assert_eq!(requests.pending(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn what_was_answered_or_given_up_is_not_sent_again() {
        let requests = Requests::default();
        let researcher = ResearcherId::try_from("r").expect("a valid id");
        let outgoing = Outgoing {
            kind: "KeyRequest".into(),
            fields: Value::Map(Vec::new()),
        };
        let tickets = ["b", "cc", "ddd"].map(|peer| ask(&requests, peer));
        for ticket in &tickets {
            requests.keep(ticket.id(), &researcher, &outgoing);
        }
        let [answered, given_up, open] = tickets;
        requests
            .take("key-request", &node("b"), Some(answered.id()))
            .map(|asked| asked.deliver(vec![1].into()))
            .expect("asked");
        drop(given_up);

        assert!(requests.unanswered(&node("b")).is_empty());
        assert!(requests.unanswered(&node("cc")).is_empty());
        let again = requests.unanswered(&node("ddd"));
        let again = again.iter().map(|(id, sent)| (id, &sent.outgoing));
        let again: Vec<_> = again.collect();
        assert_eq!(again, [(open.id(), &outgoing)]);
    }

    #[test]
    fn forgets_a_request_that_nobody_waits_for() {
        let requests = Requests::default();
        drop(ask(&requests, "b"));
        assert_eq!(requests.pending(), 0);
    }
}

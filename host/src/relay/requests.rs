//! What the researcher asks of nodes, and how their replies are gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::message::{
    ExperimentId, NodeId, ProtocolRun, ProtocolRunReply, RequestId, ResearcherId, RunId, SecaggId,
    SetupRequest, ToNode, ToResearcher,
};

/// How long a researcher of the reference waits for replies.
pub const REPLY_LIMIT: Duration = Duration::from_secs(60);

/// How often is looked whether those that are waited for are still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a researcher can ask of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Are you there?
    Ping,
    /// Agree on pair secrets (`SecaggRequest`).
    PairSecrets(Run),
    /// Agree on a server key (`AdditiveSSSetupRequest`).
    ServerKey(Run),
    /// Forget a run (`SecaggDelete`).
    Delete {
        /// The run.
        secagg_id: SecaggId,
        /// What of it: [`SERVER_KEY`](crate::message::researcher::SERVER_KEY) or
        /// [`PAIR_SECRETS`](crate::message::researcher::PAIR_SECRETS).
        element: i64,
        /// The experiment it was for.
        experiment_id: Option<ExperimentId>,
    },
    /// Run a plugin's protocol (`ProtocolRunRequest`).
    Protocol(Protocol),
}

/// A plugin's protocol to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name, in the plugin's manifest.
    pub name: String,
    /// The run's name.
    pub run_id: RunId,
    /// Its parties, at least two; every one is asked.
    pub parties: Vec<NodeId>,
    /// One MessagePack map.
    pub params: Vec<u8>,
}

/// A run to be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub secagg_id: SecaggId,
    /// The experiment it is for.
    pub experiment_id: ExperimentId,
    /// Its parties, at least two; every one is asked.
    pub parties: Vec<NodeId>,
}

impl Request {
    /// The request as a message.
    pub(super) fn message(&self, request_id: RequestId, researcher_id: ResearcherId) -> ToNode {
        let (request_id, researcher) = (Some(request_id), researcher_id);
        let setup = |request_id, researcher_id, run: &Run| SetupRequest {
            request_id,
            researcher_id,
            secagg_id: run.secagg_id.clone(),
            experiment_id: run.experiment_id.clone(),
            parties: run.parties.clone(),
        };
        match self {
            Self::Ping => ToNode::Ping {
                request_id,
                researcher_id: researcher,
            },
            Self::PairSecrets(run) => ToNode::SecaggSetup(setup(request_id, researcher, run)),
            Self::ServerKey(run) => ToNode::ServerKeySetup(setup(request_id, researcher, run)),
            Self::Delete {
                secagg_id,
                element,
                experiment_id,
            } => ToNode::SecaggDelete {
                request_id,
                researcher_id: researcher,
                secagg_id: secagg_id.clone(),
                element: *element,
                experiment_id: experiment_id.clone(),
            },
            Self::Protocol(protocol) => ToNode::ProtocolRun(ProtocolRun {
                request_id,
                researcher_id: researcher,
                protocol: protocol.name.clone(),
                run_id: protocol.run_id.clone(),
                parties: protocol.parties.clone(),
                params: protocol.params.clone(),
            }),
        }
    }

    /// The class of the message.
    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Ping => "PingRequest",
            Self::PairSecrets(_) => "SecaggRequest",
            Self::ServerKey(_) => "AdditiveSSSetupRequest",
            Self::Delete { .. } => "SecaggDeleteRequest",
            Self::Protocol(_) => ProtocolRun::CLASS,
        }
    }

    /// The class of the reply that means anything but an error.
    fn reply_class(&self) -> &'static str {
        match self {
            Self::Ping => "PingReply",
            Self::PairSecrets(_) => "SecaggReply",
            Self::ServerKey(_) => "AdditiveSSSetupReply",
            Self::Delete { .. } => "SecaggDeleteReply",
            Self::Protocol(_) => ProtocolRunReply::CLASS,
        }
    }
}

/// How a request went: every node asked is in exactly one of these.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// Nodes that answered, and what. Of a set-up, `success` is the node's own view.
    pub answered: BTreeMap<NodeId, ToResearcher>,
    /// Nodes that answered with an error.
    pub failed: BTreeMap<NodeId, Failure>,
    /// Nodes that were asked and did not answer in time.
    pub silent: BTreeSet<NodeId>,
    /// Nodes that were not there to be asked, whose mailbox was full, or that left without an answer.
    pub not_connected: BTreeSet<NodeId>,
}

/// What a node says went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error's code, such as `FB318`.
    pub errnum: Option<String>,
    /// What happened, for people.
    pub text: String,
}

/// The class of a message to the researcher.
pub(super) fn class_of(message: &ToResearcher) -> &'static str {
    match message {
        ToResearcher::PingReply { .. } => "PingReply",
        ToResearcher::SearchReply { .. } => "SearchReply",
        ToResearcher::ListReply { .. } => "ListReply",
        ToResearcher::SecaggReply(_) => "SecaggReply",
        ToResearcher::AdditiveSSSetupReply { .. } => "AdditiveSSSetupReply",
        ToResearcher::SecaggDeleteReply(_) => "SecaggDeleteReply",
        ToResearcher::ProtocolRunReply(_) => ProtocolRunReply::CLASS,
        ToResearcher::Error { .. } => "ErrorMessage",
        ToResearcher::Overlay(_) => "OverlayMessage",
    }
}

/// Ids that any message to the researcher carries: of the request it answers, the researcher and the node.
pub(super) fn ids_of(message: &ToResearcher) -> (Option<&RequestId>, &ResearcherId, &NodeId) {
    match message {
        ToResearcher::PingReply {
            request_id,
            researcher_id,
            node_id,
            ..
        }
        | ToResearcher::SearchReply {
            request_id,
            researcher_id,
            node_id,
            ..
        }
        | ToResearcher::ListReply {
            request_id,
            researcher_id,
            node_id,
            ..
        }
        | ToResearcher::Error {
            request_id,
            researcher_id,
            node_id,
            ..
        } => (request_id.as_ref(), researcher_id, node_id),
        ToResearcher::SecaggReply(reply)
        | ToResearcher::SecaggDeleteReply(reply)
        | ToResearcher::AdditiveSSSetupReply { reply, .. } => (
            reply.request_id.as_ref(),
            &reply.researcher_id,
            &reply.node_id,
        ),
        ToResearcher::ProtocolRunReply(reply) => (
            reply.request_id.as_ref(),
            &reply.researcher_id,
            &reply.node_id,
        ),
        ToResearcher::Overlay(overlay) => (None, &overlay.researcher_id, &overlay.source),
    }
}

/// The requests that wait for replies.
#[derive(Default)]
pub(super) struct Requests(Mutex<BTreeMap<RequestId, Waiting>>);

struct Waiting {
    reply_class: &'static str,
    nodes: BTreeSet<NodeId>,
    /// Takes one reply of each node at most, so it needs no bound of its own.
    replies: mpsc::UnboundedSender<(NodeId, ToResearcher)>,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestId, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for replies of `nodes`. Before the request is sent: a reply may be quick.
    pub(super) fn expect(
        self: &Arc<Self>,
        id: RequestId,
        request: &Request,
        nodes: BTreeSet<NodeId>,
    ) -> Expected {
        let (sender, replies) = mpsc::unbounded_channel();
        let waiting = Waiting {
            reply_class: request.reply_class(),
            nodes,
            replies: sender,
        };
        self.lock().insert(id.clone(), waiting);
        Expected {
            requests: Arc::clone(self),
            id,
            replies,
        }
    }

    /// Hands a reply to the request it answers. Says no if there is none, if the node was not asked or has answered
    /// already, or if it is the reply to something else.
    pub(super) fn answer(&self, reply: ToResearcher) -> bool {
        let (Some(request_id), _, node) = ids_of(&reply) else {
            return false;
        };
        let mut requests = self.lock();
        let Some(waiting) = requests.get_mut(request_id) else {
            return false;
        };
        let class = class_of(&reply);
        if class != waiting.reply_class && class != "ErrorMessage" {
            return false;
        }
        let node = node.clone();
        waiting.nodes.remove(&node) && waiting.replies.send((node, reply)).is_ok()
    }
}

/// Replies that are waited for. Dropping it ends the waiting.
pub(super) struct Expected {
    requests: Arc<Requests>,
    id: RequestId,
    replies: mpsc::UnboundedReceiver<(NodeId, ToResearcher)>,
}

impl Expected {
    /// The node could not be asked: it is not waited for.
    pub(super) fn forget(&self, node: &NodeId) {
        if let Some(waiting) = self.requests.lock().get_mut(&self.id) {
            waiting.nodes.remove(node);
        }
    }

    /// Waits until every node has answered, is no longer there according to `is_connected`, or time is up. A node that
    /// comes back while others are waited for can still answer.
    pub(super) async fn gather(
        mut self,
        asked: BTreeSet<NodeId>,
        is_connected: impl Fn(&NodeId) -> bool,
        deadline: Instant,
    ) -> Answers {
        let mut answers = Answers {
            silent: asked,
            ..Answers::default()
        };
        while answers.silent.iter().any(&is_connected) && Instant::now() < deadline {
            let look = deadline.min(Instant::now() + LOOK_INTERVAL);
            let (node, reply) = match timeout_at(look, self.replies.recv()).await {
                Err(_) => continue,
                Ok(None) => break,
                Ok(Some(answer)) => answer,
            };
            answers.silent.remove(&node);
            match reply {
                ToResearcher::Error {
                    errnum, extra_msg, ..
                } => {
                    answers.failed.insert(
                        node,
                        Failure {
                            errnum,
                            text: extra_msg,
                        },
                    );
                }
                reply => {
                    answers.answered.insert(node, reply);
                }
            }
        }
        (answers.silent, answers.not_connected) =
            answers.silent.into_iter().partition(is_connected);
        answers
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.requests.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<NodeId> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    fn pong(request: &str, node: &str) -> ToResearcher {
        ToResearcher::PingReply {
            request_id: Some(request.parse().unwrap()),
            researcher_id: "r".parse().unwrap(),
            node_id: node.parse().unwrap(),
            node_name: node.to_owned(),
        }
    }

    fn error(request: &str, node: &str) -> ToResearcher {
        ToResearcher::Error {
            request_id: Some(request.parse().unwrap()),
            researcher_id: "r".parse().unwrap(),
            node_id: node.parse().unwrap(),
            node_name: node.to_owned(),
            extra_msg: "silent: c".to_owned(),
            errnum: Some("FB318".to_owned()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn counts_a_reply_only_from_a_node_asked_and_only_once() {
        let requests = Arc::new(Requests::default());
        let expected = requests.expect("1".parse().unwrap(), &Request::Ping, set(&["a", "b"]));

        assert!(!requests.answer(pong("2", "a")), "no such request");
        assert!(!requests.answer(pong("1", "c")), "not asked");
        assert!(requests.answer(pong("1", "a")));
        assert!(!requests.answer(error("1", "a")), "answered already");

        let answers = expected
            .gather(set(&["a", "b"]), |_| true, Instant::now() + REPLY_LIMIT)
            .await;
        assert_eq!(
            answers.answered.into_keys().collect::<BTreeSet<_>>(),
            set(&["a"])
        );
        assert_eq!(answers.silent, set(&["b"]));
        assert!(answers.failed.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_node_that_has_left() {
        let requests = Arc::new(Requests::default());
        let expected = requests.expect("1".parse().unwrap(), &Request::Ping, set(&["a", "b"]));
        let started = Instant::now();
        let leaves = started + Duration::from_secs(5);

        let gathering = expected.gather(
            set(&["a", "b"]),
            |node| node.as_str() == "a" || Instant::now() < leaves,
            started + REPLY_LIMIT,
        );
        let answering = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            assert!(requests.answer(pong("1", "a")));
        };
        let (answers, ()) = tokio::join!(gathering, answering);

        assert_eq!(answers.not_connected, set(&["b"]));
        assert!(answers.silent.is_empty() && answers.answered.len() == 1);
        assert!(started.elapsed() < Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn takes_the_answer_of_a_node_that_left_and_came_back() {
        let requests = Arc::new(Requests::default());
        let expected = requests.expect("1".parse().unwrap(), &Request::Ping, set(&["a", "b"]));

        let gathering = expected.gather(
            set(&["a", "b"]),
            |node| node.as_str() == "a",
            Instant::now() + REPLY_LIMIT,
        );
        let answering = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(requests.answer(pong("1", "b")));
            assert!(requests.answer(pong("1", "a")));
        };
        let (answers, ()) = tokio::join!(gathering, answering);

        assert_eq!(answers.answered.len(), 2);
    }

    #[tokio::test]
    async fn refuses_the_reply_to_something_else() {
        let requests = Arc::new(Requests::default());
        let delete = Request::Delete {
            secagg_id: "s".parse().unwrap(),
            element: 0,
            experiment_id: None,
        };
        let _expected = requests.expect("1".parse().unwrap(), &delete, set(&["a"]));
        assert!(!requests.answer(pong("1", "a")));
        assert!(requests.answer(error("1", "a")));
    }

    #[tokio::test]
    async fn tells_failures_with_their_text() {
        let requests = Arc::new(Requests::default());
        let expected = requests.expect("1".parse().unwrap(), &Request::Ping, set(&["a"]));
        requests.answer(error("1", "a"));
        let answers = expected
            .gather(set(&["a"]), |_| true, Instant::now() + REPLY_LIMIT)
            .await;
        let failure = &answers.failed[&"a".parse::<NodeId>().unwrap()];
        assert_eq!(
            (failure.errnum.as_deref(), failure.text.as_str()),
            (Some("FB318"), "silent: c")
        );
    }

    #[tokio::test]
    async fn a_request_given_up_waits_no_more() {
        let requests = Arc::new(Requests::default());
        drop(requests.expect("1".parse().unwrap(), &Request::Ping, set(&["a"])));
        assert!(!requests.answer(pong("1", "a")));
        assert!(requests.lock().is_empty());
    }
}

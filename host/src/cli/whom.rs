//! Who is whom: through the control socket of a node that runs, and on the key store of one that does not.

use std::path::Path;
use std::sync::Arc;

use tonic::transport::Channel;

use super::node::failed;
use super::output::with_progress;
use super::{Exit, Problem, status};
use crate::control::{self, ControlError};
use crate::message::NodeId;
use crate::node::{open_stopped, open_store};
use crate::proto::control::node_client::NodeClient;
use crate::proto::control::{
    ApplyRosterReply, ApplyRosterRequest, BackupReply, BackupRequest, IdentityReply,
    IdentityRequest, PeersReply, PeersRequest, PinReply, PinRequest, UnpinReply, UnpinRequest,
};
use crate::randomness::Randomness;

/// A node, for one command.
pub(super) struct Whom {
    /// What is said when it fails.
    what: String,
    node: Node,
}

enum Node {
    Running(NodeClient<Channel>),
    Stopped(control::Whom),
}

impl Whom {
    /// The node of a data directory. A store is made for the node `new`, if there is none.
    pub(super) async fn reach(
        data: &Path,
        new: Option<&NodeId>,
        what: impl Into<String>,
    ) -> Result<Self, Problem> {
        let what = what.into();
        let node = match with_progress("connecting", control::connect(data)).await {
            Ok(channel) => Node::Running(
                NodeClient::new(channel).max_decoding_message_size(control::LONGEST_MESSAGE),
            ),
            Err(ControlError::NotRunning(_)) => stopped(data, new, &what)?,
            Err(error) => {
                let todo = error.advice();
                return Err(Problem::new(Exit::Unreachable, what, error, todo));
            }
        };
        Ok(Self { what, node })
    }

    pub(super) async fn identity(self) -> Result<IdentityReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node
                .identity(IdentityRequest {})
                .await
                .map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.identity(),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }

    pub(super) async fn peers(self) -> Result<PeersReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node
                .peers(PeersRequest {})
                .await
                .map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.peers(),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }

    pub(super) async fn backup(self) -> Result<BackupReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node
                .backup(BackupRequest {})
                .await
                .map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.backup(),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }

    pub(super) async fn pin(self, request: PinRequest) -> Result<PinReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node.pin(request).await.map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.pin(&request),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }

    pub(super) async fn unpin(self, request: UnpinRequest) -> Result<UnpinReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node.unpin(request).await.map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.unpin(&request),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }

    pub(super) async fn apply_roster(
        self,
        request: ApplyRosterRequest,
    ) -> Result<ApplyRosterReply, Problem> {
        let reply = match self.node {
            Node::Running(mut node) => node
                .apply_roster(request)
                .await
                .map(tonic::Response::into_inner),
            Node::Stopped(whom) => whom.apply_roster(&request),
        };
        reply.map_err(|error| status::failed(&self.what, &error))
    }
}

fn stopped(data: &Path, new: Option<&NodeId>, what: &str) -> Result<Node, Problem> {
    let store = match new {
        Some(id) => {
            let randomness = Randomness::from_system().map_err(|error| {
                let todo = "wait until the machine has booted, then try again";
                Problem::new(Exit::Failed, what, error, todo)
            })?;
            Some(open_store(data, id, &randomness))
        }
        None => open_stopped(data).transpose(),
    };
    let store = store.ok_or_else(|| {
        let why = format!("{} has no key store", data.display());
        let todo = "name the data directory of a node; one that never ran gets its key by `backchannel identity show --id ID`";
        Problem::new(Exit::Input, what, why, todo)
    })?;
    let store = store.map_err(|error| failed(what, error))?;
    let whom = control::Whom::new(Arc::new(store), data.to_owned());
    whom.map(Node::Stopped)
        .map_err(|error| status::failed(what, &error))
}

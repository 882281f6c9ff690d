//! The control interface: gRPC on a Unix socket in the data directory, for the command line of the machine's owner.
//!
//! Whoever may open the socket may use the node's secrets (not read them), so it has mode 0600.

mod node;
mod protect;
mod protocol;
mod relay;
mod seen;
mod whom;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Router;
use tonic::transport::{Channel, Endpoint, Server, Uri};

pub use node::NodeControl;
pub use relay::{RelayControl, researcher_key};
pub use whom::Whom;

use crate::proto::control::node_server::NodeServer;
use crate::proto::control::relay_server::RelayServer;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

/// A vector of 12 million numbers fits.
pub const LONGEST_MESSAGE: usize = 100 << 20;

/// The longest path a Unix socket can have (`sun_path`, with its end mark).
const LONGEST_PATH: usize = 107;

/// Why the control socket cannot be served or reached.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The operator's: the path is too long for a socket.
    #[error(
        "{path} has {length} bytes, more than the {LONGEST_PATH} that a socket's path may have"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
    /// The file system would not.
    #[error("{path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Nothing listens there.
    #[error("nothing answers at {0}")]
    NotRunning(PathBuf),
}

impl ControlError {
    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::PathTooLong { .. } => "use a data directory with a shorter path",
            Self::Io { .. } => "check that the data directory is yours and writable",
            Self::NotRunning(_) => {
                "start the node or relay on this data directory first, or check the directory"
            }
        }
    }
}

/// A control socket, before or while it is served.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Makes the socket in a data directory. The caller holds the key store's or the relay's lock on the directory, so a
    /// socket that is left there is dead.
    pub fn bind(data: &Path) -> Result<Self, ControlError> {
        let path = socket(data)?;
        let failed = |source| ControlError::Io {
            path: path.clone(),
            source,
        };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Serves a node until `stop`.
    pub async fn serve_node(self, control: NodeControl, stop: CancellationToken) {
        self.serve(
            Server::builder()
                .add_service(NodeServer::new(control).max_decoding_message_size(LONGEST_MESSAGE)),
            stop,
        )
        .await;
    }

    /// Serves a relay until `stop`.
    pub async fn serve_relay(self, control: RelayControl, stop: CancellationToken) {
        self.serve(
            Server::builder().add_service(RelayServer::new(control)),
            stop,
        )
        .await;
    }

    async fn serve(self, router: Router, stop: CancellationToken) {
        let incoming = UnixListenerStream::new(self.listener);
        let served = router.serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!("the control interface ended: {error}");
        }
        // A socket that nobody serves would only mislead; the next start removes one that a crash left.
        let _ = std::fs::remove_file(self.path);
    }
}

/// A client of the socket in `data`.
pub async fn connect(data: &Path) -> Result<Channel, ControlError> {
    let path = socket(data)?;
    // The address is never used: the connector knows where to go.
    let endpoint = Endpoint::from_static("http://control");
    let connecting = path.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let path = connecting.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|_| ControlError::NotRunning(path))
}

fn socket(data: &Path) -> Result<PathBuf, ControlError> {
    let path = data.join(SOCKET);
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(ControlError::PathTooLong { path, length });
    }
    Ok(path)
}

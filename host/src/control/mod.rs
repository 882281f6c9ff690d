//! The control interface: gRPC on a Unix socket in the data directory, for the command line of the machine's owner.
//!
//! Whoever may open the socket may use the node's secrets (not read them), so it has mode 0600.

mod node;
mod relay;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Server, Uri};

pub use node::NodeControl;
pub use relay::RelayControl;

use crate::proto::control::node_server::NodeServer;
use crate::proto::control::relay_server::RelayServer;

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";

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

/// Serves a node's control socket until `stop`.
pub fn serve_node(
    data: &Path,
    control: NodeControl,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, ControlError> {
    let (listener, path) = bind(data)?;
    let serving = Server::builder()
        .add_service(NodeServer::new(control))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled_owned());
    Ok(serve(serving, path))
}

/// Serves a relay's control socket until `stop`.
pub fn serve_relay(
    data: &Path,
    control: RelayControl,
    stop: CancellationToken,
) -> Result<JoinHandle<()>, ControlError> {
    let (listener, path) = bind(data)?;
    let serving = Server::builder()
        .add_service(RelayServer::new(control))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled_owned());
    Ok(serve(serving, path))
}

fn serve(
    serving: impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
    socket: PathBuf,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!("the control interface ended: {error}");
        }
        // A socket that nobody serves would only mislead; the next start removes one that a crash left.
        let _ = std::fs::remove_file(socket);
    })
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

/// The caller holds the key store's or the relay's lock on the data directory, so a socket that is left there is dead.
fn bind(data: &Path) -> Result<(UnixListener, PathBuf), ControlError> {
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
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok((listener, path))
}

//! Noticing a network that carries nothing any more, and that it carries again.
//!
//! Neither end of a connection hears when packets are dropped in between. The kernel can tell: it sees whether the other's
//! acknowledges, and asks for one when there is nothing to say. What speaks HTTP/2 cannot ask as often: servers of the reference
//! take frequent pings for an attack.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// How often an idle connection is probed. It is also how soon an end learns that the other has given the connection up, once
/// the network carries again.
const PROBED_EVERY: Duration = Duration::from_secs(5);

/// A connection on which nothing was acknowledged for so long is given up: by both ends, else the one that comes back finds the
/// other still waiting. Within it the last repeat of a lost packet is 8 s before the end.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(20);

/// Has the kernel give up `connection` when the other end has been silent for 20 s.
pub(crate) fn give_up_on_silence(connection: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(connection, PROBED_EVERY)?;
    sockopt::set_tcp_keepintvl(connection, PROBED_EVERY)?;
    let limit = u32::try_from(GIVEN_UP_AFTER.as_millis()).map_err(io::Error::other)?;
    sockopt::set_tcp_user_timeout(connection, limit)?;
    sockopt::set_socket_keepalive(connection, true)?;
    Ok(())
}

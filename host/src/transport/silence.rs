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
const PROBED_EVERY: Duration = Duration::from_secs(3);

/// A connection on which nothing was acknowledged for so long is given up: by both ends, else the one that comes back finds the
/// other still waiting.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

/// Within how long a network that carries again must be of use.
const USED_WITHIN: Duration = Duration::from_secs(10);

// The distances between repeats of a lost packet double. So if it carries again right after a repeat, it is up to half the limit
// until the connection is given up, and the other end hears of that at its next probe.
const _: () = assert!(
    GIVEN_UP_AFTER.as_millis() / 2 + PROBED_EVERY.as_millis() < USED_WITHIN.as_millis(),
    "a connection that is lost must be given up sooner, or be probed more often"
);

/// Has the kernel give up `connection` when the other end has been silent for 10 s.
pub(crate) fn give_up_on_silence(connection: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(connection, PROBED_EVERY)?;
    sockopt::set_tcp_keepintvl(connection, PROBED_EVERY)?;
    let limit = u32::try_from(GIVEN_UP_AFTER.as_millis()).map_err(io::Error::other)?;
    sockopt::set_tcp_user_timeout(connection, limit)?;
    sockopt::set_socket_keepalive(connection, true)?;
    Ok(())
}

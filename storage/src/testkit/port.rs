//! Ports that nobody uses.

use std::io;
use std::net::TcpListener;

/// Returns a port of the loopback interface that was free a moment ago. Whoever starts a server on
/// it tries again with another one when it is not.
pub(super) fn free() -> io::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

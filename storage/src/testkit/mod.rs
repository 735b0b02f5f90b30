//! Real servers for tests, each in a temporary folder on a free port of this machine, and stopped
//! by the id of its process when the test is done with it.
//!
//! Where a server is not installed, starting it fails with how to get it. A test hands that to
//! [`here`], which says that it is skipped; with `CI` set it fails, since there everything must be
//! there.

mod moto;
mod port;
mod postgres;
mod proxy;
mod redis;

pub use moto::Moto;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use redis::Redis;

use std::io;

/// Returns a server that was started, or `None` after saying that the test is skipped for want of
/// its program.
///
/// # Panics
/// When it is installed and does not start, and in CI.
pub fn here<T>(server: io::Result<T>) -> Option<T> {
    match server {
        Ok(server) => Some(server),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && std::env::var_os("CI").is_none() =>
        {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("no server for this test: {error}"),
    }
}

//! Real servers for tests, each in a temporary folder on a free port of this machine, and stopped
//! by the id of its process when the test is done with it.
//!
//! Where a server is not installed, starting it fails with how to get it: a test then fails and
//! says so, it does not pass.

mod moto;
mod port;
mod postgres;
mod proxy;

pub use moto::Moto;
pub use postgres::Postgres;
pub use proxy::Proxy;

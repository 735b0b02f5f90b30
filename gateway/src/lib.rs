//! The front of a node: gRPC, gRPC-web and a little REST on one port.
//!
//! A call passes, in this order: the limits of its connection ([`server`]), the check of Host and
//! Origin, the token and the role its method needs ([`auth`]), the audit where it changes something,
//! the service of its area ([`services`]). A service reads the request (`apex-proto`), asks the platform through its
//! handles (`apex-bus`), and writes the answer. Whatever goes wrong becomes a gRPC status in one
//! place, [`status`].
//!
//! What is not here: decisions about trading, storage, TLS (nginx ends it, or the listener is on
//! loopback). The gateway keeps no state of its own, so any number of them may run.
//!
//! Start reading at [`serve`], then [`services::order`].

mod audit;
pub mod auth;
pub mod options;
pub mod readiness;
pub mod server;
pub mod services;
pub mod status;
pub mod strategy_sessions;

mod fanout;
mod market;
mod near;
mod page;
mod shared;
mod stream;

pub use options::{GatewayOptions, Limits};
pub use readiness::{Dependency, Readiness};
pub use server::{GatewayError, Running, serve};
pub use strategy_sessions::{KnownStrategies, SessionRefusal, StrategySession, StrategySessions};

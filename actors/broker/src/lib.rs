//! The shell round an account: takes commands, has their events made durable, and only then
//! answers, sends to the venue and publishes.
//!
//! What is not here: any decision about an order (apex-domain), the journal's writing
//! (apex-persistence), a venue's wire (apex-venues).
//!
//! Start reading at [`actor`] and `shell`, then [`outbox`], the gate that nothing passes before it is durable.

pub mod actor;
pub mod exposure;
mod input;
pub mod outbox;
mod query;
mod reconcile;
mod shell;
mod time;
mod watch;

#[cfg(test)]
mod tests;

pub use actor::{AccountActor, AccountArgs, Journal};
pub use exposure::{ExposureActor, ExposureArgs, LimitStore};
pub use shell::SNAPSHOT_EVENTS;

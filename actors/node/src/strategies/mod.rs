//! Live strategies: each in a process of its own, each with a session.
//!
//! [`Sessions`] is the door through which strategies come in over `StrategyService.Connect`, those
//! of this node and those of authors elsewhere. [`Strategies`] is the desk of those that were deployed
//! into this node's accounts: what is wanted of them is kept durably, and each runs as a child process
//! that is started, watched, restarted with growing pauses, and quarantined with a reason. What
//! follows from what is decided by `apex_domain::deployment`.
//!
//! In replays and backtests strategies run in process, in lock-step, and nothing here is used.

mod catalog;
mod changes;
mod chatter;
mod child;
mod deployed;
mod desk;
mod front;
mod keeper;
mod sessions;
mod winding;

pub use apex_remote::strategy_session::SessionBudget;
pub use deployed::MakeToken;
pub use desk::{MAX_STRATEGIES, Strategies, StrategiesError};
pub use front::StrategyFront;
pub use sessions::{Key, Sessions};

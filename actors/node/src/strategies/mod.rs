//! Live strategies: each in a process of its own, each with a session.
//!
//! [`Sessions`] is the door through which strategies come in over `StrategyService.Connect`, those
//! of this node and those of authors elsewhere. [`Strategies`] keeps this node's own alive as child
//! processes: started, watched, restarted with growing pauses, and quarantined with a reason.
//!
//! In replays and backtests strategies run in process, in lock-step, and nothing here is used.

mod child;
mod children;
mod lifecycle;
mod sessions;

pub use apex_remote::strategy_session::SessionBudget;
pub use children::{Strategies, StrategiesError, StrategySpec, StrategyStatus};
pub use lifecycle::StrategyState;
pub use sessions::{Key, Sessions};

//! What an account may do: limits, trading state, the checks, and the reasons for a refusal.

pub mod checks;
pub mod exposure;
pub(crate) mod fill_range;
pub(crate) mod funds;
pub(crate) mod margin;
pub mod measure;
pub mod platform;
pub mod types;

pub use checks::{CHECKS, Denial};
pub use measure::{Added, Measure, MeasureError};
pub use types::{Limits, LossAction, MarketRef, MarketView, ReasonCode, TradingState, WideLimits};

#[cfg(test)]
mod tests;

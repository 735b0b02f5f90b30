//! What an account may do: limits, trading state, and the reasons for a refusal.

pub mod types;

pub use types::{Limits, MarketRef, ReasonCode, TradingState};

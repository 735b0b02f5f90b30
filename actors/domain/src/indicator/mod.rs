//! Indicators: statistics of prices, in 64-bit floats.
//!
//! This is the one place of the crate where floats are allowed. What comes out steers a
//! decision; it never becomes a price, a quantity or money.
//!
//! Libraries differ in how an indicator begins. Each one here states its seed rule.

mod ema;
mod sma;

pub use ema::Ema;
pub use sma::Sma;

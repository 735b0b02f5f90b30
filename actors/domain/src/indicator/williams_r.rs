//! Williams' percent range.

use super::error::IndicatorError;
use super::fold::Range;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const WILLIAMS_R: IndicatorType = IndicatorType {
    name: "williams_r",
    help: "Williams' percent range, -100 to 0.",
    inputs: Inputs::HighLowClose,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        1,
        "Bars in the range.",
    )],
    outputs: &["williams_r"],
    make: |values| Ok(Box::new(WilliamsR::new(values.whole("period"))?)),
};

/// `-100 * (highest - close) / (highest - lowest)` over the last `period` bars; -50 where both are
/// the same.
///
/// Seed rule: none. Warm-up: `period`. Source: L. Williams, How I Made One Million Dollars Last
/// Year Trading Commodities, 1973.
#[derive(Clone, Debug, PartialEq)]
pub struct WilliamsR {
    period: usize,
    window: Window<Range>,
}

impl WilliamsR {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<WilliamsR, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(WilliamsR {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next bar and returns the value with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.window.push((bar.high, bar.low))?;
        Some(range.position(bar.close) - 100.0)
    }

    /// Returns after how many bars the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(WilliamsR, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn zero_is_at_the_high_and_minus_a_hundred_at_the_low() {
        let mut indicator = WilliamsR::new(2).unwrap();
        let mut next = |price| indicator.update(&BarInput::at_price(UnixNanos(0), price));
        assert_eq!(next(5.0), None);
        assert_eq!(next(6.0), Some(0.0));
        assert_eq!(next(4.0), Some(-100.0));
        assert_eq!(next(4.0), Some(-50.0));
    }
}

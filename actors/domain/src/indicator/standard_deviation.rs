//! Standard deviation.

use super::error::IndicatorError;
use super::fold::Spread;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const STANDARD_DEVIATION: IndicatorType = IndicatorType {
    name: "standard_deviation",
    help: "Standard deviation of the whole population.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "Closes that it looks at.",
    )],
    outputs: &["standard_deviation"],
    make: |values| Ok(Box::new(StandardDeviation::new(values.whole("period"))?)),
};

/// `sqrt(sum((x - mean)^2) / period)` over the last `period` inputs: the whole population, not a
/// sample, so divided by `period`.
///
/// Seed rule: none. Warm-up: `period`. Source: as Bollinger uses it, Bollinger on Bollinger Bands,
/// 2001; how the sums are joined is in the `fold` module.
#[derive(Clone, Debug, PartialEq)]
pub struct StandardDeviation {
    period: usize,
    window: Window<Spread>,
}

impl StandardDeviation {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<StandardDeviation, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(StandardDeviation {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        Some(self.window.push(input)?.variance().sqrt())
    }

    /// Returns after how many inputs the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(StandardDeviation, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_divided_by_the_number_of_inputs() {
        let mut deviation = StandardDeviation::new(2).unwrap();
        let out = [3.0, 7.0, 7.0].map(|input| deviation.update(input));
        assert_eq!(out, [None, Some(2.0), Some(0.0)]);
    }
}

//! Slope of the least-squares line.

use super::error::IndicatorError;
use super::fold::Trend;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const LINEAR_REGRESSION_SLOPE: IndicatorType = IndicatorType {
    name: "linear_regression_slope",
    help: "Slope of the least-squares line, in price per bar.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        2,
        "Closes that the line is laid through.",
    )],
    outputs: &["slope"],
    make: |values| {
        Ok(Box::new(LinearRegressionSlope::new(
            values.whole("period"),
        )?))
    },
};

/// `sum((i - mean i) * (x - mean x)) / sum((i - mean i)^2)` over the last `period` inputs, `i`
/// their place: the rise per input of the line with the smallest squared distances.
///
/// Seed rule: none. Warm-up: `period`. Source: Kaufman, Trading Systems and Methods, chapter on
/// regression analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRegressionSlope {
    period: usize,
    window: Window<Trend>,
}

impl LinearRegressionSlope {
    /// Errors: `Bound` naming `period`, which is from 2 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<LinearRegressionSlope, IndicatorError> {
        let period = period("period", length, 2)?;
        Ok(LinearRegressionSlope {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        Some(self.window.push(input)?.slope())
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

indicator!(LinearRegressionSlope, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_inputs_give_half_the_way_between_the_outer_two() {
        let mut slope = LinearRegressionSlope::new(3).unwrap();
        let out = [1.0, 9.0, 5.0].map(|input| slope.update(input));
        assert_eq!(out, [None, None, Some(2.0)]);
    }
}

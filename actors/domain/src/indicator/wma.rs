//! Linearly weighted moving average.

use super::error::IndicatorError;
use super::fold::Weighted;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const WMA: IndicatorType = IndicatorType {
    name: "wma",
    help: "Linearly weighted moving average.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "Closes in the average; the newest weighs this much.",
    )],
    outputs: &["wma"],
    make: |values| Ok(Box::new(Wma::new(values.whole("period"))?)),
};

/// The mean of the last `period` inputs with weights 1 for the oldest up to `period` for the
/// newest: `sum(weight * x) / (period * (period + 1) / 2)`.
///
/// Seed rule: none, no value before `period` inputs. Source: Kaufman, Trading Systems and
/// Methods, chapter on trend calculations.
#[derive(Clone, Debug, PartialEq)]
pub struct Wma {
    period: usize,
    window: Window<Weighted>,
}

impl Wma {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Wma, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Wma {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        self.push(input)
    }

    pub(super) fn push(&mut self, input: f64) -> Option<f64> {
        let weights = self.period as f64 * (self.period as f64 + 1.0) / 2.0;
        Some(self.window.push(input)?.weighted / weights)
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

indicator!(Wma, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_i03_the_weighted_mean_of_one_to_ten_is_seven() {
        let mut wma = Wma::new(10).unwrap();
        let mut last = None;
        for input in 1..=10 {
            assert_eq!(last, None);
            last = wma.update(f64::from(input));
        }
        assert_eq!(last, Some(7.0));
    }

    #[test]
    fn the_newest_input_weighs_most() {
        let mut wma = Wma::new(3).unwrap();
        assert_eq!((wma.update(1.0), wma.update(2.0)), (None, None));
        assert_eq!(wma.update(6.0), Some((1.0 + 4.0 + 18.0) / 6.0));
        assert_eq!(wma.update(0.0), Some((2.0 + 12.0) / 6.0));
    }
}

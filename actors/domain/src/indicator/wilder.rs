//! Wilder's smoothing.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Fold;

pub(super) const WILDER: IndicatorType = IndicatorType {
    name: "wilder",
    help: "Wilder's smoothed average, also called RMA or SMMA.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        1,
        "The weight of a new close is 1 / period.",
    )],
    outputs: &["wilder"],
    make: |values| Ok(Box::new(Wilder::new(values.whole("period"))?)),
};

/// Wilder's average, also called RMA or SMMA: `w = w + (x - w) / period`.
///
/// Seed rule: the mean of the first `period` inputs is the first value. Warm-up: `period`.
/// Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
#[derive(Clone, Debug, PartialEq)]
pub struct Wilder {
    period: usize,
    count: usize,
    /// Over the inputs before the first value.
    seed: Sum,
    value: f64,
}

impl Wilder {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Wilder, IndicatorError> {
        Wilder::named("period", length)
    }

    /// For indicators whose parameter has another name.
    pub(super) fn named(name: &'static str, length: u32) -> Result<Wilder, IndicatorError> {
        Ok(Wilder {
            period: period(name, length, 1)?,
            count: 0,
            seed: Sum::default(),
            value: 0.0,
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
        let length = self.period as f64;
        if self.count == self.period {
            self.value += (input - self.value) / length;
            return Some(self.value);
        }
        self.count += 1;
        self.seed = self.seed.then(Sum::of(input));
        if self.count < self.period {
            return None;
        }
        self.value = self.seed.value() / length;
        Some(self.value)
    }

    /// Returns after how many inputs the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.count = 0;
        self.seed = Sum::default();
        self.value = 0.0;
    }
}

indicator!(Wilder, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_the_seed_and_a_new_input_weighs_one_over_the_period() {
        let mut wilder = Wilder::new(4).unwrap();
        for input in [1.0, 2.0, 3.0] {
            assert_eq!(wilder.update(input), None);
        }
        assert_eq!(wilder.update(6.0), Some(3.0));
        assert_eq!(wilder.update(7.0), Some(4.0));
    }
}

//! Change over a number of bars.

use super::error::IndicatorError;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Lag;

const PERIOD: IndicatorParameter =
    IndicatorParameter::period("period", 10, 1, "Bars between the two closes.");

pub(super) const MOMENTUM: IndicatorType = IndicatorType {
    name: "momentum",
    help: "Change over a number of bars.",
    inputs: Inputs::Close,
    parameters: &[PERIOD],
    outputs: &["momentum"],
    make: |values| Ok(Box::new(Momentum::new(values.whole("period"))?)),
};

pub(super) const ROC: IndicatorType = IndicatorType {
    name: "roc",
    help: "Rate of change over a number of bars, in percent.",
    inputs: Inputs::Close,
    parameters: &[PERIOD],
    outputs: &["roc"],
    make: |values| Ok(Box::new(Roc::new(values.whole("period"))?)),
};

/// `x - x(period ago)`.
///
/// Seed rule: none. Warm-up: `period + 1`. Source: J. J. Murphy, Technical Analysis of the
/// Financial Markets, 1999.
#[derive(Clone, Debug, PartialEq)]
pub struct Momentum {
    period: usize,
    before: Lag,
}

/// `100 * (x / x(period ago) - 1)`, computed as `100 * (x - before) / before`. No value where the
/// price before is zero.
///
/// Seed rule: none. Warm-up: `period + 1`. Source: as [`Momentum`].
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    momentum: Momentum,
}

impl Momentum {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Momentum, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Momentum {
            period,
            before: Lag::new(period),
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        let before = self.push(input)?;
        Some(input - before)
    }

    /// Takes the next input and returns the one `period` before it.
    fn push(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        self.before.push(input)
    }

    /// Returns after how many inputs the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.period + 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.before.clear();
    }
}

impl Roc {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Roc, IndicatorError> {
        Ok(Roc {
            momentum: Momentum::new(length)?,
        })
    }

    /// Takes the next input and returns the value with it, in percent.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        let before = self.momentum.push(input)?;
        percent_change(before, input)
    }

    /// Returns after how many inputs the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.momentum.warm_up()
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.momentum.reset();
    }
}

indicator!(Momentum, Close);
indicator!(Roc, Close);

/// Returns the change in percent, or `None` from zero and from what is too near to it.
pub(super) fn percent_change(before: f64, now: f64) -> Option<f64> {
    let change = 100.0 * ((now - before) / before);
    change.is_finite().then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_compare_with_the_price_of_so_many_bars_before() {
        let (mut momentum, mut roc) = (Momentum::new(2).unwrap(), Roc::new(2).unwrap());
        let out = [8.0, 0.0, 10.0, 3.0].map(|input| (momentum.update(input), roc.update(input)));
        assert_eq!(out[..2], [(None, None); 2]);
        assert_eq!(out[2], (Some(2.0), Some(25.0)));
        assert_eq!(out[3], (Some(3.0), None), "there is no rate from zero");
    }
}

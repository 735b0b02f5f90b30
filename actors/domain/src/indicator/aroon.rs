//! Aroon: how new the extremes are.

use super::error::IndicatorError;
use super::fold::Range;
use super::input::{BarInput, Inputs};
use super::object::{Outputs, indicator};
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const AROON: IndicatorType = IndicatorType {
    name: "aroon",
    help: "How new the highest high and the lowest low are, 0 to 100.",
    inputs: Inputs::HighLowClose,
    parameters: &[IndicatorParameter::period(
        "period",
        25,
        1,
        "Bars that it looks back, besides the present one.",
    )],
    outputs: &["up", "down", "oscillator"],
    make: |values| Ok(Box::new(Aroon::new(values.whole("period"))?)),
};

/// What an [`Aroon`] gives, in percent: 100 for an extreme at the present bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AroonValue {
    pub up: f64,
    pub down: f64,
    /// `up - down`.
    pub oscillator: f64,
}

impl From<AroonValue> for Outputs {
    fn from(value: AroonValue) -> Outputs {
        Outputs::from([value.up, value.down, value.oscillator])
    }
}

/// `100 * (period - bars since the highest high) / period`, and likewise for the lowest low, of
/// the last `period + 1` bars. Of equal extremes the newest counts.
///
/// Seed rule: none. Warm-up: `period + 1`. Source: T. Chande, "A Time Price Oscillator", 1995.
#[derive(Clone, Debug, PartialEq)]
pub struct Aroon {
    period: usize,
    window: Window<Range>,
}

impl Aroon {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Aroon, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Aroon {
            period,
            window: Window::new(period + 1),
        })
    }

    /// Takes the next bar and returns the values with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<AroonValue> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.window.push((bar.high, bar.low))?;
        let length = self.period as f64;
        let newness = |since: u32| 100.0 * (length - f64::from(since)) / length;
        let (up, down) = (newness(range.since_high), newness(range.since_low));
        Some(AroonValue {
            up,
            down,
            oscillator: up - down,
        })
    }

    /// Returns after how many bars the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.period + 1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(Aroon, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn an_extreme_ages_from_a_hundred_to_zero() {
        let mut aroon = Aroon::new(2).unwrap();
        let mut next = |price| {
            let value = aroon.update(&BarInput::at_price(UnixNanos(0), price))?;
            Some((value.up, value.down, value.oscillator))
        };
        assert_eq!((next(9.0), next(5.0)), (None, None));
        assert_eq!(next(6.0), Some((0.0, 50.0, -50.0)));
        assert_eq!(next(6.0), Some((100.0, 0.0, 100.0)));
    }
}

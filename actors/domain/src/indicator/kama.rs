//! Kaufman's adaptive moving average.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, below, period};
use super::registry::IndicatorType;
use super::window::{Lag, Window};

pub(super) const KAMA: IndicatorType = IndicatorType {
    name: "kama",
    help: "Kaufman's adaptive moving average.",
    inputs: Inputs::Close,
    parameters: &[
        IndicatorParameter::period("period", 10, 1, "Changes that the efficiency looks at."),
        IndicatorParameter::period("fast", 2, 1, "Period of the average in a straight market."),
        IndicatorParameter::period("slow", 30, 2, "Period of the average in a restless one."),
    ],
    outputs: &["kama"],
    make: |values| {
        Ok(Box::new(Kama::new(KamaParameters {
            period: values.whole("period"),
            fast: values.whole("fast"),
            slow: values.whole("slow"),
        })?))
    },
};

/// Periods of a [`Kama`], each from 1 to [`MAX_PERIOD`](super::MAX_PERIOD); `fast` below `slow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KamaParameters {
    pub period: u32,
    pub fast: u32,
    pub slow: u32,
}

/// `k = k + c * (x - k)` with `c = (e * (f - s) + s)^2`, `f = 2/(fast+1)`, `s = 2/(slow+1)`, and
/// the efficiency `e = |x - x(period ago)| / sum of the last period |changes|`. A price that did
/// not move at all counts as a straight one: `e = 1`.
///
/// Seed rule: the `period`-th input. Warm-up: `period + 1`. Source: P. J. Kaufman, Smarter
/// Trading, 1995.
#[derive(Clone, Debug, PartialEq)]
pub struct Kama {
    period: usize,
    fast: f64,
    slow: f64,
    /// The last input, and the value once there is one.
    last: Option<f64>,
    value: Option<f64>,
    before: Lag,
    changes: Window<Sum>,
}

impl Kama {
    /// Errors: `Bound` naming the period; `Relation` when `fast` is not below `slow`.
    pub fn new(parameters: KamaParameters) -> Result<Kama, IndicatorError> {
        let KamaParameters { fast, slow, .. } = parameters;
        let period_length = period("period", parameters.period, 1)?;
        period("fast", fast, 1)?;
        period("slow", slow, 2)?;
        below(("fast", fast), ("slow", slow))?;
        Ok(Kama {
            period: period_length,
            fast: 2.0 / (f64::from(fast) + 1.0),
            slow: 2.0 / (f64::from(slow) + 1.0),
            last: None,
            value: None,
            before: Lag::new(period_length),
            changes: Window::new(period_length),
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        let before = self.before.push(input);
        let last = self.last.replace(input)?;
        let way = self.changes.push((input - last).abs());
        let (before, way) = (before?, way?.value());
        let efficiency = if way > 0.0 {
            // Rounding may put a straight line a little above one.
            ((input - before).abs() / way).min(1.0)
        } else {
            1.0
        };
        let root = efficiency * (self.fast - self.slow) + self.slow;
        let from = self.value.unwrap_or(last);
        self.value = Some(from + root * root * (input - from));
        self.value
    }

    /// Returns after how many inputs the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.period + 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.last = None;
        self.value = None;
        self.before.clear();
        self.changes.clear();
    }
}

indicator!(Kama, Close);

#[cfg(test)]
mod tests {
    use super::*;

    fn kama(fast: u32, slow: u32) -> Result<Kama, IndicatorError> {
        Kama::new(KamaParameters {
            period: 2,
            fast,
            slow,
        })
    }

    #[test]
    fn a_straight_market_is_followed_by_the_fast_average_a_restless_one_by_the_slow() {
        let mut straight = kama(2, 30).unwrap();
        assert_eq!((straight.update(1.0), straight.update(2.0)), (None, None));
        let value = straight.update(3.0).unwrap();
        assert!((value - (2.0 + 4.0 / 9.0)).abs() < 1e-15, "{value}");
        let mut restless = kama(2, 30).unwrap();
        restless.update(1.0);
        restless.update(2.0);
        let value = restless.update(1.0).unwrap();
        assert!((value - (2.0 - 4.0 / 961.0)).abs() < 1e-15, "{value}");
    }

    #[test]
    fn fast_has_to_be_below_slow() {
        let error = kama(9, 9).unwrap_err();
        let wanted = "parameter \"fast\" is 9, it must be below \"slow\", which is 9";
        assert_eq!(error.to_string(), wanted);
    }
}

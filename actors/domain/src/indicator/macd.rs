//! Moving average convergence and divergence.

use super::ema::Ema;
use super::error::IndicatorError;
use super::input::{Inputs, is_usable};
use super::object::{Outputs, indicator};
use super::parameter::{IndicatorParameter, below, period};
use super::registry::IndicatorType;

pub(super) const MACD: IndicatorType = IndicatorType {
    name: "macd",
    help: "Moving average convergence and divergence.",
    inputs: Inputs::Close,
    parameters: &[
        IndicatorParameter::period("fast", 12, 1, "Period of the fast average."),
        IndicatorParameter::period("slow", 26, 2, "Period of the slow average."),
        IndicatorParameter::period("signal", 9, 1, "Period of the average of the line."),
    ],
    outputs: &["macd", "signal", "histogram"],
    make: |values| {
        Ok(Box::new(Macd::new(MacdParameters {
            fast: values.whole("fast"),
            slow: values.whole("slow"),
            signal: values.whole("signal"),
        })?))
    },
};

/// Periods of a [`Macd`], each from 1 to [`MAX_PERIOD`](super::MAX_PERIOD); `fast` below `slow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacdParameters {
    pub fast: u32,
    pub slow: u32,
    pub signal: u32,
}

/// What a [`Macd`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdValue {
    /// The fast average less the slow one.
    pub macd: f64,
    pub signal: f64,
    /// `macd - signal`.
    pub histogram: f64,
}

impl From<MacdValue> for Outputs {
    fn from(value: MacdValue) -> Outputs {
        Outputs::from([value.macd, value.signal, value.histogram])
    }
}

/// `ema(x, fast) - ema(x, slow)`, its own [`Ema`] as signal, and the difference of both.
///
/// Seed rule: both averages start at the first input, the signal at the line's first value, which
/// comes with the `slow`-th input. Warm-up: `slow + signal - 1`. Source: G. Appel, The Moving
/// Average Convergence-Divergence Trading Method, 1979.
#[derive(Clone, Debug, PartialEq)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    /// Errors: `Bound` naming the period; `Relation` when `fast` is not below `slow`.
    pub fn new(parameters: MacdParameters) -> Result<Macd, IndicatorError> {
        let MacdParameters { fast, slow, signal } = parameters;
        period("fast", fast, 1)?;
        period("slow", slow, 2)?;
        period("signal", signal, 1)?;
        below(("fast", fast), ("slow", slow))?;
        Ok(Macd {
            fast: Ema::new(fast),
            slow: Ema::new(slow),
            signal: Ema::new(signal),
        })
    }

    /// Takes the next input and returns the values with it.
    pub fn update(&mut self, input: f64) -> Option<MacdValue> {
        if !is_usable(input) {
            return None;
        }
        let fast = self.fast.update(input);
        let macd = fast - self.slow.push(input)?;
        let signal = self.signal.push(macd)?;
        Some(MacdValue {
            macd,
            signal,
            histogram: macd - signal,
        })
    }

    /// Returns after how many inputs the first values come.
    pub fn warm_up(&self) -> usize {
        self.slow.warm_up() + self.signal.warm_up() - 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.fast.reset();
        self.slow.reset();
        self.signal.reset();
    }
}

indicator!(Macd, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_difference_of_the_averages_and_the_signal_follows_it() {
        let mut macd = Macd::new(MacdParameters {
            fast: 1,
            slow: 3,
            signal: 2,
        })
        .unwrap();
        let values: Vec<_> = [2.0, 4.0, 5.0, 8.0]
            .map(|input| macd.update(input))
            .to_vec();
        assert_eq!(values[..3], [None; 3]);
        // Slow: 2, 3, 4, 6. Line: 1, 2.
        let value = values[3].unwrap();
        assert_eq!(value.macd, 2.0);
        assert!((value.signal - 5.0 / 3.0).abs() < 1e-15);
        assert!((value.histogram - 1.0 / 3.0).abs() < 1e-15);
    }
}

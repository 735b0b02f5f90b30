//! True range and its average.

use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::IndicatorParameter;
use super::registry::IndicatorType;
use super::wilder::Wilder;

pub(super) const TRUE_RANGE: IndicatorType = IndicatorType {
    name: "true_range",
    help: "Range of a bar with the gap from the close before.",
    inputs: Inputs::HighLowClose,
    parameters: &[],
    outputs: &["true_range"],
    make: |_| Ok(Box::new(TrueRange::new())),
};

pub(super) const ATR: IndicatorType = IndicatorType {
    name: "atr",
    help: "Average true range.",
    inputs: Inputs::HighLowClose,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        1,
        "Period of Wilder's average.",
    )],
    outputs: &["atr"],
    make: |values| Ok(Box::new(Atr::new(values.whole("period"))?)),
};

/// `max(high, close before) - min(low, close before)`.
///
/// Seed rule: the first bar only gives its close. Warm-up: 2. Source: J. W. Wilder, New Concepts
/// in Technical Trading Systems, 1978.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrueRange {
    last: Option<f64>,
}

impl TrueRange {
    pub fn new() -> TrueRange {
        TrueRange::default()
    }

    /// Takes the next bar and returns its range.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowClose).ok()?;
        let last = self.last.replace(bar.close)?;
        Some(bar.high.max(last) - bar.low.min(last))
    }

    /// Returns after how many bars the first value comes: 2.
    pub fn warm_up(&self) -> usize {
        2
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

/// The [`Wilder`] average of the [`TrueRange`].
///
/// Seed rule: the mean of the first `period` ranges, from the second bar on. Warm-up:
/// `period + 1`. Source: as [`TrueRange`].
#[derive(Clone, Debug, PartialEq)]
pub struct Atr {
    range: TrueRange,
    average: Wilder,
}

impl Atr {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Atr, IndicatorError> {
        Atr::named("period", length)
    }

    /// For indicators whose parameter has another name.
    pub(super) fn named(name: &'static str, length: u32) -> Result<Atr, IndicatorError> {
        Ok(Atr {
            range: TrueRange::new(),
            average: Wilder::named(name, length)?,
        })
    }

    /// Takes the next bar and returns the value with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        let range = self.range.update(bar)?;
        self.average.push(range)
    }

    /// Returns after how many bars the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.average.warm_up() + 1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.range.reset();
        self.average.reset();
    }
}

indicator!(TrueRange, HighLowClose);
indicator!(Atr, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn a_gap_belongs_to_the_range() {
        let bar = |high, low, close| BarInput {
            high,
            low,
            ..BarInput::at_price(UnixNanos(0), close)
        };
        let (mut range, mut atr) = (TrueRange::new(), Atr::new(2).unwrap());
        let bars = [
            (bar(12.0, 9.0, 10.0), None, None),
            (bar(11.0, 10.0, 11.0), Some(1.0), None),
            (bar(15.0, 14.0, 14.0), Some(4.0), Some(2.5)),
            (bar(9.0, 8.5, 9.0), Some(5.5), Some(4.0)),
        ];
        for (bar, wanted_range, wanted_average) in bars {
            assert_eq!(range.update(&bar), wanted_range);
            assert_eq!(atr.update(&bar), wanted_average);
        }
    }
}

//! On-balance volume.

use super::fold::Sum;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::registry::IndicatorType;
use super::window::Fold;

pub(super) const OBV: IndicatorType = IndicatorType {
    name: "obv",
    help: "On-balance volume.",
    inputs: Inputs::HighLowCloseVolume,
    parameters: &[],
    outputs: &["obv"],
    make: |_| Ok(Box::new(Obv::new())),
};

/// The sum of all volumes, each with the sign of the change of the close; a close that did not
/// change adds nothing. The one indicator that remembers everything: its sum carries the error of
/// its roundings along, and so does not drift.
///
/// Seed rule: zero at the first bar; only changes of the level have a meaning. Warm-up: 1.
/// Source: J. E. Granville, New Key to Stock Market Profits, 1963.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Obv {
    last: Option<f64>,
    sum: Sum,
}

impl Obv {
    pub fn new() -> Obv {
        Obv::default()
    }

    /// Takes the next bar and returns the value with it, in units of the instrument.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowCloseVolume).ok()?;
        let last = self.last.replace(bar.close).unwrap_or(bar.close);
        if bar.close > last {
            self.sum = self.sum.then(Sum::of(bar.volume));
        } else if bar.close < last {
            self.sum = self.sum.then(Sum::of(-bar.volume));
        }
        Some(self.sum.value())
    }

    /// Returns after how many bars the first value comes: 1.
    pub fn warm_up(&self) -> usize {
        1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        *self = Obv::new();
    }
}

indicator!(Obv, HighLowCloseVolume);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn volume_goes_with_the_close() {
        let mut obv = Obv::new();
        let mut next = |close, volume| {
            obv.update(&BarInput {
                volume,
                ..BarInput::at_price(UnixNanos(0), close)
            })
        };
        assert_eq!(next(5.0, 100.0), Some(0.0));
        assert_eq!(next(6.0, 7.0), Some(7.0));
        assert_eq!(next(6.0, 50.0), Some(7.0));
        assert_eq!(next(4.0, 10.0), Some(-3.0));
    }
}

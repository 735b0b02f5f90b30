//! Volume-weighted moving average.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const VWMA: IndicatorType = IndicatorType {
    name: "vwma",
    help: "Moving average of closes weighted by volume.",
    inputs: Inputs::HighLowCloseVolume,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "Bars in the average.",
    )],
    outputs: &["vwma"],
    make: |values| Ok(Box::new(Vwma::new(values.whole("period"))?)),
};

/// `sum(close * volume) / sum(volume)` over the last `period` bars. No value where none of them
/// has a volume.
///
/// Seed rule: none. Warm-up: `period`. Source: B. Dormeier, "Buff Up Your Moving Averages", 2001.
#[derive(Clone, Debug, PartialEq)]
pub struct Vwma {
    period: usize,
    /// Price times volume, and volume.
    window: Window<(Sum, Sum)>,
}

impl Vwma {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Vwma, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Vwma {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next bar and returns the value with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowCloseVolume).ok()?;
        let fold = self.window.push((bar.close * bar.volume, bar.volume));
        let (notional, volume) = fold?;
        mean(notional, volume)
    }

    /// Returns after how many bars the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(Vwma, HighLowCloseVolume);

/// The average price, or `None` without volume. A volume too small to divide by is none.
pub(super) fn mean(notional: Sum, volume: Sum) -> Option<f64> {
    let mean = notional.value() / volume.value();
    mean.is_finite().then_some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn a_bar_weighs_by_its_volume_and_no_volume_is_no_value() {
        let mut vwma = Vwma::new(2).unwrap();
        let bar = |close, volume| BarInput {
            volume,
            ..BarInput::at_price(UnixNanos(0), close)
        };
        assert_eq!(vwma.update(&bar(10.0, 3.0)), None);
        assert_eq!(vwma.update(&bar(20.0, 1.0)), Some(12.5));
        assert_eq!(vwma.update(&bar(30.0, 0.0)), Some(20.0));
        assert_eq!(vwma.update(&bar(40.0, 0.0)), None);
        assert_eq!(vwma.update(&bar(50.0, -1.0)), None);
        assert_eq!(vwma.update(&bar(60.0, 2.0)), Some(60.0));
    }
}

//! Keltner's channel.

use super::atr::Atr;
use super::donchian::Bands;
use super::ema::Ema;
use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, MAX_MULTIPLIER, period, within};
use super::registry::IndicatorType;

pub(super) const KELTNER: IndicatorType = IndicatorType {
    name: "keltner",
    help: "Keltner's channel: an average and average true ranges to both sides.",
    inputs: Inputs::HighLowClose,
    parameters: &[
        IndicatorParameter::period("period", 20, 1, "Period of the exponential average."),
        IndicatorParameter::period("atr_period", 10, 1, "Period of the average true range."),
        IndicatorParameter::multiplier(2.0, "Half the width, in average true ranges."),
    ],
    outputs: &Bands::NAMES,
    make: |values| {
        Ok(Box::new(Keltner::new(KeltnerParameters {
            period: values.whole("period"),
            atr_period: values.whole("atr_period"),
            multiplier: values.number("multiplier"),
        })?))
    },
};

/// Parameters of a [`Keltner`]: periods from 1 to [`MAX_PERIOD`](super::MAX_PERIOD), and half the
/// width from 0 to 100 average true ranges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeltnerParameters {
    pub period: u32,
    pub atr_period: u32,
    pub multiplier: f64,
}

/// The [`Ema`] of the closes, and `multiplier` times the [`Atr`] above and below.
///
/// Seed rule: those of both. Warm-up: the larger of `period` and `atr_period + 1`. Source: C. W.
/// Keltner, How To Make Money in Commodities, 1960, in L. B. Raschke's form with exponential
/// average and true range.
#[derive(Clone, Debug, PartialEq)]
pub struct Keltner {
    multiplier: f64,
    average: Ema,
    range: Atr,
}

impl Keltner {
    /// Errors: `Bound`, naming the parameter.
    pub fn new(parameters: KeltnerParameters) -> Result<Keltner, IndicatorError> {
        period("period", parameters.period, 1)?;
        Ok(Keltner {
            multiplier: within("multiplier", parameters.multiplier, 0.0, MAX_MULTIPLIER)?,
            average: Ema::new(parameters.period),
            range: Atr::named("atr_period", parameters.atr_period)?,
        })
    }

    /// Takes the next bar and returns the channel with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<Bands> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.range.update(bar);
        let middle = self.average.push(bar.close)?;
        Some(Bands::around(middle, self.multiplier * range?))
    }

    /// Returns after how many bars the first value comes.
    pub fn warm_up(&self) -> usize {
        self.average.warm_up().max(self.range.warm_up())
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.average.reset();
        self.range.reset();
    }
}

indicator!(Keltner, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn the_channel_is_as_wide_as_the_ranges() {
        let mut keltner = Keltner::new(KeltnerParameters {
            period: 1,
            atr_period: 2,
            multiplier: 1.5,
        })
        .unwrap();
        let mut last = None;
        for price in [10.0, 12.0, 8.0] {
            last = keltner.update(&BarInput::at_price(UnixNanos(0), price));
        }
        assert_eq!(last, Some(Bands::around(8.0, 4.5)));
    }
}

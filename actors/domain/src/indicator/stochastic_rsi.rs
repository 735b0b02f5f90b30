//! The stochastic oscillator of the relative strength index.

use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::IndicatorParameter;
use super::registry::IndicatorType;
use super::rsi::Rsi;
use super::stochastic::{D_PERIOD, SMOOTHING, Stochastic, StochasticParameters, StochasticValue};
use crate::time::UnixNanos;

pub(super) const STOCHASTIC_RSI: IndicatorType = IndicatorType {
    name: "stochastic_rsi",
    help: "Place of the relative strength index in its range, 0 to 100.",
    inputs: Inputs::Close,
    parameters: &[
        IndicatorParameter::period("period", 14, 1, "Period of the relative strength index."),
        IndicatorParameter::period("k_period", 14, 1, "Values of it in the range."),
        SMOOTHING,
        D_PERIOD,
    ],
    outputs: &["k", "d"],
    make: |values| {
        Ok(Box::new(StochasticRsi::new(StochasticRsiParameters {
            period: values.whole("period"),
            stochastic: StochasticParameters {
                k_period: values.whole("k_period"),
                smoothing: values.whole("smoothing"),
                d_period: values.whole("d_period"),
            },
        })?))
    },
};

/// Periods of a [`StochasticRsi`], each from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StochasticRsiParameters {
    /// Of the [`Rsi`].
    pub period: u32,
    pub stochastic: StochasticParameters,
}

/// The [`Stochastic`] of the [`Rsi`]. 50 where the index did not move.
///
/// Seed rule: that of the index. Warm-up: `period + k_period + smoothing + d_period - 2`. Source:
/// T. Chande and S. Kroll, The New Technical Trader, 1994.
#[derive(Clone, Debug, PartialEq)]
pub struct StochasticRsi {
    rsi: Rsi,
    stochastic: Stochastic,
}

impl StochasticRsi {
    /// Errors: `Bound`, naming the period.
    pub fn new(parameters: StochasticRsiParameters) -> Result<StochasticRsi, IndicatorError> {
        Ok(StochasticRsi {
            rsi: Rsi::new(parameters.period)?,
            stochastic: Stochastic::new(parameters.stochastic)?,
        })
    }

    /// Takes the next input and returns the values with it.
    pub fn update(&mut self, input: f64) -> Option<StochasticValue> {
        let rsi = self.rsi.update(input)?;
        self.stochastic
            .update(&BarInput::at_price(UnixNanos(0), rsi))
    }

    /// Returns after how many inputs the first value comes.
    pub fn warm_up(&self) -> usize {
        self.rsi.warm_up() + self.stochastic.warm_up() - 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.rsi.reset();
        self.stochastic.reset();
    }
}

indicator!(StochasticRsi, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_where_in_its_range_the_index_is() {
        let mut indicator = StochasticRsi::new(StochasticRsiParameters {
            period: 1,
            stochastic: StochasticParameters {
                k_period: 2,
                smoothing: 1,
                d_period: 1,
            },
        })
        .unwrap();
        let k = [1.0, 2.0, 1.0, 3.0, 4.0].map(|input| indicator.update(input).map(|value| value.k));
        // The index: 100, 0, 100, 100.
        assert_eq!(k, [None, None, Some(0.0), Some(100.0), Some(50.0)]);
    }
}

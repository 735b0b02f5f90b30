//! Stochastic oscillators.

use super::error::IndicatorError;
use super::fold::Range;
use super::input::{BarInput, Inputs};
use super::object::{Outputs, indicator};
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::sma::Sma;
use super::window::Window;

const K_PERIOD: IndicatorParameter =
    IndicatorParameter::period("k_period", 14, 1, "Bars in the range.");
pub(super) const SMOOTHING: IndicatorParameter =
    IndicatorParameter::period("smoothing", 3, 1, "Period of the average that makes %K.");
pub(super) const D_PERIOD: IndicatorParameter =
    IndicatorParameter::period("d_period", 3, 1, "Period of the average of %K.");

pub(super) const STOCHASTIC_FAST: IndicatorType = IndicatorType {
    name: "stochastic_fast",
    help: "Place of the close in the range, 0 to 100.",
    inputs: Inputs::HighLowClose,
    parameters: &[K_PERIOD, D_PERIOD],
    outputs: &["k", "d"],
    make: |values| {
        Ok(Box::new(Stochastic::new(StochasticParameters {
            k_period: values.whole("k_period"),
            smoothing: 1,
            d_period: values.whole("d_period"),
        })?))
    },
};

pub(super) const STOCHASTIC_SLOW: IndicatorType = IndicatorType {
    name: "stochastic_slow",
    help: "Place of the close in the range, 0 to 100, averaged.",
    inputs: Inputs::HighLowClose,
    parameters: &[K_PERIOD, SMOOTHING, D_PERIOD],
    outputs: &["k", "d"],
    make: |values| {
        Ok(Box::new(Stochastic::new(StochasticParameters {
            k_period: values.whole("k_period"),
            smoothing: values.whole("smoothing"),
            d_period: values.whole("d_period"),
        })?))
    },
};

/// Periods of a [`Stochastic`], each from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StochasticParameters {
    pub k_period: u32,
    /// 1 for the fast form.
    pub smoothing: u32,
    pub d_period: u32,
}

/// %K and its average %D, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StochasticValue {
    pub k: f64,
    pub d: f64,
}

impl From<StochasticValue> for Outputs {
    fn from(value: StochasticValue) -> Outputs {
        Outputs::from([value.k, value.d])
    }
}

/// `100 * (close - lowest) / (highest - lowest)` over `k_period` bars, 50 where both are the same;
/// %K is its simple average over `smoothing`, %D that of %K over `d_period`.
///
/// Seed rule: none. Warm-up: `k_period + smoothing + d_period - 2`. Source: G. C. Lane, "Lane's
/// Stochastics", 1984.
#[derive(Clone, Debug, PartialEq)]
pub struct Stochastic {
    k_period: usize,
    window: Window<Range>,
    k: Sma,
    d: Sma,
}

impl Stochastic {
    /// Errors: `Bound`, naming the period.
    pub fn new(parameters: StochasticParameters) -> Result<Stochastic, IndicatorError> {
        let k_period = period("k_period", parameters.k_period, 1)?;
        period("smoothing", parameters.smoothing, 1)?;
        period("d_period", parameters.d_period, 1)?;
        Ok(Stochastic {
            k_period,
            window: Window::new(k_period),
            k: Sma::new(parameters.smoothing),
            d: Sma::new(parameters.d_period),
        })
    }

    /// Takes the next bar and returns the values with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<StochasticValue> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.window.push((bar.high, bar.low))?;
        let k = self.k.push(range.position(bar.close))?;
        let d = self.d.push(k)?;
        Some(StochasticValue { k, d })
    }

    /// Returns after how many bars the first value comes.
    pub fn warm_up(&self) -> usize {
        self.k_period + self.k.warm_up() + self.d.warm_up() - 2
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.window.clear();
        self.k.reset();
        self.d.reset();
    }
}

indicator!(Stochastic, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn it_tells_where_in_the_range_the_close_is() {
        let mut stochastic = Stochastic::new(StochasticParameters {
            k_period: 2,
            smoothing: 1,
            d_period: 2,
        })
        .unwrap();
        let mut next = |high, low, close| {
            stochastic.update(&BarInput {
                high,
                low,
                ..BarInput::at_price(UnixNanos(0), close)
            })
        };
        assert_eq!(next(12.0, 8.0, 10.0), None);
        assert_eq!(next(12.0, 10.0, 11.0), None);
        let value = next(14.0, 10.0, 10.0).unwrap();
        assert_eq!((value.k, value.d), (0.0, 37.5));
    }

    #[test]
    fn without_a_range_it_is_in_the_middle() {
        let mut stochastic = Stochastic::new(StochasticParameters {
            k_period: 1,
            smoothing: 1,
            d_period: 1,
        })
        .unwrap();
        let value = stochastic.update(&BarInput::at_price(UnixNanos(0), 5.0));
        assert_eq!(value, Some(StochasticValue { k: 50.0, d: 50.0 }));
    }
}

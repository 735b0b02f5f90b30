//! Commodity channel index.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, within};
use super::registry::IndicatorType;
use super::window::Fold;

/// The longest period. Each bar walks over all of them, so it is shorter than elsewhere.
const LONGEST: u32 = 1_000;

pub(super) const CCI: IndicatorType = IndicatorType {
    name: "cci",
    help: "Commodity channel index.",
    inputs: Inputs::HighLowClose,
    parameters: &[IndicatorParameter {
        max: LONGEST as f64,
        ..IndicatorParameter::period("period", 20, 1, "Bars in average and deviation.")
    }],
    outputs: &["cci"],
    make: |values| Ok(Box::new(Cci::new(values.whole("period"))?)),
};

/// `(t - mean) / (0.015 * mean of |t - mean|)` over the last `period` typical prices
/// `t = (high + low + close) / 3`. Zero where all are the same.
///
/// The deviation is from the newest mean, which changes all of its terms, so each bar takes time
/// in proportion to the period; a sorted tree would be of logarithmic time and slower at the
/// periods in use.
///
/// Seed rule: none. Warm-up: `period`. Source: D. R. Lambert, "Commodity Channel Index", 1980.
#[derive(Clone, Debug, PartialEq)]
pub struct Cci {
    period: usize,
    /// A ring: the slot to write next holds the oldest price.
    prices: Vec<f64>,
    next: usize,
}

impl Cci {
    /// Errors: `Bound` naming `period`, which is from 1 to 1000.
    pub fn new(length: u32) -> Result<Cci, IndicatorError> {
        within("period", f64::from(length), 1.0, f64::from(LONGEST))?;
        let period = length as usize;
        Ok(Cci {
            period,
            prices: Vec::with_capacity(period),
            next: 0,
        })
    }

    /// Takes the next bar and returns the value with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowClose).ok()?;
        let price = bar.typical_price();
        if self.prices.len() < self.period {
            self.prices.push(price);
        } else {
            self.prices[self.next] = price;
            self.next = (self.next + 1) % self.period;
        }
        if self.prices.len() < self.period {
            return None;
        }
        // Rounding would make a deviation of prices that are all the same.
        if self.prices.iter().all(|other| *other == price) {
            return Some(0.0);
        }
        let mean = self.mean(|other| other);
        let deviation = self.mean(|other| (other - mean).abs());
        let value = (price - mean) / (0.015 * deviation);
        value.is_finite().then_some(value)
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let add = |sum: Sum, price: &f64| sum.then(Sum::of(of(*price)));
        let sum = self.prices.iter().fold(Sum::default(), add);
        sum.value() / self.period as f64
    }

    /// Returns after how many bars the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.prices.clear();
        self.next = 0;
    }
}

indicator!(Cci, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn it_is_the_distance_in_mean_deviations() {
        let mut cci = Cci::new(3).unwrap();
        let mut next = |price| cci.update(&BarInput::at_price(UnixNanos(0), price));
        assert_eq!((next(3.0), next(6.0)), (None, None));
        // Mean 6, deviations 3, 0, 3.
        let value = next(9.0).unwrap();
        assert!((value - 3.0 / (0.015 * 2.0)).abs() < 1e-12, "{value}");
        next(0.1);
        next(0.1);
        assert_eq!(next(0.1), Some(0.0));
    }
}

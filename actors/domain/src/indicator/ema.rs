//! Exponential moving average.

use super::error::InputError;
use super::input::{BarInput, Inputs};
use super::object::{Indicator, Outputs};
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;

pub(super) const EMA: IndicatorType = IndicatorType {
    name: "ema",
    help: "Exponential moving average, seeded by the first close.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "The weight of a new close is 2 / (period + 1).",
    )],
    outputs: &["ema"],
    make: |values| {
        let length = values.whole("period");
        period("period", length, 1)?;
        Ok(Box::new(Ema::new(length)))
    },
};

/// An exponential moving average over `period` inputs: `e = a*x + (1-a)*e` with
/// `a = 2/(period+1)`, computed in exactly this form, so that the last bit is the same everywhere.
///
/// Seed rule: the first input is the first value. Ready from the `period`-th input on; the seed
/// still has a weight of about 13 % then, and below a millionth after seven periods.
///
/// Source: P. N. Haurlan, "Measuring Trend Values", 1968, for prices.
///
/// ```
/// use apex_domain::indicator::Ema;
/// let mut ema = Ema::new(3);
/// assert_eq!(ema.update(10.0), 10.0);
/// assert_eq!(ema.update(20.0), 15.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ema {
    alpha: f64,
    period: u32,
    value: f64,
    count: u64,
}

impl Ema {
    /// Makes an average without a value. A `period` of zero counts as one, with which the value
    /// is the last input.
    pub fn new(period: u32) -> Ema {
        let period = period.max(1);
        Ema {
            alpha: 2.0 / (f64::from(period) + 1.0),
            period,
            value: 0.0,
            count: 0,
        }
    }

    /// Takes the next input, which has to be finite, and returns the value with it.
    pub fn update(&mut self, input: f64) -> f64 {
        self.value = if self.count == 0 {
            input
        } else {
            self.alpha * input + (1.0 - self.alpha) * self.value
        };
        self.count += 1;
        self.value
    }

    /// Returns the value, or `None` before the first input.
    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then_some(self.value)
    }

    /// Returns how many inputs were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns true from the `period`-th input on.
    pub fn is_ready(&self) -> bool {
        self.count >= u64::from(self.period)
    }

    /// Returns after how many inputs it is ready: `period`.
    pub fn warm_up(&self) -> usize {
        self.period as usize
    }

    /// Takes the next input and returns the value, or `None` until it is ready. For averages of
    /// averages, of which each begins when the one before is ready.
    pub(super) fn push(&mut self, input: f64) -> Option<f64> {
        let value = self.update(input);
        self.is_ready().then_some(value)
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.value = 0.0;
        self.count = 0;
    }
}

impl Indicator for Ema {
    fn update(&mut self, input: &BarInput) -> Result<Option<Outputs>, InputError> {
        input.check(Inputs::Close)?;
        Ok(self.push(input.close).map(Outputs::from))
    }

    fn inputs(&self) -> Inputs {
        Inputs::Close
    }

    fn warm_up(&self) -> usize {
        Ema::warm_up(self)
    }

    fn reset(&mut self) {
        Ema::reset(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_i01_ten_inputs_give_the_published_value_to_the_last_bit() {
        let mut ema = Ema::new(10);
        for input in 1..=10 {
            ema.update(f64::from(input));
        }
        assert_eq!(ema.value(), Some(6.239368480121215));
        assert!(ema.is_ready());
    }

    #[test]
    fn the_first_input_is_the_seed() {
        let mut ema = Ema::new(20);
        assert_eq!(ema.value(), None);
        assert_eq!(ema.update(104.5), 104.5);
        assert!(!ema.is_ready());
        ema.reset();
        assert_eq!((ema.value(), ema.count()), (None, 0));
        assert_eq!(ema.update(3.0), 3.0);
    }

    #[test]
    fn a_period_of_one_follows_the_input() {
        let mut ema = Ema::new(0);
        ema.update(1.0);
        assert_eq!(ema.update(7.0), 7.0);
    }
}

//! Simple moving average.

use super::fold::Sum;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const SMA: IndicatorType = IndicatorType {
    name: "sma",
    help: "Simple moving average.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "Closes in the average.",
    )],
    outputs: &["sma"],
    make: |values| {
        let length = values.whole("period");
        period("period", length, 1)?;
        Ok(Box::new(Sma::new(length)))
    },
};

/// The arithmetic mean of the last `period` inputs.
///
/// Seed rule: none. There is no value before `period` inputs were taken. Amortised constant time
/// for each input, and no drift: nothing is ever subtracted from a sum.
///
/// ```
/// use apex_domain::indicator::Sma;
/// let mut sma = Sma::new(2);
/// assert_eq!(sma.update(1.0), None);
/// assert_eq!(sma.update(2.0), Some(1.5));
/// assert_eq!(sma.update(4.0), Some(3.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sma {
    period: usize,
    window: Window<Sum>,
}

impl Sma {
    /// Makes an average without a value. A `period` of zero counts as one.
    pub fn new(period: u32) -> Sma {
        let period = period.max(1) as usize;
        Sma {
            period,
            window: Window::new(period),
        }
    }

    /// Takes the next input and returns the value with it. An input that is not finite, or above
    /// [`LARGEST_INPUT`](super::LARGEST_INPUT), changes nothing and gives `None`.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        self.push(input)
    }

    pub(super) fn push(&mut self, input: f64) -> Option<f64> {
        self.window.push(input);
        self.value()
    }

    /// Returns the mean, or `None` before `period` inputs.
    pub fn value(&self) -> Option<f64> {
        let sum = self.window.value()?;
        Some(sum.value() / self.period as f64)
    }

    /// Returns true from the `period`-th input on.
    pub fn is_ready(&self) -> bool {
        self.window.is_full()
    }

    /// Returns after how many inputs it is ready: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(Sma, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tc_i02_the_mean_of_one_to_ten_is_five_and_a_half() {
        let mut sma = Sma::new(10);
        for input in 1..=9 {
            assert_eq!(sma.update(f64::from(input)), None);
        }
        assert_eq!(sma.update(10.0), Some(5.5));
        assert_eq!(sma.update(11.0), Some(6.5));
    }

    #[test]
    fn a_value_that_left_the_window_leaves_no_trace() {
        let mut sma = Sma::new(2);
        sma.update(1e99);
        sma.update(1.0);
        assert_eq!(sma.update(2.0), Some(1.5));
        sma.reset();
        assert!(!sma.is_ready());
    }

    #[test]
    fn averages_over_the_same_inputs_agree_to_the_bit_although_one_began_earlier() {
        let input = |place: i32| f64::from(place * 7_919 % 1_000) / 10.0;
        let mut old = Sma::new(7);
        for start in 0..50 {
            old.update(input(start));
            let mut fresh = Sma::new(7);
            for place in start - 6..=start {
                fresh.update(input(place.max(0)));
            }
            if start >= 6 {
                assert_eq!(old.value(), fresh.value(), "at {start}");
            }
        }
    }

    #[test]
    fn what_is_no_number_changes_nothing() {
        let mut sma = Sma::new(2);
        sma.update(1.0);
        for input in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2e100] {
            assert_eq!(sma.update(input), None);
        }
        assert_eq!(sma.update(2.0), Some(1.5));
    }
}

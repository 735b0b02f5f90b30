//! Simple moving average.

use std::collections::VecDeque;

/// The arithmetic mean of the last `period` inputs.
///
/// Seed rule: none. There is no value before `period` inputs were taken.
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
    /// The last `period` inputs, oldest first.
    window: VecDeque<f64>,
}

impl Sma {
    /// Makes an average without a value. A `period` of zero counts as one.
    pub fn new(period: u32) -> Sma {
        let period = period.max(1) as usize;
        Sma {
            period,
            window: VecDeque::with_capacity(period),
        }
    }

    /// Takes the next input, which has to be finite, and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if self.window.len() == self.period {
            self.window.pop_front();
        }
        self.window.push_back(input);
        self.value()
    }

    /// Returns the mean, or `None` before `period` inputs.
    ///
    /// It is summed anew each time, oldest first: a running sum would drift away by rounding,
    /// and the value would depend on everything that ever passed.
    pub fn value(&self) -> Option<f64> {
        self.is_ready()
            .then(|| self.window.iter().sum::<f64>() / self.period as f64)
    }

    /// Returns true from the `period`-th input on.
    pub fn is_ready(&self) -> bool {
        self.window.len() == self.period
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_one_to_ten_is_five_and_a_half() {
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
        sma.update(1e300);
        sma.update(1.0);
        assert_eq!(sma.update(2.0), Some(1.5));
        sma.reset();
        assert!(!sma.is_ready());
    }
}

//! Rate of change of a triple average.

use super::ema::Ema;
use super::ema_chain::{push, warm_up};
use super::error::IndicatorError;
use super::input::Inputs;
use super::momentum::percent_change;
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;

pub(super) const TRIX: IndicatorType = IndicatorType {
    name: "trix",
    help: "Rate of change of a triple exponential average, in percent.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        15,
        1,
        "Period of each of the three averages.",
    )],
    outputs: &["trix"],
    make: |values| Ok(Box::new(Trix::new(values.whole("period"))?)),
};

/// `100 * (e3 / e3 before - 1)`, where `e3` is the [`Ema`] of the Ema of the Ema. No value where
/// `e3` before is zero.
///
/// Seed rule: each average starts at the first value of the one before, which comes with its
/// `period`-th input. Warm-up: `3 * period - 1`. Source: J. Hutson, "Good TRIX", 1983.
#[derive(Clone, Debug, PartialEq)]
pub struct Trix {
    chain: [Ema; 3],
    last: Option<f64>,
}

impl Trix {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Trix, IndicatorError> {
        period("period", length, 1)?;
        Ok(Trix {
            chain: [Ema::new(length), Ema::new(length), Ema::new(length)],
            last: None,
        })
    }

    /// Takes the next input and returns the value with it, in percent.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        let [_, _, e3] = push(&mut self.chain, input)?;
        percent_change(self.last.replace(e3)?, e3)
    }

    /// Returns after how many inputs the first value comes.
    pub fn warm_up(&self) -> usize {
        warm_up(&self.chain) + 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.chain.iter_mut().for_each(Ema::reset);
        self.last = None;
    }
}

indicator!(Trix, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_period_of_one_it_is_the_rate_of_change() {
        let mut trix = Trix::new(1).unwrap();
        assert_eq!(trix.update(4.0), None);
        assert_eq!(trix.update(5.0), Some(25.0));
    }
}

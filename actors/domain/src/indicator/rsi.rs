//! Relative strength index.

use super::error::IndicatorError;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::IndicatorParameter;
use super::registry::IndicatorType;
use super::wilder::Wilder;

pub(super) const RSI: IndicatorType = IndicatorType {
    name: "rsi",
    help: "Relative strength index, 0 to 100.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        1,
        "Period of Wilder's averages of gains and losses.",
    )],
    outputs: &["rsi"],
    make: |values| Ok(Box::new(Rsi::new(values.whole("period"))?)),
};

/// `100 * gain / (gain + loss)`, both [`Wilder`] averages of the rises and of the falls from
/// input to input. 50 where nothing moved.
///
/// Seed rule: the means of the first `period` changes. Warm-up: `period + 1`. Source: J. W.
/// Wilder, New Concepts in Technical Trading Systems, 1978.
#[derive(Clone, Debug, PartialEq)]
pub struct Rsi {
    last: Option<f64>,
    gain: Wilder,
    loss: Wilder,
}

impl Rsi {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Rsi, IndicatorError> {
        Ok(Rsi {
            last: None,
            gain: Wilder::new(length)?,
            loss: Wilder::new(length)?,
        })
    }

    /// Takes the next input and returns the value with it, from 0 to 100.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        let change = input - self.last.replace(input)?;
        let gain = self.gain.push(change.max(0.0));
        let loss = self.loss.push((-change).max(0.0));
        let (gain, loss) = (gain?, loss?);
        let both = gain + loss;
        Some(if both > 0.0 {
            100.0 * (gain / both)
        } else {
            50.0
        })
    }

    /// Returns after how many inputs the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.gain.warm_up() + 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.last = None;
        self.gain.reset();
        self.loss.reset();
    }
}

indicator!(Rsi, Close);

#[cfg(test)]
mod tests {
    use super::*;

    fn last(inputs: &[f64]) -> Option<f64> {
        let mut rsi = Rsi::new(2).unwrap();
        inputs.iter().map(|input| rsi.update(*input)).last()?
    }

    #[test]
    fn it_is_the_share_of_the_gains() {
        assert_eq!(last(&[1.0, 2.0]), None);
        assert_eq!(last(&[1.0, 2.0, 3.0]), Some(100.0));
        assert_eq!(last(&[3.0, 2.0, 1.0]), Some(0.0));
        assert_eq!(last(&[1.0, 4.0, 3.0]), Some(75.0));
        // Gains 1.5 and 0.5 average on to 1.75 and 0.25 with a rise of 2.
        assert_eq!(last(&[1.0, 4.0, 3.0, 5.0]), Some(87.5));
    }

    #[test]
    fn a_price_that_stands_still_is_in_the_middle() {
        assert_eq!(last(&[5.0, 5.0, 5.0]), Some(50.0));
    }
}

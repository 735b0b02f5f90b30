//! Hull's moving average.

use super::error::IndicatorError;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::wma::Wma;

pub(super) const HMA: IndicatorType = IndicatorType {
    name: "hma",
    help: "Hull's moving average.",
    inputs: Inputs::Close,
    parameters: &[IndicatorParameter::period(
        "period",
        16,
        2,
        "Closes in the longest of its three averages.",
    )],
    outputs: &["hma"],
    make: |values| Ok(Box::new(Hma::new(values.whole("period"))?)),
};

/// `wma(2 * wma(x, period / 2) - wma(x, period), sqrt(period))`, each of the lengths rounded
/// down.
///
/// Seed rule: none. Warm-up: `period + sqrt(period) - 1`, the root rounded down. Source: A. Hull,
/// "How to reduce lag in a moving average", 2005.
#[derive(Clone, Debug, PartialEq)]
pub struct Hma {
    half: Wma,
    whole: Wma,
    smooth: Wma,
}

impl Hma {
    /// Errors: `Bound` naming `period`, which is from 2 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Hma, IndicatorError> {
        period("period", length, 2)?;
        Ok(Hma {
            half: Wma::new(length / 2)?,
            whole: Wma::new(length)?,
            smooth: Wma::new(length.isqrt())?,
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        if !is_usable(input) {
            return None;
        }
        let half = self.half.push(input);
        let whole = self.whole.push(input);
        self.smooth.push(2.0 * half? - whole?)
    }

    /// Returns after how many inputs the first value comes.
    pub fn warm_up(&self) -> usize {
        self.whole.warm_up() + self.smooth.warm_up() - 1
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.half.reset();
        self.whole.reset();
        self.smooth.reset();
    }
}

indicator!(Hma, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_inputs_and_a_root_of_two_give_the_value_worked_out_by_hand() {
        let mut hma = Hma::new(4).unwrap();
        let values: Vec<_> = [3.0, 6.0, 9.0, 12.0, 12.0]
            .map(|input| hma.update(input))
            .to_vec();
        assert_eq!(values[..4], [None; 4]);
        // Halves 11 and 12, wholes 9 and 10.8: 13 and 13.2.
        let value = values[4].unwrap();
        assert!((value - (13.0 + 2.0 * 13.2) / 3.0).abs() < 1e-12, "{value}");
    }
}

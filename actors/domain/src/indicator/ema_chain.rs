//! Double and triple exponential moving averages.

use super::ema::Ema;
use super::error::IndicatorError;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;

const PERIOD: IndicatorParameter = IndicatorParameter::period(
    "period",
    20,
    1,
    "The weight of a new close in each average is 2 / (period + 1).",
);

pub(super) const DEMA: IndicatorType = IndicatorType {
    name: "dema",
    help: "Double exponential moving average.",
    inputs: Inputs::Close,
    parameters: &[PERIOD],
    outputs: &["dema"],
    make: |values| Ok(Box::new(Dema::new(values.whole("period"))?)),
};

pub(super) const TEMA: IndicatorType = IndicatorType {
    name: "tema",
    help: "Triple exponential moving average.",
    inputs: Inputs::Close,
    parameters: &[PERIOD],
    outputs: &["tema"],
    make: |values| Ok(Box::new(Tema::new(values.whole("period"))?)),
};

/// `2 * e1 - e2`, where `e1` is the [`Ema`] of the inputs and `e2` that of `e1`.
///
/// Seed rule: `e1` starts at the first input, `e2` at the `period`-th value of `e1`. Warm-up:
/// `2 * period - 1`. Source: P. G. Mulloy, Technical Analysis of Stocks & Commodities, 1994.
#[derive(Clone, Debug, PartialEq)]
pub struct Dema {
    chain: [Ema; 2],
}

impl Dema {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Dema, IndicatorError> {
        period("period", length, 1)?;
        Ok(Dema {
            chain: [Ema::new(length), Ema::new(length)],
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        let [e1, e2] = push(&mut self.chain, input)?;
        Some(2.0 * e1 - e2)
    }

    /// Returns after how many inputs the first value comes.
    pub fn warm_up(&self) -> usize {
        warm_up(&self.chain)
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.chain.iter_mut().for_each(Ema::reset);
    }
}

/// `3 * e1 - 3 * e2 + e3`, each the [`Ema`] of the one before.
///
/// Seed rule: as [`Dema`], once more. Warm-up: `3 * period - 2`. Source: as [`Dema`].
#[derive(Clone, Debug, PartialEq)]
pub struct Tema {
    chain: [Ema; 3],
}

impl Tema {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Tema, IndicatorError> {
        period("period", length, 1)?;
        Ok(Tema {
            chain: [Ema::new(length), Ema::new(length), Ema::new(length)],
        })
    }

    /// Takes the next input and returns the value with it.
    pub fn update(&mut self, input: f64) -> Option<f64> {
        let [e1, e2, e3] = push(&mut self.chain, input)?;
        Some(3.0 * (e1 - e2) + e3)
    }

    /// Returns after how many inputs the first value comes.
    pub fn warm_up(&self) -> usize {
        warm_up(&self.chain)
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.chain.iter_mut().for_each(Ema::reset);
    }
}

indicator!(Dema, Close);
indicator!(Tema, Close);

/// Feeds each average with the one before and returns all, or `None` until the last is ready.
pub(super) fn push<const N: usize>(chain: &mut [Ema; N], input: f64) -> Option<[f64; N]> {
    if !is_usable(input) {
        return None;
    }
    let mut values = [0.0; N];
    let mut last = input;
    for (ema, value) in chain.iter_mut().zip(&mut values) {
        last = ema.push(last)?;
        *value = last;
    }
    Some(values)
}

pub(super) fn warm_up(chain: &[Ema]) -> usize {
    chain.iter().map(|ema| ema.warm_up() - 1).sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_follow_a_line_without_the_lag_of_a_single_average() {
        let (mut ema, mut dema, mut tema) =
            (Ema::new(5), Dema::new(5).unwrap(), Tema::new(5).unwrap());
        let mut last = (0.0, None, None);
        for input in 0..200 {
            let input = f64::from(input);
            last = (ema.update(input), dema.update(input), tema.update(input));
        }
        assert!(last.0 < 197.1, "the average lags by two inputs: {}", last.0);
        for value in [last.1, last.2] {
            assert!((value.unwrap() - 199.0).abs() < 1e-9, "{value:?}");
        }
    }
}

//! Bollinger's bands.

use super::donchian::Bands;
use super::error::IndicatorError;
use super::fold::Spread;
use super::input::{Inputs, is_usable};
use super::object::indicator;
use super::parameter::{IndicatorParameter, MAX_MULTIPLIER, period, within};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const BOLLINGER: IndicatorType = IndicatorType {
    name: "bollinger",
    help: "Bollinger's bands: an average and standard deviations to both sides.",
    inputs: Inputs::Close,
    parameters: &[
        IndicatorParameter::period("period", 20, 1, "Closes in average and deviation."),
        IndicatorParameter::multiplier(2.0, "Half the width, in standard deviations."),
    ],
    outputs: &Bands::NAMES,
    make: |values| {
        let multiplier = values.number("multiplier");
        Ok(Box::new(Bollinger::new(
            values.whole("period"),
            multiplier,
        )?))
    },
};

/// The mean of the last `period` inputs, and `multiplier` standard deviations (of the whole
/// population, divided by `period`) above and below.
///
/// Seed rule: none. Warm-up: `period`. Source: J. Bollinger, Bollinger on Bollinger Bands, 2001.
#[derive(Clone, Debug, PartialEq)]
pub struct Bollinger {
    period: usize,
    multiplier: f64,
    window: Window<Spread>,
}

impl Bollinger {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD), or
    /// `multiplier`, from 0 to 100.
    pub fn new(length: u32, multiplier: f64) -> Result<Bollinger, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Bollinger {
            period,
            multiplier: within("multiplier", multiplier, 0.0, MAX_MULTIPLIER)?,
            window: Window::new(period),
        })
    }

    /// Takes the next input and returns the bands with it.
    pub fn update(&mut self, input: f64) -> Option<Bands> {
        if !is_usable(input) {
            return None;
        }
        let spread = self.window.push(input)?;
        let width = self.multiplier * spread.variance().sqrt();
        Some(Bands::around(spread.mean, width))
    }

    /// Returns after how many inputs the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every input.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(Bollinger, Close);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_are_as_wide_as_the_deviations() {
        let mut bollinger = Bollinger::new(4, 2.0).unwrap();
        let mut last = None;
        for input in [2.0, 4.0, 4.0, 6.0] {
            last = bollinger.update(input);
        }
        let bands = last.unwrap();
        assert_eq!(bands.middle, 4.0);
        assert!((bands.upper - 4.0 - 2.0 * 2.0_f64.sqrt()).abs() < 1e-15);
        assert!((bands.lower - 4.0 + 2.0 * 2.0_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_width_that_is_no_number_is_refused_by_name() {
        for multiplier in [f64::NAN, -1.0, 101.0] {
            let error = Bollinger::new(4, multiplier).unwrap_err();
            assert!(error.to_string().contains("\"multiplier\""), "{error}");
        }
    }
}

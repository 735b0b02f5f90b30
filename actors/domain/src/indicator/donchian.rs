//! Donchian's channel, and what a channel is.

use super::error::IndicatorError;
use super::fold::Range;
use super::input::{BarInput, Inputs};
use super::object::{Outputs, indicator};
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const DONCHIAN: IndicatorType = IndicatorType {
    name: "donchian",
    help: "Highest high and lowest low.",
    inputs: Inputs::HighLowClose,
    parameters: &[IndicatorParameter::period(
        "period",
        20,
        1,
        "Bars in the channel, with the present one.",
    )],
    outputs: &Bands::NAMES,
    make: |values| Ok(Box::new(Donchian::new(values.whole("period"))?)),
};

/// A channel round the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    pub upper: f64,
    pub middle: f64,
    pub lower: f64,
}

impl Bands {
    pub(super) const NAMES: [&'static str; 3] = ["upper", "middle", "lower"];

    /// Makes a channel `width` to both sides of `middle`.
    pub(super) fn around(middle: f64, width: f64) -> Bands {
        Bands {
            upper: middle + width,
            middle,
            lower: middle - width,
        }
    }
}

impl From<Bands> for Outputs {
    fn from(bands: Bands) -> Outputs {
        Outputs::from([bands.upper, bands.middle, bands.lower])
    }
}

/// The highest high and the lowest low of the last `period` bars, and the middle of both.
///
/// Seed rule: none. Warm-up: `period`. Source: R. Donchian's four-week rule, as described in
/// Kaufman, Trading Systems and Methods.
#[derive(Clone, Debug, PartialEq)]
pub struct Donchian {
    period: usize,
    window: Window<Range>,
}

impl Donchian {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Donchian, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Donchian {
            period,
            window: Window::new(period),
        })
    }

    /// Takes the next bar and returns the channel with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<Bands> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.window.push((bar.high, bar.low))?;
        Some(Bands {
            upper: range.high,
            middle: (range.high + range.low) / 2.0,
            lower: range.low,
        })
    }

    /// Returns after how many bars the first value comes: `period`.
    pub fn warm_up(&self) -> usize {
        self.period
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.window.clear();
    }
}

indicator!(Donchian, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn an_extreme_leaves_the_channel_with_its_bar() {
        let mut donchian = Donchian::new(2).unwrap();
        let mut upper = |price| {
            let bands = donchian.update(&BarInput::at_price(UnixNanos(0), price));
            bands.map(|bands| (bands.upper, bands.middle, bands.lower))
        };
        assert_eq!(upper(9.0), None);
        assert_eq!(upper(5.0), Some((9.0, 7.0, 5.0)));
        assert_eq!(upper(6.0), Some((6.0, 5.5, 5.0)));
    }
}

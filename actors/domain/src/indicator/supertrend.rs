//! Supertrend.

use super::atr::Atr;
use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::{Outputs, indicator};
use super::parameter::{IndicatorParameter, MAX_MULTIPLIER, within};
use super::registry::IndicatorType;

pub(super) const SUPERTREND: IndicatorType = IndicatorType {
    name: "supertrend",
    help: "A stop at average true ranges from the middle of the bar; direction 1 or -1.",
    inputs: Inputs::HighLowClose,
    parameters: &[
        IndicatorParameter::period("period", 10, 1, "Period of the average true range."),
        IndicatorParameter::multiplier(3.0, "Distance of the stop, in average true ranges."),
    ],
    outputs: &["supertrend", "direction"],
    make: |values| {
        let multiplier = values.number("multiplier");
        Ok(Box::new(Supertrend::new(
            values.whole("period"),
            multiplier,
        )?))
    },
};

/// What a [`Supertrend`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupertrendValue {
    /// The lower band while rising, the upper one while falling.
    pub stop: f64,
    pub is_rising: bool,
}

impl From<SupertrendValue> for Outputs {
    fn from(value: SupertrendValue) -> Outputs {
        let direction = if value.is_rising { 1.0 } else { -1.0 };
        Outputs::from([value.stop, direction])
    }
}

/// Bands at `(high + low) / 2` plus and minus `multiplier` times the [`Atr`]. The upper one only
/// falls and the lower one only rises, unless the close before was beyond it. A close beyond the
/// other side's last band turns the direction.
///
/// Seed rule: that of the range; the direction begins rising. Warm-up: `period + 1`. Source: O.
/// Seban's indicator, as published with his book Tout le monde mérite d'être riche, 2008.
#[derive(Clone, Debug, PartialEq)]
pub struct Supertrend {
    multiplier: f64,
    range: Atr,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Last {
    upper: f64,
    lower: f64,
    close: f64,
    is_rising: bool,
}

impl Supertrend {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD), or
    /// `multiplier`, from 0 to 100.
    pub fn new(length: u32, multiplier: f64) -> Result<Supertrend, IndicatorError> {
        Ok(Supertrend {
            multiplier: within("multiplier", multiplier, 0.0, MAX_MULTIPLIER)?,
            range: Atr::new(length)?,
            last: None,
        })
    }

    /// Takes the next bar and returns the values with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<SupertrendValue> {
        let width = self.multiplier * self.range.update(bar)?;
        let middle = (bar.high + bar.low) / 2.0;
        let (mut upper, mut lower, mut is_rising) = (middle + width, middle - width, true);
        if let Some(last) = self.last {
            is_rising = if bar.close > last.upper {
                true
            } else if bar.close < last.lower {
                false
            } else {
                last.is_rising
            };
            if last.close <= last.upper {
                upper = upper.min(last.upper);
            }
            if last.close >= last.lower {
                lower = lower.max(last.lower);
            }
        }
        self.last = Some(Last {
            upper,
            lower,
            close: bar.close,
            is_rising,
        });
        Some(SupertrendValue {
            stop: if is_rising { lower } else { upper },
            is_rising,
        })
    }

    /// Returns after how many bars the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.range.warm_up()
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.range.reset();
        self.last = None;
    }
}

indicator!(Supertrend, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn a_close_beyond_the_band_turns_it() {
        let mut supertrend = Supertrend::new(1, 1.0).unwrap();
        let mut next = |price| {
            let value = supertrend.update(&BarInput::at_price(UnixNanos(0), price))?;
            Some((value.stop, value.is_rising))
        };
        assert_eq!(next(10.0), None);
        assert_eq!(next(12.0), Some((10.0, true)));
        assert_eq!(next(11.0), Some((10.0, true)));
        // Bands were 12 and 10; the new ones are 7 and 11, and the upper one is 11.
        assert_eq!(next(9.0), Some((11.0, false)));
    }
}

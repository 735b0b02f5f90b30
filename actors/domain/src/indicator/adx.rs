//! Directional movement.

use super::atr::TrueRange;
use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::{Outputs, indicator};
use super::parameter::IndicatorParameter;
use super::registry::IndicatorType;
use super::wilder::Wilder;

const PERIOD: IndicatorParameter =
    IndicatorParameter::period("period", 14, 1, "Period of Wilder's averages.");

pub(super) const DX: IndicatorType = IndicatorType {
    name: "dx",
    help: "Directional movement, 0 to 100, not averaged.",
    inputs: Inputs::HighLowClose,
    parameters: &[PERIOD],
    outputs: &["dx", "plus_di", "minus_di"],
    make: |values| Ok(Box::new(Dx::new(values.whole("period"))?)),
};

pub(super) const ADX: IndicatorType = IndicatorType {
    name: "adx",
    help: "Average directional movement, 0 to 100.",
    inputs: Inputs::HighLowClose,
    parameters: &[PERIOD],
    outputs: &["adx", "plus_di", "minus_di"],
    make: |values| Ok(Box::new(Adx::new(values.whole("period"))?)),
};

/// How strong a trend is and to which side it goes, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DirectionalMovement {
    /// DX of a [`Dx`], ADX of an [`Adx`].
    pub strength: f64,
    pub plus_di: f64,
    pub minus_di: f64,
}

impl From<DirectionalMovement> for Outputs {
    fn from(value: DirectionalMovement) -> Outputs {
        Outputs::from([value.strength, value.plus_di, value.minus_di])
    }
}

/// `100 * |plus_di - minus_di| / (plus_di + minus_di)`, where `plus_di` is
/// `100 * w(up) / w(true range)`, `up` the rise of the high where it is above zero and above the
/// fall of the low, else 0; `minus_di` likewise; `w` the [`Wilder`] average. Zero where nothing
/// moved.
///
/// Seed rule: the means of the first `period` movements and ranges, from the second bar on.
/// Warm-up: `period + 1`. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
#[derive(Clone, Debug, PartialEq)]
pub struct Dx {
    last: Option<(f64, f64)>,
    true_range: TrueRange,
    range: Wilder,
    plus: Wilder,
    minus: Wilder,
}

impl Dx {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Dx, IndicatorError> {
        Ok(Dx {
            last: None,
            true_range: TrueRange::new(),
            range: Wilder::new(length)?,
            plus: Wilder::new(length)?,
            minus: Wilder::new(length)?,
        })
    }

    /// Takes the next bar and returns the values with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<DirectionalMovement> {
        bar.check(Inputs::HighLowClose).ok()?;
        let range = self.true_range.update(bar);
        let (last_high, last_low) = self.last.replace((bar.high, bar.low))?;
        let (up, down) = (bar.high - last_high, last_low - bar.low);
        let moved = |own: f64, other: f64| if own > other { own.max(0.0) } else { 0.0 };
        let plus = self.plus.push(moved(up, down));
        let minus = self.minus.push(moved(down, up));
        let range = self.range.push(range?);
        let (plus, minus, range) = (plus?, minus?, range?);
        let share = |part: f64, of: f64| if of > 0.0 { 100.0 * (part / of) } else { 0.0 };
        let movement = DirectionalMovement {
            strength: share((plus - minus).abs(), plus + minus),
            plus_di: share(plus, range),
            minus_di: share(minus, range),
        };
        // A bar whose high is under its low can have movement without range.
        let is_finite = movement.plus_di.is_finite() && movement.minus_di.is_finite();
        is_finite.then_some(movement)
    }

    /// Returns after how many bars the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.range.warm_up() + 1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.last = None;
        self.true_range.reset();
        self.range.reset();
        self.plus.reset();
        self.minus.reset();
    }
}

/// The [`Wilder`] average of the [`Dx`].
///
/// Seed rule: the mean of the first `period` values of it. Warm-up: `2 * period`. Source: as
/// [`Dx`].
#[derive(Clone, Debug, PartialEq)]
pub struct Adx {
    dx: Dx,
    average: Wilder,
}

impl Adx {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Adx, IndicatorError> {
        Ok(Adx {
            dx: Dx::new(length)?,
            average: Wilder::new(length)?,
        })
    }

    /// Takes the next bar and returns the values with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<DirectionalMovement> {
        let movement = self.dx.update(bar)?;
        Some(DirectionalMovement {
            strength: self.average.push(movement.strength)?,
            ..movement
        })
    }

    /// Returns after how many bars the first value comes: `2 * period`.
    pub fn warm_up(&self) -> usize {
        2 * self.average.warm_up()
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.dx.reset();
        self.average.reset();
    }
}

indicator!(Dx, HighLowClose);
indicator!(Adx, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    fn last(bars: &[(f64, f64)]) -> Option<DirectionalMovement> {
        let mut dx = Dx::new(2).unwrap();
        let bars = bars.iter().map(|&(high, low)| BarInput {
            high,
            low,
            ..BarInput::at_price(UnixNanos(0), low)
        });
        bars.map(|bar| dx.update(&bar)).last()?
    }

    #[test]
    fn only_the_larger_movement_counts() {
        // Up 2 down -1, then up 1 down 3: plus 1, minus 1.5; ranges 4 and 7.
        let movement = last(&[(10.0, 8.0), (12.0, 9.0), (13.0, 6.0)]).unwrap();
        assert_eq!(movement.strength, 20.0);
        assert_eq!(movement.plus_di, 100.0 * (1.0 / 5.5));
        assert_eq!(movement.minus_di, 100.0 * (1.5 / 5.5));
    }

    #[test]
    fn a_price_that_stands_still_has_no_movement() {
        let movement = last(&[(5.0, 5.0); 3]).unwrap();
        assert_eq!((movement.strength, movement.plus_di), (0.0, 0.0));
    }
}

//! Parabolic stop and reverse.

use super::error::IndicatorError;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, within};
use super::registry::IndicatorType;

const SMALLEST: f64 = 0.0001;

pub(super) const PARABOLIC_SAR: IndicatorType = IndicatorType {
    name: "parabolic_sar",
    help: "Parabolic stop and reverse.",
    inputs: Inputs::HighLowClose,
    parameters: &[
        IndicatorParameter {
            name: "step",
            default: 0.02,
            min: SMALLEST,
            max: 1.0,
            is_whole: false,
            help: "Acceleration at the start and with each new extreme.",
        },
        IndicatorParameter {
            name: "max_step",
            default: 0.2,
            min: SMALLEST,
            max: 1.0,
            is_whole: false,
            help: "The largest acceleration, not below step.",
        },
    ],
    outputs: &["parabolic_sar"],
    make: |values| {
        let (step, max_step) = (values.number("step"), values.number("max_step"));
        Ok(Box::new(ParabolicSar::new(step, max_step)?))
    },
};

/// A stop that nears the price: `s = s + a * (e - s)`, where `e` is the extreme since the reverse
/// and `a` grows by `step` with each new one up to `max_step`. It never enters the ranges of the
/// last two bars. A bar that touches it reverses it: it jumps to the extreme.
///
/// Seed rule: the second bar decides. It falls when its low fell by more than its high rose, and
/// else rises; the stop is the first bar's high or low, the extreme that of the second. Warm-up:
/// 2. Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; the first direction,
/// which he leaves open, is by his directional movement.
#[derive(Clone, Debug, PartialEq)]
pub struct ParabolicSar {
    step: f64,
    max_step: f64,
    last: Option<Side>,
    trend: Option<Trend>,
}

/// A bar as seen along a trend. Falling is rising with all signs changed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Side {
    /// Where the stop is: the low while rising.
    near: f64,
    far: f64,
}

impl Side {
    fn turned(self) -> Side {
        Side {
            near: -self.far,
            far: -self.near,
        }
    }
}

/// Prices in it are as seen along it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trend {
    is_rising: bool,
    stop: f64,
    extreme: f64,
    acceleration: f64,
}

impl ParabolicSar {
    /// Errors: `Bound` naming `step` or `max_step`, both from 0.0001 to 1; `Relation` when `step`
    /// is above `max_step`.
    pub fn new(step: f64, max_step: f64) -> Result<ParabolicSar, IndicatorError> {
        within("step", step, SMALLEST, 1.0)?;
        within("max_step", max_step, SMALLEST, 1.0)?;
        if step > max_step {
            return Err(IndicatorError::Relation {
                name: "step",
                value: step,
                relation: "at most",
                other: "max_step",
                limit: max_step,
            });
        }
        Ok(ParabolicSar {
            step,
            max_step,
            last: None,
            trend: None,
        })
    }

    /// Takes the next bar and returns the stop that held for it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowClose).ok()?;
        let present = Side {
            near: bar.low,
            far: bar.high,
        };
        let last = self.last.replace(present)?;
        // At its first bar the trend has no two bars to stay out of, so the present stands twice.
        let (trend, last) = match self.trend {
            Some(trend) => (trend, last),
            None => (self.begin(last, present), present),
        };
        let (stop, trend) = if trend.is_rising {
            self.next(trend, last, present)
        } else {
            self.next(trend, last.turned(), present.turned())
        };
        self.trend = Some(trend);
        Some(stop)
    }

    fn begin(&self, first: Side, second: Side) -> Trend {
        let (fell, rose) = (first.near - second.near, second.far - first.far);
        let is_rising = !(fell > 0.0 && fell > rose);
        let (first, second) = if is_rising {
            (first, second)
        } else {
            (first.turned(), second.turned())
        };
        Trend {
            is_rising,
            stop: first.near,
            extreme: second.far,
            acceleration: self.step,
        }
    }

    /// Returns the stop of the present bar as a price, and the trend for the next bar.
    fn next(&self, mut trend: Trend, last: Side, present: Side) -> (f64, Trend) {
        let sign = |trend: Trend| if trend.is_rising { 1.0 } else { -1.0 };
        if present.near <= trend.stop {
            let (last, present) = (last.turned(), present.turned());
            let stop = (-trend.extreme).min(last.near).min(present.near);
            trend = Trend {
                is_rising: !trend.is_rising,
                stop,
                extreme: present.far,
                acceleration: self.step,
            };
            let out = sign(trend) * stop;
            return (out, nearer(trend, last, present));
        }
        let out = sign(trend) * trend.stop;
        if present.far > trend.extreme {
            trend.extreme = present.far;
            trend.acceleration = (trend.acceleration + self.step).min(self.max_step);
        }
        (out, nearer(trend, last, present))
    }

    /// Returns after how many bars the first value comes: 2.
    pub fn warm_up(&self) -> usize {
        2
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.last = None;
        self.trend = None;
    }
}

/// Moves the stop towards the extreme, but not into the last two bars.
fn nearer(trend: Trend, last: Side, present: Side) -> Trend {
    let moved = trend.stop + trend.acceleration * (trend.extreme - trend.stop);
    Trend {
        stop: moved.min(last.near).min(present.near),
        ..trend
    }
}

indicator!(ParabolicSar, HighLowClose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn the_stop_follows_and_jumps_to_the_extreme_when_touched() {
        let mut sar = ParabolicSar::new(0.1, 0.2).unwrap();
        let mut next = |high, low| {
            sar.update(&BarInput {
                high,
                low,
                ..BarInput::at_price(UnixNanos(0), low)
            })
        };
        assert_eq!(next(10.0, 8.0), None);
        assert_eq!(next(12.0, 10.0), Some(8.0));
        assert_eq!(next(14.0, 12.0), Some(8.4));
        // 8.4 + 0.2 * (14 - 8.4) is 9.52, which the next bar touches.
        assert_eq!(next(12.0, 9.0), Some(14.0));
        assert_eq!(
            next(13.0, 9.5),
            Some(14.0),
            "it stays above the last two bars"
        );
    }

    #[test]
    fn a_step_above_the_largest_is_refused_by_name() {
        let error = ParabolicSar::new(0.3, 0.2).unwrap_err().to_string();
        assert!(
            error.contains("\"step\" is 0.3, it must be at most \"max_step\""),
            "{error}"
        );
    }
}

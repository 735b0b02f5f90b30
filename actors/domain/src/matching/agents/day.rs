//! How busy a market is by the time of day.

use super::parameters::{ParameterError, within};
use crate::time::{NANOS_PER_SECOND, UnixNanos};

const MINUTE_NS: i64 = 60 * NANOS_PER_SECOND;
const DAY_MINUTES: i64 = 24 * 60;

/// Activity by the minute of the UTC day, in permille of the ordinary. Every day is alike; there
/// are no weekends and no change of clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DayShape {
    /// A session that is busiest at its ends: a parabola through `edge`, `middle` and `edge`.
    Session {
        /// Minute of the day at which it opens, 0 to 1,439.
        open_minute: i64,
        /// Minute of the day at which it closes, at least 2 above the opening, up to 1,440.
        close_minute: i64,
        /// Activity at opening and close, in permille, 100 to 4,000.
        edge_permille: i64,
        /// Activity in the middle, in permille, 100 to 4,000.
        middle_permille: i64,
        /// Activity outside the session, in permille, 100 to 4,000.
        outside_permille: i64,
    },
    /// Around the clock in one smooth wave: highest at the peak, lowest twelve hours later.
    Wave {
        /// Minute of the day of the peak, 0 to 1,439.
        peak_minute: i64,
        /// How far the peak lies above the ordinary, and the trough under it, in permille, 0 to
        /// 900.
        swing_permille: i64,
    },
}

impl Default for DayShape {
    /// Returns the wave of a market around the clock that is busiest at 15:00 UTC.
    fn default() -> DayShape {
        DayShape::Wave {
            peak_minute: 15 * 60,
            swing_permille: 350,
        }
    }
}

impl DayShape {
    /// Checks the bounds.
    ///
    /// Errors: [`ParameterError`], naming the field.
    pub fn validate(&self) -> Result<(), ParameterError> {
        match *self {
            DayShape::Session {
                open_minute,
                close_minute,
                edge_permille,
                middle_permille,
                outside_permille,
            } => within(&[
                ("open_minute", open_minute, 0, DAY_MINUTES - 2),
                // The opening is in its bounds when this is looked at.
                (
                    "close_minute",
                    close_minute,
                    open_minute.saturating_add(2),
                    DAY_MINUTES,
                ),
                ("edge_permille", edge_permille, 100, 4_000),
                ("middle_permille", middle_permille, 100, 4_000),
                ("outside_permille", outside_permille, 100, 4_000),
            ]),
            DayShape::Wave {
                peak_minute,
                swing_permille,
            } => within(&[
                ("peak_minute", peak_minute, 0, DAY_MINUTES - 1),
                ("swing_permille", swing_permille, 0, 900),
            ]),
        }
    }

    /// Returns the activity at a time, in permille of the ordinary, 100 to 4,000. It is the same
    /// within a minute.
    pub fn activity_permille(&self, at: UnixNanos) -> i64 {
        self.activity_of(at.0.div_euclid(MINUTE_NS))
    }

    fn activity_of(&self, minute: i64) -> i64 {
        let minute = minute.rem_euclid(DAY_MINUTES);
        match *self {
            DayShape::Session {
                open_minute,
                close_minute,
                edge_permille,
                middle_permille,
                outside_permille,
            } => {
                if !(open_minute..close_minute).contains(&minute) {
                    return outside_permille;
                }
                let length = close_minute - open_minute;
                // From -1,000 at the opening to 1,000 at the close.
                let x = 2_000 * (minute - open_minute) / length - 1_000;
                middle_permille + (edge_permille - middle_permille) * x * x / 1_000_000
            }
            DayShape::Wave {
                peak_minute,
                swing_permille,
            } => {
                let after = (minute - peak_minute).rem_euclid(DAY_MINUTES);
                let from_peak = after.min(DAY_MINUTES - after);
                let x = 1_000 * from_peak / (DAY_MINUTES / 2);
                // 3x^2 - 2x^3, which is flat at both ends: a cosine's likeness in integers.
                let fall = x * x * (3_000 - 2 * x) / 1_000_000;
                1_000 + swing_permille - 2 * swing_permille * fall / 1_000
            }
        }
    }
}

/// The activity of the present minute, which is worked out once: turns are many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    known: Option<(i64, i64)>,
}

impl Activity {
    /// As [`DayShape::activity_permille`]; `shape` is the same at each call.
    pub fn at(&mut self, shape: &DayShape, at: UnixNanos) -> i64 {
        let minute = at.0.div_euclid(MINUTE_NS);
        match self.known {
            Some((known, permille)) if known == minute => permille,
            _ => {
                let permille = shape.activity_of(minute);
                self.known = Some((minute, permille));
                permille
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &DayShape, expected: &[(i64, i64)]) {
        shape.validate().unwrap();
        for &(minute, permille) in expected {
            for day in [-1, 0, 20_000] {
                let at = UnixNanos((day * DAY_MINUTES + minute) * MINUTE_NS);
                assert_eq!(shape.activity_permille(at), permille, "{minute}");
            }
        }
    }

    fn session(open_minute: i64, close_minute: i64) -> DayShape {
        DayShape::Session {
            open_minute,
            close_minute,
            edge_permille: 2_000,
            middle_permille: 800,
            outside_permille: 500,
        }
    }

    #[test]
    fn a_session_is_busy_at_its_ends_and_quiet_outside() {
        check(
            &session(600, 1_000),
            &[
                (599, 500),
                (600, 2_000),
                (700, 1_100),
                (800, 800),
                (900, 1_100),
                (1_000, 500),
            ],
        );
    }

    #[test]
    fn a_wave_is_smooth_around_the_clock() {
        let wave = DayShape::Wave {
            peak_minute: 900,
            swing_permille: 350,
        };
        check(
            &wave,
            &[(900, 1_350), (540, 1_000), (1_260, 1_000), (180, 650)],
        );
        for minute in 0..DAY_MINUTES {
            let at = |minute: i64| wave.activity_permille(UnixNanos(minute * MINUTE_NS));
            assert!((at(minute) - at(minute + 1)).abs() <= 3, "{minute}");
        }
    }

    #[test]
    fn a_shape_outside_its_bounds_is_refused() {
        let field = |shape: DayShape| shape.validate().unwrap_err().field;
        assert_eq!(field(session(-1, 100)), "open_minute");
        assert_eq!(field(session(600, 601)), "close_minute");
        assert_eq!(field(session(600, 1_441)), "close_minute");
        let swing = DayShape::Wave {
            peak_minute: 0,
            swing_permille: 901,
        };
        assert_eq!(field(swing), "swing_permille");
    }
}

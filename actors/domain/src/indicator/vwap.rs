//! Volume-weighted average price of a session.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, within};
use super::registry::IndicatorType;
use super::vwma::mean;
use super::window::Fold;

const NANOS_PER_MINUTE: i128 = 60_000_000_000;
const MINUTES_PER_DAY: u32 = 1_440;

pub(super) const VWAP: IndicatorType = IndicatorType {
    name: "vwap",
    help: "Volume-weighted average price since the session began.",
    inputs: Inputs::HighLowCloseVolume,
    parameters: &[IndicatorParameter {
        name: "start_minute",
        default: 0.0,
        min: 0.0,
        max: (MINUTES_PER_DAY - 1) as f64,
        is_whole: true,
        help: "Minute of the UTC day at which a session begins.",
    }],
    outputs: &["vwap"],
    make: |values| Ok(Box::new(Vwap::new(values.whole("start_minute"))?)),
};

/// `sum(typical price * volume) / sum(volume)` since the session began. Sessions are of 24 hours
/// and begin at `start_minute` of the UTC day. No value before the session's first volume. A bar
/// of an earlier session, come late, counts to the present one: what is over stays as it was.
///
/// Seed rule: each session starts anew. Warm-up: 1. Source: S. A. Berkowitz, D. E. Logue and E. A.
/// Noser, "The Total Cost of Transactions on the NYSE", 1988, for the average.
#[derive(Clone, Debug, PartialEq)]
pub struct Vwap {
    start_minute: u32,
    session: Option<i128>,
    notional: Sum,
    volume: Sum,
}

impl Vwap {
    /// Errors: `Bound` naming `start_minute`, which is from 0 to 1439.
    pub fn new(start_minute: u32) -> Result<Vwap, IndicatorError> {
        let last = f64::from(MINUTES_PER_DAY - 1);
        within("start_minute", f64::from(start_minute), 0.0, last)?;
        Ok(Vwap {
            start_minute,
            session: None,
            notional: Sum::default(),
            volume: Sum::default(),
        })
    }

    /// Takes the next bar and returns the value with it.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowCloseVolume).ok()?;
        let minute = i128::from(bar.ts.0).div_euclid(NANOS_PER_MINUTE);
        let session =
            (minute - i128::from(self.start_minute)).div_euclid(i128::from(MINUTES_PER_DAY));
        if self.session.is_none_or(|present| session > present) {
            self.reset();
            self.session = Some(session);
        }
        let notional = Sum::of(bar.typical_price() * bar.volume);
        self.notional = self.notional.then(notional);
        self.volume = self.volume.then(Sum::of(bar.volume));
        mean(self.notional, self.volume)
    }

    /// Returns after how many bars the first value comes: 1.
    pub fn warm_up(&self) -> usize {
        1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.session = None;
        self.notional = Sum::default();
        self.volume = Sum::default();
    }
}

indicator!(Vwap, HighLowCloseVolume);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn a_session_begins_at_its_minute_and_a_late_bar_does_not_bring_the_old_one_back() {
        let mut vwap = Vwap::new(30).unwrap();
        let mut at = |minute: i64, price, volume| {
            vwap.update(&BarInput {
                volume,
                ..BarInput::at_price(UnixNanos(minute * 60_000_000_000), price)
            })
        };
        assert_eq!(at(1_440 + 28, 10.0, 0.0), None);
        assert_eq!(at(1_440 + 29, 10.0, 1.0), Some(10.0));
        assert_eq!(at(1_440 + 30, 20.0, 1.0), Some(20.0));
        assert_eq!(at(1_440 + 29, 30.0, 1.0), Some(25.0));
        assert_eq!(at(2_880 + 29, 40.0, 1.0), Some(30.0));
    }
}

//! Money flow index.

use super::error::IndicatorError;
use super::fold::Sum;
use super::input::{BarInput, Inputs};
use super::object::indicator;
use super::parameter::{IndicatorParameter, period};
use super::registry::IndicatorType;
use super::window::Window;

pub(super) const MFI: IndicatorType = IndicatorType {
    name: "mfi",
    help: "Money flow index, 0 to 100.",
    inputs: Inputs::HighLowCloseVolume,
    parameters: &[IndicatorParameter::period(
        "period",
        14,
        1,
        "Changes whose flows are summed.",
    )],
    outputs: &["mfi"],
    make: |values| Ok(Box::new(Mfi::new(values.whole("period"))?)),
};

/// `100 * in / (in + out)`: sums over the last `period` bars of typical price times volume where
/// the typical price rose, and where it fell. 50 where neither happened.
///
/// Seed rule: none. Warm-up: `period + 1`. Source: G. Quong and A. Soudack, "Volume-weighted RSI:
/// Money Flow", 1989.
#[derive(Clone, Debug, PartialEq)]
pub struct Mfi {
    period: usize,
    last: Option<f64>,
    flows: Window<(Sum, Sum)>,
}

impl Mfi {
    /// Errors: `Bound` naming `period`, which is from 1 to [`MAX_PERIOD`](super::MAX_PERIOD).
    pub fn new(length: u32) -> Result<Mfi, IndicatorError> {
        let period = period("period", length, 1)?;
        Ok(Mfi {
            period,
            last: None,
            flows: Window::new(period),
        })
    }

    /// Takes the next bar and returns the value with it. Prices below zero count by their size.
    pub fn update(&mut self, bar: &BarInput) -> Option<f64> {
        bar.check(Inputs::HighLowCloseVolume).ok()?;
        let price = bar.typical_price();
        let last = self.last.replace(price)?;
        let flow = price.abs() * bar.volume;
        let flows = if price > last {
            (flow, 0.0)
        } else if price < last {
            (0.0, flow)
        } else {
            (0.0, 0.0)
        };
        let (inward, outward) = self.flows.push(flows)?;
        let both = inward.value() + outward.value();
        Some(if both > 0.0 {
            100.0 * (inward.value() / both)
        } else {
            50.0
        })
    }

    /// Returns after how many bars the first value comes: `period + 1`.
    pub fn warm_up(&self) -> usize {
        self.period + 1
    }

    /// Forgets every bar.
    pub fn reset(&mut self) {
        self.last = None;
        self.flows.clear();
    }
}

indicator!(Mfi, HighLowCloseVolume);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixNanos;

    #[test]
    fn it_is_the_share_of_what_flowed_in() {
        let mut mfi = Mfi::new(2).unwrap();
        let mut next = |close, volume| {
            mfi.update(&BarInput {
                volume,
                ..BarInput::at_price(UnixNanos(0), close)
            })
        };
        assert_eq!((next(9.0, 1.0), next(10.0, 3.0)), (None, None));
        assert_eq!(next(5.0, 2.0), Some(75.0));
        assert_eq!(next(5.0, 9.0), Some(0.0));
        assert_eq!(next(5.0, 9.0), Some(50.0));
    }
}

//! Any indicator as one object.

use super::error::InputError;
use super::input::{BarInput, Inputs};
use std::fmt::Debug;
use std::ops::Deref;

/// The most outputs that one indicator has: a middle and two bands, or a line, its signal and
/// their difference.
pub const MAX_OUTPUTS: usize = 3;

/// Any indicator, fed with bars one by one.
///
/// ```
/// use apex_domain::indicator::{self, BarInput};
/// use apex_domain::UnixNanos;
/// let period = ("period".to_owned(), "2".to_owned());
/// let mut sma = indicator::find("sma")?.build(&[period])?;
/// let mut last = None;
/// for close in [1.0, 2.0, 4.0] {
///     last = sma.update(&BarInput::at_price(UnixNanos(0), close))?;
/// }
/// assert_eq!(last.as_deref(), Some(&[3.0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Indicator: Debug + Send {
    /// Takes the next bar and returns the outputs with it, in the order of
    /// [`IndicatorType::outputs`](super::IndicatorType::outputs).
    ///
    /// `None` before [`Self::warm_up`] bars, and where the formula has no value (a change from a
    /// price of zero, an average price without volume). All outputs begin together.
    ///
    /// Errors: [`InputError`] for a field that cannot be taken; the indicator is as it was, so
    /// the caller counts it and goes on with the next bar.
    fn update(&mut self, input: &BarInput) -> Result<Option<Outputs>, InputError>;

    /// Returns which fields of a bar it looks at.
    fn inputs(&self) -> Inputs;

    /// Returns how many bars are needed for the first outputs, above zero.
    fn warm_up(&self) -> usize;

    /// Forgets every bar.
    fn reset(&mut self);
}

/// The outputs of an indicator at one bar: one to [`MAX_OUTPUTS`] finite numbers, in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outputs {
    values: [f64; MAX_OUTPUTS],
    count: usize,
}

impl Deref for Outputs {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.values[..self.count]
    }
}

impl From<f64> for Outputs {
    fn from(value: f64) -> Outputs {
        Outputs {
            values: [value, 0.0, 0.0],
            count: 1,
        }
    }
}

impl From<[f64; 2]> for Outputs {
    fn from([first, second]: [f64; 2]) -> Outputs {
        Outputs {
            values: [first, second, 0.0],
            count: 2,
        }
    }
}

impl From<[f64; 3]> for Outputs {
    fn from(values: [f64; 3]) -> Outputs {
        Outputs { values, count: 3 }
    }
}

/// Makes an [`Indicator`] of a type that has `update`, `warm_up` and `reset` of its own. Its
/// `update` takes the close or the whole bar, and gives what [`Outputs`] are made from.
macro_rules! indicator {
    ($type:ty, $inputs:ident) => {
        impl $crate::indicator::Indicator for $type {
            fn update(
                &mut self,
                input: &$crate::indicator::BarInput,
            ) -> Result<Option<$crate::indicator::Outputs>, $crate::indicator::InputError> {
                input.check($crate::indicator::Inputs::$inputs)?;
                Ok(<$type>::update(self, input.into()).map(Into::into))
            }

            fn inputs(&self) -> $crate::indicator::Inputs {
                $crate::indicator::Inputs::$inputs
            }

            fn warm_up(&self) -> usize {
                <$type>::warm_up(self)
            }

            fn reset(&mut self) {
                <$type>::reset(self);
            }
        }
    };
}

pub(super) use indicator;

//! Indicators: statistics of prices, in 64-bit floats.
//!
//! This is the one place of the crate where floats are allowed. What comes out steers a
//! decision; it never becomes a price, a quantity or money.
//!
//! Libraries differ in how an indicator begins. Each one here states its seed rule, and with it
//! formula, warm-up, source and the range of its parameters. What holds for all:
//! - **Input** that is NaN, infinite or above [`LARGEST_INPUT`] in magnitude is refused: the
//!   indicator stays as it was, `update` of a type gives `None`, and that of an [`Indicator`]
//!   object the typed [`InputError`]. ([`Ema::update`] alone leaves this to its caller.)
//! - **Output** is finite. `None` means that the warm-up is not over, or that the formula has no
//!   value, which the indicator then says.
//! - **Parameters** out of range are an [`IndicatorError`] that names them. A period is at most
//!   [`MAX_PERIOD`].
//! - **Time** is constant for each input, amortised where there is a window ([`Cci`] alone walks
//!   over its window), and nothing is allocated after the start.
//! - **Long runs** do not drift: nothing is ever subtracted from a sum.
//! - Only `+ - * /` and the square root are used, so a value is the same on every machine.
//!
//! Start reading at [`Indicator`] and [`INDICATORS`] for any indicator by name, or at one type
//! such as [`Rsi`].

mod adx;
mod aroon;
mod atr;
mod bollinger;
mod cci;
mod donchian;
mod ema;
mod ema_chain;
mod error;
mod fold;
mod hma;
mod input;
mod kama;
mod keltner;
mod linear_regression;
mod macd;
mod mfi;
mod momentum;
mod object;
mod obv;
mod parabolic_sar;
mod parameter;
mod registry;
mod rsi;
mod sma;
mod standard_deviation;
mod stochastic;
mod stochastic_rsi;
mod supertrend;
mod trix;
mod vwap;
mod vwma;
mod wilder;
mod williams_r;
mod window;
mod wma;

pub use adx::{Adx, DirectionalMovement, Dx};
pub use aroon::{Aroon, AroonValue};
pub use atr::{Atr, TrueRange};
pub use bollinger::Bollinger;
pub use cci::Cci;
pub use donchian::{Bands, Donchian};
pub use ema::Ema;
pub use ema_chain::{Dema, Tema};
pub use error::{Bound, IndicatorError, InputError};
pub use hma::Hma;
pub use input::{BarInput, Inputs, LARGEST_INPUT};
pub use kama::{Kama, KamaParameters};
pub use keltner::{Keltner, KeltnerParameters};
pub use linear_regression::LinearRegressionSlope;
pub use macd::{Macd, MacdParameters, MacdValue};
pub use mfi::Mfi;
pub use momentum::{Momentum, Roc};
pub use object::{Indicator, MAX_OUTPUTS, Outputs};
pub use obv::Obv;
pub use parabolic_sar::ParabolicSar;
pub use parameter::{IndicatorParameter, IndicatorParameters, MAX_PERIOD};
pub use registry::{INDICATORS, IndicatorType, find};
pub use rsi::Rsi;
pub use sma::Sma;
pub use standard_deviation::StandardDeviation;
pub use stochastic::{Stochastic, StochasticParameters, StochasticValue};
pub use stochastic_rsi::{StochasticRsi, StochasticRsiParameters};
pub use supertrend::{Supertrend, SupertrendValue};
pub use trix::Trix;
pub use vwap::Vwap;
pub use vwma::Vwma;
pub use wilder::Wilder;
pub use williams_r::WilliamsR;
pub use wma::Wma;

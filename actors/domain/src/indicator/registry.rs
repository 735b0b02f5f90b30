//! The indicators that can be named, one line each.

use super::error::IndicatorError;
use super::input::Inputs;
use super::object::Indicator;
use super::parameter::{IndicatorParameter, IndicatorParameters};
use super::{
    adx, aroon, atr, bollinger, cci, donchian, ema, ema_chain, hma, kama, keltner,
    linear_regression, macd, mfi, momentum, obv, parabolic_sar, rsi, sma, standard_deviation,
    stochastic, stochastic_rsi, supertrend, trix, vwap, vwma, wilder, williams_r, wma,
};

type Make = fn(&IndicatorParameters) -> Result<Box<dyn Indicator>, IndicatorError>;

/// An indicator that can be made by its name.
#[derive(Clone, Copy, Debug)]
pub struct IndicatorType {
    pub name: &'static str,
    /// One sentence for a person.
    pub help: &'static str,
    /// Which fields of a bar it looks at.
    pub inputs: Inputs,
    pub parameters: &'static [IndicatorParameter],
    /// Names of the outputs, in their order.
    pub outputs: &'static [&'static str],
    pub(super) make: Make,
}

/// All indicators, in order of name.
pub const INDICATORS: &[IndicatorType] = &[
    adx::ADX,
    aroon::AROON,
    atr::ATR,
    bollinger::BOLLINGER,
    cci::CCI,
    ema_chain::DEMA,
    donchian::DONCHIAN,
    adx::DX,
    ema::EMA,
    hma::HMA,
    kama::KAMA,
    keltner::KELTNER,
    linear_regression::LINEAR_REGRESSION_SLOPE,
    macd::MACD,
    mfi::MFI,
    momentum::MOMENTUM,
    obv::OBV,
    parabolic_sar::PARABOLIC_SAR,
    momentum::ROC,
    rsi::RSI,
    sma::SMA,
    standard_deviation::STANDARD_DEVIATION,
    stochastic::STOCHASTIC_FAST,
    stochastic_rsi::STOCHASTIC_RSI,
    stochastic::STOCHASTIC_SLOW,
    supertrend::SUPERTREND,
    ema_chain::TEMA,
    trix::TRIX,
    atr::TRUE_RANGE,
    vwap::VWAP,
    vwma::VWMA,
    wilder::WILDER,
    williams_r::WILLIAMS_R,
    wma::WMA,
];

/// Finds an indicator.
///
/// Errors: `UnknownIndicator` with the names that there are.
pub fn find(name: &str) -> Result<&'static IndicatorType, IndicatorError> {
    INDICATORS
        .iter()
        .find(|indicator| indicator.name == name)
        .ok_or_else(|| IndicatorError::UnknownIndicator {
            // Foreign text of any length: a person needs only its beginning.
            name: name.chars().take(64).collect(),
            known: INDICATORS.iter().map(|indicator| indicator.name).collect(),
        })
}

impl IndicatorType {
    /// Checks parameters given as `(name, value)` text and fills in the defaults.
    ///
    /// Errors: [`IndicatorError`], naming the parameter. What only several parameters together
    /// can tell (`fast` against `slow`) is found by [`Self::build`].
    pub fn parameters(
        &self,
        pairs: &[(String, String)],
    ) -> Result<IndicatorParameters, IndicatorError> {
        IndicatorParameters::parse(self.name, self.parameters, pairs)
    }

    /// Makes the indicator with parameters given as `(name, value)` text.
    ///
    /// Errors: [`IndicatorError`], naming the parameter.
    pub fn build(&self, pairs: &[(String, String)]) -> Result<Box<dyn Indicator>, IndicatorError> {
        (self.make)(&self.parameters(pairs)?)
    }
}

#[cfg(test)]
mod tests;

//! What indicators take in.

use super::error::InputError;
use crate::instrument::Instrument;
use crate::market::{Bar, MarketEvent};
use crate::time::UnixNanos;

/// The largest magnitude of an input. Real prices and volumes are far below; up to here every
/// square, product of price and volume, and sum over the longest window fits a 64-bit float.
pub const LARGEST_INPUT: f64 = 1e100;

/// Returns true for what an indicator takes: not NaN, not infinite, at most [`LARGEST_INPUT`] in
/// magnitude.
pub(super) fn is_usable(input: f64) -> bool {
    input.abs() <= LARGEST_INPUT
}

/// Which fields of a [`BarInput`] an indicator looks at; the others may hold anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inputs {
    Close,
    HighLowClose,
    HighLowCloseVolume,
}

impl Inputs {
    /// Returns the names of the fields, such as `high low close`.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Inputs::Close => &["close"],
            Inputs::HighLowClose => &["high", "low", "close"],
            Inputs::HighLowCloseVolume => &["high", "low", "close", "volume"],
        }
    }
}

/// The prices and the volume of one bar as floats.
///
/// A print or a quote is a bar without extent: high, low and close are its price. A bar that
/// contradicts itself (high under low), as real data has some, is taken as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarInput {
    /// Start of the bar; only the VWAP of a session looks at it.
    pub ts: UnixNanos,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// In units of the instrument, not negative.
    pub volume: f64,
}

impl BarInput {
    /// Makes the input of a single price without volume.
    pub fn at_price(ts: UnixNanos, price: f64) -> BarInput {
        BarInput {
            ts,
            high: price,
            low: price,
            close: price,
            volume: 0.0,
        }
    }

    /// Makes the input of a bar, whose mantissas are at the decimals of `instrument`.
    ///
    /// ```
    /// use apex_domain::indicator::BarInput;
    /// use apex_domain::market::{Bar, BarSpec};
    /// use apex_domain::matching::SimInstrument;
    /// use apex_domain::{Price, UnixNanos};
    /// let instrument = &SimInstrument::defaults()[0].instrument;
    /// let unit = 10_i64.pow(u32::from(instrument.price_decimals));
    /// let bar = Bar {
    ///     instrument_id: instrument.instrument_id.clone(),
    ///     spec: BarSpec::External,
    ///     open: Price(7 * unit),
    ///     high: Price(9 * unit),
    ///     low: Price(6 * unit),
    ///     close: Price(8 * unit),
    ///     volume: 0,
    ///     trade_count: 0,
    ///     ts_open: UnixNanos(5),
    ///     ts_init: UnixNanos(5),
    /// };
    /// let input = BarInput::from_bar(&bar, instrument);
    /// assert_eq!((input.high, input.low, input.close), (9.0, 6.0, 8.0));
    /// ```
    pub fn from_bar(bar: &Bar, instrument: &Instrument) -> BarInput {
        let price = |mantissa: i64| float(i128::from(mantissa), instrument.price_decimals);
        BarInput {
            ts: bar.ts_open,
            high: price(bar.high.0),
            low: price(bar.low.0),
            close: price(bar.close.0),
            volume: float(bar.volume, instrument.quantity_decimals),
        }
    }

    /// Makes the input of a bar, of a print (its price and quantity), or of a quote (the middle of
    /// bid and ask, without volume). `None` for a one-sided quote and for everything else.
    pub fn from_event(event: &MarketEvent, instrument: &Instrument) -> Option<BarInput> {
        match event {
            MarketEvent::Bar(bar) => Some(BarInput::from_bar(bar, instrument)),
            MarketEvent::Trade(trade) => {
                let price = float(i128::from(trade.price.0), instrument.price_decimals);
                let volume = i128::from(trade.quantity.0);
                Some(BarInput {
                    volume: float(volume, instrument.quantity_decimals),
                    ..BarInput::at_price(trade.ts_event, price)
                })
            }
            MarketEvent::Quote(quote) => {
                let (bid, ask) = (quote.bid?, quote.ask?);
                let sum = i128::from(bid.price.0) + i128::from(ask.price.0);
                let middle = float(sum, instrument.price_decimals) / 2.0;
                Some(BarInput::at_price(quote.ts_event, middle))
            }
            _ => None,
        }
    }

    /// Returns `(high + low + close) / 3`, which charts call the typical price.
    pub fn typical_price(&self) -> f64 {
        (self.high + self.low + self.close) / 3.0
    }

    /// Checks the fields that are looked at.
    ///
    /// Errors: [`InputError`], naming the first field that cannot be taken.
    pub fn check(&self, inputs: Inputs) -> Result<(), InputError> {
        for &field in inputs.names() {
            let value = self.field(field);
            if !is_usable(value) {
                return Err(InputError::NotUsable { field, value });
            }
            if field == "volume" && value < 0.0 {
                return Err(InputError::Negative { field, value });
            }
        }
        Ok(())
    }

    fn field(&self, name: &str) -> f64 {
        match name {
            "high" => self.high,
            "low" => self.low,
            "volume" => self.volume,
            _ => self.close,
        }
    }
}

impl From<&BarInput> for f64 {
    /// What an indicator of one price takes: the close.
    fn from(input: &BarInput) -> f64 {
        input.close
    }
}

/// Returns `mantissa * 10^-decimals` as the nearest float. Both parts are exact for prices, so
/// this is the float that the price's text would be parsed to.
fn float(mantissa: i128, decimals: u8) -> f64 {
    mantissa as f64 / 10_f64.powi(i32::from(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Level, Quote, Trade};
    use crate::matching::SimInstrument;
    use crate::{Price, Quantity};

    #[test]
    fn each_refusal_names_the_field() {
        let good = BarInput {
            volume: 3.0,
            ..BarInput::at_price(UnixNanos(0), 5.0)
        };
        assert_eq!(good.check(Inputs::HighLowCloseVolume), Ok(()));
        let text = |input: BarInput| {
            let error = input.check(Inputs::HighLowCloseVolume).unwrap_err();
            error.to_string()
        };
        let (high, low, volume) = (f64::NAN, f64::INFINITY, -1.0);
        assert_eq!(
            text(BarInput { high, ..good }),
            "input \"high\" is NaN, expected a number of at most 1e100"
        );
        assert!(text(BarInput { low, ..good }).contains("\"low\" is inf"));
        assert!(
            text(BarInput {
                close: -2e100,
                ..good
            })
            .contains("\"close\"")
        );
        assert_eq!(
            text(BarInput { volume, ..good }),
            "input \"volume\" is -1, it must not be negative"
        );
    }

    #[test]
    fn a_field_that_is_not_looked_at_may_hold_anything() {
        let input = BarInput {
            high: f64::NAN,
            volume: f64::NAN,
            ..BarInput::at_price(UnixNanos(0), 5.0)
        };
        assert_eq!(input.check(Inputs::Close), Ok(()));
        assert!(input.check(Inputs::HighLowClose).is_err());
    }

    #[test]
    fn prints_and_two_sided_quotes_are_bars_without_extent() {
        let instrument = &SimInstrument::defaults()[0].instrument;
        let unit = 10_i64.pow(u32::from(instrument.price_decimals));
        let lot = 10_i64.pow(u32::from(instrument.quantity_decimals));
        let id = instrument.instrument_id.clone();
        let trade = MarketEvent::Trade(Trade {
            instrument_id: id.clone(),
            price: Price(12 * unit),
            quantity: Quantity(2 * lot),
            aggressor: None,
            trade_id: 0,
            ts_event: UnixNanos(7),
            ts_init: UnixNanos(7),
        });
        let input = BarInput::from_event(&trade, instrument).unwrap();
        assert_eq!((input.high, input.low, input.close), (12.0, 12.0, 12.0));
        assert_eq!((input.volume, input.ts), (2.0, UnixNanos(7)));
        let level = |price| {
            Some(Level {
                price: Price(price),
                quantity: Quantity::ZERO,
            })
        };
        let quote = |bid, ask| {
            MarketEvent::Quote(Quote {
                instrument_id: id.clone(),
                bid,
                ask,
                ts_event: UnixNanos(8),
                ts_init: UnixNanos(8),
            })
        };
        let both = quote(level(10 * unit), level(11 * unit));
        assert_eq!(BarInput::from_event(&both, instrument).unwrap().close, 10.5);
        let one = quote(level(10 * unit), None);
        assert_eq!(BarInput::from_event(&one, instrument), None);
    }
}

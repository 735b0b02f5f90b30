//! The shipped strategy `ema-cross`: long while a fast average is above a slow one.

use crate::context::Context;
use crate::error::{ParameterError, StrategyError};
use crate::parameter::{ParameterKind, ParameterSchema, ParameterSet, ParameterValues};
use crate::registry::DataSource;
use crate::strategy::Strategy;
use crate::subscription::{Selection, Subscriptions};
use apex_domain::indicator::Ema;
use apex_domain::instrument::Instrument;
use apex_domain::market::{Bar, BarSpec, Quote, Trade};
use apex_domain::number::{Decimal, DecimalText};
use apex_domain::time::NANOS_PER_MILLI;
use apex_domain::{InstrumentId, Price};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// What to be when the fast average is below the slow one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    LongOnly,
    LongShort,
}

/// What makes it act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActOn {
    /// The first value at or after the warm-up sets the state, then each change of sign acts.
    Cross,
    /// From the warm-up on the position follows the sign on every value.
    State,
}

/// Parameters of `ema-cross`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmaCrossParameters {
    pub fast: u32,
    pub slow: u32,
    /// The target position in the instrument's own units; `None` for the smallest that can be
    /// ordered at the price of the decision.
    pub quantity: Option<Decimal>,
    /// Index from 0 of the first bar or tick that may act.
    pub warmup: u64,
    pub mode: Mode,
    pub act_on: ActOn,
    pub bar_interval_ms: i64,
}

const fn integer(
    name: &'static str,
    default: Option<&'static str>,
    min: &'static str,
    max: &'static str,
    help: &'static str,
) -> ParameterSchema {
    ParameterSchema {
        name,
        kind: ParameterKind::Integer,
        default,
        min: Some(min),
        max: Some(max),
        unit: None,
        live: false,
        help,
    }
}

const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> ParameterSchema {
    ParameterSchema {
        name,
        kind: ParameterKind::Choice(words),
        default: Some(default),
        min: None,
        max: None,
        unit: None,
        // What to be and when to act is asked anew with each value.
        live: true,
        help,
    }
}

impl ParameterSet for EmaCrossParameters {
    const SCHEMA: &'static [ParameterSchema] = &[
        integer(
            "fast",
            Some("10"),
            "1",
            "100000",
            "Period of the fast average.",
        ),
        integer(
            "slow",
            Some("20"),
            "1",
            "100000",
            "Period of the slow average.",
        ),
        ParameterSchema {
            name: "quantity",
            kind: ParameterKind::Decimal,
            default: None,
            min: Some("0"),
            max: None,
            unit: Some("units of the instrument"),
            live: true,
            help: "Target position; by default the smallest that can be ordered at the price.",
        },
        integer(
            "warmup",
            None,
            "0",
            "1000000000",
            "Index from 0 of the first bar or tick that may act; by default the slow period.",
        ),
        choice(
            "mode",
            &["long_only", "long_short"],
            "long_only",
            "What to be when the fast average is below the slow one: flat or short.",
        ),
        choice(
            "act_on",
            &["cross", "state"],
            "cross",
            "Act on each crossing, or hold what the averages say from the warm-up on.",
        ),
        ParameterSchema {
            unit: Some("ms"),
            ..integer(
                "bar_interval_ms",
                Some("1000"),
                "1",
                "86400000",
                "Length of the bars that it trades on a feed; a backtest takes the rows of its file.",
            )
        },
    ];

    fn from_values(values: &ParameterValues) -> Result<EmaCrossParameters, ParameterError> {
        // The schema's bounds make every conversion here fit, and its defaults every value
        // present.
        let period = |name, default| {
            let value = values.integer(name).unwrap_or(default);
            u32::try_from(value).unwrap_or(u32::MAX)
        };
        let slow = period("slow", 20);
        Ok(EmaCrossParameters {
            fast: period("fast", 10),
            slow,
            quantity: values.decimal("quantity"),
            warmup: values
                .integer("warmup")
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(u64::from(slow)),
            mode: match values.choice("mode") {
                Some("long_short") => Mode::LongShort,
                _ => Mode::LongOnly,
            },
            act_on: match values.choice("act_on") {
                Some("state") => ActOn::State,
                _ => ActOn::Cross,
            },
            bar_interval_ms: values.integer("bar_interval_ms").unwrap_or(1_000),
        })
    }
}

/// The kinds of data, the one to follow rather than the others last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Trades,
    Quotes,
    Bars,
}

/// The averages of one instrument and what was made of them.
#[derive(Debug)]
struct Track {
    source: Source,
    fast: Ema,
    slow: Ema,
    /// Bars or ticks taken.
    taken: u64,
    /// Which average was above at the last value that counted; `None` before the first.
    above: Option<Ordering>,
    /// The size that was worked out for the present side, so that it stays while the side does.
    size: Option<i64>,
}

/// See the module. Each instrument is traded by itself.
///
/// In a backtest it takes the rows of the file: bars give the close, quotes the middle of bid and
/// ask (a one-sided quote gives nothing), prints their price. Where an instrument comes in several
/// kinds, bars are followed rather than quotes and quotes rather than prints; the averages begin
/// anew at the change. Equal averages leave the state as it was.
#[derive(Debug)]
pub struct EmaCross {
    parameters: EmaCrossParameters,
    source: DataSource,
    tracks: BTreeMap<InstrumentId, Track>,
}

impl EmaCross {
    pub const SCHEMA: &'static [ParameterSchema] = EmaCrossParameters::SCHEMA;

    pub fn new(source: DataSource, parameters: EmaCrossParameters) -> EmaCross {
        EmaCross {
            parameters,
            source,
            tracks: BTreeMap::new(),
        }
    }

    pub(crate) fn build(
        source: DataSource,
        pairs: &[(String, String)],
    ) -> Result<Box<dyn Strategy>, StrategyError> {
        let parameters = EmaCrossParameters::parse(pairs)?;
        Ok(Box::new(EmaCross::new(source, parameters)))
    }

    /// Returns the fast and the slow average of an instrument.
    pub fn averages(&self, id: &InstrumentId) -> Option<(f64, f64)> {
        let track = self.tracks.get(id)?;
        Some((track.fast.value()?, track.slow.value()?))
    }

    fn take(&mut self, ctx: &mut Context<'_>, id: &InstrumentId, source: Source, value: f64) {
        if !self.tracks.contains_key(id) {
            let track = Track::new(source, &self.parameters);
            self.tracks.insert(id.clone(), track);
        }
        let Some(track) = self.tracks.get_mut(id) else {
            return;
        };
        match source.cmp(&track.source) {
            Ordering::Less => return,
            Ordering::Greater => *track = Track::new(source, &self.parameters),
            Ordering::Equal => {}
        }
        if let Some(side) = track.signal(&self.parameters, value) {
            let size = match side {
                Ordering::Greater => track.size(ctx, id, &self.parameters),
                _ if self.parameters.mode == Mode::LongOnly => Some(0),
                _ => track
                    .size(ctx, id, &self.parameters)
                    .map(|size| size.saturating_neg()),
            };
            if let Some(size) = size {
                ctx.target(id, size);
            }
        }
    }
}

impl Track {
    fn new(source: Source, parameters: &EmaCrossParameters) -> Track {
        Track {
            source,
            fast: Ema::new(parameters.fast),
            slow: Ema::new(parameters.slow),
            taken: 0,
            above: None,
            size: None,
        }
    }

    /// Takes a value and returns which side to be on now, if it is time to act.
    fn signal(&mut self, parameters: &EmaCrossParameters, value: f64) -> Option<Ordering> {
        let index = self.taken;
        self.taken += 1;
        let fast = self.fast.update(value);
        let slow = self.slow.update(value);
        if index < parameters.warmup {
            return None;
        }
        // Prices are finite, so the averages always compare.
        let above = fast.partial_cmp(&slow)?;
        if above == Ordering::Equal {
            return None;
        }
        let before = self.above.replace(above);
        if before != Some(above) {
            self.size = None;
        }
        match parameters.act_on {
            ActOn::State => Some(above),
            ActOn::Cross => before.filter(|before| *before != above).map(|_| above),
        }
    }

    /// Returns the size of the position to take, above zero, or `None` where none can be ordered.
    fn size(
        &mut self,
        ctx: &mut Context<'_>,
        id: &InstrumentId,
        parameters: &EmaCrossParameters,
    ) -> Option<i64> {
        if self.size.is_none() {
            let instrument = ctx.instrument(id)?;
            let size = match parameters.quantity {
                Some(quantity) => mantissa(quantity, instrument),
                None => {
                    // The lower side, since the order may be counted at either.
                    let market = ctx.market(id);
                    let price = market.bid.or(market.ask)?;
                    instrument.smallest_orderable(price).ok().map(|q| q.0)
                }
            };
            if size.is_none() {
                ctx.log(format!("no quantity of {id} can be ordered"));
            }
            self.size = size;
        }
        self.size
    }
}

/// Returns a decimal at the instrument's quantity decimals, or `None` when it does not fit.
fn mantissa(quantity: Decimal, instrument: &Instrument) -> Option<i64> {
    let text = DecimalText {
        mantissa: quantity.mantissa(),
        decimals: u8::try_from(quantity.scale()).ok()?,
    };
    text.normalized().at(instrument.quantity_decimals).ok()
}

/// Returns `mantissa * 10^-decimals` as the nearest float: both parts are exact, so this is the
/// same float that its text would be parsed to.
fn float(mantissa: i128, decimals: u8) -> f64 {
    mantissa as f64 / 10_f64.powi(i32::from(decimals))
}

impl Strategy for EmaCross {
    fn subscriptions(&self) -> Subscriptions {
        let none = Subscriptions::none();
        let warmup = self.parameters.warmup;
        match self.source {
            DataSource::Rows => Subscriptions {
                bars: Selection::All,
                quotes: true,
                trades: true,
                warmup,
                ..none
            },
            DataSource::Feed => Subscriptions {
                bars: Selection::Only(BTreeSet::from([BarSpec::Time {
                    interval_ns: self.parameters.bar_interval_ms * NANOS_PER_MILLI,
                }])),
                warmup,
                ..none
            },
        }
    }

    /// A new quantity is taken with the next signal: what is held stays until then.
    fn on_parameters(
        &mut self,
        _ctx: &mut Context<'_>,
        parameters: &[(String, String)],
    ) -> Result<(), ParameterError> {
        let after = EmaCrossParameters::parse(parameters)?;
        let before = &self.parameters;
        let fixed = [
            ("fast", before.fast == after.fast),
            ("slow", before.slow == after.slow),
            ("warmup", before.warmup == after.warmup),
            (
                "bar_interval_ms",
                before.bar_interval_ms == after.bar_interval_ms,
            ),
        ];
        if let Some((name, _)) = fixed.into_iter().find(|(_, is_same)| !is_same) {
            let name = name.to_owned();
            return Err(ParameterError::Fixed { name });
        }
        for track in self.tracks.values_mut() {
            track.size = None;
        }
        self.parameters = after;
        Ok(())
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        if let Some(value) = price(ctx, &bar.instrument_id, bar.close) {
            self.take(ctx, &bar.instrument_id, Source::Bars, value);
        }
    }

    fn on_quote(&mut self, ctx: &mut Context<'_>, quote: &Quote) {
        let (Some(bid), Some(ask)) = (quote.bid, quote.ask) else {
            return;
        };
        let Some(instrument) = ctx.instrument(&quote.instrument_id) else {
            return;
        };
        let sum = i128::from(bid.price.0) + i128::from(ask.price.0);
        let middle = float(sum, instrument.price_decimals) / 2.0;
        self.take(ctx, &quote.instrument_id, Source::Quotes, middle);
    }

    fn on_trade(&mut self, ctx: &mut Context<'_>, trade: &Trade) {
        if let Some(value) = price(ctx, &trade.instrument_id, trade.price) {
            self.take(ctx, &trade.instrument_id, Source::Trades, value);
        }
    }
}

fn price(ctx: &Context<'_>, id: &InstrumentId, price: Price) -> Option<f64> {
    let instrument = ctx.instrument(id)?;
    Some(float(i128::from(price.0), instrument.price_decimals))
}

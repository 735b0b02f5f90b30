//! From rows to events, once the increments are known.

use super::header::{CsvKind, Layout};
use super::infer::{self, Shape, Shapes};
use super::lines::Fingerprint;
use super::row::{Fields, Row, RowError};
use super::rows::Summary;
use super::{BadRows, DoubtfulRows, doubt};
use apex_domain::market::{Bar, BarSpec, Level, MarketEvent, Quote, Trade};
use apex_domain::{InstrumentId, Price, Quantity, UnixNanos};

/// Makes events of rows, with the shapes of the instruments known.
pub struct Builder {
    layout: Layout,
    pub shapes: Shapes,
    /// How many were made.
    pub events: u64,
    pub bad_rows: BadRows,
    doubtful: DoubtfulRows,
    oddities: Oddities,
}

/// What is counted to be said once.
#[derive(Default)]
struct Oddities {
    out_of_order: u64,
    contradicting_bars: u64,
    crossed: u64,
    locked: u64,
    suspicious: u64,
    denoised: u64,
}

impl Builder {
    pub fn new(layout: Layout, shapes: Shapes) -> Builder {
        Builder {
            layout,
            events: 0,
            shapes,
            bad_rows: BadRows::default(),
            doubtful: DoubtfulRows::default(),
            oddities: Oddities::default(),
        }
    }

    /// Makes the event of one line behind the header, by its number; `None` for a row of another
    /// instrument.
    ///
    /// Errors: [`RowError`]; the row made no event.
    pub fn take(&mut self, number: u64, line: &[u8]) -> Result<Option<MarketEvent>, RowError> {
        let layout = &self.layout;
        let fields = Fields::cut(line, layout)?;
        let Some(shape) = self.shapes.of(layout, &fields)? else {
            return Ok(None);
        };
        let row = fields.row(layout)?;
        let event = event(layout, &row, shape)?;
        // They fit: the event has them too, or only counts on them.
        let prices = row
            .prices
            .map(|price| price.and_then(|price| price.at(shape.price_decimals).ok()));
        if let Some(doubt) = doubt::of(layout, &row, &prices, shape) {
            self.doubtful.add(number, doubt);
        }
        if row.ts < shape.last_ts {
            self.oddities.out_of_order += 1;
        }
        shape.last_ts = row.ts;
        self.oddities.suspicious += u64::from(row.suspicious);
        self.oddities.denoised += u64::from(row.denoised);
        match &event {
            MarketEvent::Quote(quote) => {
                self.oddities.crossed += u64::from(quote.is_crossed());
                self.oddities.locked += u64::from(quote.is_locked());
            }
            MarketEvent::Bar(bar) => {
                let low = bar.low > bar.open.min(bar.close);
                let high = bar.high < bar.open.max(bar.close);
                self.oddities.contradicting_bars += u64::from(low || high);
            }
            _ => {}
        }
        self.events += 1;
        Ok(Some(event))
    }

    pub fn finish(self, fingerprint: Fingerprint) -> Summary {
        let warnings = self.warnings();
        Summary {
            assumptions: infer::assumptions(&self.layout, &self.shapes),
            bad_rows: self.bad_rows,
            doubtful: self.doubtful,
            has_sizes: !self.layout.quantities.is_empty(),
            warnings,
            fingerprint,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let oddities = &self.oddities;
        let mut warnings: Vec<String> = [
            (
                self.bad_rows.count,
                "rows could not be read and were left out",
            ),
            (
                oddities.out_of_order,
                "rows were older than the row before and were sorted by time",
            ),
            (
                oddities.contradicting_bars,
                "bars have a high or low that contradicts open or close",
            ),
            (oddities.crossed, "quotes are crossed (bid above ask)"),
            (oddities.locked, "quotes are locked (bid equals ask)"),
            (
                oddities.suspicious,
                "rows are marked suspicious by their source and were kept",
            ),
            (
                oddities.denoised,
                "rows state sizes with the noise of binary floats, which were rounded",
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, text)| format!("{count} {text}"))
        .collect();
        if let Some(bad) = self.bad_rows.first.first() {
            warnings.push(format!(
                "the first row that could not be read: line {} {}",
                bad.line, bad.reason
            ));
        }
        warnings
    }
}

/// Makes the event of a row.
///
/// Errors: `Number` when a value does not fit at the decimals of the instrument.
fn event(layout: &Layout, row: &Row, shape: &mut Shape) -> Result<MarketEvent, RowError> {
    let price = |slot: usize| -> Result<Option<Price>, RowError> {
        row.prices[slot]
            .map(|value| value.at(shape.price_decimals).map(Price))
            .transpose()
            .map_err(|reason| RowError::Number {
                column: layout.prices[slot] + 1,
                reason,
            })
    };
    let quantity = |slot: usize| -> Result<Quantity, RowError> {
        row.quantities[slot].map_or(Ok(Quantity::ZERO), |value| {
            let value = if shape.noisy_sizes {
                value.rounded(shape.quantity_decimals)
            } else {
                value
            };
            value
                .at(shape.quantity_decimals)
                .map(Quantity)
                .map_err(|reason| RowError::Number {
                    column: layout.quantities[slot] + 1,
                    reason,
                })
        })
    };
    let needed = |slot: usize| {
        price(slot)?.ok_or(RowError::Empty {
            column: layout.prices[slot] + 1,
        })
    };
    let level =
        |price: Option<Price>, quantity: Quantity| price.map(|price| Level { price, quantity });
    let instrument_id = shape.instrument_id.clone();
    let ts = row.ts;
    let quote = |bid, ask| quote_at(instrument_id.clone(), bid, ask, ts);
    Ok(match layout.kind {
        CsvKind::Bars => MarketEvent::Bar(Bar {
            instrument_id,
            spec: BarSpec::External,
            open: needed(0)?,
            high: needed(1)?,
            low: needed(2)?,
            close: needed(3)?,
            volume: i128::from(quantity(0)?.0),
            trade_count: 0,
            ts_open: ts,
            ts_init: ts,
        }),
        CsvKind::QuoteBars => quote(
            level(price(3)?, quantity(0)?),
            level(price(7)?, quantity(1)?),
        ),
        CsvKind::Quotes => quote(
            level(price(0)?, quantity(0)?),
            level(price(1)?, quantity(1)?),
        ),
        CsvKind::Ticks if !row.is_trade => {
            let sides = [(needed(0)?, quantity(0)?), (needed(1)?, quantity(1)?)];
            for (kept, (price, quantity)) in shape.sides.iter_mut().zip(sides) {
                if price.0 != 0 || !quantity.is_zero() {
                    *kept = Some(Level { price, quantity });
                }
            }
            quote(shape.sides[0], shape.sides[1])
        }
        CsvKind::Ticks | CsvKind::Trades => MarketEvent::Trade(Trade {
            instrument_id,
            price: needed(0)?,
            quantity: quantity(0)?,
            aggressor: row.aggressor,
            trade_id: row.trade_id,
            ts_event: ts,
            ts_init: ts,
        }),
    })
}

fn quote_at(
    instrument_id: InstrumentId,
    bid: Option<Level>,
    ask: Option<Level>,
    ts: UnixNanos,
) -> MarketEvent {
    MarketEvent::Quote(Quote {
        instrument_id,
        bid,
        ask,
        ts_event: ts,
        ts_init: ts,
    })
}

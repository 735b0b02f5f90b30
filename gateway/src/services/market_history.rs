//! `MarketDataService.GetTrades`, `GetQuotes` and `GetBars`: what was recorded.

use super::instrument::read_id;
use crate::page;
use crate::shared::Shared;
use crate::status;
use apex_bus::market_history::{MarketHistory, MarketHistoryError, Part, Place, Span};
use apex_domain::market::{Bar, BarSpec, Level, Quote, Trade};
use apex_domain::number::format_mantissa;
use apex_domain::{Instrument, InstrumentId, UnixNanos};
use apex_proto::convert::{enums, market as wire};
use apex_proto::v1;
use tonic::Status;

const MINUTE_NS: i64 = 60_000_000_000;

/// Answers `GetTrades`.
///
/// Errors: a field that cannot be taken, an unknown instrument, `NOT_RECORDED`.
pub(super) async fn trades(
    shared: &Shared,
    request: v1::GetTradesRequest,
) -> Result<v1::GetTradesResponse, Status> {
    let times = (request.from_ns, request.to_ns);
    let span = span(times, request.page_size, &request.page_token)?;
    let read = move |history: &dyn MarketHistory, id: &InstrumentId| history.trades(id, span);
    let (part, instrument) = ask(shared, &request.instrument_id, read).await?;
    Ok(v1::GetTradesResponse {
        trades: part
            .rows
            .iter()
            .map(|row| trade(row, &instrument))
            .collect(),
        next_page_token: token(part.next),
    })
}

/// Answers `GetQuotes`.
///
/// Errors: as [`trades`].
pub(super) async fn quotes(
    shared: &Shared,
    request: v1::GetQuotesRequest,
) -> Result<v1::GetQuotesResponse, Status> {
    let times = (request.from_ns, request.to_ns);
    let span = span(times, request.page_size, &request.page_token)?;
    let read = move |history: &dyn MarketHistory, id: &InstrumentId| history.quotes(id, span);
    let (part, instrument) = ask(shared, &request.instrument_id, read).await?;
    Ok(v1::GetQuotesResponse {
        quotes: part
            .rows
            .iter()
            .map(|row| quote(row, &instrument))
            .collect(),
        next_page_token: token(part.next),
    })
}

/// Answers `GetBars`.
///
/// Errors: as [`trades`], and `NO_SUCH_BARS`.
pub(super) async fn bars(
    shared: &Shared,
    request: v1::GetBarsRequest,
) -> Result<v1::GetBarsResponse, Status> {
    let times = (request.from_ns, request.to_ns);
    let span = span(times, request.page_size, &request.page_token)?;
    let spec = match (request.interval_ns, &request.bar_spec) {
        (0, None) => BarSpec::Time {
            interval_ns: MINUTE_NS,
        },
        (interval_ns, spec) => wire::read_bar_spec(interval_ns, spec.as_ref())
            .ok_or_else(|| status::invalid_field("bar_spec", "is of no kind that is known here"))?,
    };
    let read = move |history: &dyn MarketHistory, id: &InstrumentId| history.bars(id, spec, span);
    let (part, instrument) = ask(shared, &request.instrument_id, read).await?;
    Ok(v1::GetBarsResponse {
        bars: part.rows.iter().map(|row| bar(row, &instrument)).collect(),
        next_page_token: token(part.next),
    })
}

async fn ask<T: Send + 'static>(
    shared: &Shared,
    instrument_id: &str,
    read: impl FnOnce(&dyn MarketHistory, &InstrumentId) -> Result<Part<T>, MarketHistoryError>
    + Send
    + 'static,
) -> Result<(Part<T>, Instrument), Status> {
    let id = read_id(instrument_id)?;
    let instrument = shared.platform.market.instrument(&id);
    let instrument = instrument.ok_or_else(|| shared.instrument_not_found("instrument_id", &id))?;
    let Some(history) = shared.platform.market_history.clone() else {
        return Err(status::not_recorded(
            "market data are not recorded in this run",
        ));
    };
    // Few read at a time: reading takes a processor, and trading needs it more.
    let Ok(_turn) = shared.streams.history.acquire().await else {
        return Err(status::shutting_down());
    };
    let work = move || read(&*history, &id);
    // The runtime is going down, or the reader panicked: the client asks elsewhere.
    let part = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| status::shutting_down())?;
    let part = part.map_err(|error| match &error {
        MarketHistoryError::NotRecorded { .. } => status::not_recorded(&error.to_string()),
        MarketHistoryError::NoSuchBars { .. } => status::invalid_field("interval_ns", &error),
        MarketHistoryError::Unreadable(detail) => {
            tracing::error!(detail, "recorded market data cannot be read");
            status::unreadable()
        }
    })?;
    Ok((part, instrument))
}

/// Errors: a field that cannot be taken.
fn span((from, to): (i64, i64), page_size: i32, page_token: &str) -> Result<Span, Status> {
    let after = match page_token {
        "" => None,
        text => {
            let read = || {
                let (ts, sequence) = text.split_once('-')?;
                Some(Place {
                    ts: UnixNanos(ts.parse().ok()?),
                    sequence: sequence.parse().ok()?,
                })
            };
            let bad = || status::invalid_field("page_token", "is not one that a list answered");
            Some(read().ok_or_else(bad)?)
        }
    };
    if from < 0 {
        return Err(status::invalid_field("from_ns", "must not be negative"));
    }
    if to != 0 && to < from {
        return Err(status::invalid_field("to_ns", "is before from_ns"));
    }
    Ok(Span {
        from: UnixNanos(from),
        to: if to == 0 {
            UnixNanos(i64::MAX)
        } else {
            UnixNanos(to)
        },
        after,
        limit: page::size(page_size)?,
    })
}

fn token(next: Option<Place>) -> String {
    next.map(|place| format!("{}-{}", place.ts.0, place.sequence))
        .unwrap_or_default()
}

fn trade(trade: &Trade, instrument: &Instrument) -> v1::RecordedTrade {
    let aggressor = trade.aggressor.map(enums::side);
    v1::RecordedTrade {
        price: instrument.format_price(trade.price),
        quantity: instrument.format_quantity(trade.quantity),
        aggressor: aggressor.unwrap_or(v1::Side::Unspecified).into(),
        trade_id: trade.trade_id,
        ts_event_ns: trade.ts_event.0,
        ts_init_ns: trade.ts_init.0,
    }
}

fn quote(quote: &Quote, instrument: &Instrument) -> v1::RecordedQuote {
    let text = |level: Option<Level>| {
        let text = level.map(|level| {
            let price = instrument.format_price(level.price);
            (price, instrument.format_quantity(level.quantity))
        });
        text.unwrap_or_default()
    };
    let (bid_price, bid_quantity) = text(quote.bid);
    let (ask_price, ask_quantity) = text(quote.ask);
    v1::RecordedQuote {
        bid_price,
        bid_quantity,
        ask_price,
        ask_quantity,
        ts_event_ns: quote.ts_event.0,
        ts_init_ns: quote.ts_init.0,
    }
}

fn bar(bar: &Bar, instrument: &Instrument) -> v1::RecordedBar {
    v1::RecordedBar {
        open: instrument.format_price(bar.open),
        high: instrument.format_price(bar.high),
        low: instrument.format_price(bar.low),
        close: instrument.format_price(bar.close),
        volume: format_mantissa(bar.volume, instrument.quantity_decimals),
        trade_count: bar.trade_count,
        ts_open_ns: bar.ts_open.0,
        ts_init_ns: bar.ts_init.0,
    }
}

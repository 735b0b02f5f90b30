//! From a message of the wire to the instrument that it is about.

use super::state::InstrumentState;
use super::track::Track;
use apex_domain::UnixNanos;
use apex_domain::market::{FeedStatus, MarketEvent};
use apex_domain::time::NANOS_PER_SECOND;
use apex_venues::binance::Message;

/// How far the exchange's time may be from ours, in nanoseconds. Real recorders were seconds off;
/// an hour still tells a wrong clock from a garbled number.
const MAX_CLOCK_DISTANCE_NS: u64 = 3_600_000_000_000;

/// How far a clone's update and trade ids are moved, times its number.
const CLONE_IDS: u64 = 1_000_000_000_000;

/// How far the times and ids of a frame are moved on.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    pub ns: i64,
    pub lap: u64,
    pub clone: u64,
}

impl Shift {
    pub fn ts(self, ts: UnixNanos) -> UnixNanos {
        ts.plus(self.ns)
    }

    fn id(self, id: u64, span: u64) -> u64 {
        let lap = self.lap.wrapping_mul(span);
        id.wrapping_add(lap)
            .wrapping_add(self.clone.wrapping_mul(CLONE_IDS))
    }
}

/// Where a message goes.
pub struct Target<'a> {
    pub track: &'a Track,
    pub shift: Shift,
    /// When the frame was received, moved on.
    pub ts: UnixNanos,
    /// The frame lies before the start: it only builds the book.
    pub skipping: bool,
}

impl Target<'_> {
    /// Hands a message to its instrument. Returns false when it is of no use here.
    ///
    /// Errors: a text that says why the frame is bad.
    pub fn take(
        &self,
        message: &Message<'_>,
        instruments: &mut [InstrumentState],
        events: &mut Vec<MarketEvent>,
    ) -> Result<bool, String> {
        let index = match message {
            Message::ServerShutdown { .. } => {
                for (_, index) in &self.track.symbols {
                    instruments[*index].set_status(FeedStatus::Stale, self.ts, events);
                }
                return Ok(true);
            }
            Message::Control(_) | Message::Other { .. } | Message::AggTrade(_) => return Ok(false),
            Message::Snapshot(_) => match self.track.symbols.as_slice() {
                [(_, index)] => *index,
                _ => return Err("is a snapshot without a symbol among several".to_owned()),
            },
            _ => {
                let symbol = message.symbol().unwrap_or_default();
                let index = self.track.instrument_of(symbol);
                index.ok_or_else(|| format!("names the unknown symbol {symbol:?}"))?
            }
        };
        self.check_time(message)?;
        let state = &mut instruments[index];
        if !self.skipping {
            state.recover(self.ts, events);
        }
        self.hand_over(message, state, events)
            .map_err(|misfit| misfit.to_string())?;
        if self.skipping {
            events.clear();
        }
        Ok(true)
    }

    /// Errors: a text, when the exchange's time and ours have nothing to do with each other.
    fn check_time(&self, message: &Message<'_>) -> Result<(), String> {
        let happened = match message {
            Message::Depth(depth) => Some(depth.event_time_ns),
            Message::Trade(print) => Some(print.trade_time_ns),
            Message::BookTicker(ticker) => ticker.event_time_ns,
            Message::Snapshot(snapshot) => snapshot.event_time_ns,
            _ => None,
        };
        match happened.map(|ns| self.shift.ts(UnixNanos(ns)).since(self.ts)) {
            Some(distance) if distance.unsigned_abs() > MAX_CLOCK_DISTANCE_NS => Err(format!(
                "happened {} s from when it was received",
                distance / NANOS_PER_SECOND
            )),
            _ => Ok(()),
        }
    }

    fn hand_over(
        &self,
        message: &Message<'_>,
        state: &mut InstrumentState,
        events: &mut Vec<MarketEvent>,
    ) -> Result<(), apex_venues::binance::Misfit> {
        let (shift, ts) = (self.shift, self.ts);
        match message {
            Message::Depth(depth) => {
                let mut delta = depth.delta(&state.instrument, ts)?;
                let span = state.update_id_span;
                delta.first_update_id = shift.id(delta.first_update_id, span);
                delta.last_update_id = shift.id(delta.last_update_id, span);
                delta.previous_update_id = delta.previous_update_id.map(|id| shift.id(id, span));
                delta.ts_event = shift.ts(delta.ts_event);
                state.on_depth(delta, events);
            }
            Message::Snapshot(snapshot) => {
                let mut snapshot = snapshot.snapshot(&state.instrument, ts)?;
                snapshot.update_id = shift.id(snapshot.update_id, state.update_id_span);
                if snapshot.ts_event != ts {
                    snapshot.ts_event = shift.ts(snapshot.ts_event);
                }
                state.on_snapshot(snapshot, events);
            }
            Message::BookTicker(ticker) => {
                let mut quote = ticker.quote(&state.instrument, ts)?;
                if ticker.event_time_ns.is_some() {
                    quote.ts_event = shift.ts(quote.ts_event);
                }
                if self.skipping {
                    state.skip_quote(quote);
                } else {
                    state.on_quote(quote, events);
                }
            }
            Message::Trade(print) if !self.skipping => {
                let mut trade = print.trade(&state.instrument, ts)?;
                trade.trade_id = shift.id(trade.trade_id, state.trade_id_span);
                trade.ts_event = shift.ts(trade.ts_event);
                state.on_trade(trade, events);
            }
            _ => {}
        }
        Ok(())
    }
}

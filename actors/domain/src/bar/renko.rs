//! Bars of equal moves of the price.

use super::tape::{BARS_PER_TRADE_MAX, OpenBar, Tape};
use crate::id::InstrumentId;
use crate::market::{Bar, BarSpec, Trade};
use crate::number::Price;

/// Builds the Renko bricks of one instrument.
///
/// Bricks lie on multiples of their size, so that two feeds that began at different trades agree
/// on the levels. One more brick in the same direction takes a move by one brick, a reversal a
/// move by two, since the new brick begins at the other end of the last one. A gap over several
/// bricks gives all of them.
#[derive(Clone, Debug)]
pub struct RenkoBars {
    pub(super) tape: Tape,
    brick: i128,
    /// Bottom and top of the last brick; equal before the first, `None` before the first trade.
    last: Option<(i128, i128)>,
}

impl RenkoBars {
    /// A builder of bricks of this height (one unit of the last decimal at least).
    pub fn new(instrument_id: InstrumentId, brick: Price) -> RenkoBars {
        let brick = brick.max(Price(1));
        let wide = i128::from(brick.0);
        RenkoBars {
            tape: Tape::new(instrument_id, BarSpec::Renko { brick }, wide),
            brick: wide,
            last: None,
        }
    }

    /// Takes a trade; the bricks that it completed are appended to `bars`. The first of them holds
    /// the quantity since the last brick, this trade's included; the others of the same gap hold
    /// none.
    pub fn on_trade(&mut self, trade: &Trade, bars: &mut Vec<Bar>) {
        if !self.tape.admit(trade) {
            return;
        }
        self.tape.add(trade, i128::from(trade.quantity.0));
        let price = i128::from(trade.price.0);
        let level = price - price.rem_euclid(self.brick);
        let (mut bottom, mut top) = *self.last.get_or_insert((level, level));
        for made in 1..=BARS_PER_TRADE_MAX {
            let above = (price - top) / self.brick;
            let below = (bottom - price) / self.brick;
            let bricks = above.max(below);
            if bricks < 1 {
                break;
            }
            let mut height = self.brick;
            if made == BARS_PER_TRADE_MAX && bricks > 1 {
                height *= bricks;
                self.tape.oversized();
            }
            if above >= 1 {
                self.emit(top, top + height, trade, bars);
                top += height;
                bottom = top - self.brick;
            } else {
                self.emit(bottom, bottom - height, trade, bars);
                bottom -= height;
                top = bottom + self.brick;
            }
        }
        self.last = Some((bottom, top));
    }

    fn emit(&mut self, from: i128, to: i128, trade: &Trade, bars: &mut Vec<Bar>) {
        let pending = self.tape.take();
        let brick = OpenBar {
            open: price(from),
            high: price(from.max(to)),
            low: price(from.min(to)),
            close: price(to),
            volume: pending.map_or(0, |pending| pending.volume),
            trade_count: pending.map_or(0, |pending| pending.trade_count),
            ts_open: pending.map_or(trade.ts_event, |pending| pending.ts_open),
        };
        self.tape.emit(brick, trade.ts_init, bars);
    }
}

/// Only the first level can lie outside the range, a brick below its bottom; it is cut there.
fn price(mantissa: i128) -> Price {
    Price(i64::try_from(mantissa).unwrap_or(i64::MIN))
}

//! Fills decided from bars, quotes or prints, without a book.
//!
//! One order book's worth of detail is not in such data, so the rules are few and stated:
//!
//! - A **market** order fills at one price that [`FillModel`] names, made worse by the slippage.
//! - A **limit** order never fills worse than its limit. A bar that opens at or beyond the limit
//!   gives the open; a bar whose range only reaches it gives the limit. On quotes and prints a
//!   resting order gives its limit once the other side reaches it.
//! - A **conditional** order triggers where the price passes its stop price, and at the open
//!   where the open is beyond it: a gap is filled at the open, not at the stop price.
//! - Within a bar the price goes from the open to the close by way of both extremes, in the order
//!   that [`BarPath`] names. What is met first happens first.
//! - Orders fill whole, or within the bar's volume when [`BarVolume`] says so. The price standing
//!   exactly at the limit counts as reached.
//! - Nothing fills on data older than the order: what is on the market when an order arrives is
//!   the last price alone, never the range of the bar that led to it. An order that arrived while
//!   a bar was under way meets its close only.
//!
//! Where one instrument comes in several kinds, bars are followed rather than quotes, and quotes
//! rather than prints. There is no book here in which an iceberg order could hide or an account
//! meet itself: those terms are taken and change nothing.

mod account;
mod auctions;
mod conditions;
mod meeting;
mod orders;
mod path;
mod rules;
#[cfg(test)]
mod tests;
mod trades;
mod walk;

use super::costs::{FeeModel, Slippage};
use super::floor::Floor;
use super::ledger::Numbering;
use super::one_account::{OneAccount, OwnOrders};
use crate::id::{ClientOrderId, InstrumentId};
use crate::instrument::Instrument;
use crate::market::{Bar, MarketEvent};
use crate::number::Price;
use crate::portfolio::split_units;
use crate::time::UnixNanos;
use crate::venue::{VenueCommand, VenueControl, VenueModel, VenueReport};
pub use path::{BarPath, BarVolume};
use rules::{Reach, Source};
use std::collections::BTreeMap;

/// Which price a market order gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FillModel {
    /// The open of the next bar, at that bar's start. On quotes: the touch of the next quote.
    NextOpen,
    /// The close of the bar that the decision was made on. On quotes: as `Touch`.
    BarClose,
    /// The quote that the decision was made on: a buy at the ask, a sell at the bid. On bars: the
    /// close.
    Touch,
}

/// How [`BarFill`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarFillOptions {
    pub fill: FillModel,
    /// By how much an order without a limit price fills worse.
    pub slippage: Slippage,
    pub fees: FeeModel,
    pub path: BarPath,
    pub volume: BarVolume,
}

impl BarFillOptions {
    /// Returns options with the instruments' fees, no slippage, and whole fills.
    pub fn new(fill: FillModel) -> BarFillOptions {
        BarFillOptions {
            fill,
            slippage: Slippage::None,
            fees: FeeModel::Instrument,
            path: BarPath::Adaptive,
            volume: BarVolume::Unlimited,
        }
    }
}

/// A simulated venue over bars, quotes or prints. See the module for its rules.
#[derive(Debug)]
pub struct BarFill {
    options: BarFillOptions,
    listings: BTreeMap<InstrumentId, Listing>,
    own: OwnOrders,
}

#[derive(Debug)]
struct Listing {
    instrument: Instrument,
    floor: Floor,
    source: Option<Source>,
    /// The market as it stands: what an order that arrives now can trade with.
    last: Option<Reach>,
    /// When the last bar was told.
    bar_shown: Option<UnixNanos>,
    /// What is left of the quantity that stands at `last`; `None` is without end.
    left: Option<i64>,
    /// Orders that the data can fill or trigger, by number, which is their order of arrival.
    working: BTreeMap<u64, Working>,
    /// Orders that wait for the first price of a session.
    at_open: BTreeMap<u64, ClientOrderId>,
    /// Orders that wait for the last price of a session.
    at_close: BTreeMap<u64, ClientOrderId>,
    /// What all fills here add up to; positive is long. Reduce-only orders are held to it.
    position: i64,
}

#[derive(Clone, Debug)]
struct Working {
    id: ClientOrderId,
    /// No data came since it arrived: its first chance takes liquidity.
    fresh: bool,
}

impl Listing {
    fn new(instrument: Instrument) -> Listing {
        Listing {
            instrument,
            floor: Floor::default(),
            source: None,
            last: None,
            bar_shown: None,
            left: None,
            working: BTreeMap::new(),
            at_open: BTreeMap::new(),
            at_close: BTreeMap::new(),
            position: 0,
        }
    }

    fn forget(&mut self, number: u64) {
        self.working.remove(&number);
        self.at_open.remove(&number);
        self.at_close.remove(&number);
    }

    /// Returns true when no order is here that data could do anything to.
    fn is_idle(&self) -> bool {
        self.working.is_empty() && self.at_open.is_empty() && self.at_close.is_empty()
    }

    /// Lets a bar pass that meets no order. Returns what is left of its volume at its close.
    fn pass(&mut self, bar: &Bar, volume: BarVolume) -> Option<i64> {
        // Its first price opens a session, whether anybody waits for it or not.
        self.floor.take_opening();
        let [.., at_close] = volume.shares(bar, &self.instrument);
        at_close
    }

    /// Takes the close of a bar as the market as it stands, with what is `left` of its volume.
    fn close_bar(&mut self, bar: &Bar, left: Option<i64>) {
        self.see_price(bar.close, bar.ts_init);
        self.bar_shown = Some(bar.ts_init);
        self.last = Some(Reach::at(bar.close, Source::Bars, bar.ts_open));
        self.left = left;
    }

    /// Takes a price of a bar as everything that an order can watch.
    fn see_price(&mut self, price: Price, ts: UnixNanos) {
        self.floor.see_top(Some(price), Some(price), ts);
        self.floor.see_trade(price, ts);
    }
}

impl BarFill {
    /// Makes a venue that lists `instruments`; orders for others are rejected.
    pub fn new(
        options: BarFillOptions,
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> BarFill {
        let listings = instruments
            .into_iter()
            .map(|instrument| {
                let listing = Listing::new(options.fees.applied(instrument));
                (listing.instrument.instrument_id.clone(), listing)
            })
            .collect();
        BarFill {
            options,
            listings,
            own: OwnOrders::new(Numbering::short()),
        }
    }
}

impl VenueModel for BarFill {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let begin = match event {
            MarketEvent::Bar(bar) => bar.ts_open.min(bar.ts_init),
            _ => event.ts_init(),
        };
        self.expire(begin, out);
        self.show(event, out);
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
        self.command(now, command, out);
    }

    fn on_control(&mut self, now: UnixNanos, control: &VenueControl, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
        self.control(now, control, out);
    }

    fn on_time(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
    }

    fn on_split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        self.own.ledger.split(id, numerator, denominator);
        if let Some(listing) = self.listings.get_mut(id) {
            listing.position = split_units(listing.position, numerator, denominator);
            listing.last = None;
        }
    }

    fn next_due(&self) -> Option<UnixNanos> {
        self.own.next_due()
    }
}

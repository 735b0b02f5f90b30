//! Fills our orders against replayed market data.
//!
//! - An order that can trade at once sweeps the levels that the venue shows. What it takes stays
//!   taken until the venue states that level anew.
//! - A resting limit order fills at its own limit price, as maker: when the opposite side comes
//!   to its price, up to what is shown there; when a trade prints through its price, up to the
//!   print's quantity; when a trade prints at its price, after what was ahead of it in the queue
//!   ([`QueueModel`]).
//! - Without a book the latest quote is its top. While a feed is not live, nothing trades with
//!   the levels it left behind.
//! - An event older than an order never fills it while it rests.
//! - A conditional order triggers by the prices of the data and then trades with the book as that
//!   event left it.
//!
//! Our orders do not move the market, and our own orders do not trade with each other, so there
//! is no self-trade to prevent. A print and the book change that follows it may both fill a
//! resting order: each is bounded by its own quantity and both by the order's.

mod account;
mod conditions;
mod fills;
mod market;
mod orders;

use super::costs::{FeeModel, Slippage};
use super::ledger::{Numbering, RestoredOrder, RestoredPosition};
use super::one_account::{OneAccount, OwnOrders};
use crate::id::{ClientOrderId, IdError, InstrumentId};
use crate::instrument::Instrument;
use crate::market::MarketEvent;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use crate::venue::{VenueCommand, VenueControl, VenueModel, VenueReport, VenueStatus};
use market::Market;
use std::collections::{BTreeMap, VecDeque};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// What a resting order assumes of the quantity that rests at its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueModel {
    /// All of it was there before and trades first. What is canceled comes from behind us, until
    /// the level shows less than we have ahead. The careful one.
    #[default]
    Back,
    /// As `Back`, but what leaves the level without a trade is canceled evenly over the queue.
    Proportional,
    /// None of it is ahead of us: each print at our price is ours. The upper bound of what an
    /// order could have got.
    Front,
}

/// How [`BookFill`] decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookFillOptions {
    pub queue: QueueModel,
    pub fees: FeeModel,
    /// On top of what sweeping the book costs; for orders without a limit price.
    pub slippage: Slippage,
}

/// The simulated venue of one account over replayed market data.
#[derive(Clone, Debug)]
pub struct BookFill {
    options: BookFillOptions,
    markets: BTreeMap<InstrumentId, Market>,
    own: OwnOrders,
    /// Orders whose condition was met and that were not worked off yet.
    triggered: VecDeque<ClientOrderId>,
    /// Kept between calls for its memory.
    taken: Vec<(Price, Quantity)>,
}

impl BookFill {
    /// Makes a venue without instruments. `venue` begins each id that it gives; `first_number`
    /// is where their counters begin, 1 for a venue that has no past, above all earlier ones
    /// after a restart (the number of journal records so far is such a number).
    ///
    /// Errors: [`IdError`] when `venue` cannot begin an id.
    pub fn new(venue: &str, first_number: u64) -> Result<BookFill, IdError> {
        BookFill::with_options(venue, first_number, BookFillOptions::default())
    }

    /// As [`BookFill::new`], with other rules.
    ///
    /// Errors: [`IdError`] when `venue` cannot begin an id.
    pub fn with_options(
        venue: &str,
        first_number: u64,
        options: BookFillOptions,
    ) -> Result<BookFill, IdError> {
        Ok(BookFill {
            options,
            markets: BTreeMap::new(),
            own: OwnOrders::new(Numbering::new(venue, first_number)?),
            triggered: VecDeque::new(),
            taken: Vec::new(),
        })
    }

    /// Makes an instrument known; a new definition of a known one holds for what comes next.
    pub fn define(&mut self, instrument: Instrument) {
        let instrument = self.options.fees.applied(instrument);
        if let Some(market) = self.markets.get_mut(&instrument.instrument_id) {
            market.instrument = instrument;
        } else {
            let id = instrument.instrument_id.clone();
            let market = Market::new(instrument, self.options.queue);
            self.markets.insert(id, market);
        }
    }

    /// Puts back what the account holds by orders that are not put back themselves: what only
    /// reduces is held to it. Before [`BookFill::restore`].
    pub fn restore_positions(&mut self, held: &[RestoredPosition]) {
        self.own.ledger.restore_positions(held);
    }

    /// Puts orders of an earlier run back, at the back of their queues. Their instruments must
    /// be known; a working order of an unknown one keeps its id used and cannot fill. One whose
    /// time is over ends with the next event.
    pub fn restore(&mut self, now: UnixNanos, orders: &[RestoredOrder]) {
        for restored in orders {
            let own = &mut self.own;
            let number = own.ledger.restore(&mut own.numbering, restored, now);
            if number.is_some() && restored.status == VenueStatus::Working {
                let id = &restored.order.client_order_id;
                if !self.waits(id) {
                    self.rest(now, id);
                }
            }
        }
    }
}

impl VenueModel for BookFill {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let now = event.ts_init();
        self.expire(now, out);
        self.show(event, out);
        self.work_off(now, out);
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
        self.command(now, command, out);
        self.work_off(now, out);
    }

    fn on_control(&mut self, now: UnixNanos, control: &VenueControl, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
        self.control(now, control, out);
        self.work_off(now, out);
    }

    fn on_time(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        self.expire(now, out);
    }

    /// The book stays until its next event: it is no single price.
    fn on_split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        self.own.ledger.split(id, numerator, denominator);
    }

    fn next_due(&self) -> Option<UnixNanos> {
        self.own.next_due()
    }
}

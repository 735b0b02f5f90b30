//! The market of each instrument as it was last shown, and what follows from it.
//!
//! None of it is state: it is shown again after a restart, and takes no part in comparing
//! accounts. What a decision took from it is in the decision's event.

use crate::id::InstrumentId;
use crate::instrument::Instrument;
use crate::number::Price;
use crate::portfolio::{Mark, Rates};
use crate::risk::{MarketRef, MarketView};
use std::collections::BTreeMap;

/// Prices by instrument, as views, as marks and as conversion rates.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    views: BTreeMap<InstrumentId, MarketView>,
    marks: BTreeMap<InstrumentId, Mark>,
    rates: Rates,
}

impl Marks {
    pub fn get(&self, instrument_id: &InstrumentId) -> Option<&MarketView> {
        self.views.get(instrument_id)
    }

    pub fn marks(&self) -> &BTreeMap<InstrumentId, Mark> {
        &self.marks
    }

    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Forgets the prices of an instrument: they are in units that are no more.
    pub fn forget(&mut self, instrument_id: &InstrumentId) {
        self.views.remove(instrument_id);
        self.marks.remove(instrument_id);
    }

    /// Takes the market of an instrument as it is now.
    pub fn show(&mut self, instrument: &Instrument, view: MarketView) {
        let id = &instrument.instrument_id;
        if let Some(price) = mark_price(&view) {
            let mark = Mark { price, ts: view.ts };
            self.marks.insert(id.clone(), mark);
            self.rates.name(instrument);
            self.rates.observe(id, price, view.ts);
        }
        self.views.insert(id.clone(), view);
    }

    /// Takes the market that came with an order, unless a newer one was shown.
    pub fn show_reference(&mut self, instrument: &Instrument, market: &MarketRef) {
        let known = self.views.get(&instrument.instrument_id);
        if known.is_some_and(|view| view.ts >= market.ts) {
            return;
        }
        let view = MarketView {
            bid: market.bid,
            ask: market.ask,
            ts: market.ts,
            ..known.copied().unwrap_or_default()
        };
        self.show(instrument, view);
    }
}

/// Returns what an instrument is valued at: its mark price, the middle of its quote, the last
/// trade, or the side of the quote that there is.
fn mark_price(view: &MarketView) -> Option<Price> {
    let middle = || {
        let (bid, ask) = (view.bid?, view.ask?);
        let sum = i128::from(bid.0) + i128::from(ask.0);
        i64::try_from(sum.div_euclid(2)).ok().map(Price)
    };
    view.mark
        .or_else(middle)
        .or(view.last)
        .or(view.bid)
        .or(view.ask)
}

impl PartialEq for Marks {
    fn eq(&self, _: &Marks) -> bool {
        true
    }
}

impl Eq for Marks {}

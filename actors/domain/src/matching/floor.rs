//! Whether an instrument trades, and the prices that its venue goes by.

use super::rules::Refused;
use crate::instrument::Instrument;
use crate::market::{Level, MarketEvent};
use crate::number::{Decimal, Price};
use crate::risk::MarketView;
use crate::time::UnixNanos;
use crate::venue::{NewOrder, RejectReason, SessionEdge};

/// Where an instrument's session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Session {
    /// Trades. Also what has no sessions, or whose first edge was not told yet.
    #[default]
    Open,
    /// Was opened, and the first price has not come.
    Opening,
    Closed,
    /// Trades before or after the regular session, for those who ask for it.
    Extended,
}

/// The state of trading in one instrument.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor {
    halted: bool,
    session: Session,
    pub(super) view: MarketView,
    /// The middle of the last whole quote, or the first trade before it.
    mark: Option<Price>,
}

impl Floor {
    /// Returns true while anybody may trade.
    pub(super) fn is_trading(&self) -> bool {
        !self.halted && self.session != Session::Closed
    }

    /// Returns true while an order may trade, by whether it asks for extended hours.
    pub(super) fn trades(&self, extended_hours: bool) -> bool {
        !self.halted && !self.is_closed_to(extended_hours)
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted
    }

    /// Returns true while an order has to wait for a session, by whether it asks for extended
    /// hours.
    pub(super) fn is_closed_to(&self, extended_hours: bool) -> bool {
        match self.session {
            Session::Open | Session::Opening => false,
            Session::Extended => !extended_hours,
            Session::Closed => true,
        }
    }

    pub(super) fn is_extended(&self) -> bool {
        self.session == Session::Extended
    }

    /// Returns true while a session was opened and has no price yet.
    pub(super) fn is_opening(&self) -> bool {
        self.session == Session::Opening
    }

    pub(super) fn set_halted(&mut self, halted: bool) {
        self.halted = halted;
    }

    pub(super) fn set_session(&mut self, edge: SessionEdge) {
        self.session = match edge {
            SessionEdge::Open => Session::Opening,
            SessionEdge::Close | SessionEdge::ExtendedClose => Session::Closed,
            SessionEdge::ExtendedOpen => Session::Extended,
        };
    }

    /// Returns true once after an opening, when the first price is there.
    pub(super) fn take_opening(&mut self) -> bool {
        let opening = self.session == Session::Opening && !self.halted;
        if opening {
            self.session = Session::Open;
        }
        opening
    }

    /// Refuses what the state of trading does not let in. Orders that can wait for the session
    /// (`waits`) wait; immediate ones never can.
    pub(super) fn check(&self, order: &NewOrder, waits: bool) -> Result<(), Refused> {
        let cannot_wait = order.time_in_force.is_immediate() || !waits;
        let text = if self.halted {
            "trading is halted: wait until it resumes"
        } else if !cannot_wait || !self.is_closed_to(order.terms.extended_hours) {
            return Ok(());
        } else if self.is_extended() {
            "regular session is closed: ask for extended_hours, or for a time in force that waits"
        } else {
            "session is closed: ask for a time in force that waits, or send it in the session"
        };
        Err(Refused {
            reason: RejectReason::Halted,
            text: text.to_owned(),
        })
    }

    /// Refuses a limit price beyond the venue's bands round the last trade, or the middle of the
    /// quote before the first.
    pub(super) fn check_collar(
        &self,
        instrument: &Instrument,
        limit_price: Price,
    ) -> Result<(), Refused> {
        let (Some(collar), Some(reference)) = (instrument.rules.price_collar, self.reference())
        else {
            return Ok(());
        };
        let distance = (i128::from(limit_price.0) - i128::from(reference.0)).abs();
        let allowed = Decimal::from(reference.0)
            .abs()
            .checked_mul(collar.0)
            .unwrap_or(Decimal::MAX);
        let distance = Decimal::try_from_i128_with_scale(distance, 0).unwrap_or(Decimal::MAX);
        if distance <= allowed {
            return Ok(());
        }
        Err(Refused {
            reason: RejectReason::PriceBand,
            text: "limit_price is beyond the venue's price bands".to_owned(),
        })
    }

    /// Returns the price that bands and auctions go by: the last trade, or the middle before the
    /// first.
    pub(super) fn reference(&self) -> Option<Price> {
        let MarketView { bid, ask, last, .. } = self.view;
        last.or_else(|| self.middle()).or(bid).or(ask)
    }

    /// Returns the price that margin goes by: the middle of the last quote that was whole, so
    /// that a side that is empty for a moment calls nobody; the first trade before there was one.
    pub(super) fn mark(&self) -> Option<Price> {
        self.mark
    }

    fn middle(&self) -> Option<Price> {
        let (bid, ask) = (self.view.bid?, self.view.ask?);
        let middle = (i128::from(bid.0) + i128::from(ask.0)).div_euclid(2);
        i64::try_from(middle).ok().map(Price)
    }

    /// Takes the best prices of a book.
    pub(super) fn see_top(&mut self, bid: Option<Price>, ask: Option<Price>, ts: UnixNanos) {
        self.view.bid = bid;
        self.view.ask = ask;
        self.view.ts = ts;
        self.mark = self.middle().or(self.mark);
    }

    pub(super) fn see_trade(&mut self, price: Price, ts: UnixNanos) {
        self.view.last = Some(price);
        self.view.ts = ts;
        self.mark = self.mark.or(Some(price));
    }

    /// Takes a market event that states prices by itself.
    pub(super) fn observe(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Trade(trade) => self.see_trade(trade.price, trade.ts_init),
            MarketEvent::Quote(quote) => {
                let price = |level: Option<Level>| level.map(|level| level.price);
                self.see_top(price(quote.bid), price(quote.ask), quote.ts_init);
            }
            _ => {}
        }
    }
}

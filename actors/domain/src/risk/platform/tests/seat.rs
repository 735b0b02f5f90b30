//! An account on its seat: with what of its journal would survive a crash, and what waits.

use super::super::{Ask, ShareReport};
use crate::account::tests::support::*;
use crate::account::{Account, AccountInput, Effects};
use crate::event::{AccountMode, Event, Recorded};
use crate::id::{AccountId, OrderId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::risk::MarketView;
use crate::time::UnixNanos;

/// An account with the part of its journal that would survive a crash.
pub struct Seat {
    pub account: Account,
    pub journal: Vec<Recorded>,
    pub durable: usize,
    /// Lengths of the journal behind each decision: one survives whole or not at all.
    pub ends: Vec<usize>,
    pub waiting: Vec<AccountInput>,
    pub ask: Option<Ask>,
    /// Reports that wait for the disk, with the length of the journal that they need.
    pub held: Vec<(usize, ShareReport)>,
}

/// Shows the market of both instruments: 99.99 to 100.01.
pub fn show_market(account: &mut Account, now: UnixNanos) {
    for text in [SPOT, PERP] {
        let view = MarketView {
            bid: Some(Price(9_999)),
            ask: Some(Price(10_001)),
            ts: now,
            ..MarketView::default()
        };
        let instrument_id = id(text);
        let input = AccountInput::Market {
            instrument_id,
            view,
        };
        account.apply(now, input, &mut Effects::default());
    }
}

impl Seat {
    pub fn new(account_id: &AccountId, now: UnixNanos) -> Seat {
        let mut seat = Seat {
            account: Account::new(),
            journal: Vec::new(),
            durable: 0,
            ends: Vec::new(),
            waiting: Vec::new(),
            ask: None,
            held: Vec::new(),
        };
        seat.apply(
            now,
            AccountInput::Open {
                account_id: account_id.clone(),
                base_currency: currency("USDT"),
                mode: AccountMode::Paper,
            },
        );
        for text in [SPOT, PERP] {
            let definition = Instrument {
                min_notional: money("0"),
                ..instrument(text)
            };
            seat.apply(now, AccountInput::DefineInstrument(Box::new(definition)));
        }
        show_market(&mut seat.account, now);
        seat.durable = seat.journal.len();
        seat
    }

    pub fn apply(&mut self, now: UnixNanos, input: AccountInput) -> Effects {
        let mut effects = Effects::default();
        self.account.apply(now, input, &mut effects);
        self.journal.extend(effects.events.iter().cloned());
        self.ends.push(self.journal.len());
        effects
    }

    pub fn worst(&self, now: UnixNanos) -> Money {
        let exposure = self.account.share_report(now, None).unwrap().exposure;
        exposure.unwrap()
    }

    /// Returns what the newest amend of an order asks for.
    pub fn pending_quantity(&self, of: &OrderId) -> Quantity {
        let pending = |recorded: &Recorded| match &recorded.event {
            Event::OrderPendingAmend {
                order_id, quantity, ..
            } if order_id == of => Some(*quantity),
            _ => None,
        };
        self.journal.iter().rev().find_map(pending).unwrap()
    }

    pub fn share(&self) -> Money {
        self.account.platform_share().unwrap().share.unwrap()
    }

    /// Returns what everything that waits needs together, where that is more than the share.
    pub fn wanted(&mut self, now: UnixNanos, input: &AccountInput) -> Option<Money> {
        let growth = self.account.share_growth(now, input)?;
        let after = growth.worst.checked_add(growth.added).unwrap();
        (after > self.share()).then_some(after)
    }
}

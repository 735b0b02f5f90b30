//! Funding: at each time of payment every account that holds a perpetual contract pays or
//! receives.
//!
//! Which times are behind the exchange is known by its own clock: each input pays first what
//! became due before it. Times that passed while the exchange stood still are paid by the next
//! input, all in one payment under the id of the last of them, at the mark and rate of that
//! moment: the positions were the same all the while.

use super::orders::report;
use super::{ExchangeEvent, SimExchange};
use crate::funding;
use crate::id::{AccountId, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::{Money, Rate};
use crate::number::{Decimal, Price};
use crate::order::PositionSide;
use crate::time::UnixNanos;
use crate::venue::{FundingPayment, VenueReport};
use std::collections::BTreeMap;

/// What the exchange knows of funding that was paid.
#[derive(Clone, Debug, Default)]
pub(super) struct Funding {
    /// Up to where each instrument was paid, inclusive. One that is absent begins with the first
    /// input.
    paid_until: BTreeMap<InstrumentId, UnixNanos>,
    /// When funding of any instrument is due next; `None` before the first input.
    next: Option<UnixNanos>,
}

/// What is due of one instrument.
struct Due {
    interval_ns: i64,
    /// How many times of payment.
    times: u64,
    /// The last of them.
    time: UnixNanos,
}

impl SimExchange {
    /// Goes on with the payments of an earlier run: those that an account had, and up to where
    /// all of them were made. Call it before the first input.
    pub fn restore_funding<'a>(
        &mut self,
        account_id: &AccountId,
        payments: impl IntoIterator<Item = &'a FundingPayment>,
    ) {
        for payment in payments {
            self.pay(account_id, payment);
        }
    }

    /// States up to where, inclusive, an earlier run has paid an instrument's funding. An earlier
    /// time than is known changes nothing.
    pub fn funding_is_paid(&mut self, instrument_id: &InstrumentId, until: UnixNanos) {
        self.funding_paid_until(instrument_id, until);
        self.funding.next = None;
    }

    /// A clock that was set back does not make anything due again.
    fn funding_paid_until(&mut self, instrument_id: &InstrumentId, until: UnixNanos) {
        let paid = self.funding.paid_until.entry(instrument_id.clone());
        let paid = paid.or_insert(until);
        *paid = (*paid).max(until);
    }

    /// Pays what has become due until `now`. An instrument without a mark waits for one.
    pub(super) fn keep_funding(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        if self.funding.next.is_some_and(|next| next > now) {
            return;
        }
        let mut next = UnixNanos(i64::MAX);
        for id in self.instrument_ids() {
            let Some(due) = self.funding_due(&id, now) else {
                continue;
            };
            if due.times == 0 || self.fund(&id, &due, out) {
                next = next.min(due.time.plus(due.interval_ns));
                self.funding_paid_until(&id, due.time);
            } else {
                // With the next input again.
                next = next.min(now);
            }
        }
        self.funding.next = Some(next);
    }

    /// `None` for an instrument that has no funding.
    fn funding_due(&mut self, id: &InstrumentId, now: UnixNanos) -> Option<Due> {
        let instrument = &self.markets.get(id)?.definition.instrument;
        let interval_ns = instrument.rules.funding_interval_ns?;
        let since = *self.funding.paid_until.entry(id.clone()).or_insert(now);
        Some(Due {
            interval_ns,
            times: funding::times_between(interval_ns, since, now),
            time: funding::last_time(interval_ns, now),
        })
    }

    /// Pays all accounts what is due of an instrument. Returns false where there is no mark yet.
    fn fund(&mut self, id: &InstrumentId, due: &Due, out: &mut Vec<ExchangeEvent>) -> bool {
        let Some(mark) = self.markets.get(id).and_then(|market| market.floor.mark()) else {
            return false;
        };
        let Some(market) = self.markets.get(id) else {
            return false;
        };
        let instrument = market.definition.instrument.clone();
        let fixed = market.definition.funding_rate;
        let Some(rate) = fixed.or_else(|| self.funding_rate(&instrument, due.interval_ns, mark))
        else {
            return false;
        };
        for account_id in self.ledgers.keys().cloned().collect::<Vec<_>>() {
            let ledger = self.ledger(&account_id);
            let position = ledger.position(id, PositionSide::Net);
            // One that no number holds cannot be paid.
            let amount = funding::payment(&instrument, position, mark, rate);
            let times = Decimal::from(due.times);
            let amount = amount.ok().and_then(|once| once.0.checked_mul(times));
            let Some(amount) = amount.filter(|_| position != 0) else {
                continue;
            };
            let payment = FundingPayment {
                instrument_id: id.clone(),
                funding_id: funding::payment_id(due.time),
                currency: instrument.profit_currency().clone(),
                amount: Money(amount),
                ts_event: due.time,
            };
            self.pay(&account_id, &payment);
            let paid = VenueReport::Funding {
                payment,
                rate,
                mark,
            };
            report(out, &account_id, Some(paid));
        }
        true
    }

    /// Returns the rate by the premium over the index: the mark of the spot instrument of the
    /// same currencies, the first by its id.
    fn funding_rate(&self, of: &Instrument, interval_ns: i64, mark: Price) -> Option<Rate> {
        let index = self.markets.values().find_map(|market| {
            let spot = &market.definition.instrument;
            let is_index = spot.kind == InstrumentKind::Spot
                && spot.base_currency == of.base_currency
                && spot.quote_currency == of.quote_currency;
            let mark = market.floor.mark().filter(|_| is_index)?;
            Some(spot.price_decimal(mark))
        });
        funding::rate(interval_ns, of.price_decimal(mark), index).ok()
    }

    /// Books a payment where the exchange holds cash.
    fn pay(&mut self, account_id: &AccountId, payment: &FundingPayment) {
        if let Some(margin) = &mut self.margin {
            margin.pay(account_id, &payment.currency, payment.amount);
        }
        if let Some(wallets) = &mut self.wallets {
            wallets.pay(account_id, payment);
        }
    }
}

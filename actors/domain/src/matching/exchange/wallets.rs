//! The balances of accounts, for an exchange that tells them.
//!
//! Each account is booked as at a broker: the asset itself moves cash and a holding, a contract
//! moves cash by its realised profit.

use crate::Currency;
use crate::id::{AccountId, ClientOrderId, ExecId, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::PositionSide;
use crate::portfolio::{Holder, Portfolio};
use crate::reconcile::{VenueBalance, holdings};
use crate::venue::{Execution, FundingPayment};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Wallets {
    cash: BTreeMap<Currency, Money>,
    accounts: BTreeMap<AccountId, Portfolio>,
    /// Every payment of funding, for booking an account anew.
    paid: BTreeMap<AccountId, Vec<FundingPayment>>,
    /// The contracts that have ended, and at what they were settled; likewise.
    settled: BTreeMap<InstrumentId, Price>,
}

impl Wallets {
    pub(super) fn new(cash: BTreeMap<Currency, Money>) -> Wallets {
        Wallets {
            cash,
            accounts: BTreeMap::new(),
            paid: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Books an execution of an order that names this side. One whose numbers cannot be held is
    /// left out.
    pub(super) fn book(
        &mut self,
        account_id: &AccountId,
        instrument: &Instrument,
        side: PositionSide,
        execution: &Execution,
    ) {
        let portfolio = self.accounts.entry(account_id.clone());
        let portfolio = portfolio.or_insert_with(|| opened(&self.cash));
        if let Ok(booking) = portfolio.plan(instrument, &holder(side), execution) {
            portfolio.commit(booking);
        }
    }

    /// Closes every position of a contract that has ended at its last mark.
    pub(super) fn settle(&mut self, instrument: &Instrument, mark: Price) {
        for portfolio in self.accounts.values_mut() {
            settle_in(portfolio, instrument, mark);
        }
        self.settled.insert(instrument.instrument_id.clone(), mark);
    }

    /// Books funding. A payment whose numbers cannot be held is left out.
    pub(super) fn pay(&mut self, account_id: &AccountId, payment: &FundingPayment) {
        self.book_payment(account_id, payment);
        let paid = self.paid.entry(account_id.clone()).or_default();
        paid.push(payment.clone());
    }

    fn book_payment(&mut self, account_id: &AccountId, payment: &FundingPayment) {
        let portfolio = self.accounts.entry(account_id.clone());
        let portfolio = portfolio.or_insert_with(|| opened(&self.cash));
        let FundingPayment {
            instrument_id,
            funding_id,
            currency,
            amount,
            ..
        } = payment;
        let nobody = StrategyId::external();
        let booking = portfolio.plan_funding(instrument_id, &nobody, currency, *amount);
        if let Ok(booking) = booking {
            portfolio.commit_funding(instrument_id, &nobody, funding_id, booking);
        }
    }

    /// Books an account anew from all of its executions, its funding and what was settled, after an
    /// execution was taken back.
    pub(super) fn rebook<'a>(
        &mut self,
        account_id: &AccountId,
        executions: &[(PositionSide, Execution)],
        instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
    ) {
        self.accounts.remove(account_id);
        for (side, execution) in executions {
            if let Some(instrument) = instrument(&execution.instrument_id) {
                self.book(account_id, instrument, *side, execution);
            }
        }
        // A contract that has ended trades no more: all of its executions are before its end.
        if let Some(portfolio) = self.accounts.get_mut(account_id) {
            for (id, mark) in &self.settled {
                if let Some(instrument) = instrument(id) {
                    settle_in(portfolio, instrument, *mark);
                }
            }
        }
        for payment in self.paid.get(account_id).cloned().unwrap_or_default() {
            self.book_payment(account_id, &payment);
        }
    }

    /// Returns every balance that is not zero, in the order of currencies. One that no number
    /// holds is left out.
    pub(super) fn balances<'a>(
        &self,
        account_id: &AccountId,
        instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
    ) -> Vec<VenueBalance> {
        let fresh = || opened(&self.cash);
        let portfolio = self.accounts.get(account_id).cloned();
        let portfolio = portfolio.unwrap_or_else(fresh);
        let cash = portfolio.cash().iter();
        let cash = cash.map(|(currency, amount)| (currency.clone(), Ok(*amount)));
        let sums = holdings(&portfolio, cash.collect(), instrument).into_iter();
        sums.filter_map(|(currency, amount)| {
            let amount = amount.ok().filter(|amount| !amount.is_zero())?;
            Some(VenueBalance { currency, amount })
        })
        .collect()
    }
}

/// An account at the exchange is one holder for each side.
fn holder(side: PositionSide) -> Holder {
    Holder {
        side,
        ..Holder::external()
    }
}

/// Closes an account's positions of a contract that has ended, each side by itself.
fn settle_in(portfolio: &mut Portfolio, instrument: &Instrument, mark: Price) {
    for side in [PositionSide::Net, PositionSide::Long, PositionSide::Short] {
        let holder = holder(side);
        let position = portfolio.position_of(&holder, &instrument.instrument_id);
        let quantity = position.map_or(0, |position| position.quantity);
        let settled = settlement(instrument, quantity, mark);
        let booking = settled.and_then(|it| portfolio.plan(instrument, &holder, &it).ok());
        if let Some(booking) = booking {
            portfolio.commit(booking);
        }
    }
}

/// Returns what closes a position without a fee; `None` where there is none.
fn settlement(instrument: &Instrument, quantity: i64, mark: Price) -> Option<Execution> {
    let id = "SETTLE";
    Some(Execution {
        exec_id: ExecId::new(id).ok()?,
        client_order_id: ClientOrderId::new(id).ok()?,
        instrument_id: instrument.instrument_id.clone(),
        side: if quantity > 0 { Side::Sell } else { Side::Buy },
        last_quantity: Quantity(quantity.checked_abs().filter(|units| *units > 0)?),
        last_price: mark,
        fee: Money::ZERO,
        fee_currency: instrument.profit_currency().clone(),
        maker: false,
        ts_event: instrument.rules.expires_at?,
    })
}

fn opened(cash: &BTreeMap<Currency, Money>) -> Portfolio {
    let mut portfolio = Portfolio::default();
    for (currency, amount) in cash {
        portfolio.set_cash(currency.clone(), *amount);
    }
    portfolio
}

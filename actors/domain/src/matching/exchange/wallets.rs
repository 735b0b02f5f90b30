//! The balances of accounts, for an exchange that tells them.
//!
//! Each account is booked as at a broker: the asset itself moves cash and a holding, a contract
//! moves cash by its realised profit.

use crate::Currency;
use crate::id::{AccountId, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
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
}

impl Wallets {
    pub(super) fn new(cash: BTreeMap<Currency, Money>) -> Wallets {
        Wallets {
            cash,
            accounts: BTreeMap::new(),
            paid: BTreeMap::new(),
        }
    }

    /// Books an execution. One whose numbers cannot be held is left out.
    pub(super) fn book(
        &mut self,
        account_id: &AccountId,
        instrument: &Instrument,
        execution: &Execution,
    ) {
        let portfolio = self.accounts.entry(account_id.clone());
        let portfolio = portfolio.or_insert_with(|| opened(&self.cash));
        if let Ok(booking) = portfolio.plan(instrument, &Holder::external(), execution) {
            portfolio.commit(booking);
        }
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

    /// Books an account anew from all of its executions and its funding, after an execution was
    /// taken back.
    pub(super) fn rebook<'a>(
        &mut self,
        account_id: &AccountId,
        executions: &[Execution],
        instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
    ) {
        self.accounts.remove(account_id);
        for execution in executions {
            if let Some(instrument) = instrument(&execution.instrument_id) {
                self.book(account_id, instrument, execution);
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
        let sums = holdings(&portfolio, instrument).into_iter();
        sums.filter_map(|(currency, amount)| {
            let amount = amount.ok().filter(|amount| !amount.is_zero())?;
            Some(VenueBalance { currency, amount })
        })
        .collect()
    }
}

fn opened(cash: &BTreeMap<Currency, Money>) -> Portfolio {
    let mut portfolio = Portfolio::default();
    for (currency, amount) in cash {
        portfolio.set_cash(currency.clone(), *amount);
    }
    portfolio
}

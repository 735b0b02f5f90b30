//! Fees and funding, by whom they are for.

use super::Portfolio;
use super::booking::Balances;
use super::position::COST_DECIMALS;
use crate::funding;
use crate::id::{Currency, ExecId, InstrumentId, StrategyId};
use crate::money::Money;
use crate::number::{self, Decimal, NumberError};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one strategy paid and received in one instrument, by currency. A currency that was
/// never charged is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charges {
    /// Positive was paid, negative is a rebate.
    pub fees: BTreeMap<Currency, Money>,
    /// Positive was received.
    pub funding: BTreeMap<Currency, Money>,
    pub in_units: FeesInUnits,
}

/// Fees of a spot instrument that were paid in units of the position: they are among the fees, in
/// base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeesInUnits {
    /// In base currency.
    pub amount: Money,
    /// What those units had cost when they went, in quote currency. They left the position at that,
    /// so it is what they cost its owner, whatever they would be worth today.
    pub cost: Money,
}

/// New values of everything that a payment of funding touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FundingBooking {
    cash: BTreeMap<Currency, Money>,
    funding: BTreeMap<Currency, Money>,
    own: BTreeMap<Currency, Money>,
}

impl Portfolio {
    /// Returns how a payment of `amount` is shared by the strategies that hold the instrument:
    /// each what its own position, both sides of a hedging account together, would have been paid
    /// alone. Shares are rounded to 16 decimals, half to even, and what rounding leaves goes to
    /// the largest holder, so that they sum to the amount exactly. Where nobody holds anything,
    /// or all positions together are flat, everything is of `EXTERNAL`.
    ///
    /// A short strategy beside a larger long one has a share of the other sign: it is paid while
    /// the account pays.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn funding_shares(
        &self,
        instrument_id: &InstrumentId,
        amount: Money,
    ) -> Result<Vec<(StrategyId, Money)>, NumberError> {
        const RANGE: NumberError = NumberError::OutOfRange;
        let mut held: BTreeMap<&StrategyId, i128> = BTreeMap::new();
        for position in self.positions_of(instrument_id) {
            *held.entry(&position.strategy_id).or_default() += i128::from(position.quantity);
        }
        held.retain(|_, quantity| *quantity != 0);
        let whole: i128 = held.values().sum();
        let largest = held.iter().rev().max_by_key(|(_, q)| q.unsigned_abs());
        let (Some((largest, _)), true) = (largest, whole != 0) else {
            return Ok(vec![(StrategyId::external(), amount)]);
        };
        let whole = number::decimal_of(whole, 0)?;
        let mut shares: BTreeMap<&StrategyId, Decimal> = BTreeMap::new();
        let mut rest = amount.0;
        for (strategy_id, quantity) in &held {
            let quantity = number::decimal_of(*quantity, 0)?;
            let share = amount
                .0
                .checked_mul(quantity)
                .and_then(|product| product.checked_div(whole))
                .ok_or(RANGE)?
                .round_dp(COST_DECIMALS);
            rest = rest.checked_sub(share).ok_or(RANGE)?;
            shares.insert(strategy_id, share);
        }
        if let Some(share) = shares.get_mut(largest) {
            *share = share.checked_add(rest).ok_or(RANGE)?;
        }
        let owned = |(id, share): (&StrategyId, Decimal)| (id.clone(), Money(share));
        Ok(shares.into_iter().map(owned).collect())
    }

    /// Returns what a payment of funding to one strategy does, without doing it.
    ///
    /// Errors: a number of the result cannot be held.
    pub(crate) fn plan_funding(
        &self,
        instrument_id: &InstrumentId,
        strategy_id: &StrategyId,
        currency: &Currency,
        amount: Money,
    ) -> Result<FundingBooking, NumberError> {
        let none = Charges::default();
        let charges = self.charges_of(strategy_id, instrument_id).unwrap_or(&none);
        let plus = |balances| {
            let mut sums = Balances::of(balances);
            sums.add(currency, amount.0)?;
            Ok(sums.changed)
        };
        Ok(FundingBooking {
            cash: plus(&self.cash)?,
            funding: plus(&self.funding)?,
            own: plus(&charges.funding)?,
        })
    }

    /// Carries out what [`Portfolio::plan_funding`] found.
    pub(crate) fn commit_funding(
        &mut self,
        instrument_id: &InstrumentId,
        strategy_id: &StrategyId,
        funding_id: &ExecId,
        booking: FundingBooking,
    ) {
        self.cash.extend(booking.cash);
        self.funding.extend(booking.funding);
        let key = (instrument_id.clone(), strategy_id.clone());
        let charges = self.charges.entry(key).or_default();
        charges.funding.extend(booking.own);
        let payment = (instrument_id.clone(), funding_id.clone());
        self.funded.insert(payment);
    }

    /// Returns the time of the newest payment of an instrument whose id tells its time, as those
    /// of the simulated exchange do.
    pub fn last_funding(&self, instrument_id: &InstrumentId) -> Option<UnixNanos> {
        let paid = self.funded.iter().filter(|(id, _)| id == instrument_id);
        paid.filter_map(|(_, funding_id)| funding::time_of(funding_id))
            .max()
    }

    /// Returns true once a payment was booked; venues number them by instrument.
    pub(crate) fn is_funded(&self, instrument_id: &InstrumentId, funding_id: &ExecId) -> bool {
        let payment = (instrument_id.clone(), funding_id.clone());
        self.funded.contains(&payment)
    }
}

//! Whose profit it is: realised, open, fees and funding by strategy and instrument.

use super::valuation::{Sum, Valuation};
use super::{Charges, FeesInUnits, Portfolio};
use crate::id::{Currency, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::NumberError;
use std::collections::BTreeMap;

/// The parts of a profit, in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pnl {
    /// Profit of what was closed, before fees and funding.
    pub realized: Money,
    /// Profit of what is open, at the marks.
    pub unrealized: Money,
    /// Positive was paid.
    pub fees: Money,
    /// Positive was received.
    pub funding: Money,
}

/// Whose profit one row is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PnlKey {
    pub strategy_id: StrategyId,
    pub instrument_id: InstrumentId,
    pub currency: Currency,
}

/// The profit of an account in rows that sum to its totals exactly: nothing is converted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    pub rows: BTreeMap<PnlKey, Pnl>,
    /// True when a mark was missing or too old, or open profit was out of range: it is left out.
    pub partial: bool,
}

/// A profit in the base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasePnl {
    pub pnl: Pnl,
    /// True when a mark or rate was missing or too old: what it concerned is left out.
    pub partial: bool,
}

impl Pnl {
    /// Returns `realized + unrealized - fees + funding`.
    ///
    /// Errors: `OutOfRange`.
    pub fn net(&self) -> Result<Money, NumberError> {
        self.realized
            .checked_add(self.unrealized)?
            .checked_sub(self.fees)?
            .checked_add(self.funding)
    }

    /// Returns the sum, part by part.
    ///
    /// Errors: `OutOfRange`.
    pub fn checked_add(&self, other: &Pnl) -> Result<Pnl, NumberError> {
        Ok(Pnl {
            realized: self.realized.checked_add(other.realized)?,
            unrealized: self.unrealized.checked_add(other.unrealized)?,
            fees: self.fees.checked_add(other.fees)?,
            funding: self.funding.checked_add(other.funding)?,
        })
    }
}

impl Portfolio {
    /// Returns the table of profit at the marks of `valuation`. Positions of instruments that
    /// are not known have no row.
    ///
    /// Errors: `OutOfRange`, when a sum cannot be held.
    pub fn attribution(
        &self,
        instruments: &BTreeMap<InstrumentId, Instrument>,
        valuation: &Valuation<'_>,
    ) -> Result<Attribution, NumberError> {
        let mut table = Attribution::default();
        for position in self.positions() {
            let Some(instrument) = instruments.get(&position.instrument_id) else {
                table.partial = true;
                continue;
            };
            let mark = valuation.mark(&position.instrument_id);
            let unrealized = match mark {
                _ if position.is_flat() => Some(Money::ZERO),
                Some(mark) => position.unrealized_pnl(instrument, mark).ok(),
                None => None,
            };
            table.partial |= unrealized.is_none();
            let pnl = Pnl {
                realized: position.realized_pnl,
                unrealized: unrealized.unwrap_or_default(),
                ..Pnl::default()
            };
            let currency = instrument.profit_currency();
            table.add(
                &position.strategy_id,
                &position.instrument_id,
                currency,
                pnl,
            )?;
        }
        for (instrument_id, strategy_id, charges) in self.charges() {
            for (currency, fees) in fees_of(charges, instruments.get(instrument_id))? {
                let pnl = Pnl {
                    fees,
                    ..Pnl::default()
                };
                table.add(strategy_id, instrument_id, &currency, pnl)?;
            }
            for (currency, funding) in &charges.funding {
                let pnl = Pnl {
                    funding: *funding,
                    ..Pnl::default()
                };
                table.add(strategy_id, instrument_id, currency, pnl)?;
            }
        }
        Ok(table)
    }
}

/// Returns what fees cost, by currency: those that were paid in units of the position what the units
/// had cost. With them the parts of a profit sum to the change of the equity at every price.
fn fees_of(
    charges: &Charges,
    instrument: Option<&Instrument>,
) -> Result<BTreeMap<Currency, Money>, NumberError> {
    let mut fees = charges.fees.clone();
    let Some(instrument) = instrument.filter(|_| charges.in_units != FeesInUnits::default()) else {
        return Ok(fees);
    };
    let FeesInUnits { amount, cost } = charges.in_units;
    let base = fees.entry(instrument.base_currency.clone()).or_default();
    *base = base.checked_sub(amount)?;
    let quote = fees.entry(instrument.quote_currency.clone()).or_default();
    *quote = quote.checked_add(cost)?;
    fees.retain(|_, fee| !fee.is_zero());
    Ok(fees)
}

impl Attribution {
    fn add(
        &mut self,
        strategy_id: &StrategyId,
        instrument_id: &InstrumentId,
        currency: &Currency,
        pnl: Pnl,
    ) -> Result<(), NumberError> {
        let key = PnlKey {
            strategy_id: strategy_id.clone(),
            instrument_id: instrument_id.clone(),
            currency: currency.clone(),
        };
        let row = self.rows.entry(key).or_default();
        *row = row.checked_add(&pnl)?;
        Ok(())
    }

    /// Returns sums by strategy and currency.
    ///
    /// Errors: `OutOfRange`.
    pub fn by_strategy(&self) -> Result<BTreeMap<(StrategyId, Currency), Pnl>, NumberError> {
        self.sums(|key| (key.strategy_id.clone(), key.currency.clone()))
    }

    /// Returns sums by instrument and currency.
    ///
    /// Errors: `OutOfRange`.
    pub fn by_instrument(&self) -> Result<BTreeMap<(InstrumentId, Currency), Pnl>, NumberError> {
        self.sums(|key| (key.instrument_id.clone(), key.currency.clone()))
    }

    /// Returns the sums of the account by currency.
    ///
    /// Errors: `OutOfRange`.
    pub fn totals(&self) -> Result<BTreeMap<Currency, Pnl>, NumberError> {
        self.sums(|key| key.currency.clone())
    }

    fn sums<K: Ord>(&self, of: impl Fn(&PnlKey) -> K) -> Result<BTreeMap<K, Pnl>, NumberError> {
        let mut sums: BTreeMap<K, Pnl> = BTreeMap::new();
        for (key, pnl) in &self.rows {
            let sum = sums.entry(of(key)).or_default();
            *sum = sum.checked_add(pnl)?;
        }
        Ok(sums)
    }

    /// Returns the rows that `is_meant` in the base currency, each converted by itself and then
    /// added: parts in the base currency sum to the whole as well.
    pub fn in_base(
        &self,
        valuation: &Valuation<'_>,
        is_meant: impl Fn(&PnlKey) -> bool,
    ) -> BasePnl {
        let mut sums = [Sum::default(); 4];
        for (key, pnl) in self.rows.iter().filter(|(key, _)| is_meant(key)) {
            let parts = [pnl.realized, pnl.unrealized, pnl.fees, pnl.funding];
            for (sum, part) in sums.iter_mut().zip(parts) {
                sum.add(valuation.convert(part, &key.currency));
            }
        }
        let [realized, unrealized, fees, funding] = sums.map(|sum| sum.total);
        BasePnl {
            pnl: Pnl {
                realized,
                unrealized,
                fees,
                funding,
            },
            partial: self.partial || sums.iter().any(|sum| sum.partial),
        }
    }
}

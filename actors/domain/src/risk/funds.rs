//! What an account can pay with, less what its other instruments hold of it.

use super::checks::Funds;
use super::exposure::{Exposure, Exposures};
use super::margin::{ContractMargin, contract_margin, spot_buy_reserve};
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::number::{self, Decimal, NumberError};
use crate::portfolio::{Mark, Portfolio};
use std::collections::{BTreeMap, BTreeSet};

/// The account as one instrument sees it.
#[derive(Debug)]
pub(crate) struct AccountFunds<'a> {
    pub instrument: &'a Instrument,
    pub instruments: &'a BTreeMap<InstrumentId, Instrument>,
    pub portfolio: &'a Portfolio,
    pub exposures: &'a Exposures,
    /// What each instrument was last shown at.
    pub marks: &'a BTreeMap<InstrumentId, Mark>,
}

impl AccountFunds<'_> {
    /// Returns the other instruments that have a position or a working order.
    fn others(&self) -> impl Iterator<Item = &Instrument> {
        let working = self.exposures.iter().map(|(id, _)| id);
        let held = self.portfolio.nets().map(|(id, _)| id);
        let ids: BTreeSet<&InstrumentId> = working.chain(held).collect();
        ids.into_iter()
            .filter(|id| **id != self.instrument.instrument_id)
            .filter_map(|id| self.instruments.get(id))
    }

    fn margin_of(
        &self,
        contract: &Instrument,
        exposure: &Exposure,
    ) -> Result<ContractMargin, NumberError> {
        let positions = self.portfolio.by_side(&contract.instrument_id)?;
        let mark = self.marks.get(&contract.instrument_id);
        contract_margin(contract, positions, exposure, mark.map(|mark| mark.price))
    }

    /// Returns cash in `currency` less what the other instruments hold of it.
    fn free_cash(&self, currency: &Currency) -> Result<Decimal, NumberError> {
        let mut free = self.portfolio.cash_of(currency);
        for other in self.others().filter(|o| o.profit_currency() == currency) {
            let exposure = self.exposures.of(&other.instrument_id);
            let held = match other.kind {
                InstrumentKind::Spot => spot_buy_reserve(other, &exposure)?,
                InstrumentKind::Linear | InstrumentKind::Inverse => {
                    self.margin_of(other, &exposure)?.total()?
                }
            };
            free = free.checked_sub(held).ok_or(NumberError::OutOfRange)?;
        }
        Ok(free)
    }
}

impl Funds for AccountFunds<'_> {
    fn free_of_others(&self) -> Result<Decimal, NumberError> {
        self.free_cash(self.instrument.profit_currency())
    }

    fn contract_margin(&self, exposure: &Exposure) -> Result<ContractMargin, NumberError> {
        self.margin_of(self.instrument, exposure)
    }

    fn base_holdings(&self) -> Result<Decimal, NumberError> {
        let base = &self.instrument.base_currency;
        let mut holdings = self.free_cash(base)?;
        let same_base = self
            .others()
            .filter(|o| o.kind == InstrumentKind::Spot && o.base_currency == *base);
        for instrument in same_base.chain(std::iter::once(self.instrument)) {
            let id = &instrument.instrument_id;
            let mut units = i128::from(self.portfolio.net(id).quantity);
            if *id != self.instrument.instrument_id {
                units -= self.exposures.of(id).sell.quantity;
            }
            let held = number::decimal_of(units, instrument.quantity_decimals)?;
            holdings = holdings.checked_add(held).ok_or(NumberError::OutOfRange)?;
        }
        Ok(holdings)
    }
}

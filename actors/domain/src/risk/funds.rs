//! What an account can pay with, less what its other instruments hold of it.

use super::checks::Funds;
use super::exposure::{Exposure, Exposures};
use super::margin::{ContractMargin, contract_margin, spot_buy_reserve};
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::number::{self, Decimal, NumberError};
use crate::portfolio::{Mark, Portfolio};
use std::collections::{BTreeMap, BTreeSet};

/// What an account has, and what binds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holdings<'a> {
    pub instruments: &'a BTreeMap<InstrumentId, Instrument>,
    pub portfolio: &'a Portfolio,
    pub exposures: &'a Exposures,
    /// What each instrument was last shown at.
    pub marks: &'a BTreeMap<InstrumentId, Mark>,
}

/// The account as one instrument sees it.
#[derive(Debug)]
pub(crate) struct AccountFunds<'a> {
    pub instrument: &'a Instrument,
    pub holdings: Holdings<'a>,
}

impl Holdings<'_> {
    /// Returns the instruments but `except` that have a position or a working order.
    fn touched(&self, except: Option<&InstrumentId>) -> impl Iterator<Item = &Instrument> {
        let working = self.exposures.iter().map(|(id, _)| id);
        let held = self.portfolio.nets().map(|(id, _)| id);
        let ids: BTreeSet<&InstrumentId> = working.chain(held).collect();
        ids.into_iter()
            .filter(move |id| Some(*id) != except)
            .filter_map(|id| self.instruments.get(id))
    }

    /// Returns what can be spent or delivered of `currency`: cash and what was bought of it as a
    /// spot asset, less what was sold of it, and less what orders and contracts hold of it.
    /// `except` of one instrument.
    ///
    /// Errors: `OutOfRange`.
    pub fn free(
        &self,
        currency: &Currency,
        except: Option<&InstrumentId>,
    ) -> Result<Decimal, NumberError> {
        let mut free = self.portfolio.cash_of(currency);
        let mut add = |amount: Decimal| -> Result<(), NumberError> {
            free = free.checked_add(amount).ok_or(NumberError::OutOfRange)?;
            Ok(())
        };
        for instrument in self.touched(except) {
            let exposure = self.exposures.of(&instrument.instrument_id);
            let spot = instrument.kind == InstrumentKind::Spot;
            if spot && instrument.base_currency == *currency {
                let held = self.portfolio.net(&instrument.instrument_id).quantity;
                let units = i128::from(held) - exposure.sell.quantity;
                add(number::decimal_of(units, instrument.quantity_decimals)?)?;
            }
            if instrument.profit_currency() == currency {
                let bound = match instrument.kind {
                    InstrumentKind::Spot => spot_buy_reserve(instrument, &exposure)?,
                    InstrumentKind::Linear | InstrumentKind::Inverse => {
                        self.margin_of(instrument, &exposure)?.total()?
                    }
                };
                add(-bound)?;
            }
        }
        Ok(free)
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
}

impl Funds for AccountFunds<'_> {
    fn free_of_others(&self) -> Result<Decimal, NumberError> {
        let own = Some(&self.instrument.instrument_id);
        self.holdings.free(self.instrument.profit_currency(), own)
    }

    fn contract_margin(&self, exposure: &Exposure) -> Result<ContractMargin, NumberError> {
        self.holdings.margin_of(self.instrument, exposure)
    }

    fn base_holdings(&self) -> Result<Decimal, NumberError> {
        let id = &self.instrument.instrument_id;
        let others = self
            .holdings
            .free(&self.instrument.base_currency, Some(id))?;
        let units = i128::from(self.holdings.portfolio.net(id).quantity);
        let own = number::decimal_of(units, self.instrument.quantity_decimals)?;
        others.checked_add(own).ok_or(NumberError::OutOfRange)
    }
}

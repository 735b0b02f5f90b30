//! What positions and cash are worth at given prices, in one currency.

use super::rates::{Freshness, Rates};
use super::{Portfolio, Position};
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{NumberError, Price};
use crate::time::UnixNanos;
use std::collections::BTreeMap;

/// The price that an instrument is valued at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub price: Price,
    /// When it was made, in the clock of [`Freshness::now`].
    pub ts: UnixNanos,
}

/// The prices of a valuation, and how old each may be.
#[derive(Clone, Copy, Debug)]
pub struct Valuation<'a> {
    /// The currency that everything is converted to.
    pub base_currency: &'a Currency,
    pub marks: &'a BTreeMap<InstrumentId, Mark>,
    pub mark_freshness: Freshness,
    pub rates: &'a Rates,
    pub rate_freshness: Freshness,
}

/// What an account is worth at given marks, in its base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Equity {
    /// Cash, spot positions at their mark, and the open profit of contracts.
    pub equity: Money,
    /// Open profit of all positions.
    pub unrealized_pnl: Money,
    /// True when a mark or a conversion was missing or too old: what it concerned is left out.
    pub partial: bool,
}

impl Valuation<'_> {
    /// Returns the mark of an instrument; `None` where there is none or it is too old.
    pub fn mark(&self, instrument_id: &InstrumentId) -> Option<Price> {
        let mark = self.marks.get(instrument_id)?;
        self.mark_freshness.allows(mark.ts).then_some(mark.price)
    }

    /// Returns `amount` in the base currency; `None` where a rate is missing or too old.
    pub fn convert(&self, amount: Money, currency: &Currency) -> Option<Money> {
        self.rates
            .convert(amount, currency, self.base_currency, self.rate_freshness)
    }
}

/// A sum in the base currency that says when something was left out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub total: Money,
    pub partial: bool,
}

impl Sum {
    /// Adds an amount, or leaves it out and says so.
    pub fn add(&mut self, amount: Option<Money>) {
        let after = amount.and_then(|amount| self.total.checked_add(amount).ok());
        match after {
            Some(total) => self.total = total,
            None => self.partial = true,
        }
    }
}

/// Returns the account's part of `position` besides cash, and its open profit, in the currency
/// of the instrument's profit.
fn worth(
    instrument: &Instrument,
    position: &Position,
    mark: Price,
) -> Result<(Money, Money), NumberError> {
    let open = position.unrealized_pnl(instrument, mark)?;
    Ok(match instrument.kind {
        // Cash paid the cost, so the whole value counts.
        InstrumentKind::Spot => (position.value(instrument, mark)?, open),
        InstrumentKind::Linear | InstrumentKind::Inverse => (open, open),
    })
}

impl Portfolio {
    /// Returns what everything is worth in the base currency.
    pub fn equity(
        &self,
        instruments: &BTreeMap<InstrumentId, Instrument>,
        valuation: &Valuation<'_>,
    ) -> Equity {
        let (mut equity, mut unrealized) = (Sum::default(), Sum::default());
        for (currency, money) in &self.cash {
            equity.add(valuation.convert(*money, currency));
        }
        for position in self.positions().filter(|position| !position.is_flat()) {
            let instrument = instruments.get(&position.instrument_id);
            let mark = valuation.mark(&position.instrument_id);
            let found = instrument.zip(mark).and_then(|(instrument, mark)| {
                let (worth, open) = worth(instrument, position, mark).ok()?;
                let currency = instrument.profit_currency();
                let worth = valuation.convert(worth, currency)?;
                Some((worth, valuation.convert(open, currency)?))
            });
            equity.add(found.map(|(worth, _)| worth));
            unrealized.add(found.map(|(_, open)| open));
        }
        Equity {
            equity: equity.total,
            unrealized_pnl: unrealized.total,
            partial: equity.partial || unrealized.partial,
        }
    }
}

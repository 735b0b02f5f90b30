//! What positions and working orders hold of an account, and what is left of it.

use super::Portfolio;
use super::valuation::{Sum, Valuation};
use crate::id::{Currency, InstrumentId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::{Money, Rate};
use crate::number::{Decimal, NumberError, Price, Quantity};
use crate::risk::exposure::{Exposure, Exposures};
use crate::risk::margin::{spot_buy_reserve, working_worth};
use std::collections::{BTreeMap, BTreeSet};

/// What one instrument holds, in the currency of its profit. A spot instrument has no margin: its
/// positions are paid, and its working buys reserve what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstrumentMargin {
    /// What the positions are worth at the mark, without sign. Sides of a hedging account do not
    /// offset each other; a venue that offsets them asks for less.
    pub notional: Money,
    /// Initial margin of the positions: `notional * initial_margin`.
    pub initial: Money,
    /// What the venue liquidates below: `notional * maintenance_margin`.
    pub maintenance: Money,
    /// What the working orders of the worse side need beyond that, with their taker fees.
    pub reserved: Money,
}

/// What of an account's margin one instrument holds, in the account's base currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarginPart {
    pub initial: Money,
    pub maintenance: Money,
    pub reserved: Money,
}

impl MarginPart {
    fn is_nothing(&self) -> bool {
        [self.initial, self.maintenance, self.reserved]
            .iter()
            .all(|amount| amount.is_zero())
    }
}

/// What an account holds and has left, in its base currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Margin {
    /// Cash of all currencies and the open profit of contracts. Spot positions do not count.
    pub collateral: Money,
    pub initial: Money,
    pub maintenance: Money,
    pub reserved: Money,
    /// `collateral - initial - reserved`; may be negative.
    pub free: Money,
    /// `maintenance / collateral`, to 16 decimals, half to even: at 1 the venue liquidates.
    /// `None` where nothing needs margin, and where the collateral is gone.
    pub ratio: Option<Rate>,
    /// True when a mark or rate was missing or too old: what it concerned is left out.
    pub partial: bool,
    /// The parts of `initial`, `maintenance` and `reserved`; instruments that hold nothing, and those
    /// that were left out, are absent.
    pub by_instrument: BTreeMap<InstrumentId, MarginPart>,
}

impl Margin {
    /// Returns true when the collateral no longer covers the maintenance margin.
    pub fn is_short(&self) -> bool {
        self.collateral < self.maintenance
    }
}

impl Portfolio {
    /// Returns what one instrument holds at `mark`. A mark is needed for a position only.
    ///
    /// Errors: `OutOfRange`, also for a position without a mark.
    pub fn instrument_margin(
        &self,
        instrument: &Instrument,
        exposure: &Exposure,
        mark: Option<Price>,
    ) -> Result<InstrumentMargin, NumberError> {
        const RANGE: NumberError = NumberError::OutOfRange;
        if instrument.kind == InstrumentKind::Spot {
            return Ok(InstrumentMargin {
                reserved: Money(spot_buy_reserve(instrument, exposure)?),
                ..InstrumentMargin::default()
            });
        }
        let id = &instrument.instrument_id;
        let at_mark = |quantity: i64| match mark {
            _ if quantity == 0 => Ok(Money::ZERO),
            Some(mark) => instrument.notional(mark, Quantity(quantity)),
            None => Err(RANGE),
        };
        let (mut notional, mut beyond) = (Money::ZERO, Money::ZERO);
        let mut fees = Money::ZERO;
        for (side, held) in self.by_side(id)?.iter() {
            let worth = at_mark(held.quantity)?.0;
            notional = notional.checked_add(Money(worth.abs()))?;
            let working = working_worth(instrument, &exposure.of(side))?;
            let long = worth.checked_add(working.buys).ok_or(RANGE)?.abs();
            let short = worth.checked_sub(working.sells).ok_or(RANGE)?.abs();
            let more = long.max(short).checked_sub(worth.abs()).ok_or(RANGE)?;
            beyond = beyond.checked_add(Money(more.max(Decimal::ZERO)))?;
            fees = fees.checked_add(Money(working.fees))?;
        }
        let share = |amount: Decimal, rate: Rate| amount.checked_mul(rate.0).ok_or(RANGE);
        let maintenance = instrument.rules.maintenance_margin;
        let maintenance = maintenance.unwrap_or(instrument.initial_margin);
        let reserved = share(beyond.0, instrument.initial_margin)?;
        Ok(InstrumentMargin {
            notional,
            initial: Money(share(notional.0, instrument.initial_margin)?),
            maintenance: Money(share(notional.0, maintenance)?),
            reserved: Money(reserved.checked_add(fees.0).ok_or(RANGE)?),
        })
    }

    /// Adds the coins that were bought and that contracts here are margined in: orders of such
    /// contracts may count on them, and so does who looks at what is left.
    fn add_coins(
        &self,
        touched: &BTreeSet<&InstrumentId>,
        instruments: &BTreeMap<InstrumentId, Instrument>,
        valuation: &Valuation<'_>,
        collateral: &mut Sum,
    ) {
        let known = || touched.iter().filter_map(|id| instruments.get(*id));
        let margined: BTreeSet<&Currency> = known()
            .filter(|instrument| instrument.settles_profit())
            .map(Instrument::profit_currency)
            .collect();
        for instrument in known().filter(|it| it.kind == InstrumentKind::Spot) {
            let coin = &instrument.base_currency;
            let held = Quantity(self.net(&instrument.instrument_id).quantity);
            if margined.contains(coin) && !held.is_zero() {
                let coins = Money(instrument.quantity_decimal(held));
                collateral.add(valuation.convert(coins, coin));
            }
        }
    }

    /// Returns what all instruments together hold, and what is left.
    pub fn margin(
        &self,
        instruments: &BTreeMap<InstrumentId, Instrument>,
        exposures: &Exposures,
        valuation: &Valuation<'_>,
    ) -> Margin {
        let mut sums = MarginSums::default();
        for (currency, money) in &self.cash {
            sums.collateral.add(valuation.convert(*money, currency));
        }
        let working = exposures.iter().map(|(id, _)| id);
        let held = self.nets().map(|(id, _)| id);
        let touched: BTreeSet<&InstrumentId> = working.chain(held).collect();
        self.add_coins(&touched, instruments, valuation, &mut sums.collateral);
        for id in touched {
            let Some(instrument) = instruments.get(id) else {
                sums.collateral.partial = true;
                continue;
            };
            let mark = valuation.mark(id);
            let margin = self.instrument_margin(instrument, &exposures.of(id), mark);
            sums.take(margin.ok(), instrument, valuation);
            if instrument.settles_profit() {
                for position in self.positions_of(id).filter(|p| !p.is_flat()) {
                    let open = mark.and_then(|mark| position.unrealized_pnl(instrument, mark).ok());
                    let currency = instrument.profit_currency();
                    let open = open.and_then(|open| valuation.convert(open, currency));
                    sums.collateral.add(open);
                }
            }
        }
        sums.finish()
    }
}

#[derive(Default)]
struct MarginSums {
    collateral: Sum,
    initial: Sum,
    maintenance: Sum,
    reserved: Sum,
    parts: BTreeMap<InstrumentId, MarginPart>,
}

impl MarginSums {
    fn take(
        &mut self,
        margin: Option<InstrumentMargin>,
        instrument: &Instrument,
        valuation: &Valuation<'_>,
    ) {
        let currency = instrument.profit_currency();
        let in_base = |of: fn(&InstrumentMargin) -> Money| {
            let amount = margin.as_ref().map(of)?;
            valuation.convert(amount, currency)
        };
        let initial = in_base(|margin| margin.initial);
        let maintenance = in_base(|margin| margin.maintenance);
        let reserved = in_base(|margin| margin.reserved);
        self.initial.add(initial);
        self.maintenance.add(maintenance);
        self.reserved.add(reserved);
        let part = MarginPart {
            initial: initial.unwrap_or_default(),
            maintenance: maintenance.unwrap_or_default(),
            reserved: reserved.unwrap_or_default(),
        };
        if !part.is_nothing() {
            self.parts.insert(instrument.instrument_id.clone(), part);
        }
    }

    fn finish(self) -> Margin {
        let parts = [
            self.collateral,
            self.initial,
            self.maintenance,
            self.reserved,
        ];
        let mut free = self.collateral;
        free.add(Some(Money(-self.initial.total.0)));
        free.add(Some(Money(-self.reserved.total.0)));
        let (collateral, maintenance) = (self.collateral.total, self.maintenance.total);
        let measurable = collateral.0 > Decimal::ZERO && maintenance.0 > Decimal::ZERO;
        let ratio = measurable.then(|| maintenance.0.checked_div(collateral.0));
        let ratio = ratio.flatten();
        Margin {
            collateral,
            initial: self.initial.total,
            maintenance,
            reserved: self.reserved.total,
            free: free.total,
            ratio: ratio.map(|ratio| Rate(ratio.round_dp(super::COST_DECIMALS))),
            partial: free.partial || parts.iter().any(|part| part.partial),
            by_instrument: self.parts,
        }
    }
}

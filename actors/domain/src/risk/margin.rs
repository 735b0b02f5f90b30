//! What working orders and positions hold of an account's money: the arithmetic that checks before
//! an order and readers of margin share.

use super::exposure::{Exposure, SideExposure, Sides};
use crate::instrument::{INVERSE_DECIMALS, Instrument, InstrumentKind};
use crate::number::{self, Decimal, NumberError, Price, Quantity};
use crate::portfolio::BySide;
use rust_decimal::RoundingStrategy;

pub(super) fn add(a: Decimal, b: Decimal) -> Result<Decimal, NumberError> {
    a.checked_add(b).ok_or(NumberError::OutOfRange)
}

fn multiply(a: Decimal, b: Decimal) -> Result<Decimal, NumberError> {
    a.checked_mul(b).ok_or(NumberError::OutOfRange)
}

/// Returns what the open orders of one side are worth, in the currency of the profit.
fn side_notional(instrument: &Instrument, side: SideExposure) -> Result<Decimal, NumberError> {
    let worth = match instrument.kind {
        InstrumentKind::Spot | InstrumentKind::Linear => {
            let decimals = instrument.price_decimals + instrument.quantity_decimals;
            number::decimal_of(side.notional, decimals)?
        }
        InstrumentKind::Inverse => side.base_amount(instrument)?,
    };
    let worth = multiply(worth, instrument.multiplier.0)?;
    Ok(match instrument.kind {
        InstrumentKind::Spot | InstrumentKind::Linear => worth,
        // A fill is rounded half to even, so that it may be worth more than the quotient.
        InstrumentKind::Inverse => worth.round_dp_with_strategy(
            u32::from(INVERSE_DECIMALS),
            RoundingStrategy::ToPositiveInfinity,
        ),
    })
}

/// Adds what taking the liquidity of so many orders costs. A rebate is not counted on before it
/// came, and a fee in the base asset of a spot buy is paid from what is bought. The least that a
/// fill is charged is counted once an order: how many fills there will be is not known.
pub(super) fn with_taker_fee(
    instrument: &Instrument,
    notional: Decimal,
    quantity: i128,
    orders: i64,
) -> Result<Decimal, NumberError> {
    if instrument.fees.in_base {
        return Ok(notional);
    }
    let rate = instrument.fees.taker.0.max(Decimal::ZERO);
    let mut total = add(notional, multiply(notional, rate)?)?;
    if !instrument.fees.per_unit.is_zero() {
        let units = number::decimal_of(quantity, instrument.quantity_decimals)?;
        total = add(total, multiply(units, instrument.fees.per_unit.0)?)?;
    }
    if !instrument.fees.minimum.is_zero() {
        // Of one order the greater of both is what it costs; of several no more than the sum.
        let least = multiply(instrument.fees.minimum.0, Decimal::from(orders))?;
        let fee = add(total, -notional)?;
        total = match orders {
            1 => add(notional, fee.max(least))?,
            _ => add(total, least)?,
        };
    }
    Ok(total)
}

/// Returns the quote currency that the working buys of a spot instrument hold, fee included.
pub(crate) fn spot_buy_reserve(
    instrument: &Instrument,
    exposure: &Exposure,
) -> Result<Decimal, NumberError> {
    let notional = side_notional(instrument, exposure.buy)?;
    with_taker_fee(
        instrument,
        notional,
        exposure.buy.quantity,
        exposure.buy.orders,
    )
}

/// What a contract holds of the currency of its profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractMargin {
    /// Initial margin of the position with all working orders of the worse side filled; in a
    /// hedging account the sum of this over its sides.
    pub margin: Decimal,
    /// Taker fees of the working orders.
    pub fees: Decimal,
    /// What all positions of the instrument together would lose if they were closed at the mark.
    /// An open profit pays for nothing before it is realised.
    pub open_loss: Decimal,
}

impl ContractMargin {
    /// Returns all of it. Errors: `OutOfRange`.
    pub fn total(self) -> Result<Decimal, NumberError> {
        add(add(self.margin, self.fees)?, self.open_loss)
    }
}

/// What working orders are worth, in the currency of its profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Working {
    pub buys: Decimal,
    pub sells: Decimal,
    /// Taker fees of both.
    pub fees: Decimal,
}

pub(crate) fn working_worth(
    instrument: &Instrument,
    sides: &Sides,
) -> Result<Working, NumberError> {
    let buys = side_notional(instrument, sides.buy)?;
    let sells = side_notional(instrument, sides.sell)?;
    let working = add(buys, sells)?;
    let quantity = sides.buy.quantity + sides.sell.quantity;
    let orders = sides.buy.orders + sides.sell.orders;
    let fees = add(
        with_taker_fee(instrument, working, quantity, orders)?,
        -working,
    )?;
    Ok(Working { buys, sells, fees })
}

/// Returns what a contract holds at `mark`, the last price that was shown: a loss does not go away
/// as its price ages. Before any was shown the position counts at its cost, without a loss.
pub(crate) fn contract_margin(
    instrument: &Instrument,
    positions: BySide,
    exposure: &Exposure,
    mark: Option<Price>,
) -> Result<ContractMargin, NumberError> {
    let (mut worst, mut fees) = (Decimal::ZERO, Decimal::ZERO);
    let mut profit = Decimal::ZERO;
    for (side, held) in positions.iter() {
        let working = working_worth(instrument, &exposure.of(side))?;
        // Not the cost: strategies that offset each other may leave a position that cost nothing.
        let worth = match mark {
            Some(mark) => instrument.notional(mark, Quantity(held.quantity))?,
            None => held.open_cost,
        };
        profit = add(profit, instrument.profit(held.open_cost, worth)?.0)?;
        let long = add(worth.0, working.buys)?.abs();
        let short = add(worth.0, -working.sells)?.abs();
        worst = add(worst, long.max(short))?;
        fees = add(fees, working.fees)?;
    }
    Ok(ContractMargin {
        margin: multiply(worst, instrument.initial_margin.0)?,
        fees,
        open_loss: (-profit).max(Decimal::ZERO),
    })
}

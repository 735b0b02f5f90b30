//! The checks that each new order and each amend passes, as one list in a stated order.
//!
//! Each check is pure and looks only at its [`Question`]. The first one that says no gives the
//! order its reason code; a preview asks them all.

use super::exposure::{Exposure, SideExposure};
use super::{Limits, MarketRef, ReasonCode, TradingState};
use crate::id::StrategyId;
use crate::instrument::{Instrument, InstrumentKind};
use crate::market::Side;
use crate::money::Money;
use crate::number::{self, Decimal, NumberError, Price, Quantity};
use crate::order::{Misfit, OrderType};
use crate::portfolio::NetPosition;
use crate::time::{NANOS_PER_SECOND, UnixNanos};

/// Everything that a check may look at. Sums do not hold the order itself.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub now: UnixNanos,
    pub instrument: &'a Instrument,
    pub limits: &'a Limits,
    pub trading_state: TradingState,
    pub market: MarketRef,
    pub strategy_id: &'a StrategyId,
    pub side: Side,
    pub order_type: OrderType,
    /// Total quantity of the order.
    pub quantity: Quantity,
    /// What of it is still open: less than `quantity` when a part was filled.
    pub open: Quantity,
    pub limit_price: Option<Price>,
    /// Where a conditional order triggers.
    pub stop_price: Option<Price>,
    pub reduce_only: bool,
    /// A number that the edge could not hold.
    pub misfit: Option<&'a Misfit>,
    /// Why neither venue nor account can do this order, when they cannot.
    pub unsupported: Option<&'static str>,
    /// One of the platform's own orders that close a position: no state, rate or count keeps it.
    pub closing: bool,
    /// For an amend what the order could do before it; an amend that only does less is not
    /// measured against position and buying power again.
    pub before: Option<Before>,
    /// Position of all strategies together.
    pub net: NetPosition,
    /// The other working orders of this instrument.
    pub exposure: Exposure,
    /// The best price of the account's own orders that this one could trade with, where that is
    /// to be prevented.
    pub opposite: Option<Price>,
    /// Working orders of the account, this one not counted.
    pub open_orders: usize,
    /// What the limits over more than one instrument look at, where one is set.
    pub wide: Option<Wide>,
    /// Orders and amends of the last second.
    pub recent_orders: usize,
    pub funds: &'a dyn Funds,
}

/// The open part of an order before an amend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub open: Quantity,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
}

/// What an account can pay with; asked only by the check that needs it.
pub trait Funds: std::fmt::Debug {
    /// Returns cash in the currency of the instrument's profit, less everything that orders and positions
    /// of other instruments hold of it. Errors: `OutOfRange`.
    fn free_of_others(&self) -> Result<Decimal, NumberError>;

    /// Returns units of the base asset that can be delivered, less those that working sells of
    /// other instruments hold. Errors: `OutOfRange`.
    fn base_holdings(&self) -> Result<Decimal, NumberError>;
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub reason_code: ReasonCode,
    /// For a person.
    pub reason: String,
}

impl From<NumberError> for Denial {
    fn from(error: NumberError) -> Denial {
        deny(
            ReasonCode::NumericRange,
            format!("a number of this order {error}"),
        )
    }
}

fn deny(reason_code: ReasonCode, reason: impl Into<String>) -> Denial {
    Denial {
        reason_code,
        reason: reason.into(),
    }
}

mod form;
mod state;
mod wide;

pub use wide::{Reach, Wide};

use form::{
    notional, order_notional, price_collar, price_increment, quantity_bounds, quantity_increment,
    reference_price, supported,
};
use state::{
    instrument_exposure, open_orders, order_rate, position_limit, reduce_only, self_trade,
    trading_state,
};

type Check = fn(&Question<'_>) -> Result<(), Denial>;

/// The checks in their order: what needs no market first, what needs the whole account last.
pub const CHECKS: [(&str, Check); 18] = [
    ("trading_state", trading_state),
    ("supported", supported),
    ("price_increment", price_increment),
    ("quantity_increment", quantity_increment),
    ("quantity_bounds", quantity_bounds),
    ("reduce_only", reduce_only),
    ("reference_price", reference_price),
    ("notional", notional),
    ("price_collar", price_collar),
    ("open_orders", open_orders),
    ("order_rate", order_rate),
    ("self_trade", self_trade),
    ("instrument_exposure", instrument_exposure),
    ("position_limit", position_limit),
    ("strategy_exposure", wide::strategy_exposure),
    ("account_exposure", wide::account_exposure),
    ("concentration", wide::concentration),
    ("buying_power", buying_power),
];

/// Asks the checks in order. Errors: the first refusal.
pub fn check(question: &Question<'_>) -> Result<(), Denial> {
    CHECKS.iter().try_for_each(|(_, check)| check(question))
}

/// Asks those checks only that look at nothing but the order and its instrument.
///
/// Errors: the first refusal.
pub fn check_form(question: &Question<'_>) -> Result<(), Denial> {
    let checks: [Check; 5] = [
        supported,
        price_increment,
        quantity_increment,
        quantity_bounds,
        order_notional,
    ];
    checks.iter().try_for_each(|check| check(question))
}

/// Returns each refusal with the name of its check.
pub fn failures(question: &Question<'_>) -> Vec<(&'static str, Denial)> {
    CHECKS
        .iter()
        .filter_map(|(name, check)| check(question).err().map(|denial| (*name, denial)))
        .collect()
}

impl Question<'_> {
    /// Returns the fresh price that an order of this side would meet at worst.
    fn reference(&self) -> Option<Price> {
        let price = match self.side {
            Side::Buy => self.market.ask,
            Side::Sell => self.market.bid,
        }?;
        let age = self.now.since(self.market.ts);
        match self.limits.max_reference_age_ns {
            Some(limit) if age > limit => None,
            _ => Some(price),
        }
    }

    /// Returns the price that the order is counted at: its limit, or the dearer one of stop
    /// price and reference.
    pub(crate) fn price(&self) -> Result<Price, Denial> {
        self.limit_price
            .or_else(|| self.reference().max(self.stop_price))
            .ok_or_else(no_reference)
    }

    /// Returns the worst position on this side, signed: every working order of the side filled.
    pub(crate) fn worst_position(&self) -> i128 {
        let working = self.exposure.side(self.side).quantity + i128::from(self.open.0);
        i128::from(self.net.quantity) + working * i128::from(self.side.sign())
    }

    /// Returns true when nothing is left of the position to reduce by this order.
    fn passes_zero(&self) -> bool {
        let worst = self.worst_position();
        match self.side {
            Side::Buy => self.net.quantity >= 0 || worst > 0,
            Side::Sell => self.net.quantity <= 0 || worst < 0,
        }
    }

    /// Returns false for an amend after which the order can do no more than before.
    fn does_more(&self) -> bool {
        self.before.is_none_or(|before| {
            self.open > before.open
                || self.limit_price > before.limit_price
                || self.stop_price > before.stop_price
        })
    }
}

fn no_reference() -> Denial {
    deny(
        ReasonCode::NoReferencePrice,
        "there is no fresh price of this side to measure the order by",
    )
}

fn buying_power(q: &Question<'_>) -> Result<(), Denial> {
    if !q.limits.check_buying_power || q.closing || !q.does_more() {
        return Ok(());
    }
    match (q.instrument.kind, q.side) {
        (InstrumentKind::Spot, Side::Buy) => spot_buy(q),
        (InstrumentKind::Spot, Side::Sell) if q.limits.allow_short_spot => Ok(()),
        (InstrumentKind::Spot, Side::Sell) => spot_sell(q),
        (InstrumentKind::Linear | InstrumentKind::Inverse, _) => contract(q),
    }
}

fn insufficient(needed: Decimal, available: Decimal, currency: &crate::Currency) -> Denial {
    deny(
        ReasonCode::InsufficientBuyingPower,
        format!(
            "needs {} {currency}, {} is free",
            Money(needed),
            Money(available)
        ),
    )
}

fn spot_buy(q: &Question<'_>) -> Result<(), Denial> {
    let others = spot_buy_reserve(q.instrument, &q.exposure)?;
    let free = add(q.funds.free_of_others()?, -others)?;
    let needed = q.instrument.notional(q.price()?, q.open)?.0.abs();
    let needed = with_taker_fee(q.instrument, needed, i128::from(q.open.0))?;
    if needed > free {
        return Err(insufficient(needed, free, &q.instrument.quote_currency));
    }
    Ok(())
}

fn spot_sell(q: &Question<'_>) -> Result<(), Denial> {
    let decimals = q.instrument.quantity_decimals;
    let selling = number::decimal_of(q.exposure.sell.quantity, decimals)?;
    let free = add(q.funds.base_holdings()?, -selling)?;
    let needed = q.instrument.quantity_decimal(q.open);
    if needed > free {
        return Err(insufficient(needed, free, &q.instrument.base_currency));
    }
    Ok(())
}

/// A contract needs its initial margin at the worst side, and the fees of getting there. What
/// does not raise the margin, such as closing, always passes.
fn contract(q: &Question<'_>) -> Result<(), Denial> {
    let before = contract_margin(q.instrument, q.net, &q.exposure)?;
    let exposure = q.exposure.with(q.side, q.open, q.price()?)?;
    let after = contract_margin(q.instrument, q.net, &exposure)?;
    if after.margin <= before.margin {
        return Ok(());
    }
    let needed = after.total()?;
    let free = q.funds.free_of_others()?;
    if needed > free {
        return Err(insufficient(needed, free, q.instrument.profit_currency()));
    }
    Ok(())
}

fn add(a: Decimal, b: Decimal) -> Result<Decimal, NumberError> {
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
    multiply(worth, instrument.multiplier.0)
}

/// Adds what taking the liquidity costs. A rebate is not counted on before it came, a fee in the
/// base asset of a spot buy is paid from what is bought, and the least that a fill is charged is
/// left out: how many fills there will be is not known.
fn with_taker_fee(
    instrument: &Instrument,
    notional: Decimal,
    quantity: i128,
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
    Ok(total)
}

/// Returns the quote currency that the working buys of a spot instrument hold, fee included.
pub(crate) fn spot_buy_reserve(
    instrument: &Instrument,
    exposure: &Exposure,
) -> Result<Decimal, NumberError> {
    let notional = side_notional(instrument, exposure.buy)?;
    with_taker_fee(instrument, notional, exposure.buy.quantity)
}

/// What a contract holds of the currency of its profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContractMargin {
    /// Initial margin of the position at cost with all working orders of the worse side filled.
    pub margin: Decimal,
    /// Taker fees of the working orders.
    pub fees: Decimal,
}

impl ContractMargin {
    pub fn total(self) -> Result<Decimal, NumberError> {
        add(self.margin, self.fees)
    }
}

/// What the working orders of an instrument are worth, in the currency of its profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Working {
    pub buys: Decimal,
    pub sells: Decimal,
    /// Taker fees of both.
    pub fees: Decimal,
}

pub(crate) fn working_worth(
    instrument: &Instrument,
    exposure: &Exposure,
) -> Result<Working, NumberError> {
    let buys = side_notional(instrument, exposure.buy)?;
    let sells = side_notional(instrument, exposure.sell)?;
    let working = add(buys, sells)?;
    let quantity = exposure.buy.quantity + exposure.sell.quantity;
    let fees = add(with_taker_fee(instrument, working, quantity)?, -working)?;
    Ok(Working { buys, sells, fees })
}

pub(crate) fn contract_margin(
    instrument: &Instrument,
    net: NetPosition,
    exposure: &Exposure,
) -> Result<ContractMargin, NumberError> {
    let working = working_worth(instrument, exposure)?;
    let long = add(net.open_cost.0, working.buys)?.abs();
    let short = add(net.open_cost.0, -working.sells)?.abs();
    Ok(ContractMargin {
        margin: multiply(long.max(short), instrument.initial_margin.0)?,
        fees: working.fees,
    })
}

/// How far back the order rate counts, exclusive.
pub(crate) const RATE_WINDOW_NS: i64 = NANOS_PER_SECOND;

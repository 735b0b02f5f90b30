//! The checks that each new order and each amend passes, as one list in a stated order.
//!
//! Each check is pure and looks only at its [`Question`]. The first one that says no gives the
//! order its reason code; a preview asks them all.

use super::exposure::Exposure;
use super::fill_range::FillRange;
use super::margin::{ContractMargin, add, spot_buy_reserve, with_taker_fee};
use super::{Limits, MarketRef, ReasonCode, TradingState};
use crate::event::PositionMode;
use crate::id::StrategyId;
use crate::instrument::{Instrument, InstrumentKind};
use crate::market::Side;
use crate::money::Money;
use crate::number::{self, Decimal, NumberError, Price, Quantity};
use crate::order::{Misfit, OrderTerms, OrderType};
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
    /// What else the order says.
    pub terms: &'a OrderTerms,
    pub reduce_only: bool,
    /// A number that the edge could not hold.
    pub misfit: Option<&'a Misfit>,
    /// Why neither venue nor account can do this order, when they cannot.
    pub unsupported: Option<&'static str>,
    /// The mode that the order's side has to fit. `None` of one that need not: an order that was
    /// taken before, or one of the platform's own that closes what is there.
    pub position_mode: Option<PositionMode>,
    /// One of the platform's own orders that close a position: no state, rate, count or limit of
    /// size keeps it.
    pub closing: bool,
    /// It was held here and leaves now: it counts among the open orders already, and a limit of ours
    /// that was lowered since then is no reason to drop what protects a position.
    pub waited: bool,
    /// For an amend what the order could do before it; an amend that only does less is not
    /// measured against position and buying power again.
    pub before: Option<Before>,
    /// Position of all strategies together that the order adds to or reduces.
    pub net: NetPosition,
    /// The other working orders of this instrument.
    pub exposure: Exposure,
    /// What of them on this side is open of orders that end or shrink when this one trades.
    pub alternatives: i128,
    /// What is left to close of the side of a hedging account that the order closes, less what
    /// other working orders close of it; negative where they close too much. `None` of an order
    /// that closes no side.
    pub closable: Option<i128>,
    /// What the venue locks funds for besides this order.
    pub locked: Exposure,
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

    /// Returns what the instrument, a contract, holds with these working orders. Errors:
    /// `OutOfRange`.
    fn contract_margin(&self, exposure: &Exposure) -> Result<ContractMargin, NumberError>;

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

pub use wide::{PlatformReach, Reach, Wide};

use form::{
    notional, order_notional, position_side, price_collar, price_increment, quantity_bounds,
    quantity_increment, reference_price, supported,
};
use state::{
    instrument_exposure, open_orders, order_rate, position_limit, reduce_only, self_trade,
    side_quantity, trading_state,
};

type Check = fn(&Question<'_>) -> Result<(), Denial>;

/// The checks in their order: what needs no market first, what needs the whole account last.
pub const CHECKS: [(&str, Check); 21] = [
    ("trading_state", trading_state),
    ("supported", supported),
    ("position_side", position_side),
    ("price_increment", price_increment),
    ("quantity_increment", quantity_increment),
    ("quantity_bounds", quantity_bounds),
    ("reduce_only", reduce_only),
    ("side_quantity", side_quantity),
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
    ("platform_exposure", wide::platform_exposure),
    ("concentration", wide::concentration),
    ("buying_power", buying_power),
];

/// Asks the checks in order. Errors: the first refusal.
pub fn check(question: &Question<'_>) -> Result<(), Denial> {
    CHECKS.iter().try_for_each(|(_, check)| check(question))
}

/// As [`check`], for one that may come to have a larger share of the platform's limit.
///
/// Errors: the first refusal.
pub fn check_but_share(question: &Question<'_>) -> Result<(), Denial> {
    let mut checks = CHECKS.iter();
    checks.try_for_each(|(name, check)| match *name {
        "platform_exposure" => Ok(()),
        _ => check(question),
    })
}

/// Asks a child of a list that is taken: its form, and the rate.
///
/// Errors: the first refusal.
pub fn check_child(question: &Question<'_>) -> Result<(), Denial> {
    check_form(question)?;
    order_rate(question)
}

/// Asks the trading state only. Errors: its refusal.
pub fn check_trading_state(question: &Question<'_>) -> Result<(), Denial> {
    trading_state(question)
}

/// Asks those checks only that look at nothing but the order and its instrument.
///
/// Errors: the first refusal.
pub fn check_form(question: &Question<'_>) -> Result<(), Denial> {
    let checks: [Check; 6] = [
        supported,
        position_side,
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

    /// Returns between which prices the order may trade: it may be better than its limit.
    fn fill_range(&self) -> Result<FillRange, Denial> {
        let market = [self.reference(), self.stop_price];
        let range = FillRange::new(self.side, [self.limit_price, None], market);
        range.ok_or_else(no_reference)
    }

    /// Returns what the order is worth at worst, not negative, in the currency of the profit.
    fn largest_notional(&self) -> Result<Decimal, Denial> {
        let price = self.fill_range()?.dearest(self.instrument.kind);
        Ok(self.instrument.notional(price, self.quantity)?.0.abs())
    }

    /// Returns the worst position on this side, signed: every working order of the side filled.
    /// In a hedging account these are the orders that move the position that this one means.
    pub(crate) fn worst_position(&self) -> i128 {
        let same = self.exposure.of(self.terms.position_side);
        let working = same.side(self.side).quantity + i128::from(self.open.0);
        i128::from(self.net.quantity) + working * i128::from(self.side.sign())
    }

    /// Returns true when nothing is left of the position to reduce by this order.
    fn passes_zero(&self) -> bool {
        // Of the legs of one position each may cover the whole of it.
        let worst = self.worst_position() - self.alternatives * i128::from(self.side.sign());
        match self.side {
            Side::Buy => self.net.quantity >= 0 || worst > 0,
            Side::Sell => self.net.quantity <= 0 || worst < 0,
        }
    }

    /// Returns true for an order that waited here and only brings a position nearer to zero.
    fn is_waited_exit(&self) -> bool {
        self.waited && !self.passes_zero()
    }

    /// Returns true for an amend that takes quantity away, or moves the limit away from the market,
    /// and does nothing else: whatever the order adds, it adds less of it.
    fn is_only_smaller(&self) -> bool {
        self.before.is_some_and(|before| {
            let nearer = match self.side {
                Side::Buy => self.limit_price > before.limit_price,
                Side::Sell => self.limit_price < before.limit_price,
            };
            self.open <= before.open && !nearer && self.stop_price == before.stop_price
        })
    }

    /// Returns false for an amend after which the order can do no more than before.
    fn does_more(&self) -> bool {
        // An inverse contract is worth more the lower its price is, and any other one the farther
        // its price is from zero.
        let inverse = self.instrument.kind == InstrumentKind::Inverse;
        let size = |price: Option<Price>| price.map(|price| price.0.unsigned_abs());
        let dearer = |now, old| now > old || size(now) > size(old) || (inverse && now < old);
        self.before.is_none_or(|before| {
            self.open > before.open
                || dearer(self.limit_price, before.limit_price)
                || dearer(self.stop_price, before.stop_price)
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
    let others = spot_buy_reserve(q.instrument, &q.locked)?;
    let free = add(q.funds.free_of_others()?, -others)?;
    let needed = q.instrument.notional(q.price()?, q.open)?.0.abs();
    let needed = with_taker_fee(q.instrument, needed, i128::from(q.open.0), 1)?;
    if needed > free {
        return Err(insufficient(needed, free, &q.instrument.quote_currency));
    }
    Ok(())
}

fn spot_sell(q: &Question<'_>) -> Result<(), Denial> {
    let decimals = q.instrument.quantity_decimals;
    let selling = number::decimal_of(q.locked.sell.quantity, decimals)?;
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
    // By units first: at a price far from its cost, closing a position looks like opening one.
    if q.worst_position().unsigned_abs() <= i128::from(q.net.quantity).unsigned_abs() {
        return Ok(());
    }
    let before = q.funds.contract_margin(&q.exposure)?;
    // As it is counted once it works: it may trade at another price than its limit.
    let price = q.fill_range()?.dearest(q.instrument.kind);
    let meant = q.terms.position_side;
    let exposure = q.exposure.with(meant, q.side, q.open, price)?;
    let after = q.funds.contract_margin(&exposure)?;
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

/// How far back the order rate counts, exclusive.
pub(crate) const RATE_WINDOW_NS: i64 = NANOS_PER_SECOND;

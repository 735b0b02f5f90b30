//! Equity, margin and attribution of an account with several strategies, kinds and currencies.

use super::support::*;
use crate::account::{AccountInput, FundingPayment};
use crate::id::{ExecId, InstrumentId, StrategyId};
use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::Price;
use crate::order::{OrderTerms, PositionSide, SubmitOrder};
use crate::portfolio::{InstrumentMargin, Mark, Pnl, Rates, Valuation};
use crate::risk::Limits;
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::VenueReport;
use proptest::prelude::*;
use std::collections::BTreeMap;

const INVERSE: &str = "BTCUSDT-INV.SIM";

/// Contracts of 1 USDT with a margin of 10 %, 5 % to keep it.
fn inverse() -> crate::Instrument {
    let mut inverse = instrument(PERP);
    inverse.kind = InstrumentKind::Inverse;
    inverse.instrument_id = id(INVERSE);
    inverse.quantity_decimals = 0;
    inverse.min_notional = Money::ZERO;
    inverse.fees.taker = Rate::ZERO;
    inverse.rules.maintenance_margin = Some(Rate::parse("0.05").unwrap());
    inverse
}

/// 10,000 USDT and 1 BTC; nothing is checked.
fn world() -> World {
    let mut world = World::ready();
    world.cash("BTC", "1");
    world.limits(Limits::default());
    world.apply(AccountInput::DefineInstrument(Box::new(inverse())));
    world
}

/// Fills an order of `strategy` whole; the fee is 0.1 % of price times quantity, in USDT.
fn trade(
    world: &mut World,
    (strategy, position_side): (&str, PositionSide),
    instrument: &str,
    side: Side,
    (quantity, price): (i64, i64),
) {
    let client = format!("o{}", world.account.sequence());
    world.working(SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        terms: OrderTerms {
            position_side,
            ..OrderTerms::default()
        },
        ..limit(&client, instrument, side, quantity, price)
    });
    let mut execution = execution(&client, &client, PERP, side, quantity, price);
    execution.instrument_id = id(instrument);
    world.report(VenueReport::Filled(execution));
}

fn funding(world: &mut World, amount: &str) {
    let funding_id = ExecId::new(&format!("f{}", world.account.sequence())).unwrap();
    let ts_event = world.now;
    world.apply(AccountInput::Funding(FundingPayment {
        instrument_id: id(PERP),
        funding_id,
        currency: currency("USDT"),
        amount: money(amount),
        ts_event,
    }));
}

fn marks(world: &World, prices: &[(&str, i64)]) -> BTreeMap<InstrumentId, Mark> {
    let mark = |&(instrument, price): &(&str, i64)| {
        let (price, ts) = (Price(price), world.now);
        (id(instrument), Mark { price, ts })
    };
    prices.iter().map(mark).collect()
}

/// BTC at 120.00 USDT.
fn rates(world: &World) -> Rates {
    let spot = instrument(SPOT);
    let mut rates = Rates::new([&spot]);
    rates.observe(&spot.instrument_id, Price(12_000), world.now);
    rates
}

const NET: PositionSide = PositionSide::Net;

#[test]
fn equity_leaves_out_what_has_no_fresh_price_and_says_so() {
    let mut world = world();
    trade(&mut world, ("a", NET), SPOT, Side::Buy, (1_000, 10_000));
    trade(&mut world, ("a", NET), INVERSE, Side::Sell, (100, 10_000));
    let cash = world.cash_of("USDT");
    let marks = marks(&world, &[(SPOT, 12_000), (INVERSE, 12_000)]);
    let rates = rates(&world);
    let equity = |now, rates| {
        let valuation = world.account.valuation(now, &marks, rates).unwrap();
        world.account.equity_by(&valuation)
    };
    let full = equity(world.now, &rates);
    // 2 BTC at 120; the contract has lost a sixth of a bitcoin: 1 - 100 / 120.
    let lost = money("0.16666667").0 * money("120").0;
    assert_eq!(full.equity.0, cash.0 + money("240").0 - lost);
    assert_eq!(full.unrealized_pnl.0, money("20").0 - lost);
    assert!(!full.partial);
    // A rate of sixty seconds counts, an older one does not.
    let minute = 60 * NANOS_PER_SECOND;
    assert_eq!(equity(world.now.plus(minute), &rates), full);
    let stale = equity(world.now.plus(minute + 1), &rates);
    assert_eq!(stale.equity.0, cash.0 + money("120").0);
    assert!(stale.partial);
    assert!(equity(world.now, &Rates::default()).partial);
}

#[test]
fn a_limit_sets_how_old_rates_and_marks_may_be() {
    let mut world = world();
    trade(&mut world, ("a", NET), PERP, Side::Buy, (1_000, 10_000));
    let marks = marks(&world, &[(PERP, 12_000)]);
    let rates = rates(&world);
    let mut limits = Limits {
        max_reference_age_ns: Some(5),
        ..Limits::default()
    };
    limits.wide.max_rate_age_ns = Some(10);
    world.limits(limits);
    let at = |age| {
        let now = marks[&id(PERP)].ts.plus(age);
        let valuation = world.account.valuation(now, &marks, &rates).unwrap();
        (
            valuation.mark(&id(PERP)).is_some(),
            valuation.convert(money("1"), &currency("BTC")).is_some(),
        )
    };
    assert_eq!(at(5), (true, true));
    assert_eq!(at(6), (false, true));
    assert_eq!(at(11), (false, false));
}

#[test]
fn margin_is_what_positions_and_working_orders_hold() {
    let mut world = world();
    trade(&mut world, ("a", NET), PERP, Side::Buy, (2_000, 10_000));
    trade(&mut world, ("b", NET), INVERSE, Side::Sell, (120, 10_000));
    let cash = world.cash_of("USDT");
    world.working(limit("s", PERP, Side::Sell, 1_000, 13_000));
    world.working(limit("b", PERP, Side::Buy, 500, 11_000));
    world.working(limit("c", SPOT, Side::Buy, 1_000, 10_000));
    let marks = marks(&world, &[(PERP, 12_000), (INVERSE, 12_000)]);
    let rates = rates(&world);
    let valuation = world.account.valuation(world.now, &marks, &rates).unwrap();
    // 2 at 120, bought to 2.5 at worst: 10 % of 240, and of 55 more; fees of 0.1 % of 185.
    let perp = world.account.instrument_margin(&id(PERP), &valuation);
    let expected = InstrumentMargin {
        notional: money("240"),
        initial: money("24"),
        maintenance: money("24"),
        reserved: money("5.685"),
    };
    assert_eq!(perp, Some(expected));
    // 120 contracts are 1 BTC at 120.
    let inverse = world.account.instrument_margin(&id(INVERSE), &valuation);
    let expected = InstrumentMargin {
        notional: money("1"),
        initial: money("0.1"),
        maintenance: money("0.05"),
        reserved: Money::ZERO,
    };
    assert_eq!(inverse, Some(expected));
    let spot = world.account.instrument_margin(&id(SPOT), &valuation);
    assert_eq!(spot.unwrap().reserved, money("100.1"));
    let margin = world.account.margin(&valuation);
    // Cash and 1 BTC, 40 won on the perpetual and 0.2 BTC lost on the inverse contract.
    assert_eq!(margin.collateral.0, cash.0 + money("136").0);
    assert_eq!(margin.initial, money("36"));
    assert_eq!(margin.maintenance, money("30"));
    assert_eq!(margin.reserved, money("105.785"));
    assert_eq!(margin.free.0, margin.collateral.0 - money("141.785").0);
    let parts: Vec<(&str, [String; 3])> = margin
        .by_instrument
        .iter()
        .map(|(id, part)| {
            let amounts = [part.initial, part.maintenance, part.reserved];
            (
                id.as_str(),
                amounts.map(|amount| amount.0.normalize().to_string()),
            )
        })
        .collect();
    // 0.1 and 0.05 BTC at 120 each.
    let expected = [
        (INVERSE, ["12", "6", "0"].map(str::to_owned)),
        (PERP, ["24", "24", "5.685"].map(str::to_owned)),
        (SPOT, ["0", "0", "100.1"].map(str::to_owned)),
    ];
    assert_eq!(parts, expected);
    let ratio = money("30").0 / margin.collateral.0;
    assert_eq!(margin.ratio, Some(Rate(ratio.round_dp(16))));
    assert!(!margin.partial && !margin.is_short());
    // Without marks the positions cannot be measured.
    let none = BTreeMap::new();
    let valuation = world.account.valuation(world.now, &none, &rates).unwrap();
    assert!(world.account.margin(&valuation).partial);
    assert_eq!(world.account.instrument_margin(&id(PERP), &valuation), None);
}

#[test]
fn hedged_sides_both_need_margin() {
    let mut world = world();
    world.hedging();
    let sides = [
        (PositionSide::Long, Side::Buy),
        (PositionSide::Short, Side::Sell),
    ];
    for (position_side, side) in sides {
        trade(
            &mut world,
            ("a", position_side),
            PERP,
            side,
            (1_000, 10_000),
        );
    }
    let marks = marks(&world, &[(PERP, 10_000)]);
    let rates = rates(&world);
    let valuation = world.account.valuation(world.now, &marks, &rates).unwrap();
    let margin = world.account.instrument_margin(&id(PERP), &valuation);
    assert_eq!(margin.unwrap().initial, money("20"));
    assert_eq!(world.account.net_position(&id(PERP)), 0);
}

/// The sums of the table against what the portfolio counted by itself.
fn assert_sums(world: &World, valuation: &Valuation<'_>) {
    let table = world.account.attribution(valuation).unwrap();
    let totals = table.totals().unwrap();
    let portfolio = world.account.portfolio();
    for unit in ["USDT", "BTC"].map(currency) {
        let of = |balances: &BTreeMap<_, Money>| balances.get(&unit).copied().unwrap_or_default();
        let total = totals.get(&unit).copied().unwrap_or_default();
        assert_eq!(total.realized, of(portfolio.realized_pnl()));
        assert_eq!(total.fees, of(portfolio.fees()));
        assert_eq!(total.funding, of(portfolio.funding()));
        let parts = |pnls: Vec<Pnl>| {
            let add = |sum: Pnl, pnl: &Pnl| sum.checked_add(pnl).unwrap();
            pnls.iter().fold(Pnl::default(), add)
        };
        let strategies = table.by_strategy().unwrap().into_iter();
        let strategies = strategies.filter(|((_, currency), _)| *currency == unit);
        assert_eq!(parts(strategies.map(|(_, pnl)| pnl).collect()), total);
        let instruments = table.by_instrument().unwrap().into_iter();
        let instruments = instruments.filter(|((_, currency), _)| *currency == unit);
        assert_eq!(parts(instruments.map(|(_, pnl)| pnl).collect()), total);
    }
    let whole = table.in_base(valuation, |_| true);
    assert_eq!(whole.partial, table.partial);
    let equity = world.account.equity_by(valuation);
    assert_eq!(whole.pnl.unrealized, equity.unrealized_pnl);
}

#[test]
fn profit_is_attributed_to_the_strategies_that_made_it() {
    let mut world = world();
    trade(&mut world, ("a", NET), PERP, Side::Buy, (3_000, 10_000));
    trade(&mut world, ("b", NET), PERP, Side::Sell, (1_000, 10_500));
    trade(&mut world, ("a", NET), PERP, Side::Sell, (1_000, 11_000));
    funding(&mut world, "-1");
    trade(&mut world, ("b", NET), INVERSE, Side::Buy, (100, 10_000));
    let marks = marks(&world, &[(PERP, 12_000), (INVERSE, 12_000)]);
    let rates = rates(&world);
    let valuation = world.account.valuation(world.now, &marks, &rates).unwrap();
    let table = world.account.attribution(&valuation).unwrap();
    let by_strategy = table.by_strategy().unwrap();
    let of = |strategy: &str, unit: &str| {
        let key = (StrategyId::new(strategy).unwrap(), currency(unit));
        let pnl = by_strategy[&key];
        [pnl.realized, pnl.unrealized, pnl.fees, pnl.funding].map(|part| part.to_string())
    };
    // Long 2 beside short 1: the long one pays two, the short one is paid one.
    assert_eq!(of("a", "USDT"), ["10", "40", "0.41", "-2"]);
    assert_eq!(of("b", "USDT"), ["0", "-15", "0.115", "1"]);
    assert_eq!(of("b", "BTC"), ["0", "0.16666667", "0", "0"]);
    let strategy = StrategyId::new("b").unwrap();
    let in_base = table.in_base(&valuation, |key| key.strategy_id == strategy);
    assert_eq!(in_base.pnl.unrealized, money("5.0000004"));
    assert_eq!(in_base.pnl.net(), Ok(money("5.8850004")));
    assert_sums(&world, &valuation);
}

type Step = (u8, u8, bool, i64, i64);

proptest! {
    #[test]
    fn what_is_attributed_sums_to_the_totals_exactly(
        steps in prop::collection::vec(
            (0_u8..4, 0_u8..5, any::<bool>(), 1_i64..1_000, 9_000_i64..11_000),
            1..25,
        ),
        hedging in any::<bool>(),
    ) {
        let mut world = world();
        if hedging {
            world.hedging();
        }
        for (who, what, buy, quantity, price) in steps as Vec<Step> {
            let side = if buy { Side::Buy } else { Side::Sell };
            let owner = match who {
                0 => ("a", PositionSide::Long),
                1 => ("a", PositionSide::Short),
                2 => ("b", PositionSide::Long),
                _ => ("c", PositionSide::Short),
            };
            let owner = if hedging { owner } else { (owner.0, NET) };
            match what {
                0 => trade(&mut world, (owner.0, NET), SPOT, side, (quantity, price)),
                1 | 2 => trade(&mut world, owner, PERP, side, (quantity, price)),
                3 => trade(&mut world, owner, INVERSE, side, (quantity, price)),
                _ => funding(&mut world, &format!("{}.{:03}", price - 10_000, quantity)),
            }
        }
        let marks = marks(&world, &[(SPOT, 10_003), (PERP, 10_007), (INVERSE, 9_991)]);
        let rates = rates(&world);
        let now = UnixNanos(world.now.0);
        let valuation = world.account.valuation(now, &marks, &rates).unwrap();
        assert_sums(&world, &valuation);
        crate::invariant::check_account(&world.account).unwrap();
        world.assert_recovers();
    }
}

/// What the check of an order counts on, who looks at the margin sees too.
#[test]
fn coins_that_were_bought_are_collateral_of_contracts_margined_in_them() {
    let mut world = world();
    trade(&mut world, ("a", NET), SPOT, Side::Buy, (2_000, 10_000));
    let shown = |world: &World| {
        let marks = marks(world, &[(SPOT, 10_000), (INVERSE, 10_000)]);
        let rates = rates(world);
        let valuation = world.account.valuation(world.now, &marks, &rates).unwrap();
        world.account.margin(&valuation).collateral.0
    };
    let cash = world.cash_of("USDT").0;
    // 1 BTC of cash at 120; the 2 that were bought are no margin of anything.
    assert_eq!(shown(&world), cash + money("120").0);
    world.working(limit("i", INVERSE, Side::Sell, 100, 10_000));
    assert_eq!(shown(&world), cash + money("360").0);
}

/// Fills an order whole, with a fee in ten thousandths of BTC; negative is a rebate.
fn trade_for_base(world: &mut World, strategy: &str, side: Side, deal: (i64, i64), fee: i64) {
    let client = format!("o{}", world.account.sequence());
    world.working(SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        ..limit(&client, SPOT, side, deal.0, deal.1)
    });
    let mut execution = execution(&client, &client, SPOT, side, deal.0, deal.1);
    execution.fee = Money(crate::number::Decimal::new(fee, 4));
    execution.fee_currency = currency("BTC");
    world.report(VenueReport::Filled(execution));
}

/// What the equity has changed by since the account was opened, with BTC at `price`, and what is
/// attributed; both in USDT.
fn changed_and_attributed(world: &World, price: i64) -> (Money, Money) {
    let spot = instrument(SPOT);
    let mut rates = Rates::new([&spot]);
    rates.observe(&spot.instrument_id, Price(price), world.now);
    let marks = marks(world, &[(SPOT, price)]);
    let valuation = world.account.valuation(world.now, &marks, &rates).unwrap();
    let equity = world.account.equity_by(&valuation);
    let table = world.account.attribution(&valuation).unwrap();
    let whole = table.in_base(&valuation, |_| true);
    assert!(!equity.partial && !whole.partial);
    // 10,000 USDT and 1 BTC.
    let begun = crate::number::Decimal::new(1_000_000 + price, 2);
    (Money(equity.equity.0 - begun), whole.pnl.net().unwrap())
}

#[test]
fn a_fee_in_what_was_bought_costs_what_it_had_cost() {
    let mut world = world();
    // 10 at 2.00 for a fee of 1 are 9 for 20.00: at 3.00 they have made 7.00.
    trade_for_base(&mut world, "a", Side::Buy, (10_000, 200), 10_000);
    for (price, made) in [(200, "-2"), (300, "7"), (100, "-11")] {
        let made = money(made);
        assert_eq!(changed_and_attributed(&world, price), (made, made));
    }
}

/// What both figures are at some prices; they are the same.
fn agree(world: &World) {
    for price in [5_000, 9_000, 13_000] {
        let (changed, attributed) = changed_and_attributed(world, price);
        assert_eq!(changed, attributed, "at {price}");
    }
}

#[test]
fn a_rebate_and_a_fee_of_as_many_units_cost_different_prices() {
    let mut world = world();
    for (price, fee) in [(9_000, 0), (9_000, -10), (9_000, 0), (9_001, 10)] {
        trade_for_base(&mut world, "b", Side::Sell, (1, price), fee);
    }
    agree(&world);
}

#[test]
fn a_bust_without_a_fee_changes_what_units_had_cost() {
    let mut world = world();
    trade_for_base(&mut world, "b", Side::Buy, (20, 9_000), 0);
    trade_for_base(&mut world, "b", Side::Buy, (20, 10_000), 100);
    agree(&world);
    let first = world.account.executions()[0].execution.exec_id.to_string();
    super::busts::bust(&mut world, &first, &first);
    agree(&world);
}

proptest! {
    #[test]
    fn what_is_attributed_is_what_the_equity_changed_by_whatever_fees_are_taken_in(
        steps in prop::collection::vec(
            (any::<bool>(), any::<bool>(), 1_i64..1_000, 9_000_i64..11_000, -40_i64..400),
            1..20,
        ),
        price in 5_000_i64..20_000,
        busted in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut world = world();
        for (first, buy, quantity, price, fee) in &steps {
            let side = if *buy { Side::Buy } else { Side::Sell };
            let strategy = if *first { "a" } else { "b" };
            trade_for_base(&mut world, strategy, side, (*quantity, *price), *fee);
        }
        let fills: Vec<String> = world
            .account
            .executions()
            .iter()
            .map(|record| record.execution.exec_id.to_string())
            .collect();
        for index in busted {
            let fill = index.get(&fills);
            super::busts::bust(&mut world, fill, fill);
        }
        let (changed, attributed) = changed_and_attributed(&world, price);
        // Costs that are released are rounded to 16 decimals, and kept so.
        prop_assert_eq!(changed.0.round_dp(10), attributed.0.round_dp(10));
        crate::invariant::check_account(&world.account).unwrap();
    }
}

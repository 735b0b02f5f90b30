//! Worst cases by instrument, strategy and account.

use super::*;
use crate::account::AccountInput;
use crate::account::tests::support::*;
use crate::instrument::InstrumentKind;
use crate::order::SubmitOrder;
use crate::portfolio::{Mark, Rates};
use crate::risk::Limits;
use crate::{Price, UnixNanos};

const INVERSE: &str = "BTCUSDT-INV.SIM";

/// PERP and SPOT at 120.00, the inverse contract of 1 USDT too, and BTC converts at 120.
struct Market {
    marks: BTreeMap<InstrumentId, Mark>,
    rates: Rates,
}

impl Market {
    fn new() -> Market {
        let (price, ts) = (Price(12_000), UnixNanos(0));
        let marks = [SPOT, PERP, INVERSE].map(|text| (id(text), Mark { price, ts }));
        let spot = instrument(SPOT);
        let mut rates = Rates::new([&spot]);
        rates.observe(&spot.instrument_id, price, ts);
        Market {
            marks: marks.into(),
            rates,
        }
    }

    fn valuation<'a>(&'a self, world: &'a World) -> Valuation<'a> {
        let valuation = world
            .account
            .valuation(UnixNanos(0), &self.marks, &self.rates);
        valuation.unwrap()
    }
}

fn order(client: &str, strategy: &str, instrument: &str, side: Side, quantity: i64) -> SubmitOrder {
    SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        ..limit(client, instrument, side, quantity, 10_000)
    }
}

/// "a" holds 2 long and asks for 1 more and for 4 to be sold; "b" is short 3.
fn world() -> World {
    let mut world = World::ready();
    world.limits(Limits::default());
    let mut inverse = instrument(PERP);
    inverse.kind = InstrumentKind::Inverse;
    inverse.instrument_id = id(INVERSE);
    inverse.quantity_decimals = 0;
    inverse.min_notional = Money::ZERO;
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    for (client, strategy, side, quantity) in [
        ("a1", "a", Side::Buy, 2_000),
        ("b1", "b", Side::Sell, 3_000),
    ] {
        world.working(order(client, strategy, PERP, side, quantity));
        world.fill(client, client, quantity, 10_000);
    }
    world.working(order("a2", "a", PERP, Side::Buy, 1_000));
    world.working(order("a3", "a", PERP, Side::Sell, 4_000));
    world
}

#[test]
fn an_instrument_is_measured_at_its_worse_end() {
    let (world, market) = (world(), Market::new());
    let valuation = market.valuation(&world);
    let measure = world.account.measure(&valuation);
    // Short 1 together; 0 with the buy filled, short 5 with the sell.
    assert_eq!(measure.instrument(&id(PERP)), Ok(money("600")));
    assert_eq!(measure.instrument(&id(SPOT)), Ok(Money::ZERO));
    let strategy_id = StrategyId::manual();
    let instrument_id = id(PERP);
    let with = |side, open| {
        let added = Added {
            instrument_id: &instrument_id,
            strategy_id: &strategy_id,
            position_side: PositionSide::Net,
            side,
            open: Quantity(open),
        };
        measure.with(added).instrument(&id(PERP))
    };
    assert_eq!(with(Side::Sell, 500), Ok(money("660")));
    // A buy makes the other end no worse until it is the farther one.
    assert_eq!(with(Side::Buy, 5_000), Ok(money("600")));
    assert_eq!(with(Side::Buy, 5_001), Ok(money("600.12")));
}

#[test]
fn a_strategy_is_measured_by_its_own_positions_and_orders() {
    let (mut world, market) = (world(), Market::new());
    world.working(order("a4", "a", SPOT, Side::Buy, 500));
    let valuation = market.valuation(&world);
    let measure = world.account.measure(&valuation);
    let of = |measure: Measure<'_>, text| measure.strategy(&StrategyId::new(text).unwrap());
    // "a": 3 long at worst, and half a bitcoin; "b": 3 short.
    assert_eq!(of(measure, "a"), Ok(money("420")));
    assert_eq!(of(measure, "b"), Ok(money("360")));
    assert_eq!(of(measure, "c"), Ok(Money::ZERO));
    world.working(order("b2", "b", PERP, Side::Sell, 1_000));
    let valuation = market.valuation(&world);
    let measure = world.account.measure(&valuation);
    assert_eq!(of(measure, "b"), Ok(money("480")));
    let (instrument_id, strategy_id) = (id(SPOT), StrategyId::new("c").unwrap());
    let added = Added {
        instrument_id: &instrument_id,
        strategy_id: &strategy_id,
        position_side: PositionSide::Net,
        side: Side::Sell,
        open: Quantity(1_000),
    };
    assert_eq!(of(measure.with(added), "c"), Ok(money("120")));
    assert_eq!(of(measure.with(added), "a"), Ok(money("420")));
}

#[test]
fn an_account_is_the_sum_over_its_instruments_in_its_base_currency() {
    let (mut world, market) = (world(), Market::new());
    // 240 contracts of 1 USDT are 2 BTC at 120, and those are 240 USDT.
    world.working(order("i", "a", INVERSE, Side::Sell, 240));
    let valuation = market.valuation(&world);
    let measure = world.account.measure(&valuation);
    let own = measure.instrument_in_own_currency(&id(INVERSE));
    assert_eq!(own, Ok(money("2")));
    assert_eq!(measure.instrument(&id(INVERSE)), Ok(money("240")));
    assert_eq!(measure.account(), Ok(money("840")));
    let share = |equity| measure.concentration(&id(PERP), money(equity));
    assert_eq!(share("1200"), Ok(Some(Rate::parse("0.5").unwrap())));
    assert_eq!(
        share("700"),
        Ok(Some(Rate::parse("0.8571428571428571").unwrap()))
    );
    assert_eq!(share("0"), Ok(None));
    assert_eq!(share("-1"), Ok(None));
}

#[test]
fn what_cannot_be_measured_is_an_error_with_its_reason() {
    let (mut world, mut market) = (world(), Market::new());
    world.working(order("i", "a", INVERSE, Side::Sell, 240));
    let strategy = StrategyId::new("a").unwrap();
    let errors = |market: &Market| {
        let valuation = market.valuation(&world);
        let measure = world.account.measure(&valuation);
        let account = measure.account().unwrap_err();
        assert_eq!(measure.strategy(&strategy), Err(account.clone()));
        account
    };
    market.rates = Rates::default();
    let error = errors(&market);
    assert_eq!(
        error,
        MeasureError::NoRate {
            from: currency("BTC"),
            to: currency("USDT"),
        }
    );
    assert_eq!(error.reason_code(), ReasonCode::NoConversionRate);
    market.marks.clear();
    let error = errors(&market);
    assert_eq!(error.reason_code(), ReasonCode::NoReferencePrice);
    assert!(matches!(error, MeasureError::NoMark(_)), "{error}");
    let valuation = market.valuation(&world);
    let measure = world.account.measure(&valuation);
    let (instrument_id, strategy_id) = (id("NONE.SIM"), StrategyId::manual());
    let added = Added {
        instrument_id: &instrument_id,
        strategy_id: &strategy_id,
        position_side: PositionSide::Net,
        side: Side::Buy,
        open: Quantity(1),
    };
    let unknown = measure.with(added).instrument(&instrument_id);
    assert_eq!(
        unknown,
        Err(MeasureError::UnknownInstrument(instrument_id.clone()))
    );
}

//! Funding, splits and hedging, decided and folded.

use super::support::*;
use crate::account::{AccountInput, FundingPayment, InstrumentSplit, Refusal, Reply};
use crate::event::{Event, Recorded};
use crate::id::{ExecId, StrategyId};
use crate::market::Side;
use crate::number::Price;
use crate::order::{OrderStatus, OrderTerms, PositionSide, SubmitOrder};
use crate::portfolio::Holder;
use crate::venue::VenueReport;

fn funding(world: &mut World, instrument: &str, funding_id: &str, amount: &str) {
    let ts_event = world.now;
    world.apply(AccountInput::Funding(FundingPayment {
        instrument_id: id(instrument),
        funding_id: ExecId::new(funding_id).unwrap(),
        currency: currency("USDT"),
        amount: money(amount),
        ts_event,
    }));
}

fn split(world: &mut World, instrument: &str, request: &str, numerator: u32, denominator: u32) {
    world.apply(AccountInput::Split(InstrumentSplit {
        request_id: Some(request_id(request)),
        instrument_id: id(instrument),
        numerator,
        denominator,
    }));
}

/// An order of `strategy` for one side of a hedging account.
fn order(
    client: &str,
    instrument: &str,
    side: Side,
    (strategy, position_side): (&str, PositionSide),
    quantity: i64,
) -> SubmitOrder {
    SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        terms: OrderTerms {
            position_side,
            ..OrderTerms::default()
        },
        ..limit(client, instrument, side, quantity, 10_000)
    }
}

fn bust(world: &mut World, client: &str, exec: &str) {
    let ts_event = world.now;
    let instrument_id = world.order(client).request.instrument_id;
    world.report(VenueReport::Busted {
        client_order_id: cid(client),
        exec_id: ExecId::new(exec).unwrap(),
        instrument_id,
        ts_event,
    });
}

const NET: (&str, PositionSide) = ("a", PositionSide::Net);

#[test]
fn funding_is_paid_once_and_shared_exactly() {
    let mut world = World::ready();
    for (client, strategy, quantity) in [("o1", "a", 1_000), ("o2", "b", 2_000)] {
        let owner = (strategy, PositionSide::Net);
        world.working(order(client, PERP, Side::Buy, owner, quantity));
        world.fill(client, &format!("x{client}"), quantity, 10_000);
    }
    let before = world.cash_of("USDT");
    funding(&mut world, PERP, "f1", "-1");
    assert_eq!(world.events(), ["FundingPaid", "FundingPaid"]);
    let paid = |world: &World, strategy: &str| {
        let strategy = StrategyId::new(strategy).unwrap();
        let charges = world.account.portfolio().charges_of(&strategy, &id(PERP));
        charges.unwrap().funding[&currency("USDT")]
    };
    assert_eq!(paid(&world, "a"), money("-0.3333333333333333"));
    assert_eq!(paid(&world, "b"), money("-0.6666666666666667"));
    assert_eq!(world.cash_of("USDT").0 - before.0, money("-1").0);
    let totals = world.account.portfolio().funding();
    assert_eq!(totals[&currency("USDT")], money("-1"));
    // The same id again, whatever it says.
    funding(&mut world, PERP, "f1", "-2");
    assert!(world.events().is_empty());
    assert!(matches!(world.effects.reply, Some(Reply::Done { .. })));
    funding(&mut world, PERP, "f2", "3");
    assert_eq!(paid(&world, "b"), money("1.3333333333333333"));
    world.assert_recovers();
}

#[test]
fn funding_that_cannot_be_booked_is_refused() {
    let mut world = World::ready();
    funding(&mut world, "NONE.SIM", "f1", "1");
    assert!(matches!(world.refusal(), Refusal::UnknownInstrument(_)));
    funding(&mut world, SPOT, "f1", "1");
    assert!(matches!(
        world.refusal(),
        Refusal::Invalid {
            field: "instrument_id",
            ..
        }
    ));
    funding(&mut world, PERP, "f1", "99999999999999999999");
    assert_eq!(world.events(), ["FundingPaid"]);
    let most = "79228162514264337593543950335";
    let amount = crate::Money(most.parse().unwrap());
    world.apply(AccountInput::Funding(FundingPayment {
        instrument_id: id(PERP),
        funding_id: ExecId::new("f2").unwrap(),
        currency: currency("USDT"),
        amount,
        ts_event: crate::UnixNanos(0),
    }));
    assert!(matches!(
        world.refusal(),
        Refusal::Invalid {
            field: "amount",
            ..
        }
    ));
    assert!(world.events().is_empty());
}

#[test]
fn a_split_doubles_the_units_and_cancels_working_orders() {
    let mut world = World::ready();
    world.working(limit("held", SPOT, Side::Buy, 1_000, 10_000));
    world.fill("held", "x1", 1_000, 10_000);
    world.working(limit("open", SPOT, Side::Sell, 500, 11_000));
    world.working(limit("other", PERP, Side::Buy, 500, 9_000));
    let cash = world.cash_of("USDT");
    split(&mut world, SPOT, "r1", 2, 1);
    assert_eq!(world.events(), ["InstrumentSplit", "OrderPendingCancel"]);
    assert_eq!(world.state("open"), OrderStatus::PendingCancel);
    assert_eq!(world.state("other"), OrderStatus::Accepted);
    let strategy = StrategyId::manual();
    assert_eq!(world.account.strategy_position(&strategy, &id(SPOT)), 2_000);
    let position = world.account.portfolio().position(&strategy, &id(SPOT));
    assert_eq!(position.unwrap().open_cost, money("100"));
    assert_eq!(world.cash_of("USDT"), cash);
    // Repeated, and with another content.
    let sequence = world.account.sequence() - 1;
    split(&mut world, SPOT, "r1", 2, 1);
    assert_eq!(world.effects.reply, Some(Reply::Done { sequence }));
    assert!(world.events().is_empty());
    split(&mut world, SPOT, "r1", 3, 1);
    assert_eq!(world.refusal(), &Refusal::RequestExists(request_id("r1")));
    world.assert_recovers();
}

#[test]
fn a_split_that_means_nothing_is_refused() {
    let mut world = World::ready();
    let mut inverse = instrument(PERP);
    inverse.kind = crate::instrument::InstrumentKind::Inverse;
    inverse.instrument_id = id("INV.SIM");
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    for (instrument, numerator, denominator, expected) in [
        (SPOT, 0, 1, "numerator"),
        (SPOT, 1, 0, "denominator"),
        ("INV.SIM", 2, 1, "instrument_id"),
    ] {
        split(&mut world, instrument, "r", numerator, denominator);
        assert!(
            matches!(world.refusal(), Refusal::Invalid { field, .. } if *field == expected),
            "{:?}",
            world.refusal()
        );
    }
    split(&mut world, "NONE.SIM", "r", 2, 1);
    assert!(matches!(world.refusal(), Refusal::UnknownInstrument(_)));
}

#[test]
fn an_execution_knows_its_side_through_its_order() {
    let mut world = World::ready();
    world.hedging();
    let long = ("a", PositionSide::Long);
    let short = ("a", PositionSide::Short);
    for (client, side, owner, quantity) in [
        ("o1", Side::Buy, long, 1_000),
        ("o2", Side::Sell, short, 400),
        ("o3", Side::Sell, long, 300),
    ] {
        world.working(order(client, PERP, side, owner, quantity));
        world.fill(client, &format!("x{client}"), quantity, 10_000);
    }
    let strategy = StrategyId::new("a").unwrap();
    let of = |world: &World, side| {
        let strategy_id = strategy.clone();
        let holder = Holder { strategy_id, side };
        let position = world.account.portfolio().position_of(&holder, &id(PERP));
        position.map(|position| position.quantity)
    };
    assert_eq!(of(&world, PositionSide::Long), Some(700));
    assert_eq!(of(&world, PositionSide::Short), Some(-400));
    assert_eq!(of(&world, PositionSide::Net), None);
    assert_eq!(world.account.strategy_position(&strategy, &id(PERP)), 300);
    assert_eq!(world.account.net_position(&id(PERP)), 300);
    // Taking one back touches its own side only.
    bust(&mut world, "o3", "xo3");
    assert_eq!(of(&world, PositionSide::Long), Some(1_000));
    assert_eq!(of(&world, PositionSide::Short), Some(-400));
    world.assert_recovers();
}

#[test]
fn a_bust_from_before_a_split_is_undone_in_the_new_units() {
    for instrument in [SPOT, PERP] {
        // The same with and without the second execution.
        let run = |busted: bool| {
            let mut world = World::ready();
            world.working(order("o1", instrument, Side::Buy, NET, 1_000));
            world.fill("o1", "x1", 1_000, 10_000);
            if busted {
                world.working(order("o2", instrument, Side::Buy, NET, 500));
                world.fill("o2", "x2", 500, 9_000);
            }
            split(&mut world, instrument, "r1", 3, 2);
            world.working(order("o3", instrument, Side::Sell, NET, 600));
            world.fill("o3", "x3", 600, 8_000);
            if busted {
                bust(&mut world, "o2", "x2");
                assert_eq!(world.events(), ["ExecutionBusted"]);
            }
            world.assert_recovers();
            world
        };
        let (with, without) = (run(true), run(false));
        let positions = |world: &World| world.account.positions().cloned().collect::<Vec<_>>();
        assert_eq!(positions(&with), positions(&without));
        assert_eq!(positions(&with)[0].quantity, 900);
        assert_eq!(with.account.cash(), without.account.cash());
        let (a, b) = (with.account.portfolio(), without.account.portfolio());
        assert_eq!(a.realized_pnl(), b.realized_pnl());
        assert_eq!(a.net(&id(instrument)), b.net(&id(instrument)));
        assert_eq!(a.fees(), b.fees());
    }
}

#[test]
fn the_bust_of_an_external_execution_leaves_an_order_of_its_name_alone() {
    let mut world = World::ready();
    world.working(order("o1", PERP, Side::Buy, NET, 1_000));
    // Of the other side, so of no order of ours, whatever its name.
    let strange = execution("o1", "x1", PERP, Side::Sell, 50, 10_000);
    world.report(VenueReport::Filled(strange));
    world.fill("o1", "x2", 400, 10_000);
    bust(&mut world, "o1", "x1");
    assert_eq!(world.events(), ["ExecutionBusted"]);
    assert_eq!(world.order("o1").filled_quantity.0, 400);
    assert_eq!(world.account.net_position(&id(PERP)), 400);
    world.assert_recovers();
    crate::invariant::check_account(&world.account).unwrap();
}

#[test]
fn what_reconciliation_found_is_of_external() {
    let mut world = World::ready();
    let execution = execution("found", "x1", PERP, Side::Sell, 50, 10_000);
    let mut take = |event| {
        let recorded = Recorded {
            sequence: world.account.sequence() + 1,
            ts: world.now,
            venue_sequence: 0,
            event,
        };
        world.account.fold(&recorded).unwrap();
        world.journal.push(recorded);
    };
    take(Event::PositionReconciled {
        execution: Box::new(execution),
    });
    take(Event::BalanceReconciled {
        currency: currency("USDT"),
        amount: money("-7"),
    });
    let external = StrategyId::external();
    assert_eq!(world.account.strategy_position(&external, &id(PERP)), -50);
    // 10,000, less a fee of 0.1 % of 5, less 7.
    assert_eq!(world.cash_of("USDT"), money("9992.995"));
    world.assert_recovers();
    crate::invariant::check_account(&world.account).unwrap();
}

#[test]
fn an_inverse_contract_is_booked_in_its_base_currency() {
    let mut world = World::ready();
    world.cash("BTC", "10");
    let mut inverse = instrument(PERP);
    inverse.kind = crate::instrument::InstrumentKind::Inverse;
    inverse.quantity_decimals = 0;
    inverse.min_notional = crate::Money::ZERO;
    inverse.instrument_id = id("INV.SIM");
    world.apply(AccountInput::DefineInstrument(Box::new(inverse)));
    let sell = |client, side, price| SubmitOrder {
        limit_price: Some(Price(price)),
        ..order(client, "INV.SIM", side, NET, 100_000)
    };
    for (client, side, price) in [("o1", Side::Sell, 1_000_000), ("o2", Side::Buy, 1_100_000)] {
        world.working(sell(client, side, price));
        let mut execution = execution(client, client, PERP, side, 100_000, price);
        execution.instrument_id = id("INV.SIM");
        execution.fee = crate::Money::ZERO;
        world.report(VenueReport::Filled(execution));
    }
    assert_eq!(world.state("o2"), OrderStatus::Filled);
    assert_eq!(world.cash_of("BTC"), money("9.09090909"));
    assert_eq!(world.cash_of("USDT"), money("10000"));
    assert_eq!(world.order("o1").filled_notional, money("10"));
    world.assert_recovers();
}

#[test]
fn a_payment_that_the_venue_reports_is_booked_once_and_counts_in_its_stream() {
    let mut world = World::ready();
    let paid = |funding_id: &str, instrument: &str, amount: &str| VenueReport::Funding {
        payment: FundingPayment {
            instrument_id: id(instrument),
            funding_id: ExecId::new(funding_id).unwrap(),
            currency: currency("USDT"),
            amount: money(amount),
            ts_event: crate::UnixNanos(0),
        },
        rate: crate::Rate(crate::Decimal::ONE),
        mark: crate::Price(1),
    };
    let before = world.cash_of("USDT");
    let mut take = |venue_sequence: u64, report: VenueReport| {
        let input = AccountInput::Report {
            venue_sequence,
            report,
        };
        world.apply(input);
        world.events().join(" ")
    };
    assert_eq!(take(1, paid("F1", PERP, "-3")), "FundingPaid");
    assert_eq!(take(2, paid("F1", PERP, "-3")), "", "the same once more");
    assert_eq!(take(3, paid("F2", PERP, "-4")), "FundingPaid");
    // What cannot be booked waits for a person.
    assert_eq!(take(4, paid("F2", SPOT, "-5")), "ReportQuarantined");
    assert_eq!(world.account.venue_sequence(), 4);
    assert_eq!(world.cash_of("USDT").0 - before.0, money("-7").0);
    let last = world.account.portfolio().last_funding(&id(PERP));
    assert_eq!(last, Some(crate::UnixNanos(2)));
}

#[test]
fn a_split_forgets_prices_of_before() {
    let mut world = World::ready();
    world.working(limit("a", PERP, Side::Buy, 100, 10_000));
    world.fill("a", "x1", 100, 10_000);
    let view = crate::risk::MarketView {
        last: Some(crate::Price(10_000)),
        ..crate::risk::MarketView::default()
    };
    let shown = AccountInput::Market {
        instrument_id: id(PERP),
        view,
    };
    world.apply(shown);
    assert!(world.account.marks.get(&id(PERP)).is_some());
    split(&mut world, PERP, "r", 2, 1);
    assert_eq!(world.account.net_position(&id(PERP)), 200);
    assert!(world.account.marks.get(&id(PERP)).is_none());
}

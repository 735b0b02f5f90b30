//! Orders that are held here because their venue lacks them.

use super::support::*;
use crate::account::{Account, AccountInput};
use crate::event::Hold;
use crate::instrument::{Instrument, InstrumentRules, Lacks, PriceBand};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{
    Contingency, OrderStatus, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder,
    TimeInForce, TrailingOffset,
};
use crate::risk::{MarketView, ReasonCode, TradingState};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};
use crate::venue::{VenueCommand, VenueReport};

mod away;
mod own;
mod trailing;

/// A venue without conditional orders and without DAY and GTD.
fn bare() -> World {
    let mut world = World::small();
    let definition = Instrument {
        rules: InstrumentRules {
            lacks: Lacks {
                order_types: OrderType::ALL
                    .into_iter()
                    .filter(|order_type| order_type.is_conditional())
                    .collect(),
                times_in_force: vec![TimeInForce::Day, TimeInForce::Gtd],
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        min_notional: money("0"),
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

fn conditional(client: &str, order_type: OrderType, side: Side, stop: i64) -> SubmitOrder {
    let trails = order_type == OrderType::TrailingStop;
    SubmitOrder {
        order_type,
        limit_price: order_type.has_limit().then_some(Price(10_000)),
        terms: OrderTerms {
            stop_price: (!trails).then_some(Price(stop)),
            trailing: trails.then_some(TrailingOffset::Price(Price(stop))),
            ..OrderTerms::default()
        },
        ..limit(client, PERP, side, 10, 10_000)
    }
}

impl World {
    fn last(&mut self, last: i64) {
        let view = MarketView {
            bid: Some(Price(last - 1)),
            ask: Some(Price(last + 1)),
            last: Some(Price(last)),
            last_ts: self.now,
            mark: None,
            ts: self.now,
        };
        let instrument_id = id(PERP);
        self.apply(AccountInput::Market {
            instrument_id,
            view,
        });
    }

    fn tick_at(&mut self, now: UnixNanos) {
        self.now = now;
        self.apply(AccountInput::Tick);
    }

    /// The type with which the order left, if the last input sent it.
    fn left_as(&self) -> Option<OrderType> {
        self.commands().iter().find_map(|command| match command {
            VenueCommand::New(new) => Some(new.order_type),
            _ => None,
        })
    }
}

#[test]
fn each_conditional_type_leaves_as_what_it_becomes_when_its_price_comes() {
    use OrderType as T;
    for (order_type, side, stop, miss, hit, becomes) in [
        (T::Stop, Side::Buy, 10_100, 10_099, 10_100, T::Market),
        (T::Stop, Side::Sell, 9_900, 9_901, 9_900, T::Market),
        (T::StopLimit, Side::Buy, 10_100, 10_099, 10_100, T::Limit),
        (T::StopLimit, Side::Sell, 9_900, 9_901, 9_900, T::Limit),
        (
            T::MarketIfTouched,
            Side::Buy,
            9_900,
            9_901,
            9_900,
            T::Market,
        ),
        (
            T::MarketIfTouched,
            Side::Sell,
            10_100,
            10_099,
            10_100,
            T::Market,
        ),
        (T::LimitIfTouched, Side::Buy, 9_900, 9_901, 9_900, T::Limit),
        (
            T::LimitIfTouched,
            Side::Sell,
            10_100,
            10_099,
            10_100,
            T::Limit,
        ),
        (T::TrailingStop, Side::Sell, 100, 10_000, 9_900, T::Market),
        (T::TrailingStop, Side::Buy, 100, 10_000, 10_100, T::Market),
    ] {
        let mut world = bare();
        world.submit(conditional("a", order_type, side, stop));
        let what = format!("{order_type:?} {side:?}");
        assert_eq!(
            world.events()[..2],
            ["OrderInitialized", "OrderHeld"],
            "{what}"
        );
        assert!(world.commands().is_empty(), "{what}");
        assert!(world.account.watches(&id(PERP)));
        world.last(miss);
        assert_eq!(world.state("a"), OrderStatus::PendingNew, "{what}");
        assert_eq!(world.order("a").held_for, Some(Hold::Emulated), "{what}");
        world.last(hit);
        assert_eq!(world.order("a").held_for, None, "{what}");
        assert_eq!(world.left_as(), Some(becomes), "{what}");
        assert_eq!(world.state("a"), OrderStatus::Submitted, "{what}");
        assert!(!world.account.watches(&id(PERP)));
        // Once more leaves nothing once more.
        world.last(hit);
        assert!(
            world.events().is_empty() && world.commands().is_empty(),
            "{what}"
        );
        world.accept("a");
        world.fill("a", "x", 10, 10_000);
        assert_eq!(world.state("a"), OrderStatus::Filled, "{what}");
        world.assert_recovers();
    }
}

#[test]
fn a_venue_that_has_the_type_gets_it_whole() {
    let mut world = World::small();
    world.submit(conditional("a", OrderType::StopLimit, Side::Buy, 10_100));
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands());
    };
    assert_eq!(new.order_type, OrderType::StopLimit);
    assert_eq!(new.terms.stop_price, Some(Price(10_100)));
    world.accept("a");
    world.report(VenueReport::Triggered {
        client_order_id: cid("a"),
        ts_event: world.now,
    });
    assert_eq!(world.state("a"), OrderStatus::Triggered);
    world.assert_recovers();
}

#[test]
fn what_is_held_here_is_amended_and_canceled_at_once() {
    let mut world = bare();
    world.submit(conditional("a", OrderType::StopLimit, Side::Buy, 10_100));
    let amend = crate::order::AmendOrder {
        key: key("a"),
        request_id: request_id("r"),
        quantity: Some(Quantity(7)),
        limit_price: Some(Price(10_200)),
        stop_price: Some(Price(10_150)),
        expected_sequence: None,
    };
    let market = market(9_999, 10_001, world.now);
    for _ in 0..2 {
        world.apply(AccountInput::Amend {
            request: amend.clone(),
            market,
        });
        let order = world.order("a");
        assert_eq!(order.status, OrderStatus::PendingNew);
        assert_eq!(order.quantity, Quantity(7));
        assert_eq!(order.stop_price, Some(Price(10_150)));
        assert!(world.commands().is_empty());
    }
    world.last(10_149);
    assert_eq!(world.left_as(), None);
    world.cancel("a");
    assert_eq!(world.state("a"), OrderStatus::Canceled);
    assert!(world.commands().is_empty());
    world.last(10_150);
    assert_eq!(world.left_as(), None);
    world.assert_recovers();
}

#[test]
fn nothing_leaves_while_trading_is_halted_and_the_order_waits_on() {
    let mut world = bare();
    world.submit(conditional("a", OrderType::Stop, Side::Buy, 10_100));
    let state = |world: &mut World, state| {
        world.apply(AccountInput::SetTradingState {
            request_id: None,
            state,
            by: "ops".to_owned(),
            reason: String::new(),
        });
    };
    state(&mut world, TradingState::Halted);
    world.last(10_200);
    assert!(world.events().is_empty());
    state(&mut world, TradingState::Active);
    world.last(10_200);
    assert_eq!(world.left_as(), Some(OrderType::Market));
}

#[test]
fn an_order_that_fails_its_checks_when_it_triggers_is_denied() {
    let mut world = bare();
    world.submit(conditional("a", OrderType::Stop, Side::Buy, 10_100));
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Reducing,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    world.last(10_100);
    assert_eq!(world.events(), ["OrderTriggered", "OrderDenied"]);
    assert_eq!(
        world.order("a").reason_code,
        Some(ReasonCode::TradingReducing)
    );
    world.assert_recovers();
}

#[test]
fn a_held_order_reserves_what_it_could_cost() {
    let mut world = bare();
    // Margin of a tenth at the stop price: 900 units at 101 need 9,090 and the fees.
    let with = |client: &str, quantity| SubmitOrder {
        quantity: Quantity(quantity),
        ..conditional(client, OrderType::Stop, Side::Buy, 10_100)
    };
    world.submit(with("a", 900_000));
    assert_eq!(world.state("a"), OrderStatus::PendingNew);
    world.submit(with("b", 200_000));
    assert_eq!(
        world.order("b").reason_code,
        Some(ReasonCode::InsufficientBuyingPower)
    );
}

#[test]
fn an_order_ends_at_its_time_wherever_it_is() {
    let end = UnixNanos(1_700_000_000 * NANOS_PER_SECOND + 60 * NANOS_PER_SECOND);
    let gtd = |client: &str, order_type| {
        let mut request = conditional(client, order_type, Side::Buy, 10_100);
        if order_type == OrderType::Limit {
            request = limit(client, PERP, Side::Buy, 10, 10_000);
        }
        request.time_in_force = TimeInForce::Gtd;
        request.terms.expire_at = Some(end);
        request
    };
    let mut world = bare();
    world.submit(gtd("home", OrderType::Stop));
    world.submit(gtd("there", OrderType::Limit));
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands());
    };
    // The venue lacks GTD, so it gets a GTC order without an end.
    assert_eq!(new.time_in_force, TimeInForce::Gtc);
    assert_eq!(new.terms.expire_at, None);
    world.accept("there");
    // At its very time it may still trade.
    world.tick_at(UnixNanos(end.0 - NANOS_PER_SECOND));
    assert!(world.events().is_empty(), "{:?}", world.events());
    world.tick_at(end);
    assert_eq!(world.state("home"), OrderStatus::Expired);
    assert_eq!(world.state("there"), OrderStatus::PendingCancel);
    world.ended("there", 0);
    assert_eq!(world.state("there"), OrderStatus::Expired);
    assert_eq!(world.order("there").reason_code, Some(ReasonCode::TimeOver));
    world.assert_recovers();
}

#[test]
fn a_venue_that_expires_orders_itself_is_asked_when_it_is_silent() {
    let mut world = World::small();
    let mut request = limit("a", PERP, Side::Buy, 10, 10_000);
    request.time_in_force = TimeInForce::Day;
    world.working(request);
    let end = world.order("a").expires_at.unwrap();
    assert_eq!(end.0 % NANOS_PER_DAY, 0);
    assert!(end > world.now && end.0 - world.now.0 <= NANOS_PER_DAY);
    world.tick_at(end.plus(NANOS_PER_SECOND));
    assert!(world.commands().is_empty());
    world.tick_at(end.plus(6 * NANOS_PER_SECOND));
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
    world.tick_at(end.plus(7 * NANOS_PER_SECOND));
    assert!(world.commands().is_empty());
}

/// TC-C01 and TC-C03 in an account: a DAY order in New York equities ends at 16:00:00 local time, one in
/// foreign exchange that is placed at 18:00 at 17:00 of the next day.
#[test]
fn a_day_order_ends_with_the_trading_day_of_its_calendar() {
    for (calendar, sent, end) in [
        (
            "XNYS",
            "2018-04-27T10:00:00-04:00",
            "2018-04-27T16:00:00-04:00",
        ),
        (
            "XNYS",
            "2018-04-27T15:59:59-04:00",
            "2018-04-27T16:00:00-04:00",
        ),
        (
            "XNYS",
            "2018-04-27T16:00:00-04:00",
            "2018-04-30T16:00:00-04:00",
        ),
        (
            "FX",
            "2018-04-25T18:00:00-04:00",
            "2018-04-26T17:00:00-04:00",
        ),
        ("", "2018-04-27T10:00:00+00:00", "2018-04-28T00:00:00+00:00"),
    ] {
        let instant = |text| crate::calendar::parse_instant(text).unwrap();
        let definition = Instrument {
            rules: InstrumentRules {
                calendar: calendar.to_owned(),
                ..InstrumentRules::default()
            },
            ..instrument(PERP)
        };
        let mut world = World {
            account: Account::new(),
            journal: Vec::new(),
            effects: crate::account::Effects::default(),
            now: instant(sent).plus(-1_000 * NANOS_PER_SECOND),
        };
        world.apply(AccountInput::Open {
            account_id: crate::AccountId::new("paper").unwrap(),
            base_currency: currency("USDT"),
            mode: crate::event::AccountMode::Paper,
        });
        world.apply(AccountInput::DefineInstrument(Box::new(definition)));
        world.now = instant(sent).plus(-crate::time::NANOS_PER_MILLI);
        let mut request = limit("a", PERP, Side::Buy, 10, 10_000);
        request.time_in_force = TimeInForce::Day;
        world.submit(request);
        assert_eq!(world.order("a").expires_at, Some(instant(end)), "{sent}");
    }
}

#[test]
fn an_instrument_of_an_unknown_calendar_is_refused() {
    let mut world = World::ready();
    let mut definition = instrument(PERP);
    definition.rules.calendar = "XMOON".to_owned();
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    let refusal = world.refusal();
    assert!(
        matches!(
            refusal,
            crate::account::Refusal::Invalid {
                field: "calendar",
                ..
            }
        ),
        "{refusal:?}"
    );
}

#[test]
fn a_notional_buys_what_its_price_allows() {
    let mut world = World::small();
    let by = |client: &str, notional: &str| {
        let mut request = limit(client, SPOT, Side::Buy, 0, 10_000);
        request.terms.notional = Some(money(notional));
        request
    };
    world.submit(by("a", "33.3333"));
    assert_eq!(world.order("a").quantity, Quantity(333));
    let [VenueCommand::New(new)] = world.commands() else {
        panic!("{:?}", world.commands());
    };
    assert_eq!((new.quantity, new.terms.notional), (Quantity(333), None));
    world.submit(by("b", "0.01"));
    assert_eq!(world.order("b").reason_code, Some(ReasonCode::MinQuantity));
    // The same again is the same order.
    world.submit(by("a", "33.3333"));
    assert!(world.events().is_empty());
    world.assert_recovers();
}

/// What is held here may be at the venue all the same: a person entered it there by its id.
#[test]
fn an_order_that_the_venue_turns_out_to_have_is_not_held_any_more() {
    for fills in [false, true] {
        let mut world = bare();
        world.submit(conditional("a", OrderType::Stop, Side::Buy, 10_100));
        if fills {
            world.fill("a", "x", 4, 10_000);
        } else {
            world.accept("a");
        }
        world.last(10_100);
        assert_eq!(world.left_as(), None, "it would be there twice");
        world.cancel("a");
        assert_eq!(world.state("a"), OrderStatus::PendingCancel);
        assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
        world.assert_recovers();
    }
}

#[test]
fn what_comes_to_an_order_here_makes_no_answer_of_a_slower_clock_old() {
    let mut world = bare();
    world.submit(conditional("a", OrderType::StopLimit, Side::Buy, 10_100));
    let mut told = world.now;
    world.now = world.now.plus(NANOS_PER_SECOND);
    world.amend("a", Some(20), None);
    world.last(10_100);
    assert_eq!(world.state("a"), OrderStatus::Submitted);
    // The venue's clock is a second behind ours.
    told = told.plus(NANOS_PER_SECOND / 2);
    world.report(VenueReport::Status {
        client_order_id: cid("a"),
        venue_order_id: crate::id::VenueOrderId::new("v-a").unwrap(),
        status: crate::venue::VenueStatus::Working,
        quantity: Quantity(20),
        limit_price: Some(Price(9_990)),
        stop_price: None,
        executions: vec![],
        ts_event: told,
    });
    assert_eq!(world.order("a").limit_price, Some(Price(9_990)));
    world.assert_recovers();
}

//! Orders for the opening and the close at a venue that takes none.

use super::support::*;
use crate::account::{Account, AccountInput, CLOSE_LEAD_NS, Effects, OPEN_WINDOW_NS};
use crate::calendar::parse_instant;
use crate::event::{Event, Hold};
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, SubmitOrder, TimeInForce as T};
use crate::reconcile::{Part, ReconcileSettings, VenueSnapshot};
use crate::risk::{Limits, MarketView, ReasonCode, TradingState, WideLimits};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::VenueCommand;

mod lists;

/// A Thursday; New York trades from 09:30 to 16:00.
const DAY: &str = "2024-03-07T";
const ZONE: &str = "-05:00";

fn on(time: &str) -> UnixNanos {
    parse_instant(&format!("{DAY}{time}{ZONE}")).unwrap()
}

/// The contract at a venue that takes no orders for the opening and the close.
fn bare(calendar: &str) -> Instrument {
    Instrument {
        rules: InstrumentRules {
            calendar: calendar.to_owned(),
            lacks: Lacks {
                times_in_force: vec![T::AtOpen, T::AtClose],
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        min_notional: money("0"),
        ..instrument(PERP)
    }
}

fn world_at(now: UnixNanos) -> World {
    let mut world = World::small();
    world.now = now;
    world.apply(AccountInput::DefineInstrument(Box::new(bare("XNYS"))));
    world
}

fn timed(client: &str, time_in_force: T) -> SubmitOrder {
    SubmitOrder {
        time_in_force,
        ..limit(client, PERP, Side::Buy, 10, 10_000)
    }
}

impl World {
    /// Tells the time, exactly.
    fn clock(&mut self, now: UnixNanos) {
        self.now = now.plus(-crate::time::NANOS_PER_MILLI);
        self.apply(AccountInput::Tick);
    }

    fn show_at(&mut self, now: UnixNanos, instrument_id: &str, bid: i64) {
        self.now = now.plus(-crate::time::NANOS_PER_MILLI);
        let view = MarketView {
            bid: Some(Price(bid)),
            ask: Some(Price(bid + 2)),
            ts: now,
            ..MarketView::default()
        };
        self.apply(AccountInput::Market {
            instrument_id: id(instrument_id),
            view,
        });
    }

    /// How the order left with the last input: type, quantity, price and end, as at the venue.
    fn sent_new(&self) -> Option<(i64, Option<i64>, T)> {
        self.commands().iter().find_map(|command| match command {
            VenueCommand::New(new) => {
                assert_eq!(new.terms.expire_at, None);
                let price = new.limit_price.map(|price| price.0);
                Some((new.quantity.0, price, new.time_in_force))
            }
            _ => None,
        })
    }

    fn set_state(&mut self, state: TradingState) {
        self.apply(AccountInput::SetTradingState {
            request_id: None,
            state,
            by: "ops".to_owned(),
            reason: String::new(),
        });
    }

    /// Starts the process again: by the journal, or by a snapshot.
    fn start_again(&mut self, by_snapshot: bool) {
        let account = if by_snapshot {
            Account::restore(&self.account.snapshot()).unwrap()
        } else {
            let mut account = Account::new();
            for recorded in &self.journal {
                account.fold(recorded).unwrap();
            }
            account
        };
        assert_eq!(account, self.account);
        self.account = account;
        self.effects = Effects::default();
    }

    fn moment(&self) -> (UnixNanos, UnixNanos) {
        let last = self.effects.events.last();
        match last.map(|recorded| &recorded.event) {
            Some(Event::OrderHeldUntil { at, until, .. }) => (*at, *until),
            other => panic!("expected OrderHeldUntil, got {other:?}"),
        }
    }
}

#[test]
fn an_order_waits_for_the_next_opening_or_close_of_its_calendar() {
    let instant = |text| parse_instant(text).unwrap();
    for (time_in_force, sent, edge) in [
        (
            T::AtOpen,
            "2024-03-07T09:00:00-05:00",
            "2024-03-07T09:30:00-05:00",
        ),
        // At the opening itself it is too late, and a weekend with the begin of summer time
        // lies before the next but one.
        (
            T::AtOpen,
            "2024-03-07T09:30:00-05:00",
            "2024-03-08T09:30:00-05:00",
        ),
        (
            T::AtOpen,
            "2024-03-08T12:00:00-05:00",
            "2024-03-11T09:30:00-04:00",
        ),
        (
            T::AtClose,
            "2024-03-07T09:00:00-05:00",
            "2024-03-07T16:00:00-05:00",
        ),
        (
            T::AtClose,
            "2024-03-07T15:59:54-05:00",
            "2024-03-07T16:00:00-05:00",
        ),
        (
            T::AtClose,
            "2024-03-07T15:59:55-05:00",
            "2024-03-08T16:00:00-05:00",
        ),
        (
            T::AtClose,
            "2024-03-07T15:59:58-05:00",
            "2024-03-08T16:00:00-05:00",
        ),
        // A half day.
        (
            T::AtClose,
            "2024-07-03T09:00:00-04:00",
            "2024-07-03T13:00:00-04:00",
        ),
    ] {
        let mut world = world_at(instant(sent));
        world.now = instant(sent).plus(-crate::time::NANOS_PER_MILLI);
        world.submit(timed("a", time_in_force));
        assert_eq!(
            world.events(),
            ["OrderInitialized", "OrderHeldUntil"],
            "{sent}"
        );
        let edge = instant(edge);
        let expected = match time_in_force {
            T::AtOpen => (edge, edge.plus(OPEN_WINDOW_NS)),
            _ => (edge.plus(-CLOSE_LEAD_NS), edge),
        };
        assert_eq!(world.moment(), expected, "{sent}");
        let order = world.order("a");
        assert_eq!(order.status, OrderStatus::PendingNew);
        assert_eq!(order.held_for, Some(Hold::Session));
        assert_eq!(order.expires_at, Some(expected.1));
        assert!(world.commands().is_empty());
        assert_eq!(
            world.account.release_times().collect::<Vec<_>>(),
            [(expected.0, &id(PERP))]
        );
        // Not a nanosecond early.
        world.clock(expected.0.plus(-1));
        assert_eq!(world.sent_new(), None, "{sent}");
        world.clock(expected.0);
        assert_eq!(world.sent_new(), Some((10, Some(10_000), T::Ioc)), "{sent}");
        assert_eq!(world.order("a").request.time_in_force, time_in_force);
        assert_eq!(world.order("a").held_for, None);
        assert_eq!(world.account.release_times().count(), 0);
        world.clock(expected.0.plus(1));
        assert_eq!(world.sent_new(), None, "it leaves once");
        world.assert_recovers();
    }
}

#[test]
fn what_does_not_trade_at_its_moment_is_over() {
    let mut world = world_at(on("15:00:00"));
    world.submit(SubmitOrder {
        order_type: crate::order::OrderType::Market,
        limit_price: None,
        ..timed("a", T::AtClose)
    });
    world.clock(on("15:59:55"));
    assert_eq!(world.sent_new(), Some((10, None, T::Ioc)));
    world.accept("a");
    world.fill("a", "x", 4, 10_000);
    world.ended("a", 4);
    let order = world.order("a");
    assert_eq!(
        (order.status, order.filled_quantity),
        (OrderStatus::Canceled, Quantity(4))
    );
    world.assert_recovers();
}

/// Each case is a time at which the account is told the time again, whether trading is halted
/// then, and what became of the order.
fn check(time_in_force: T, script: &[(&str, TradingState, &str)], end: OrderStatus) {
    for by_snapshot in [false, true] {
        let mut world = world_at(on("09:00:00"));
        world.submit(timed("a", time_in_force));
        for (time, state, happened) in script {
            world.start_again(by_snapshot);
            world.now = on(time).plus(-2 * crate::time::NANOS_PER_MILLI);
            world.set_state(*state);
            world.clock(on(time));
            assert_eq!(world.events().join(" "), *happened, "{time}");
        }
        let order = world.order("a");
        assert_eq!(order.status, end, "{script:?}");
        let over = (end == OrderStatus::Expired).then_some(ReasonCode::TimeOver);
        assert_eq!(order.reason_code, over);
        world.assert_recovers();
    }
}

#[test]
fn an_order_leaves_in_its_time_or_never() {
    use OrderStatus::{Expired, PendingNew, Submitted};
    use TradingState::{Active, Halted};
    let (leaves, ends) = ("OrderSubmitted", "OrderExpired");
    check(T::AtOpen, &[("09:29:59", Active, "")], PendingNew);
    check(T::AtOpen, &[("09:30:59", Active, leaves)], Submitted);
    check(T::AtOpen, &[("09:31:00", Active, ends)], Expired);
    check(T::AtOpen, &[("12:00:00", Active, ends)], Expired);
    check(T::AtClose, &[("15:59:59", Active, leaves)], Submitted);
    check(T::AtClose, &[("16:00:00", Active, ends)], Expired);
    check(T::AtClose, &[("18:00:00", Active, ends)], Expired);
    // While trading is halted it waits, but not longer than its time.
    let waits = ("09:30:00", Halted, "");
    check(T::AtOpen, &[waits, ("09:30:30", Active, leaves)], Submitted);
    check(T::AtOpen, &[waits, ("09:31:00", Halted, ends)], Expired);
    check(T::AtOpen, &[waits, ("09:31:00", Active, ends)], Expired);
    let waits = ("15:59:55", Halted, "");
    check(
        T::AtClose,
        &[waits, ("15:59:59", Active, leaves)],
        Submitted,
    );
    check(T::AtClose, &[waits, ("16:00:00", Halted, ends)], Expired);
}

#[test]
fn a_loss_limit_that_is_reached_at_its_moment_comes_first() {
    for (bid, end) in [
        (9_999, OrderStatus::Submitted),
        (9_000, OrderStatus::Canceled),
    ] {
        let mut world = world_at(on("09:00:00"));
        world.limits(Limits {
            wide: WideLimits {
                max_daily_loss: Some(money("0.05")),
                ..WideLimits::default()
            },
            ..Limits::default()
        });
        world.working(limit("in", PERP, Side::Buy, 10, 10_000));
        world.fill("in", "x", 10, 10_000);
        world.submit(timed("a", T::AtOpen));
        world.show_at(on("09:29:58"), PERP, 9_999);
        world.clock(on("09:29:59"));
        assert_eq!(world.state("a"), OrderStatus::PendingNew);
        // The price that the tick is measured by comes before it.
        world.show_at(on("09:30:00"), PERP, bid);
        assert!(world.effects.is_empty(), "{:?}", world.effects);
        world.clock(on("09:30:00"));
        assert_eq!(world.state("a"), end);
        world.assert_recovers();
    }
}

#[test]
fn it_passes_every_check_again_when_it_leaves() {
    let mut world = world_at(on("09:00:00"));
    world.submit(timed("a", T::AtOpen));
    world.limits(Limits {
        max_order_notional: Some(money("0.5")),
        ..Limits::default()
    });
    world.clock(on("09:30:00"));
    assert_eq!(world.events(), ["OrderDenied"]);
    assert!(world.commands().is_empty());
    world.assert_recovers();
}

#[test]
fn one_without_a_fresh_price_waits_for_it_in_its_time() {
    for (priced_at, end) in [
        ("09:30:30", OrderStatus::Submitted),
        ("09:31:00", OrderStatus::Expired),
    ] {
        let mut world = world_at(on("09:00:00"));
        world.limits(Limits {
            max_order_notional: Some(money("1000000")),
            max_reference_age_ns: Some(NANOS_PER_SECOND),
            ..Limits::default()
        });
        world.submit(SubmitOrder {
            order_type: crate::order::OrderType::Market,
            limit_price: None,
            ..timed("a", T::AtOpen)
        });
        assert_eq!(world.state("a"), OrderStatus::PendingNew);
        world.clock(on("09:30:00"));
        assert!(world.events().is_empty(), "{:?}", world.events());
        world.show_at(on(priced_at), PERP, 9_999);
        world.clock(on(priced_at));
        assert_eq!(world.state("a"), end);
    }
}

#[test]
fn after_a_restart_it_waits_for_the_account_to_agree_with_its_venue() {
    for (agrees_at, end) in [
        ("09:30:59", OrderStatus::Submitted),
        ("09:31:00", OrderStatus::Expired),
    ] {
        let mut world = world_at(on("09:00:00"));
        world.submit(timed("a", T::AtOpen));
        world.start_again(true);
        let settings = Box::new(ReconcileSettings::default());
        world.apply(AccountInput::RequireReconciliation { settings });
        world.clock(on("09:30:00"));
        world.show_at(on("09:30:01"), PERP, 9_999);
        assert!(world.effects.is_empty(), "{:?}", world.effects);
        world.now = on(agrees_at).plus(-NANOS_PER_SECOND / 2);
        let ts = world.now;
        let snapshot = Box::new(VenueSnapshot {
            requested_at: ts,
            open_orders: Some(Part { ts, rows: vec![] }),
            ..VenueSnapshot::default()
        });
        world.apply(AccountInput::Reconcile { snapshot });
        assert!(world.account.is_reconciled());
        world.clock(on(agrees_at));
        assert_eq!(world.state("a"), end);
        world.assert_recovers();
    }
}

#[test]
fn what_waits_counts_in_full_for_the_limits() {
    let mut world = world_at(on("09:00:00"));
    world.limits(Limits {
        max_position_notional: Some(money("1.5")),
        ..Limits::default()
    });
    world.submit(timed("a", T::AtOpen));
    assert_eq!(world.state("a"), OrderStatus::PendingNew);
    world.submit(timed("b", T::AtClose));
    assert_eq!(
        world.order("b").reason_code,
        Some(ReasonCode::PositionLimit)
    );
    world.cancel("a");
    world.submit(timed("c", T::AtClose));
    assert_eq!(world.state("c"), OrderStatus::PendingNew);
}

#[test]
fn one_that_only_reduces_ends_with_its_position() {
    for (closed, end) in [
        (false, OrderStatus::Submitted),
        (true, OrderStatus::Canceled),
    ] {
        let mut world = world_at(on("09:40:00"));
        world.working(limit("in", PERP, Side::Buy, 10, 10_000));
        world.fill("in", "x", 10, 10_000);
        world.submit(SubmitOrder {
            side: Side::Sell,
            reduce_only: true,
            ..timed("out", T::AtClose)
        });
        assert_eq!(world.state("out"), OrderStatus::PendingNew);
        if closed {
            world.working(limit("exit", PERP, Side::Sell, 10, 10_000));
            world.fill("exit", "y", 10, 10_000);
        }
        world.clock(on("15:59:55"));
        assert_eq!(world.state("out"), end);
        world.assert_recovers();
    }
}

#[test]
fn one_that_was_lost_on_its_way_is_sent_again_in_its_time_only() {
    for (proven_at, end) in [
        ("15:59:59", OrderStatus::Submitted),
        ("16:00:00", OrderStatus::Expired),
    ] {
        let mut world = world_at(on("15:00:00"));
        world.submit(timed("a", T::AtClose));
        world.clock(on("15:59:55"));
        assert!(world.sent_new().is_some());
        world.start_again(true);
        world.now = on(proven_at).plus(-crate::time::NANOS_PER_MILLI);
        world.not_found("a", true);
        assert_eq!(world.state("a"), end, "{proven_at}");
        let again = (end == OrderStatus::Submitted).then_some((10, Some(10_000), T::Ioc));
        assert_eq!(world.sent_new(), again);
        world.assert_recovers();
    }
}

#[test]
fn what_waits_is_amended_and_canceled_at_once() {
    let mut world = world_at(on("09:00:00"));
    for client in ["a", "b", "c"] {
        world.submit(timed(client, T::AtOpen));
    }
    world.amend("a", Some(7), Some(9_950));
    assert_eq!(world.events(), ["OrderPendingAmend", "OrderAmended"]);
    assert!(world.commands().is_empty());
    world.cancel("b");
    assert_eq!(world.state("b"), OrderStatus::Canceled);
    assert!(world.commands().is_empty());
    world.cancel("c");
    world.start_again(true);
    world.clock(on("09:30:00"));
    assert_eq!(world.sent_new(), Some((7, Some(9_950), T::Ioc)));
    assert_eq!(world.commands().len(), 1);
    world.assert_recovers();
}

#[test]
fn the_kill_switch_ends_what_waits() {
    let mut world = world_at(on("09:00:00"));
    world.submit(timed("a", T::AtClose));
    world.apply(AccountInput::Halt {
        request_id: None,
        cancel: true,
        flatten: false,
        by: "ops".to_owned(),
        reason: "test".to_owned(),
    });
    assert_eq!(world.state("a"), OrderStatus::Canceled);
    assert_eq!(world.account.release_times().count(), 0);
    world.assert_recovers();
}

#[test]
fn without_an_opening_it_is_denied_and_a_venue_that_has_them_gets_it_whole() {
    for calendar in ["", "CRYPTO"] {
        let mut world = world_at(on("09:00:00"));
        world.apply(AccountInput::DefineInstrument(Box::new(bare(calendar))));
        world.submit(timed("a", T::AtOpen));
        assert_eq!(world.order("a").reason_code, Some(ReasonCode::Unsupported));
    }
    // Behind the end of the calendar there is none either.
    let mut world =
        world_at(parse_instant("2999-03-07T09:00:00+00:00").unwrap_or(UnixNanos(i64::MAX / 2)));
    world.submit(timed("a", T::AtOpen));
    assert_eq!(world.order("a").reason_code, Some(ReasonCode::Unsupported));
    world.assert_recovers();

    let mut world = world_at(on("09:00:00"));
    let mut whole = bare("XNYS");
    whole.rules.lacks = Lacks::default();
    world.apply(AccountInput::DefineInstrument(Box::new(whole)));
    world.submit(timed("a", T::AtOpen));
    assert_eq!(world.sent_new(), Some((10, Some(10_000), T::AtOpen)));
}

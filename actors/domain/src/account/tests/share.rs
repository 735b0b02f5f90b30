//! The account's side of the platform's exposure limit.

use super::support::*;
use crate::account::AccountInput;
use crate::event::{CloseScope, Event, Recorded, SCHEMA};
use crate::market::Side;
use crate::money::Money;
use crate::number::Price;
use crate::order::{Contingency, OrderStatus, ReleaseRule, SubmitList};
use crate::risk::platform::{ShareChange, ShareOffer, ShareTerm};
use crate::risk::{MarketView, ReasonCode};

fn offer(version: u64, unit: &str, change: ShareChange) -> AccountInput {
    AccountInput::OfferShare(ShareOffer {
        term: ShareTerm { epoch: 1, version },
        currency: currency(unit),
        change,
        answers: 0,
    })
}

fn set(version: u64, share: &str) -> AccountInput {
    offer(version, "USDT", ShareChange::Set(money(share)))
}

/// The spot market at 100.00, no cash to run out of, and a share of 1,000 USDT.
fn world() -> World {
    let mut world = World::small();
    world.limits(crate::risk::Limits::default());
    show(&mut world);
    world.apply(offer(1, "USDT", ShareChange::Confirm));
    world.apply(set(2, "1000"));
    world
}

fn show(world: &mut World) {
    for text in [SPOT, PERP] {
        let view = MarketView {
            bid: Some(Price(9_999)),
            ask: Some(Price(10_001)),
            ts: world.now,
            ..MarketView::default()
        };
        let instrument_id = id(text);
        world.apply(AccountInput::Market {
            instrument_id,
            view,
        });
    }
}

fn share(world: &World) -> Option<Money> {
    world.account.platform_share().and_then(|share| share.share)
}

fn buy(client: &str, thousandths: i64) -> crate::order::SubmitOrder {
    limit(client, SPOT, Side::Buy, thousandths, 10_000)
}

#[test]
fn an_order_beyond_the_share_is_denied_with_a_text_that_names_the_platform() {
    let mut world = world();
    world.submit(buy("fits", 10_000));
    assert_eq!(world.state("fits"), OrderStatus::Submitted);
    world.submit(buy("over", 1));
    let denied = world.order("over");
    assert_eq!(denied.reason_code, Some(ReasonCode::ExposureLimit));
    assert!(
        denied.reason.contains("platform's exposure limit"),
        "{}",
        denied.reason
    );
    assert!(denied.reason.contains("1000.1 USDT"), "{}", denied.reason);
    world.assert_recovers();
}

#[test]
fn what_reduces_and_what_closes_passes_whatever_the_share() {
    let mut world = world();
    world.working(buy("held", 5_000));
    world.fill("held", "x1", 5_000, 10_000);
    world.apply(set(3, "0"));
    assert_eq!(share(&world), Some(money("500")));
    world.submit(limit("less", SPOT, Side::Sell, 1_000, 10_000));
    assert_eq!(world.state("less"), OrderStatus::Submitted);
    world.submit(buy("more", 1));
    assert_eq!(world.state("more"), OrderStatus::Denied);
    world.accept("less");
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: None,
    });
    world.ended("less", 0);
    let closing = world.account.working_orders().last().unwrap();
    assert_eq!(closing.status, OrderStatus::Submitted);
}

#[test]
fn a_share_shrinks_no_further_than_what_is_used_and_grows_as_offered() {
    for (version, change, expected) in [
        (2, ShareChange::Set(money("5")), Some("1000")),
        (3, ShareChange::Set(money("900")), Some("900")),
        (3, ShareChange::Set(money("100")), Some("500")),
        (3, ShareChange::Set(money("5000")), Some("5000")),
        (3, ShareChange::Confirm, Some("1000")),
        (3, ShareChange::Lift, None),
    ] {
        let mut world = world();
        world.working(buy("a", 5_000));
        world.apply(offer(version, "USDT", change));
        assert_eq!(share(&world), expected.map(money), "{change:?}");
    }
}

#[test]
fn without_prices_a_share_does_not_shrink() {
    let mut world = world();
    world.submit(buy("a", 5_000));
    let mut restored = crate::account::Account::restore(&world.account.snapshot()).unwrap();
    restored.apply(world.now, set(3, "1"), &mut world.effects);
    assert_eq!(
        restored.platform_share().unwrap().share,
        Some(money("1000"))
    );
    assert_eq!(
        restored.share_report(world.now, None).unwrap().exposure,
        None
    );
}

#[test]
fn a_first_share_is_what_the_account_uses() {
    let mut world = World::small();
    world.limits(crate::risk::Limits::default());
    show(&mut world);
    assert_eq!(
        world.account.share_report(world.now, None).unwrap().share,
        None
    );
    world.submit(buy("a", 3_000));
    world.apply(offer(1, "USDT", ShareChange::Confirm));
    assert_eq!(share(&world), Some(money("300")));
}

/// The only rate is BTC in USDT.
#[test]
fn an_account_is_measured_in_the_platforms_currency_or_denied() {
    let mut world = World::small();
    world.limits(crate::risk::Limits::default());
    show(&mut world);
    world.apply(offer(1, "BTC", ShareChange::Confirm));
    world.apply(offer(2, "BTC", ShareChange::Set(money("10"))));
    world.submit(buy("fits", 10_000));
    assert_eq!(world.state("fits"), OrderStatus::Submitted);
    let report = world.account.share_report(world.now, None).unwrap();
    assert_eq!(report.exposure, Some(money("10")));
    world.submit(buy("over", 1));
    assert_eq!(
        world.order("over").reason_code,
        Some(ReasonCode::ExposureLimit)
    );
    world.apply(offer(3, "EUR", ShareChange::Confirm));
    world.apply(offer(4, "EUR", ShareChange::Set(money("1000000"))));
    world.submit(buy("unmeasured", 1));
    assert_eq!(
        world.order("unmeasured").reason_code,
        Some(ReasonCode::NoConversionRate)
    );
}

#[test]
fn growth_is_told_of_orders_that_the_share_could_keep_and_of_no_other() {
    let mut world = world();
    world.working(buy("a", 5_000));
    let market = market(9_999, 10_001, world.now);
    let growth = |world: &mut World, input: &AccountInput| {
        let growth = world.account.share_growth(world.now, input);
        growth.map(|growth| (growth.worst.to_string(), growth.added.to_string()))
    };
    let submit = |request| AccountInput::Submit {
        request: Box::new(request),
        market,
    };
    let some = |worst: &str, added: &str| Some((worst.to_owned(), added.to_owned()));
    assert_eq!(
        growth(&mut world, &submit(buy("b", 2_000))),
        some("500", "200")
    );
    // It reduces, is here already, and fails another check.
    let sell = limit("b", SPOT, Side::Sell, 2_000, 10_000);
    assert_eq!(growth(&mut world, &submit(sell)), None);
    assert_eq!(growth(&mut world, &submit(buy("a", 5_000))), None);
    assert_eq!(growth(&mut world, &submit(buy("b", 2_000_000))), None);
    let amend = |quantity| AccountInput::Amend {
        request: crate::order::AmendOrder {
            key: key("a"),
            request_id: request_id("r"),
            quantity: Some(crate::Quantity(quantity)),
            limit_price: None,
            expected_sequence: None,
            stop_price: None,
        },
        market,
    };
    assert_eq!(growth(&mut world, &amend(6_000)), some("500", "100"));
    assert_eq!(growth(&mut world, &amend(4_000)), None);
    // A list counts each of its orders by itself.
    let list = AccountInput::SubmitList {
        list: Box::new(SubmitList {
            list_id: crate::OrderListId::new("l").unwrap(),
            contingency: Contingency::Oco,
            release: ReleaseRule::Partial,
            cascade: true,
            orders: vec![buy("b", 1_000), limit("c", SPOT, Side::Sell, 2_000, 10_000)],
        }),
        markets: [(id(SPOT), market)].into(),
    };
    assert_eq!(growth(&mut world, &list), some("500", "300"));
    world.apply(offer(3, "USDT", ShareChange::Lift));
    assert_eq!(growth(&mut world, &submit(buy("b", 2_000))), None);
}

/// The first order of an instrument brings its price along.
#[test]
fn growth_is_measured_at_the_market_that_comes_with_the_order() {
    let mut world = World::small();
    world.limits(crate::risk::Limits::default());
    world.apply(offer(1, "USDT", ShareChange::Confirm));
    let input = AccountInput::Submit {
        request: Box::new(buy("a", 2_000)),
        market: market(9_999, 10_001, world.now),
    };
    let growth = world.account.share_growth(world.now, &input).unwrap();
    assert_eq!((growth.worst, growth.added), (Money::ZERO, money("200")));
}

/// Of schema 2, kept apart from its golden journal: its bytes must load for ever as well.
#[test]
fn the_bytes_of_a_share_stay_what_they_are() {
    let recorded = Recorded {
        sequence: 300,
        ts: crate::UnixNanos(5),
        venue_sequence: 0,
        event: Event::PlatformShareSet {
            term: ShareTerm {
                epoch: 2,
                version: 3,
            },
            currency: currency("USDT"),
            share: Some(money("12.5")),
        },
    };
    let bytes = [
        172, 2, 10, 0, 34, 2, 3, 4, b'U', b'S', b'D', b'T', 1, 250, 1, 1,
    ];
    assert_eq!(recorded.encode(), bytes);
    assert_eq!(Recorded::decode(SCHEMA, &bytes), Ok(recorded));
}

/// A list whose child adds to what its parent made: 2 bought, then 9 more. The share has room for
/// 10 at most.
fn with_child(quantity: i64) -> World {
    let mut world = world();
    let list = SubmitList {
        list_id: crate::OrderListId::new("l").unwrap(),
        contingency: Contingency::Oto,
        release: ReleaseRule::Full,
        cascade: true,
        orders: vec![buy("parent", 2_000), buy("child", quantity)],
    };
    let market = market(9_999, 10_001, world.now);
    world.apply(AccountInput::SubmitList {
        list: Box::new(list),
        markets: [(id(SPOT), market)].into(),
    });
    world.accept("parent");
    world.fill("parent", "xp", 2_000, 10_000);
    world
}

fn lacking(world: &World) -> Option<String> {
    let growth = world.account.share_lacking(world.now)?;
    Some(growth.added.to_string())
}

/// The platform's last word on ask 7, with a share or the one that there is.
fn answer(world: &mut World, version: u64, share: &str) {
    world.account.share_asked(7);
    world.apply(AccountInput::OfferShare(ShareOffer {
        term: ShareTerm { epoch: 1, version },
        currency: currency("USDT"),
        change: ShareChange::Set(money(share)),
        answers: 7,
    }));
}

#[test]
fn a_child_that_fits_the_share_leaves_at_once() {
    let world = with_child(8_000);
    assert_eq!(world.state("child"), OrderStatus::Submitted);
    assert!(!world.account.has_unasked());
}

#[test]
fn a_child_beyond_the_share_waits_for_a_larger_one_and_then_leaves() {
    let mut world = with_child(9_000);
    assert_eq!(world.state("child"), OrderStatus::PendingNew);
    assert!(world.account.has_unasked());
    assert_eq!(lacking(&world).as_deref(), Some("900"));
    world.assert_recovers();
    answer(&mut world, 3, "1100");
    assert_eq!(world.state("child"), OrderStatus::Submitted);
    assert_eq!(lacking(&world), None);
    world.assert_recovers();
}

#[test]
fn the_last_word_and_two_seconds_end_its_wait_with_a_denial() {
    // No more than there is: the same share, said again.
    let mut world = with_child(9_000);
    answer(&mut world, 2, "1000");
    let denied = world.order("child").reason_code;
    assert_eq!(denied, Some(ReasonCode::ExposureLimit));
    assert_eq!(lacking(&world), None);
    // The word on an ask before it is none on this one.
    let mut world = with_child(9_000);
    world.apply(set(2, "1000"));
    assert_eq!(world.state("child"), OrderStatus::PendingNew);
    for (later, state) in [(1, OrderStatus::PendingNew), (2, OrderStatus::Denied)] {
        let mut world = with_child(9_000);
        world.now = world.now.plus(later * crate::time::NANOS_PER_SECOND);
        show(&mut world);
        world.apply(AccountInput::Tick);
        assert_eq!(world.state("child"), state, "{later} s");
        world.assert_recovers();
    }
}

#[test]
fn a_child_that_is_canceled_while_it_waits_asks_for_nothing() {
    let mut world = with_child(9_000);
    world.cancel("child");
    assert_eq!(lacking(&world), None);
    answer(&mut world, 3, "1100");
    assert_eq!(world.state("child"), OrderStatus::Canceled);
}

/// Both orders of the list were filled in part; what a bust gives back would make the other grow.
#[test]
fn a_leg_that_would_grow_beyond_the_share_grows_once_there_is_a_larger_one() {
    let mut world = world();
    let list = SubmitList {
        list_id: crate::OrderListId::new("l").unwrap(),
        contingency: Contingency::Oto,
        release: ReleaseRule::Partial,
        cascade: true,
        orders: vec![buy("parent", 4_000), buy("child", 8_000)],
    };
    let market = market(9_999, 10_001, world.now);
    world.apply(AccountInput::SubmitList {
        list: Box::new(list),
        markets: [(id(SPOT), market)].into(),
    });
    world.accept("parent");
    world.fill("parent", "x1", 2_000, 10_000);
    world.accept("child");
    assert_eq!(world.order("child").quantity, crate::Quantity(4_000));
    world.fill("parent", "x2", 2_000, 10_000);
    assert_eq!(world.order("child").quantity, crate::Quantity(4_000));
    assert_eq!(lacking(&world).as_deref(), Some("400"));
    answer(&mut world, 3, "1200");
    assert_eq!(world.state("child"), OrderStatus::PendingAmend);
    assert_eq!(lacking(&world), None);
}

/// It was counted when it came; prices alone have carried the account beyond its share.
#[test]
fn a_stop_order_that_is_held_here_leaves_beyond_the_share() {
    let mut world = world();
    let mut lacking = instrument(SPOT);
    lacking.min_notional = money("0");
    lacking.rules.lacks.order_types = [crate::order::OrderType::Stop].into();
    world.apply(AccountInput::DefineInstrument(Box::new(lacking)));
    let mut stop = buy("stop", 9_900);
    stop.order_type = crate::order::OrderType::Stop;
    stop.limit_price = None;
    stop.terms.stop_price = Some(Price(10_010));
    world.submit(stop);
    assert_eq!(world.state("stop"), OrderStatus::PendingNew);
    let view = MarketView {
        bid: Some(Price(11_000)),
        ask: Some(Price(11_002)),
        ts: world.now,
        ..MarketView::default()
    };
    world.apply(AccountInput::Market {
        instrument_id: id(SPOT),
        view,
    });
    assert_eq!(world.state("stop"), OrderStatus::Submitted);
    let report = world.account.share_report(world.now, None).unwrap();
    assert!(report.exposure > share(&world), "{report:?}");
}

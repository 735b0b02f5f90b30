//! Trailing stops that are held here.

use super::*;

#[test]
fn a_trailing_stop_stands_after_a_restart_where_it_stood() {
    let mut world = bare();
    world.submit(conditional("a", OrderType::TrailingStop, Side::Sell, 100));
    for last in [10_000, 10_050, 10_500, 10_450] {
        world.last(last);
    }
    assert_eq!(world.order("a").stop_price, Some(Price(10_400)));
    let mut recovered = Account::new();
    for recorded in &world.journal {
        recovered.fold(recorded).unwrap();
    }
    let snapshot = Account::restore(&world.account.snapshot()).unwrap();
    for account in [recovered, snapshot] {
        let mut again = World {
            account,
            journal: world.journal.clone(),
            effects: crate::account::Effects::default(),
            now: world.now,
        };
        assert!(again.account.watches(&id(PERP)));
        again.last(10_401);
        assert_eq!(again.left_as(), None);
        again.last(10_400);
        assert_eq!(again.left_as(), Some(OrderType::Market));
    }
}

#[test]
fn with_little_room_a_trailing_stop_stands_still_and_still_triggers() {
    let mut world = bare();
    world.last(10_000);
    let trails = |client: &str| conditional(client, OrderType::TrailingStop, Side::Buy, 100);
    world.submit(trails("t"));
    world.account.set_sparing(true);
    world.last(9_900);
    assert_eq!(world.events(), [""; 0], "it would have moved");
    world.account.set_sparing(false);
    world.last(9_900);
    assert_eq!(world.events(), ["OrderTrailed"]);
    world.account.set_sparing(true);
    // From where it stood.
    world.last(10_000);
    assert!(world.events().contains(&"OrderTriggered".to_owned()));
    world.assert_recovers();
}

#[test]
fn a_trailing_stop_lies_on_the_increment_of_its_price_band() {
    let mut world = bare();
    let mut banded = world.account.instruments()[&id(PERP)].clone();
    banded.rules.price_bands = vec![PriceBand {
        from: Price(5_000),
        increment: Price(100),
    }];
    world.apply(AccountInput::DefineInstrument(Box::new(banded)));
    world.submit(conditional("a", OrderType::TrailingStop, Side::Sell, 130));
    world.last(10_000);
    assert_eq!(world.order("a").stop_price, Some(Price(9_800)));
    world.last(9_800);
    assert_eq!(world.left_as(), Some(OrderType::Market));
}

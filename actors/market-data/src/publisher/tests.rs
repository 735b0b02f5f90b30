use super::*;
use apex_bus::market::BARS_ASKED_MAX;
use apex_bus::topic::{Capacity, Drained, Item, Topic};
use apex_domain::market::Level;
use apex_domain::matching::SimInstrument;
use apex_domain::{Price, Quantity};

const SECOND: i64 = NANOS_PER_SECOND;

fn id() -> InstrumentId {
    SimInstrument::defaults().remove(0).instrument.instrument_id
}

fn hub() -> MarketHub {
    let hub = MarketHub::new();
    hub.define(SimInstrument::defaults().remove(0).instrument)
        .unwrap();
    hub
}

fn at(nanos: i64) -> UnixNanos {
    UnixNanos(1_700_000_040 * SECOND + nanos)
}

fn trade(price: i64, nanos: i64) -> MarketEvent {
    MarketEvent::Trade(Trade {
        instrument_id: id(),
        price: Price(price),
        quantity: Quantity(1),
        aggressor: Some(Side::Buy),
        trade_id: 0,
        ts_event: at(nanos),
        ts_init: at(nanos),
    })
}

fn level(price: i64, quantity: i64) -> Level {
    Level {
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

fn quote(nanos: i64) -> MarketEvent {
    MarketEvent::Quote(Quote {
        instrument_id: id(),
        bid: Some(level(99, 1)),
        ask: Some(level(101, 1)),
        ts_event: at(nanos),
        ts_init: at(nanos),
    })
}

fn snapshot(levels: i64) -> MarketEvent {
    MarketEvent::Snapshot(BookSnapshot {
        instrument_id: id(),
        update_id: 7,
        bids: (0..levels).map(|n| level(1_000 - n, 1)).collect(),
        asks: (0..levels).map(|n| level(1_001 + n, 1)).collect(),
        stale: false,
        ts_event: at(0),
        ts_init: at(0),
    })
}

fn state(status: FeedStatus) -> MarketEvent {
    MarketEvent::FeedState(FeedState {
        instrument_id: id(),
        status,
        ts_init: at(1),
    })
}

fn publish(publisher: &mut Publisher, events: &[MarketEvent]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for event in events {
        publisher.publish(event, &mut bars);
    }
    bars
}

fn book(hub: &MarketHub) -> Arc<BookSnapshot> {
    hub.view(&id()).unwrap().book.unwrap()
}

#[test]
fn a_book_is_published_with_its_top_and_nothing_deeper() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    publish(&mut publisher, &[state(FeedStatus::Live), snapshot(50)]);
    let top = book(&hub);
    assert_eq!((top.bids.len(), top.asks.len()), (BOOK_DEPTH, BOOK_DEPTH));
    assert_eq!(
        (top.bids[0].price, top.asks[0].price),
        (Price(1_000), Price(1_001))
    );
    assert!(!top.stale);
    // The best bid goes; a level that was too deep to be seen comes into sight.
    let delta = MarketEvent::Book(BookDelta {
        instrument_id: id(),
        first_update_id: 8,
        last_update_id: 8,
        previous_update_id: None,
        bids: vec![level(1_000, 0)],
        asks: vec![],
        ts_event: at(2),
        ts_init: at(2),
    });
    publish(&mut publisher, &[delta]);
    let top = book(&hub);
    assert_eq!(
        (top.bids[0].price, top.bids[19].price),
        (Price(999), Price(980))
    );
    assert_eq!(top.update_id, 8);
}

#[test]
fn the_old_book_is_served_stale_until_the_feed_lives_again() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    publish(&mut publisher, &[state(FeedStatus::Live), snapshot(2)]);
    publish(&mut publisher, &[state(FeedStatus::Recovering)]);
    assert!(book(&hub).stale);
    publish(&mut publisher, &[snapshot(3)]);
    assert!(book(&hub).stale, "not before the feed says so");
    publish(&mut publisher, &[state(FeedStatus::Live)]);
    assert!(!book(&hub).stale);
    assert_eq!(book(&hub).bids.len(), 3);
}

#[test]
fn a_quote_revives_a_silent_feed_and_does_not_close_a_gap() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    let feed = || hub.view(&id()).unwrap().feed;
    publish(&mut publisher, &[quote(0)]);
    assert_eq!(feed(), FeedStatus::Live);
    for (told, then) in [
        (FeedStatus::Gapped, FeedStatus::Gapped),
        (FeedStatus::Recovering, FeedStatus::Recovering),
        (FeedStatus::Replaying, FeedStatus::Replaying),
        (FeedStatus::Stale, FeedStatus::Live),
    ] {
        publish(&mut publisher, &[state(told), quote(1)]);
        assert_eq!(feed(), then);
    }
    // Closed at first, then each state, and live again: every change was told.
    assert_eq!(hub.feed_states.stats().published, 6);
}

#[test]
fn a_bar_comes_before_the_trade_that_closed_it() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    assert_eq!(
        publish(&mut publisher, &[trade(100, 0), trade(104, 500)]),
        []
    );
    // At the bar's own publication the board still shows the trade before.
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (board, notes) = (hub.clone(), seen.clone());
    let doorbell = Box::new(move || {
        let view = board.view(&id()).unwrap();
        let last = view.last_trade.map(|trade| trade.price);
        notes.lock().unwrap().push((view.last_bar.is_some(), last));
    });
    let mut bars = hub.bars.subscribe("test", doorbell).unwrap();
    while bars.drain(10, |_| {}) == Drained::Again {}
    let closed = publish(&mut publisher, &[trade(90, SECOND)]);
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].open, closed[0].close), (Price(100), Price(104)));
    assert_eq!(*seen.lock().unwrap(), [(true, Some(Price(104)))]);
    assert_eq!(
        hub.view(&id()).unwrap().last_trade.unwrap().price,
        Price(90)
    );
}

#[test]
fn time_alone_closes_the_bars_of_all_that_traded() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    publish(&mut publisher, &[trade(100, 0)]);
    let mut bars = Vec::new();
    publisher.on_time(at(60 * SECOND), at(60 * SECOND), &mut bars);
    let second = bars.iter().filter(|bar| bar.ts_open == at(0)).count();
    assert!(second >= 1, "{bars:?}");
    assert_eq!(hub.view(&id()).unwrap().last_bar.as_ref(), bars.last());
}

#[test]
fn a_feed_with_bars_of_its_own_gets_no_second_ones() {
    let hub = hub();
    let mut publisher = Publisher::without_bars(hub.clone());
    let mut maker = Publisher::new(MarketHub::new());
    let bar = publish(&mut maker, &[trade(100, 0), trade(90, SECOND)]).remove(0);
    let events = [
        trade(100, 0),
        trade(90, SECOND),
        MarketEvent::Bar(bar.clone()),
    ];
    assert_eq!(publish(&mut publisher, &events), std::slice::from_ref(&bar));
    publisher.on_time(at(120 * SECOND), at(120 * SECOND), &mut Vec::new());
    assert_eq!(hub.bars.stats().published, 1);
    assert_eq!(hub.view(&id()).unwrap().last_bar, Some(bar));
}

#[test]
fn trades_in_are_trades_read_and_trades_told_as_missed() {
    let mut hub = hub();
    hub.trades = Topic::gap("trades", Capacity::new(64));
    let mut slow = hub.trades.subscribe("slow", Box::new(|| {})).unwrap();
    let mut publisher = Publisher::new(hub.clone());
    let events: Vec<_> = (0..1_000).map(|n| trade(100 + n, n)).collect();
    publish(&mut publisher, &events);
    let (mut read, mut missed) = (0, 0);
    let mut take = |item: Item<Trade>| match item {
        Item::Gap { missed: count } => missed += count,
        _ => read += 1,
    };
    while slow.drain(100, &mut take) == Drained::Again {}
    assert_eq!(read + missed, 1_000);
    assert!(missed > 0);
    assert_eq!(hub.trades.stats().published, 1_000);
}

#[test]
fn an_instrument_that_nobody_defined_is_published_and_not_on_the_board() {
    let hub = MarketHub::new();
    let mut publisher = Publisher::new(hub.clone());
    publish(&mut publisher, &[quote(0), trade(100, 1), snapshot(1)]);
    assert!(hub.view(&id()).is_none());
    assert_eq!(hub.trades.stats().published, 1);
}

#[test]
fn bars_that_were_asked_for_come_behind_their_last_trade_and_end_with_the_session() {
    let hub = hub();
    let mut publisher = Publisher::new(hub.clone());
    let ticks = BarSpec::Tick { count: 2 };
    let mut bars = Vec::new();
    publisher.publish(&trade(1, 10), &mut bars);
    hub.ask_for_bars(Some(id()), ticks).unwrap();
    hub.ask_for_bars(None, ticks).unwrap();
    for second in [2, 3, 4] {
        publisher.publish(&trade(second, 10), &mut bars);
    }
    publisher.publish(&state(FeedStatus::Closed), &mut bars);
    let of_ticks: Vec<_> = bars.iter().filter(|bar| bar.spec == ticks).collect();
    let counted: Vec<_> = of_ticks.iter().map(|bar| bar.trade_count).collect();
    assert_eq!(
        counted,
        [2, 1],
        "from the next trade on, and the rest at the end"
    );
    // Charts go on with bars of time.
    let last = hub.view(&id()).unwrap().last_bar.unwrap();
    assert!(matches!(last.spec, BarSpec::Time { .. }));
}

#[test]
fn asked_bars_are_bounded_and_asking_again_is_free() {
    let hub = MarketHub::new();
    let ask = |count| hub.ask_for_bars(None, BarSpec::Tick { count });
    for count in 1..=BARS_ASKED_MAX as u64 {
        ask(count).unwrap();
    }
    assert!(ask(1).is_ok());
    assert!(ask(9_999).is_err());
    assert_eq!(hub.bars_asked(&id()).len(), BARS_ASKED_MAX);
}

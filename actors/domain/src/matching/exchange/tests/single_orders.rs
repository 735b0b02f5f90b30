//! The single orders that the exchange tells, against its levels.

use super::*;
use crate::book::{L3Book, L3Change, Ladder};
use proptest::prelude::*;

/// A book of orders and one of levels, both as a listener builds them.
struct Listener {
    orders: L3Book,
    bids: Ladder,
    asks: Ladder,
    levels_id: u64,
    orders_id: u64,
    /// Events that were looked at.
    seen: usize,
    changes: Vec<L3Change>,
}

fn id() -> InstrumentId {
    InstrumentId::new(BTC).unwrap()
}

impl Listener {
    fn begin(script: &mut Script) -> Listener {
        script.exchange.tell_orders(&id(), true);
        let now = UnixNanos(script.now);
        let snapshot = script.exchange.order_snapshot(&id(), now).unwrap();
        let mut orders = L3Book::new(10_000);
        let listed: Vec<_> = snapshot.orders().collect();
        orders.replace(&listed).unwrap();
        let (mut bids, mut asks) = (Ladder::new(Side::Buy), Ladder::new(Side::Sell));
        let levels = script.exchange.snapshots(now);
        let levels = levels.iter().find_map(|event| match event {
            MarketEvent::Snapshot(s) if s.instrument_id == id() => Some(s),
            _ => None,
        });
        let levels = levels.unwrap();
        bids.replace(&levels.bids);
        asks.replace(&levels.asks);
        assert_eq!(levels.update_id, snapshot.update_id);
        let mut listener = Listener {
            orders,
            bids,
            asks,
            levels_id: levels.update_id,
            orders_id: snapshot.update_id,
            seen: script.events.len(),
            changes: Vec::new(),
        };
        listener.agree();
        listener
    }

    fn agree(&mut self) {
        assert_eq!(self.levels_id, self.orders_id);
        assert_eq!(self.orders.check_levels(&self.bids, &self.asks), Ok(()));
    }

    /// Follows what came since, and compares at each update.
    fn follow(&mut self, script: &Script) {
        for event in &script.events[self.seen..] {
            match event {
                ExchangeEvent::Market(MarketEvent::Book(delta)) if delta.instrument_id == id() => {
                    self.levels_id = delta.last_update_id;
                    delta.bids.iter().for_each(|level| self.bids.set(*level));
                    delta.asks.iter().for_each(|level| self.asks.set(*level));
                }
                ExchangeEvent::Orders(update) => {
                    assert_eq!(update.instrument_id, id(), "nobody asked for another");
                    assert_eq!(update.update_id, self.orders_id + 1, "a hole");
                    self.orders_id = update.update_id;
                    for change in &update.changes {
                        self.orders.apply(*change).unwrap();
                        self.changes.push(*change);
                    }
                    self.agree();
                }
                _ => {}
            }
        }
        self.seen = script.events.len();
        self.agree();
    }
}

/// What an account does, at a distance in ticks from the best price of the other side.
#[derive(Clone, Debug)]
enum Deed {
    Wait(i64),
    /// Side, distance, quantity, shown.
    Place(bool, i64, i64, Option<i64>),
    Amend(usize, i64, i64),
    Cancel(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        2 => (1_i64..40).prop_map(|turns| Deed::Wait(turns * 10)),
        6 => (any::<bool>(), -300_i64..300, 1_i64..20, proptest::option::of(1_i64..4))
            .prop_map(|(buys, away, lots, shown)| Deed::Place(buys, away, lots, shown)),
        2 => (0_usize..20, -300_i64..300, 1_i64..20).prop_map(|(at, away, lots)| Deed::Amend(at, away, lots)),
        1 => (0_usize..20).prop_map(Deed::Cancel),
    ];
    proptest::collection::vec(deed, 1..60)
}

fn act(script: &mut Script, n: usize, deed: &Deed) {
    let (bid, ask) = script.top();
    let lot = 5_000;
    match *deed {
        Deed::Wait(millis) => drop(script.step(millis)),
        Deed::Place(buys, away, lots, shown) => {
            let (side, price) = match buys {
                true => (Side::Buy, ask.price.0 - away),
                false => (Side::Sell, bid.price.0 + away),
            };
            let mut order = order(&format!("o{n}"), side, Some(price), lots * lot);
            let shown = shown.filter(|shown| *shown < lots);
            order.terms.display_quantity = shown.map(|shown| Quantity(shown * lot));
            drop(script.submit(order));
        }
        Deed::Amend(at, away, lots) => {
            let price = bid.price.0 - away;
            drop(script.command(amend(&format!("o{at}"), lots * lot, Some(price))));
        }
        Deed::Cancel(at) => {
            let client_order_id = ClientOrderId::new(&format!("o{at}")).unwrap();
            drop(script.command(VenueCommand::Cancel {
                client_order_id,
                instrument_id: id(),
            }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_orders_sum_up_to_the_levels_at_each_update(seed in 0_u64..1_000, deeds in deeds()) {
        let mut script = Script::new(seed);
        script.step(500);
        let mut listener = Listener::begin(&mut script);
        for (n, deed) in deeds.iter().enumerate() {
            act(&mut script, n, deed);
            listener.follow(&script);
        }
        script.step(200);
        listener.follow(&script);
        // Who comes later begins with the same book.
        let later = Listener::begin(&mut script);
        for side in [Side::Buy, Side::Sell] {
            let told: Vec<_> = listener.orders.orders(side).collect();
            prop_assert_eq!(later.orders.orders(side).collect::<Vec<_>>(), told);
        }
    }
}

#[test]
fn nothing_is_told_of_orders_before_somebody_asks_and_after() {
    let mut script = Script::new(3);
    let told = |script: &Script| {
        let is_told = |event: &&ExchangeEvent| matches!(event, ExchangeEvent::Orders(_));
        script.events.iter().filter(is_told).count()
    };
    script.step(1_000);
    assert_eq!(told(&script), 0);
    script.exchange.tell_orders(&id(), true);
    script.step(1_000);
    let during = told(&script);
    assert!(during > 0);
    script.exchange.tell_orders(&id(), false);
    script.step(1_000);
    assert_eq!(told(&script), during);
    let unknown = InstrumentId::new("NO.SIM").unwrap();
    let snapshot = script.exchange.order_snapshot(&unknown, UnixNanos(0));
    assert_eq!(snapshot, None);
}

#[test]
fn being_watched_changes_nothing_else_of_the_market() {
    let run = |watched: bool| {
        let mut script = Script::new(9);
        script.exchange.tell_orders(&id(), watched);
        for _ in 0..200 {
            script.step(50);
        }
        let is_other = |event: &ExchangeEvent| !matches!(event, ExchangeEvent::Orders(_));
        script.events.retain(is_other);
        script.events
    };
    assert!(run(true) == run(false));
}

/// A book with nothing but three buys at one price: `a`, `b`, and `c`.
fn queue() -> (Script, Listener, i64) {
    let mut script = Script {
        exchange: SimExchange::without_traders(SimOptions::new(1)),
        now: 1_700_000_000 * NANOS_PER_SECOND,
        reports: Vec::new(),
        events: Vec::new(),
    };
    let mut listener = Listener::begin(&mut script);
    let price = 6_000_000;
    for name in ["a", "b", "c"] {
        script.submit(order(name, Side::Buy, Some(price), 300));
    }
    listener.follow(&script);
    (script, listener, price)
}

fn bids(listener: &Listener) -> Vec<(u64, i64)> {
    let orders = listener.orders.orders(Side::Buy);
    orders.map(|o| (o.order_id, o.quantity.0)).collect()
}

#[test]
fn less_quantity_keeps_the_place_and_more_or_another_price_loses_it() {
    let (mut script, mut listener, price) = queue();
    assert_eq!(bids(&listener), [(1, 300), (2, 300), (3, 300)]);
    script.command(amend("a", 200, None));
    listener.follow(&script);
    assert_eq!(bids(&listener), [(1, 200), (2, 300), (3, 300)]);
    script.command(amend("a", 250, None));
    listener.follow(&script);
    assert_eq!(bids(&listener), [(2, 300), (3, 300), (1, 250)]);
    script.command(amend("b", 300, Some(price - 100)));
    listener.follow(&script);
    assert_eq!(bids(&listener), [(3, 300), (1, 250), (2, 300)]);
}

#[test]
fn a_hidden_part_does_not_show_before_its_turn() {
    let (mut script, mut listener, price) = queue();
    let mut iceberg = order("ice", Side::Sell, Some(price + 100), 1_000);
    iceberg.terms.display_quantity = Some(Quantity(300));
    script.submit(iceberg);
    let mut taker = order("t", Side::Buy, Some(price + 100), 400);
    taker.time_in_force = TimeInForce::Ioc;
    listener.changes.clear();
    script.submit(taker);
    listener.follow(&script);
    let shown: Vec<_> = listener.orders.orders(Side::Sell).collect();
    assert_eq!(shown.len(), 1, "{:?}", script.reports);
    assert_eq!(shown[0].quantity, Quantity(200));
    let shows = |change: &L3Change| match change {
        L3Change::Add(order) => order.quantity.0 <= 300,
        L3Change::Execute { quantity, .. } | L3Change::Modify { quantity, .. } => quantity.0 <= 300,
        L3Change::Cancel { .. } => true,
    };
    assert!(listener.changes.iter().all(shows), "{:?}", listener.changes);
}

use super::*;
use apex_domain::market::Level;
use apex_domain::matching::SimInstrument;
use apex_domain::money::Money;
use apex_domain::order::PositionSide;
use apex_domain::{Price, Quantity, StrategyId};
use apex_storage::{MemoryHot, Signals, Wakes};
use serde_json::{Value, json};
use std::sync::Mutex;

/// A server that can be emptied and taken away.
#[derive(Default)]
struct Server {
    memory: Mutex<MemoryHot>,
    fails: Mutex<Option<String>>,
    sets: Mutex<Vec<(String, Duration)>>,
}

impl Server {
    fn empty(&self) {
        *self.memory.lock().unwrap() = MemoryHot::new();
    }

    fn text(&self, key: &str) -> Option<Value> {
        let found = self.get(&[key]).unwrap().remove(0)?;
        Some(serde_json::from_slice(&found).unwrap())
    }

    fn taken(&self) -> Vec<String> {
        let sets = std::mem::take(&mut *self.sets.lock().unwrap());
        sets.into_iter().map(|(key, _)| key).collect()
    }
}

impl Hot for Server {
    fn set(&self, key: &str, value: &[u8], valid: Duration) {
        self.sets.lock().unwrap().push((key.to_owned(), valid));
        if self.fails.lock().unwrap().is_none() {
            self.memory.lock().unwrap().set(key, value, valid);
        }
    }

    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.memory.lock().unwrap().get(keys)
    }

    fn wake(&self, _: &str, _: &str) {}

    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError> {
        self.memory.lock().unwrap().wakes(stream)
    }

    fn publish(&self, _: &str, _: &[u8]) {}

    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError> {
        self.memory.lock().unwrap().subscribe(channel)
    }

    fn health(&self) -> HotHealth {
        match &*self.fails.lock().unwrap() {
            Some(reason) => HotHealth::Degraded(reason.clone()),
            None => HotHealth::Ready,
        }
    }
}

fn instrument() -> Instrument {
    SimInstrument::defaults().remove(0).instrument
}

fn level(price: i64, quantity: i64) -> Level {
    Level {
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

fn quote(bid: i64) -> Quote {
    Quote {
        instrument_id: instrument().instrument_id,
        bid: Some(level(bid, 15_000)),
        ask: None,
        ts_event: UnixNanos(5),
        ts_init: UnixNanos(7),
    }
}

fn keeper() -> (Arc<Server>, HotKeeper) {
    let server = Arc::new(Server::default());
    let keeper = HotKeeper::new(server.clone(), NAMESPACE, "n1".to_owned());
    (server, keeper)
}

const QUOTE: &str = "apex:1:quote:BTCUSDT.SIM";

fn away() -> StorageError {
    StorageError::Unavailable {
        server: "Redis at h:1".to_owned(),
        detail: "gone".to_owned(),
        variable: "APEX_REDIS_URL",
    }
}

/// As the shell does it.
fn beat(server: &Server, keeper: &mut HotKeeper) {
    let found = server.get(&[&keeper.beat_key()]);
    let found = found.map(|mut values| values.remove(0));
    keeper.beat(UnixNanos(1), found);
}

#[test]
fn values_are_json_with_decimals_as_text_and_times_in_nanoseconds() {
    let (server, mut keeper) = keeper();
    let instrument = instrument();
    assert_eq!(
        (instrument.price_decimals, instrument.quantity_decimals),
        (2, 5)
    );
    keeper.quote(&instrument, &quote(6_000_001));
    assert_eq!(
        server.text(QUOTE),
        Some(json!({
            "instrument_id": "BTCUSDT.SIM", "bid_price": "60000.01", "bid_quantity": "0.15000",
            "ask_price": null, "ask_quantity": null, "ts_event_ns": 5, "ts_init_ns": 7, "node": "n1",
        }))
    );
    let book = BookSnapshot {
        instrument_id: instrument.instrument_id.clone(),
        update_id: 9,
        bids: (0..20).map(|number| level(100 - number, 1)).collect(),
        asks: vec![level(101, 2)],
        stale: true,
        ts_event: UnixNanos(1),
        ts_init: UnixNanos(2),
    };
    keeper.book(&instrument, &book);
    let found = server.text("apex:1:book:BTCUSDT.SIM").unwrap();
    assert_eq!(found["asks"], json!([["1.01", "0.00002"]]));
    assert_eq!(found["bids"].as_array().unwrap().len(), LEVELS);
    assert_eq!(found["bids"][4], json!(["0.96", "0.00001"]));
    assert_eq!(
        (&found["update_id"], &found["stale"]),
        (&json!(9), &json!(true))
    );
}

#[test]
fn positions_of_an_account_are_one_value_without_the_flat_ones() {
    let (server, mut keeper) = keeper();
    let instrument = instrument();
    let position = |strategy: &str, quantity: i64, cost: &str| {
        let held = Position {
            instrument_id: instrument.instrument_id.clone(),
            strategy_id: StrategyId::new(strategy).unwrap(),
            side: PositionSide::Net,
            quantity,
            open_cost: Money::parse(cost).unwrap(),
            realized_pnl: Money::parse("1.50").unwrap(),
        };
        (held, instrument.clone())
    };
    let account_id = AccountId::new("paper").unwrap();
    let held = [position("a", -200_000, "-120000"), position("b", 0, "0")];
    keeper.positions(&account_id, 12, &held);
    assert_eq!(
        server.text("apex:1:positions:paper"),
        Some(json!({
            "account_id": "paper", "sequence": 12, "node": "n1",
            "positions": [{
                "instrument_id": "BTCUSDT.SIM", "strategy_id": "a",
                "position_side": "POSITION_SIDE_NET", "quantity": "-2.00000",
                "average_price": "60000", "realized_pnl": "1.5", "currency": "USDT",
            }],
        }))
    );
    keeper.positions(&account_id, 13, &[position("a", 0, "0")]);
    let found = server.text("apex:1:positions:paper").unwrap();
    assert_eq!(found["positions"], json!([]));
    assert_eq!(keeper.figures().held, 1, "one value, whatever happens");
}

#[test]
fn values_are_set_again_before_they_expire_and_beats_tell_of_the_node() {
    let (server, mut keeper) = keeper();
    keeper.quote(&instrument(), &quote(1));
    let mut renewed = 0;
    for number in 1..=21_u64 {
        server.taken();
        beat(&server, &mut keeper);
        renewed += server.taken().iter().filter(|key| *key == QUOTE).count();
        let node = server.text(&keeper.beat_key()).unwrap();
        assert_eq!(node, json!({ "node": "n1", "beat": number, "ts_ns": 1 }));
    }
    assert_eq!(renewed, 4, "every five beats");
    assert_eq!(keeper.figures().rewrites, 0, "nothing was lost");
    // Between two times of setting it again it cannot expire.
    assert!(VALID >= 2 * BEAT * u32::try_from(RENEWED_AFTER + 1).unwrap());
}

#[test]
fn what_a_server_lost_is_all_set_again_at_the_next_beat() {
    let (server, mut keeper) = keeper();
    keeper.quote(&instrument(), &quote(1));
    keeper.quote(&instrument(), &quote(2));
    beat(&server, &mut keeper);
    beat(&server, &mut keeper);
    server.empty();
    beat(&server, &mut keeper);
    let found = server.text(QUOTE).expect("it is there again");
    assert_eq!(found["bid_price"], "0.02", "the newest");
    assert_eq!(keeper.figures().rewrites, 1);
    server.empty();
    beat(&server, &mut keeper);
    assert!(server.text(QUOTE).is_some(), "and again at once");
    assert_eq!(keeper.figures().rewrites, 2);
    beat(&server, &mut keeper);
    beat(&server, &mut keeper);
    assert_eq!(keeper.figures().rewrites, 2, "once for each time");
    // A server that came back with an older copy has the node's key, of an earlier beat.
    let old = value::node("n1", 1, UnixNanos(0));
    server.set(&keeper.beat_key(), &old, VALID);
    beat(&server, &mut keeper);
    assert_eq!(keeper.figures().rewrites, 3);
}

#[test]
fn a_beat_that_is_late_on_the_wire_is_no_loss() {
    let (server, mut keeper) = keeper();
    keeper.quote(&instrument(), &quote(1));
    for late in [None, Some(0), Some(1), Some(2)] {
        let found = late.map(|number| value::node("n1", number, UnixNanos(0)));
        keeper.beat(UnixNanos(1), Ok(found));
    }
    assert_eq!(keeper.figures().rewrites, 0);
    drop(server);
}

#[test]
fn while_a_server_is_away_the_newest_is_held_and_set_once_it_answers() {
    let (server, mut keeper) = keeper();
    keeper.quote(&instrument(), &quote(1));
    beat(&server, &mut keeper);
    beat(&server, &mut keeper);
    *server.fails.lock().unwrap() = Some("down".to_owned());
    for number in 0..10_000 {
        keeper.quote(&instrument(), &quote(number));
        if number % 1_000 == 0 {
            keeper.beat(UnixNanos(1), Err(away()));
        }
    }
    assert_eq!(keeper.degraded().as_deref(), Some("down"));
    assert_eq!(keeper.figures().held, 1, "however long it takes");
    *server.fails.lock().unwrap() = None;
    server.empty();
    assert!(
        keeper.degraded().is_some_and(|why| why.contains("gone")),
        "until it answered"
    );
    beat(&server, &mut keeper);
    assert_eq!(keeper.degraded(), None);
    assert_eq!(server.text(QUOTE).unwrap()["bid_price"], "99.99");
    assert_eq!(keeper.figures().rewrites, 1);
}

#[test]
fn everything_that_is_set_expires() {
    let (server, mut keeper) = keeper();
    keeper.quote(&instrument(), &quote(1));
    beat(&server, &mut keeper);
    let sets = server.sets.lock().unwrap();
    assert!(sets.iter().all(|(_, valid)| *valid == VALID), "{sets:?}");
    assert_eq!(sets.len(), 2);
}

//! What holds over replayed data, whatever it is and whatever the account does.

use super::extended::{Hours, any_edge, any_order};
use super::properties::{Orders, take};
use super::*;
use crate::market::{Bar, BarSpec};
use crate::matching::{BarPath, BarVolume};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    New(NewOrder),
    Cancel(u8),
    /// Bid, distance to the ask, and the quantity of both.
    Quote(i64, i64, i64),
    Trade(Side, i64, i64),
    /// Open, way up, way down, close as a part of the range, volume.
    Bar(i64, i64, i64, i64, i64),
    Session(SessionEdge),
    Pass(i64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let op = prop_oneof![
        6 => any_order().prop_map(Op::New),
        1 => (0_u8..25).prop_map(Op::Cancel),
        4 => (88_i64..110, 1_i64..6, 1_i64..40)
            .prop_map(|(bid, spread, quantity)| Op::Quote(bid, spread, quantity)),
        2 => (side, 90_i64..110, 1_i64..40).prop_map(|(side, p, q)| Op::Trade(side, p, q)),
        4 => (90_i64..110, 0_i64..9, 0_i64..9, 0_i64..18, 0_i64..60)
            .prop_map(|(open, up, down, close, volume)| Op::Bar(open, up, down, close, volume)),
        1 => any_edge().prop_map(Op::Session),
        1 => (1_i64..30).prop_map(Op::Pass),
    ];
    prop::collection::vec(op, 1..120)
}

/// Returns low and high of a bar with it.
fn bar(desk: &Desk, op: &Op) -> Option<(MarketEvent, i64, i64)> {
    let Op::Bar(open, up, down, close, volume) = *op else {
        return None;
    };
    let (low, high) = (open - down, open + up);
    let ts = UnixNanos(desk.now);
    let bar = Bar {
        instrument_id: id(),
        spec: BarSpec::External,
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price((low + close).min(high)),
        volume: i128::from(volume),
        trade_count: 0,
        ts_open: ts,
        ts_init: ts,
    };
    Some((MarketEvent::Bar(bar), low, high))
}

/// Carries an operation out and returns the reports.
fn run(desk: &mut Desk, op: &Op) -> Vec<VenueReport> {
    desk.now += 1;
    let ts = UnixNanos(desk.now);
    let level = |price: i64, quantity: i64| Level {
        price: Price(price),
        quantity: Quantity(quantity),
    };
    let event = match *op {
        Op::New(ref order) => return desk.send("a", VenueCommand::New(order.clone())),
        Op::Cancel(n) => {
            let command = VenueCommand::Cancel {
                client_order_id: client_id(&format!("o{n}")),
                instrument_id: id(),
            };
            return desk.send("a", command);
        }
        Op::Pass(time) => {
            desk.now += time;
            return Vec::new();
        }
        Op::Session(edge) => {
            let control = VenueControl::Session {
                instrument_id: id(),
                edge,
            };
            let mut out = Vec::new();
            match &mut desk.model {
                Model::Exchange(_) => {}
                Model::Book(venue) => venue.on_control(ts, &control, &mut out),
                Model::Bars(venue) => venue.on_control(ts, &control, &mut out),
            }
            return out;
        }
        Op::Quote(bid, spread, quantity) => MarketEvent::Quote(Quote {
            instrument_id: id(),
            bid: Some(level(bid, quantity)),
            ask: Some(level(bid + spread, quantity)),
            ts_event: ts,
            ts_init: ts,
        }),
        Op::Trade(side, price, quantity) => MarketEvent::Trade(Trade {
            instrument_id: id(),
            price: Price(price),
            quantity: Quantity(quantity),
            aggressor: Some(side),
            trade_id: 0,
            ts_event: ts,
            ts_init: ts,
        }),
        Op::Bar(..) => match bar(desk, op) {
            Some((event, ..)) => event,
            None => return Vec::new(),
        },
    };
    let mut out = Vec::new();
    match &mut desk.model {
        Model::Exchange(_) => {}
        Model::Book(venue) => venue.on_market(&event, &mut out),
        Model::Bars(venue) => venue.on_market(&event, &mut out),
    }
    out
}

fn desk(n: usize) -> Desk {
    let mut with_sessions = instrument();
    with_sessions.rules.calendar = "XNYS".to_owned();
    if n == 0 {
        return Desk::of("book", with_sessions);
    }
    let fills = [FillModel::NextOpen, FillModel::BarClose, FillModel::Touch];
    let paths = [BarPath::HighFirst, BarPath::LowFirst, BarPath::Adaptive];
    let options = BarFillOptions {
        path: paths[n % 3],
        volume: [BarVolume::Unlimited, BarVolume::Quarters][n % 2],
        ..BarFillOptions::new(fills[n / 2 % 3])
    };
    Desk::with(Model::Bars(BarFill::new(options, [with_sessions])))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_order_breaks_its_limit_its_time_or_its_quantity(n in 0_usize..7, ops in ops()) {
        let mut desk = desk(n);
        let mut known = Orders::new();
        let mut hours = Hours::new();
        for op in &ops {
            match op {
                Op::New(order) => hours.step(Some(("a", order)), None),
                Op::Session(edge) => hours.step(None, Some(*edge)),
                _ => hours.step(None, None),
            }
            let new = match op {
                Op::New(order) => Some(order),
                _ => None,
            };
            let reports = run(&mut desk, op);
            let mut volume = 0;
            for report in &reports {
                take(&mut known, new, "a", report, desk.now)?;
                hours.check("a", report)?;
                let (VenueReport::Filled(e), Some((_, low, high))) = (report, bar(&desk, op))
                else {
                    continue;
                };
                prop_assert!((low..=high).contains(&e.last_price.0), "{e:?} off the bar");
                volume += e.last_quantity.0;
            }
            if let (Op::Bar(_, _, _, _, offered), 1) = (op, n % 2) {
                prop_assert!(volume <= *offered, "{volume} of {offered}");
            }
        }
    }

    #[test]
    fn the_same_data_gives_the_same_hash(n in 0_usize..7, ops in ops()) {
        let hash = || {
            let mut desk = desk(n);
            ops.iter().fold(0_u64, |hash, op| {
                let bytes = postcard::to_stdvec(&run(&mut desk, op)).unwrap();
                crate::hash::roll_bytes(hash, &bytes)
            })
        };
        prop_assert_eq!(hash(), hash());
    }
}

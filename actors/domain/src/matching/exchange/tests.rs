//! The market as a whole, and accounts that trade in it.

use super::*;
use crate::ClientOrderId;
use crate::market::{Level, Quote, Side};
use crate::matching::RestoredOrder;
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::time::NANOS_PER_SECOND;
use crate::venue::{EndReason, Execution, NewOrder, RejectReason, VenueStatus};

mod reducing;
mod single_orders;

const BTC: &str = "BTCUSDT.SIM";

fn exchange(seed: u64) -> SimExchange {
    SimExchange::new(SimOptions::new(seed)).unwrap()
}

fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}

fn order(id: &str, side: Side, limit: Option<i64>, quantity: i64) -> NewOrder {
    NewOrder {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        side,
        order_type: limit.map_or(OrderType::Market, |_| OrderType::Limit),
        quantity: Quantity(quantity),
        limit_price: limit.map(Price),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    }
}

/// An exchange, its clock, and the books as a listener sees them.
struct Script {
    exchange: SimExchange,
    now: i64,
    reports: Vec<VenueReport>,
    events: Vec<ExchangeEvent>,
}

impl Script {
    fn new(seed: u64) -> Script {
        Script::of(exchange(seed))
    }

    fn of(exchange: SimExchange) -> Script {
        let mut script = Script {
            exchange,
            now: 1_700_000_000 * NANOS_PER_SECOND,
            reports: Vec::new(),
            events: Vec::new(),
        };
        script.step(0);
        script
    }

    fn apply(&mut self, input: ExchangeInput) -> Vec<VenueReport> {
        let mut out = Vec::new();
        self.exchange.apply(UnixNanos(self.now), input, &mut out);
        let reports: Vec<_> = out
            .iter()
            .filter_map(|event| match event {
                ExchangeEvent::Report { report, .. } => Some(report.clone()),
                _ => None,
            })
            .collect();
        self.reports.extend(reports.clone());
        self.events.extend(out);
        reports
    }

    fn step(&mut self, millis: i64) -> Vec<VenueReport> {
        self.now += millis * NANOS_PER_MILLI;
        self.apply(ExchangeInput::Step)
    }

    fn command(&mut self, command: VenueCommand) -> Vec<VenueReport> {
        self.apply(ExchangeInput::Command {
            account_id: account("a"),
            command,
        })
    }

    fn submit(&mut self, order: NewOrder) -> Vec<VenueReport> {
        self.command(VenueCommand::New(order))
    }

    fn top(&self) -> (Level, Level) {
        let snapshots = self.exchange.snapshots(UnixNanos(self.now));
        snapshots
            .iter()
            .find_map(|event| match event {
                MarketEvent::Quote(Quote {
                    instrument_id,
                    bid,
                    ask,
                    ..
                }) if instrument_id.as_str() == BTC => Some((bid.unwrap(), ask.unwrap())),
                _ => None,
            })
            .unwrap()
    }

    fn executions(&self, id: &str) -> Vec<Execution> {
        let of = |report: &VenueReport| match report {
            VenueReport::Filled(e) if e.client_order_id.as_str() == id => Some(e.clone()),
            _ => None,
        };
        self.reports.iter().filter_map(of).collect()
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_bytes() {
    let run = |seed| {
        let mut script = Script::new(seed);
        for n in 0..50 {
            script.step(37);
            let side = if n % 2 == 0 { Side::Buy } else { Side::Sell };
            script.submit(order(&format!("o{n}"), side, None, 5_000));
        }
        let market = script.events.iter().map(|event| match event {
            ExchangeEvent::Market(event) => postcard::to_stdvec(event).unwrap(),
            ExchangeEvent::Report { report, .. } => postcard::to_stdvec(report).unwrap(),
            other => panic!("{other:?} without margin or trailing stops"),
        });
        market.collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// A book as a listener builds it.
#[derive(Default)]
struct Listener {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    update_id: u64,
}

impl Listener {
    fn set(levels: &mut BTreeMap<i64, i64>, level: &Level) {
        if level.quantity.is_zero() {
            levels.remove(&level.price.0);
        } else {
            levels.insert(level.price.0, level.quantity.0);
        }
    }

    fn see(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Snapshot(s) => {
                self.update_id = s.update_id;
                s.bids.iter().for_each(|l| Self::set(&mut self.bids, l));
                s.asks.iter().for_each(|l| Self::set(&mut self.asks, l));
            }
            MarketEvent::Book(d) => {
                assert_eq!(d.first_update_id, self.update_id + 1, "gap in update ids");
                assert!(d.last_update_id >= d.first_update_id);
                self.update_id = d.last_update_id;
                d.bids.iter().for_each(|l| Self::set(&mut self.bids, l));
                d.asks.iter().for_each(|l| Self::set(&mut self.asks, l));
            }
            MarketEvent::Quote(q) => {
                let top = |l: Option<Level>| l.map(|l| (l.price.0, l.quantity.0));
                let best = |l: Option<(&i64, &i64)>| l.map(|(p, q)| (*p, *q));
                assert_eq!(top(q.bid), best(self.bids.last_key_value()));
                assert_eq!(top(q.ask), best(self.asks.first_key_value()));
            }
            _ => {}
        }
    }
}

#[test]
fn ten_minutes_of_market_are_plausible_and_the_deltas_give_the_book() {
    let mut script = Script::new(42);
    for _ in 0..6_000 {
        script.step(100);
    }
    let mut listeners: BTreeMap<InstrumentId, Listener> = BTreeMap::new();
    let mut counts: BTreeMap<InstrumentId, (u32, u32)> = BTreeMap::new();
    for event in &script.events {
        let ExchangeEvent::Market(event) = event else {
            continue;
        };
        let id = event.instrument_id().clone();
        listeners.entry(id.clone()).or_default().see(event);
        let count = counts.entry(id).or_default();
        count.0 += 1;
        count.1 += u32::from(matches!(event, MarketEvent::Trade(_)));
    }
    assert_eq!(listeners.len(), 6);
    for (id, (events, trades)) in counts {
        assert!((20 * 600..50 * 600).contains(&events), "{id}: {events}");
        assert!((2 * 600..20 * 600).contains(&trades), "{id}: {trades}");
    }
    let defaults = SimInstrument::defaults();
    for snapshot in script.exchange.snapshots(UnixNanos(script.now)) {
        let MarketEvent::Snapshot(s) = snapshot else {
            continue;
        };
        let listener = &listeners[&s.instrument_id];
        let pairs = |levels: &[Level]| -> BTreeMap<i64, i64> {
            levels.iter().map(|l| (l.price.0, l.quantity.0)).collect()
        };
        assert_eq!(pairs(&s.bids), listener.bids);
        assert_eq!(pairs(&s.asks), listener.asks);
        assert_eq!(s.update_id, listener.update_id);
        assert!(s.bids.len() >= 4 && s.asks.len() >= 4);
        let of = |d: &&SimInstrument| d.instrument.instrument_id == s.instrument_id;
        let start = defaults.iter().find(of).unwrap().start_price.0;
        let spread = s.asks[0].price.0 - s.bids[0].price.0;
        assert!(spread * 1_000 < start, "{}: {spread}", s.instrument_id);
        let moved = (s.bids[0].price.0 - start).abs();
        assert!(
            moved > 0 && moved * 10 < start,
            "{}: {moved}",
            s.instrument_id
        );
    }
}

#[test]
fn a_market_order_trades_with_the_book_and_its_prints_are_public() {
    let mut script = Script::new(1);
    let (_, ask) = script.top();
    let quantity = ask.quantity.0 + 1_000;
    let reports = script.submit(order("m", Side::Buy, None, quantity));
    assert!(matches!(reports[0], VenueReport::Accepted { .. }));
    let executions = script.executions("m");
    assert_eq!(reports.len(), 1 + executions.len());
    assert_eq!(executions[0].last_price, ask.price);
    assert!(executions.len() >= 2 && executions.iter().all(|e| !e.maker));
    let sum: i64 = executions.iter().map(|e| e.last_quantity.0).sum();
    assert_eq!(sum, quantity);
    let printed: i64 = script
        .events
        .iter()
        .filter_map(|event| match event {
            ExchangeEvent::Market(MarketEvent::Trade(trade)) => Some(trade.quantity.0),
            _ => None,
        })
        .sum();
    assert_eq!(printed, quantity);
    // 2 basis points.
    let instrument = &SimInstrument::defaults()[0].instrument;
    let notional = instrument.notional(ask.price, executions[0].last_quantity);
    let fee = notional.unwrap().0 * crate::Decimal::new(2, 4);
    assert_eq!(executions[0].fee.0, fee.round_dp(8));
}

#[test]
fn a_resting_order_is_in_the_book_and_the_traders_fill_it() {
    let mut script = Script::new(2);
    let (bid, ask) = script.top();
    let inside = Price(bid.price.0 + 1);
    assert!(inside < ask.price);
    script.submit(order("r", Side::Buy, Some(inside.0), 200));
    let expected = Level {
        price: inside,
        quantity: Quantity(200),
    };
    assert_eq!(script.top().0, expected);
    for _ in 0..600 {
        script.step(100);
    }
    let executions = script.executions("r");
    let sum: i64 = executions.iter().map(|e| e.last_quantity.0).sum();
    assert_eq!(sum, 200);
    assert!(executions.iter().all(|e| e.maker && e.last_price == inside));
}

#[test]
fn a_swept_book_is_back_within_a_second() {
    let mut script = Script::new(3);
    let reports = script.submit(order("all", Side::Buy, None, 10_000_000));
    let Some(VenueReport::Ended { reason, .. }) = reports.last() else {
        panic!("{:?}", reports.last());
    };
    assert_eq!(*reason, EndReason::NoLiquidity);
    let reports = script.submit(order("more", Side::Buy, None, 1_000));
    assert!(matches!(
        reports[..],
        [VenueReport::Rejected {
            reason: RejectReason::NoLiquidity,
            ..
        }]
    ));
    script.step(1_000);
    script.top();
    let reports = script.submit(order("again", Side::Buy, None, 1_000));
    assert!(matches!(reports[1], VenueReport::Filled(_)));
}

fn cancel(id: &str) -> VenueCommand {
    VenueCommand::Cancel {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(BTC).unwrap(),
    }
}

fn amend(id: &str, quantity: i64, limit_price: Option<i64>) -> VenueCommand {
    VenueCommand::Amend {
        client_order_id: ClientOrderId::new(id).unwrap(),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        quantity: Quantity(quantity),
        limit_price: limit_price.map(Price),
        stop_price: None,
    }
}

#[test]
fn orders_are_amended_and_canceled_in_the_book() {
    let mut script = Script::new(4);
    let (bid, ask) = script.top();
    let inside = bid.price.0 + 1;
    script.submit(order("x", Side::Buy, Some(inside), 500));
    assert!(matches!(
        script.command(amend("x", 300, None))[..],
        [VenueReport::Amended {
            quantity: Quantity(300),
            ..
        }]
    ));
    assert_eq!(script.top().0.quantity, Quantity(300));
    assert!(matches!(
        script.command(amend("x", 0, None))[..],
        [VenueReport::AmendRejected { .. }]
    ));
    let reports = script.command(amend("x", 400, Some(ask.price.0)));
    assert!(matches!(reports[0], VenueReport::Amended { .. }));
    assert!(matches!(reports[1], VenueReport::Filled(_)), "it crossed");
    assert!(matches!(
        script.command(cancel("x"))[..],
        [VenueReport::CancelRejected { .. }]
    ));
    script.submit(order("y", Side::Buy, Some(inside), 500));
    assert!(matches!(
        script.command(cancel("y"))[..],
        [VenueReport::Ended {
            reason: EndReason::Requested,
            ..
        }]
    ));
    assert_eq!(script.top().0, bid);
    assert!(matches!(
        script.submit(order("y", Side::Buy, Some(inside), 500))[..],
        [VenueReport::Rejected {
            reason: RejectReason::DuplicateClientOrderId,
            ..
        }]
    ));
}

#[test]
fn client_order_ids_are_unique_per_account_only() {
    let mut script = Script::new(5);
    script.submit(order("same", Side::Buy, None, 100));
    let reports = script.apply(ExchangeInput::Command {
        account_id: account("b"),
        command: VenueCommand::New(order("same", Side::Buy, None, 100)),
    });
    assert!(matches!(reports[0], VenueReport::Accepted { .. }));
}

#[test]
fn orders_put_back_rest_where_they_were_and_the_market_opens_round_them() {
    let mut exchange = exchange(6);
    let restored = |id: &str, side, price, status| {
        let order = RestoredOrder {
            order: order(id, side, Some(price), 1_000),
            venue_order_id: crate::VenueOrderId::new("SIM-o1").unwrap(),
            status,
            filled_quantity: Quantity(400),
            executions: Vec::new(),
            watch: None,
        };
        (account("a"), order)
    };
    // Far from where the market would open.
    let orders = [
        restored("bid", Side::Buy, 6_500_000, VenueStatus::Working),
        restored("done", Side::Buy, 6_500_000, VenueStatus::Canceled),
    ];
    let mut out = Vec::new();
    exchange.restore(UnixNanos(1), &orders, &mut out);
    assert!(out.is_empty());
    let mut script = Script::of(exchange);
    assert_eq!(script.top().0.price, Price(6_500_000));
    assert_eq!(script.top().0.quantity, Quantity(600));
    assert!(script.reports.is_empty(), "the opening traded nothing");
    assert!(matches!(
        script.command(cancel("bid"))[..],
        [VenueReport::Ended {
            cumulative_quantity: Quantity(400),
            ..
        }]
    ));
    let again = script.submit(order("done", Side::Buy, None, 100));
    assert!(matches!(again[..], [VenueReport::Rejected { .. }]));
}

#[test]
fn a_halt_of_the_process_is_no_burst_and_time_never_goes_back() {
    let mut script = Script::new(9);
    script.now += 3_600 * NANOS_PER_SECOND;
    script.step(0);
    assert!(script.events.len() < 600, "{}", script.events.len());
    let before = script.events.len();
    script.now -= 10 * NANOS_PER_SECOND;
    script.step(0);
    assert_eq!(script.events.len(), before);
    script.submit(order("late", Side::Buy, None, 100));
    let stamps = script.events.iter().filter_map(|event| match event {
        ExchangeEvent::Market(MarketEvent::Trade(trade)) => Some(trade.ts_event),
        _ => None,
    });
    let stamps: Vec<_> = stamps.collect();
    assert!(stamps.is_sorted());
}

#[test]
fn the_simulated_traders_take_part_in_an_auction_with_what_they_left() {
    let mut options = SimOptions::new(7);
    for listed in &mut options.instruments {
        listed.instrument.rules.calendar = "XNYS".to_owned();
    }
    let mut script = Script::of(SimExchange::new(options).unwrap());
    // A Tuesday, a second before the close in New York.
    let close = crate::calendar::parse_instant("2024-07-02T16:00:00-04:00").unwrap();
    script.now = close.0 - NANOS_PER_SECOND;
    script.step(0);
    for (n, side) in [(1, Side::Buy), (2, Side::Sell), (3, Side::Buy)] {
        let mut order = order(&format!("c{n}"), side, None, n * 1_000_000);
        order.time_in_force = TimeInForce::AtClose;
        script.submit(order);
    }
    let before = script.events.len();
    script.step(1_000);
    let fills: Vec<_> = [1, 2, 3]
        .iter()
        .flat_map(|n| script.executions(&format!("c{n}")))
        .collect();
    let prices: BTreeSet<Price> = fills.iter().map(|e| e.last_price).collect();
    assert_eq!(prices.len(), 1, "{fills:?}");
    assert!(fills.iter().all(|e| e.ts_event == close));
    let print = script.events[before..]
        .iter()
        .find_map(|event| match event {
            ExchangeEvent::Market(MarketEvent::Trade(t)) if t.aggressor.is_none() => {
                Some(t.clone())
            }
            _ => None,
        });
    let print = print.unwrap();
    let bought: i64 = fills
        .iter()
        .filter(|e| e.side == Side::Buy)
        .map(|e| e.last_quantity.0)
        .sum();
    assert_eq!(
        (Some(&print.price), print.quantity),
        (prices.first(), Quantity(bought))
    );
    // More was bought than the accounts sold: traders sold the rest.
    assert!(bought > 2_000_000, "{bought}");
}

#[test]
fn options_that_make_no_market_are_refused() {
    let mut options = SimOptions::new(1);
    options.venue = "no venue".to_owned();
    assert!(matches!(SimExchange::new(options), Err(SimError::Venue(_))));
    let mut options = SimOptions::new(1);
    options.instruments[0].lot = Quantity(0);
    assert!(matches!(
        SimExchange::new(options),
        Err(SimError::Instrument(_))
    ));
    let mut options = SimOptions::new(1);
    let again = options.instruments[0].clone();
    options.instruments.push(again);
    assert!(matches!(
        SimExchange::new(options),
        Err(SimError::Repeated(_))
    ));
}

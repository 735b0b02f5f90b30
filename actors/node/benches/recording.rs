//! How long an order takes to its durable answer, quiet and while the recorder keeps 50,000 trades a
//! second, turn by turn in one run.
//!
//! `cargo bench -p apex-node --bench recording --profile fast [-- ROUNDS]`; starts a PostgreSQL of
//! its own. An account takes an order each two milliseconds, which its venue ends at once. What
//! counts is from the command to the answer, which comes when the order is durable. Trades go
//! through the topic into the recorder as a feed's do; a turn that missed one is no turn.

#[expect(dead_code, reason = "the kill switch needs more of it than this")]
#[path = "../tests/kill_switch/rig.rs"]
mod rig;

use apex_domain::market::{Side, Trade};
use apex_domain::matching::SimInstrument;
use apex_domain::order::{OrderType, TimeInForce};
use apex_node::recorder::{Recorder, Retention};
use apex_node::stores::ServerSettings;
use apex_node::up::NodeOptions;
use apex_storage::Series;
use apex_storage::testkit::Postgres;
use rig::{Desk, order, submit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// Trades a second.
const PACE: u64 = 50_000;

/// How often a part of them is published.
const BEAT: Duration = Duration::from_millis(5);

/// How long a turn takes: longer than what is between two roll-ups.
const TURN: Duration = Duration::from_secs(15);

/// Between two orders.
const ORDERS: Duration = Duration::from_millis(2);

/// For what was published last to be written.
const SETTLING: Duration = Duration::from_secs(30);

/// Where things are kept.
struct Place {
    name: &'static str,
    journal_on_server: bool,
    series_on_server: bool,
}

const PLACES: [Place; 3] = [
    Place {
        name: "journal and trades in a folder",
        journal_on_server: false,
        series_on_server: false,
    },
    Place {
        name: "journal in a folder, trades on PostgreSQL",
        journal_on_server: false,
        series_on_server: true,
    },
    Place {
        name: "journal and trades on one PostgreSQL",
        journal_on_server: true,
        series_on_server: true,
    },
];

/// Median and 99th percentile in milliseconds.
struct Figure {
    p50: f64,
    p99: f64,
    orders: usize,
}

impl Figure {
    fn of(mut spent: Vec<Duration>) -> Figure {
        spent.sort_unstable();
        let at = |share: f64| {
            let index = (spent.len() as f64 * share) as usize;
            spent[index.min(spent.len() - 1)].as_secs_f64() * 1e3
        };
        Figure {
            p50: at(0.5),
            p99: at(0.99),
            orders: spent.len(),
        }
    }
}

/// Orders for one turn.
async fn orders(desk: &Desk, names: &AtomicU64) -> Figure {
    let mut due = interval(ORDERS);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (begun, mut spent) = (Instant::now(), Vec::new());
    while begun.elapsed() < TURN {
        due.tick().await;
        let name = format!("order-{}", names.fetch_add(1, Ordering::Relaxed));
        let request = order(&name, OrderType::Limit, TimeInForce::Ioc);
        let sent = Instant::now();
        submit(desk.handle(), request).await.expect("it is taken");
        spent.push(sent.elapsed());
    }
    Figure::of(spent)
}

/// Publishes for one turn, at the pace whatever the machine does; returns how many.
async fn trades(desk: &Desk, names: &AtomicU64) -> u64 {
    let SimInstrument {
        instrument,
        start_price,
        lot,
        ..
    } = rig::instrument();
    let mut due = interval(BEAT);
    let (begun, mut published) = (Instant::now(), 0);
    while begun.elapsed() < TURN {
        due.tick().await;
        let wanted = (begun.elapsed().as_secs_f64() * PACE as f64) as u64;
        let part: Vec<Trade> = (published..wanted)
            .map(|_| {
                let now = desk.base.clock.now();
                let trade_id = names.fetch_add(1, Ordering::Relaxed);
                Trade {
                    instrument_id: instrument.instrument_id.clone(),
                    price: start_price,
                    quantity: lot,
                    aggressor: Some(Side::Buy),
                    trade_id,
                    ts_event: now,
                    ts_init: now,
                }
            })
            .collect();
        let topic = &desk.base.market.trades;
        topic.publish_batch(&part).await.expect("it is published");
        published = wanted.max(published);
    }
    published
}

/// A turn with the recorder; returns trades a second that were stored, too.
async fn recorded(desk: &Desk, series: &Arc<dyn Series>, names: &AtomicU64) -> (Figure, f64) {
    let clock = desk.base.clock.clone();
    let recorder = Recorder::start(
        &desk.base.market,
        series.clone(),
        Retention::default(),
        clock,
    )
    .expect("it listens");
    let watch = recorder.watch();
    let begun = Instant::now();
    let (figure, published) = tokio::join!(orders(desk, names), trades(desk, names));
    let rate = published as f64 / begun.elapsed().as_secs_f64();
    while watch.state().figures.stored < published {
        let state = watch.state();
        assert!(begun.elapsed() < TURN + SETTLING, "{state:?}");
        tokio::time::sleep(BEAT).await;
    }
    let figures = watch.state().figures;
    assert_eq!((figures.missed, figures.refused), (0, 0), "{figures:?}");
    recorder.stop().await;
    (figure, rate)
}

async fn run(place: &Place, rounds: usize) {
    let postgres = Postgres::start().expect("PostgreSQL starts");
    let folder = tempfile::tempdir().expect("a folder");
    let on = |is_on: bool| is_on.then(|| postgres.url());
    let options = NodeOptions {
        servers: ServerSettings {
            database_url: on(place.journal_on_server),
            timescale_url: on(place.series_on_server),
            ..ServerSettings::default()
        },
        ..NodeOptions::in_folder(folder.path())
    };
    let desk = Desk::start_with(&options).await;
    desk.lift_limits().await;
    let series = {
        let (stores, dir) = (desk.base.stores.clone(), desk.base.data_dir.clone());
        let servers = options.servers.clone();
        let opened = tokio::task::spawn_blocking(move || stores.series(&dir, &servers));
        opened.await.expect("a thread").expect("the series open")
    };
    let names = AtomicU64::new(0);
    orders(&desk, &names).await;
    let (mut ratios, mut least_rate) = (Vec::new(), f64::MAX);
    println!("{}", place.name);
    for _ in 0..rounds {
        let quiet = orders(&desk, &names).await;
        let (busy, rate) = recorded(&desk, &series, &names).await;
        ratios.push(busy.p99 / quiet.p99);
        least_rate = least_rate.min(rate);
        println!(
            "  quiet p50 {:.2} ms, p99 {:.2} ms ({} orders); recording p50 {:.2} ms, p99 {:.2} ms \
             ({} orders); p99 {:.2} times",
            quiet.p50,
            quiet.p99,
            quiet.orders,
            busy.p50,
            busy.p99,
            busy.orders,
            busy.p99 / quiet.p99
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "  p99 while recording {:.2} times quiet ({:.2} to {:.2}); {least_rate:.0} trades/s and more",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
    desk.stop().await;
}

fn main() {
    // `cargo bench` adds `--bench`, and `cargo test` runs nothing here without it.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for place in &PLACES {
        runtime.block_on(run(place, rounds.unwrap_or(5)));
    }
}

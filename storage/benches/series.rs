//! Time series on PostgreSQL beside the bare server: rows in and out, roll-ups, and the bars of a
//! day; and how much memory a reader of all rows takes.
//!
//! `cargo bench -p apex-storage --features testkit --bench series --profile fast
//! [-- MILLIONS_OF_ROWS]`; starts a PostgreSQL of its own.

use apex_domain::id::InstrumentId;
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use apex_storage::port::series::{DAY_NS, Decimals, RollUp, Series, TimeRange, TradeRow};
use apex_storage::postgres::{PgSeries, PgServer, ServerOptions, migrate};
use apex_storage::testkit::Postgres;
use apex_storage::{DataDir, EmbeddedSeries};
use futures::TryStreamExt;
use std::pin::pin;
use std::time::Instant;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

const DAY: i64 = 20_000;
const BATCH: u64 = 65_536;

const COLUMNS: &str =
    "sequence, price, quantity, trade_id, ts_event_ns, ts_init_ns, stream_no, aggressor";

/// Trades of one day, evenly spread.
fn trade(sequence: u64, count: u64, day: i64) -> TradeRow {
    let step = DAY_NS / (count as i64 + 1);
    let ts = day * DAY_NS + sequence as i64 * step;
    TradeRow {
        sequence,
        price: Price(5_000_000 + (sequence.wrapping_mul(2_654_435_761) % 1_000) as i64),
        quantity: Quantity(1 + (sequence % 97) as i64),
        aggressor: None,
        trade_id: sequence,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 1_000),
    }
}

fn batches(count: u64, day: i64) -> impl Iterator<Item = Vec<TradeRow>> {
    (0..count.div_ceil(BATCH)).map(move |batch| {
        let last = ((batch + 1) * BATCH).min(count);
        (batch * BATCH + 1..=last)
            .map(|n| trade(n, count, day))
            .collect()
    })
}

/// A server that is spoken to without this crate.
struct Bare {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Bare {
    fn new(url: &str) -> Bare {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(url, NoTls))
            .expect("it answers");
        runtime.spawn(async move {
            let _ = connection.await;
        });
        Bare { runtime, client }
    }

    fn run(&self, sql: &str) -> f64 {
        let begun = Instant::now();
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.expect(sql);
        begun.elapsed().as_secs_f64()
    }

    /// Rows by the library's own writer, as many to a transaction as the store takes.
    fn copy_in(&self, count: u64, day: i64) -> f64 {
        let types = [
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT4,
            Type::INT2,
        ];
        let begun = Instant::now();
        for batch in batches(count, day) {
            let copy = format!("COPY series_trade ({COLUMNS}) FROM STDIN (FORMAT binary)");
            self.runtime.block_on(async {
                let sink = self.client.copy_in(&copy).await.expect("it takes rows");
                let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
                for row in &batch {
                    let (sequence, id) = (row.sequence as i64, row.trade_id as i64);
                    let values: [&(dyn ToSql + Sync); 8] = [
                        &sequence,
                        &row.price.0,
                        &row.quantity.0,
                        &id,
                        &row.ts_event.0,
                        &row.ts_init.0,
                        &0_i32,
                        &0_i16,
                    ];
                    let written = writer.as_mut().write(&values);
                    written.await.expect("a row");
                }
                writer.finish().await.expect("they are stored");
            });
        }
        begun.elapsed().as_secs_f64()
    }

    /// All bytes of the table's rows, not looked at.
    fn copy_out(&self, day: i64) -> f64 {
        let copy = format!("COPY series_trade_d{day} ({COLUMNS}) TO STDOUT (FORMAT binary)");
        let begun = Instant::now();
        self.runtime.block_on(async {
            let stream = self.client.copy_out(&copy).await.expect("it gives rows");
            let mut stream = pin!(stream);
            let mut bytes = 0;
            while let Some(chunk) = stream.try_next().await.expect("a row") {
                bytes += chunk.len();
            }
            assert!(bytes > 0);
        });
        begun.elapsed().as_secs_f64()
    }
}

/// Kilobytes of this process's memory.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Reads all trades; returns seconds and how many kilobytes the process grew at most.
fn read_all(series: &dyn Series, id: &InstrumentId, count: u64) -> (f64, i64) {
    let (before, mut most) = (resident(), 0);
    let begun = Instant::now();
    let mut sequence = 0;
    for row in series.trades(id, TimeRange::ALL).expect("it reads") {
        sequence += 1;
        assert_eq!(row.expect("a row").sequence, sequence);
        if sequence.is_multiple_of(100_000) {
            most = most.max(resident() - before);
        }
    }
    assert_eq!(sequence, count);
    (begun.elapsed().as_secs_f64(), most)
}

fn store(series: &dyn Series, id: &InstrumentId, count: u64) -> f64 {
    let decimals = Decimals {
        price: 2,
        quantity: 5,
    };
    series.declare(id, decimals).expect("it is declared");
    let begun = Instant::now();
    for batch in batches(count, DAY) {
        series.write_trades(id, &batch).expect("it is stored");
    }
    begun.elapsed().as_secs_f64()
}

/// What the roll-up is made of alone: the minutes.
const BARE_MINUTES: &str = "INSERT INTO bare (ts_open_ns, open, high, low, close, volume, \
    trade_count, ts_init_ns) SELECT ts_event_ns - ts_event_ns % 60000000000 AS cell, \
    (min(ARRAY[ts_event_ns, sequence, price]))[3], max(price), min(price), \
    (max(ARRAY[ts_event_ns, sequence, price]))[3], sum(quantity), count(*), max(ts_init_ns) \
    FROM series_trade_d20000 GROUP BY cell";

/// As if no minute of the day had been rolled up.
const AGAIN: &str = "TRUNCATE series_rolled, bare; INSERT INTO series_dirty \
    SELECT DISTINCT stream_no, ts_event_ns - ts_event_ns % 60000000000 FROM series_trade_d20000";

/// A day rolled up and its minutes made by the bare statement, turn by turn: who comes first after
/// the rows were stored pays for marking them as committed.
fn roll_ups(series: &PgSeries, bare: &Bare) {
    bare.run("CREATE TABLE bare AS SELECT * FROM series_rolled WITH NO DATA");
    let begun = Instant::now();
    series.roll_up().expect("they are made");
    let first = begun.elapsed().as_secs_f64();
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        bare.run(AGAIN);
        let begun = Instant::now();
        series.roll_up().expect("they are made");
        ours.push(begun.elapsed().as_secs_f64());
        bares.push(bare.run(BARE_MINUTES));
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&bares).map(|(a, b)| a / b).collect();
    for all in [&mut ours, &mut bares, &mut ratios] {
        all.sort_by(f64::total_cmp);
    }
    println!(
        "roll-up: {:.2} s, bare INSERT..SELECT of minutes {:.2} s, {:.2}x ({:.2} to {:.2}); the \
         first behind the rows {first:.2} s",
        ours[3], bares[3], ratios[3], ratios[0], ratios[6]
    );
}

fn millions(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds / 1e6
}

fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|word| word.parse::<u64>().ok())
        .unwrap_or(2)
        * 1_000_000;
    let id = InstrumentId::new("BTCUSDT.BINANCE").expect("an id");
    let postgres = Postgres::start().expect("PostgreSQL is installed");
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("it answers");
    migrate(&server).expect("the tables are made");
    let series = PgSeries::open(&server).expect("it opens");
    let bare = Bare::new(&postgres.url());
    for days in [DAY - 1, DAY] {
        let now = UnixNanos(days * DAY_NS);
        series.maintain(now).expect("days are made");
    }

    let bare_in = bare.copy_in(count, DAY - 1);
    let ours_in = store(&series, &id, count);
    let (bare_in, ours_in) = (millions(count, bare_in), millions(count, ours_in));
    let ratio = ours_in / bare_in;
    println!("COPY in: {ours_in:.3} M rows/s, bare writer {bare_in:.3} M rows/s, {ratio:.2}x");

    roll_ups(&series, &bare);

    let mut spent: Vec<f64> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            let bars = series.rolled(&id, RollUp::Minute, TimeRange::ALL);
            assert_eq!(bars.expect("it reads").count(), 1_440);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    spent.sort_by(f64::total_cmp);
    println!(
        "1,440 bars of a day: p50 {:.2} ms, p99 {:.2} ms",
        spent[50], spent[99]
    );

    let settled = UnixNanos((DAY + 2) * DAY_NS);
    series.maintain(settled).expect("days are settled");
    let bare_out = bare.copy_out(DAY);
    let (ours_out, grown) = read_all(&series, &id, count);
    let (bare_out, ours_out) = (millions(count, bare_out), millions(count, ours_out));
    let (ratio, mib) = (ours_out / bare_out, grown / 1_024);
    println!(
        "read back in order: {ours_out:.3} M rows/s, bare COPY out {bare_out:.3} M rows/s, \
         {ratio:.2}x, RSS +{mib} MiB"
    );

    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = DataDir::open(folder.path()).expect("a free folder");
    let files = EmbeddedSeries::open(&dir).expect("it opens");
    let written = millions(count, store(&files, &id, count));
    let (read, grown) = read_all(&files, &id, count);
    let (read, mib) = (millions(count, read), grown / 1_024);
    println!("files: in {written:.3} M rows/s, out {read:.3} M rows/s, RSS +{mib} MiB");
}

//! One-minute bars of a Parquet file: the engine's own beside DuckDB's, each on one thread, from the
//! same file in the same run, the results compared.
//!
//! `cargo bench -p apex-storage --bench archive --profile fast [-- MILLIONS_OF_ROWS]`; DuckDB comes
//! with the Python that `APEX_PYTHON` names, `.venv/bin/python` without it.

use apex_domain::bar::TimeBars;
use apex_domain::id::InstrumentId;
use apex_domain::market::{Bar, Side};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use apex_storage::archive::{Content, Head, ParquetRows, ParquetWriter};
use apex_storage::port::series::{DAY_NS, Decimals, TradeRow};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

const MINUTE_NS: i64 = 60_000_000_000;
const RUNS: usize = 7;

/// Answers each line with the seconds of the query and what the bars come to.
const DUCKDB: &str = r#"
import sys, time, duckdb
con = duckdb.connect()
con.execute("set threads = 1")
query = f"""
    select epoch_ns(ts_event) // 60000000000 as minute, first(price) as o, max(price) as h,
           min(price) as l, last(price) as c, sum(quantity) as v, count(*) as n
    from read_parquet('{sys.argv[1]}') group by minute order by minute"""
for line in sys.stdin:
    begun = time.perf_counter()
    bars = con.execute(query).fetchall()
    seconds = time.perf_counter() - begun
    total = sum(int((o + 3 * h + 5 * l + 7 * c) * 100) for _, o, h, l, c, _, _ in bars)
    volume = sum(int(v * 1000) for *_, v, _ in bars)
    print(seconds, len(bars), total, volume, sum(n for *_, n in bars), flush=True)
"#;

/// What bars come to: their number, a sum over their prices, volume, trades.
type Sums = (usize, i128, i128, u64);

fn id() -> InstrumentId {
    InstrumentId::new("BTCUSDT.BINANCE").expect("it has a venue")
}

/// Writes trades of one day: a walk of the price, bursts of quantity, ids without gaps.
fn make(path: &Path, rows: i64) {
    let head = Head {
        content: Content::Trades,
        instrument_id: id(),
        decimals: Decimals {
            price: 2,
            quantity: 3,
        },
    };
    let file = BufWriter::new(File::create(path).expect("a file"));
    let mut writer = ParquetWriter::new("bench", file, &head).expect("a writer");
    let mut random: u64 = 88_172_645_463_325_252;
    let mut price = 6_000_000;
    for n in 0..rows {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        price += (random % 21) as i64 - 10;
        let ts = 19_900 * DAY_NS + n * (DAY_NS / rows) + (random % 1_000) as i64;
        let row = TradeRow {
            sequence: 0,
            price: Price(price),
            quantity: Quantity(1 + (random >> 32) as i64 % 5_000),
            aggressor: Some(if random & 1 == 0 {
                Side::Buy
            } else {
                Side::Sell
            }),
            trade_id: 1_000_000 + n as u64,
            ts_event: UnixNanos(ts),
            ts_init: UnixNanos(ts + 900_000),
        };
        writer.push(&row).expect("it fits");
    }
    let (mut file, _) = writer.finish().expect("it is written");
    file.flush().expect("it is written");
}

/// The engine's way: the file's columns through the bars of a feed.
fn ours(path: &Path) -> (f64, Sums) {
    let begun = Instant::now();
    let rows = ParquetRows::<TradeRow>::open(path).expect("it is ours");
    let mut rows = rows.leaving_out(&["aggressor", "trade_id"]);
    let mut engine = TimeBars::new(id(), MINUTE_NS, 4);
    let mut bars: Vec<Bar> = Vec::new();
    let mut last = UnixNanos(0);
    while let Some(trades) = rows.next_columns().expect("it is whole") {
        engine.on_trades(&trades, &mut bars);
        last = trades.last_init().unwrap_or(last);
    }
    engine.end_session(last, &mut bars);
    let seconds = begun.elapsed().as_secs_f64();
    let prices = |bar: &Bar| bar.open.0 + 3 * bar.high.0 + 5 * bar.low.0 + 7 * bar.close.0;
    let total = bars.iter().map(|bar| i128::from(prices(bar))).sum();
    let volume = bars.iter().map(|bar| bar.volume).sum();
    let trades = bars.iter().map(|bar| bar.trade_count).sum();
    (seconds, (bars.len(), total, volume, trades))
}

struct DuckDb {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl DuckDb {
    fn start(path: &Path) -> DuckDb {
        let python = std::env::var("APEX_PYTHON")
            // Cargo runs a bench in its package's folder.
            .unwrap_or_else(|_| {
                concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/python").to_owned()
            });
        let mut process = Command::new(&python)
            .args(["-c", DUCKDB])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{python}: {error}; set APEX_PYTHON"));
        let to = process.stdin.take().expect("it is piped");
        let from = BufReader::new(process.stdout.take().expect("it is piped"));
        DuckDb { process, to, from }
    }

    fn run(&mut self) -> (f64, Sums) {
        writeln!(self.to, "go").expect("it listens");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [seconds, bars, total, volume, trades] = words[..] else {
            panic!("DuckDB said {line:?}");
        };
        let number = |text: &str| text.parse::<i128>().expect("a number");
        let sums = (
            number(bars) as usize,
            number(total),
            number(volume),
            number(trades) as u64,
        );
        (seconds.parse().expect("seconds"), sums)
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() {
    let millions = std::env::args()
        .filter_map(|arg| arg.parse::<i64>().ok())
        .next();
    let rows = millions.unwrap_or(10) * 1_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trades.parquet");
    let begun = Instant::now();
    make(&path, rows);
    let bytes = std::fs::metadata(&path).expect("it is there").len();
    let made = begun.elapsed().as_secs_f64();
    println!("{rows} trades, {bytes} bytes, written in {made:.2} s");
    let mut duckdb = DuckDb::start(&path);
    let (mut engine, mut other) = (Vec::new(), Vec::new());
    // Turn by turn, so that what else the machine does meets both; the first turn warms.
    for run in 0..=RUNS {
        let (ours, theirs) = (ours(&path), duckdb.run());
        assert_eq!(ours.1, theirs.1, "the same bars");
        if run > 0 {
            engine.push(ours.0);
            other.push(theirs.0);
        }
    }
    drop(duckdb.to);
    let _ = duckdb.process.wait();
    let (engine, other) = (median(engine), median(other));
    println!(
        "engine {engine:.3} s, {:.1} M rows/s",
        rows as f64 / engine / 1e6
    );
    println!(
        "DuckDB {other:.3} s, {:.1} M rows/s",
        rows as f64 / other / 1e6
    );
    println!("engine takes {:.2} of DuckDB's time", engine / other);
}

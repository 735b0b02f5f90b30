//! A server with databases that are backed up.

use super::*;
use crate::backup::databases::{IDENTITY, RESERVES};
use crate::port::journals::AUDIT_JOURNAL;
use crate::port::series::{BarRow, DAY_NS, Decimals, QuoteRow, Series, TradeRow};
use crate::postgres::{PgJournals, PgRecords, PgSeries, PgServer, ServerOptions, migrate};
use crate::testkit::Postgres;
use apex_domain::id::InstrumentId;
use apex_domain::market::{BarSpec, Level};
use apex_domain::number::{Price, Quantity};
use apex_domain::time::UnixNanos;
use std::sync::Arc;

pub(super) const DAY: i64 = 20_000 * DAY_NS;

/// Left out of a backup: the steps of the schema make and fill them, what they say of moved segments
/// is no longer so, or they are parts of another table.
pub(super) const LEFT_OUT: [&str; 4] = [
    "apextrade_schema",
    "journal_base",
    "refinery_schema_history",
    "series_layout",
];

/// A database with a bit of everything, a folder beside it, and a place for backups.
pub(super) struct World {
    pub postgres: Postgres,
    pub folder: TempDir,
    pub place: FolderObjects,
    /// Where old records of journals go.
    pub moved: Arc<dyn Objects>,
    pub server: PgServer,
}

impl World {
    pub fn new() -> Option<World> {
        let postgres = here(Postgres::start())?;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("data")).unwrap();
        fs::write(path("data/admin.token"), "of a person").unwrap();
        let server = connect(&postgres, "apex");
        migrate(&server).unwrap();
        Some(World {
            place: FolderObjects::open(&path("place")).unwrap(),
            moved: Arc::new(FolderObjects::open(&path("moved")).unwrap()),
            server,
            folder,
            postgres,
        })
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn journals(&self) -> PgJournals {
        let journals = PgJournals::new(&self.server).unwrap();
        let moved = self.moved.clone();
        journals
            .with_objects(moved)
            .with_sizes(64 << 10, 8 * (64 << 10))
    }

    /// Opens a database that is made anew.
    pub fn another(&self, name: &str) -> PgServer {
        let make = format!("CREATE DATABASE {name}");
        self.postgres.query("postgres", &make).unwrap();
        connect(&self.postgres, name)
    }

    pub fn copied<'a>(
        &'a self,
        source: &Source<'a>,
        begun_ns: u64,
    ) -> Result<(Taken, Vec<(String, u64)>), StorageError> {
        let mut shown = Vec::new();
        let mut each = |id: &str, record: crate::RecordRef<'_>| {
            shown.push((id.to_owned(), record.sequence));
        };
        let copied = copy(source, &self.place, begun_ns, &mut each)?;
        Ok((copied.finish("00")?, shown))
    }

    /// Takes a backup of the database with everything.
    pub fn take(&self, begun_ns: u64) -> Result<(Taken, Vec<(String, u64)>), StorageError> {
        let data = self.path("data");
        let source = Source {
            journals: Some(&self.server),
            series: Some(&self.server),
            moved: Some(&self.moved),
            ..Source::folder(&data)
        };
        self.copied(&source, begun_ns)
    }

    /// Restores the newest backup into one database, and a folder.
    pub fn bring_back(&self, to: &PgServer, folder: &str) -> Result<(), StorageError> {
        let targets = Targets {
            journals: Some(to),
            series: Some(to),
        };
        self.bring_back_to(&targets, folder)
    }

    pub fn bring_back_to(&self, targets: &Targets<'_>, folder: &str) -> Result<(), StorageError> {
        let found = find(&self.place, None)?.expect("there is a backup");
        restore(&self.place, &found, &self.path(folder), targets, &|_| {})?.finish()
    }

    /// All rows of a table, as one text.
    pub fn rows(&self, database: &str, table: &str) -> String {
        // A note of an end in order is no reserve: a restore makes its own, of each account's last owner.
        let of = match table {
            RESERVES => "WHERE folder_id <> ''",
            _ => "",
        };
        let sql = format!("SELECT t::text FROM {table} AS t {of} ORDER BY 1");
        self.postgres.query(database, &sql).unwrap()
    }

    /// The tables of a database but for partitions.
    pub fn tables(&self, database: &str) -> Vec<String> {
        let sql = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                   AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1";
        let text = self.postgres.query(database, sql).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Checks that two databases have the same rows in every table that a backup has. Which database
    /// it is comes with the journals: that of series alone has an identity that nobody asks for.
    pub fn same_rows(&self, one: &str, other: &str) {
        for table in self.tables(one) {
            if !LEFT_OUT.contains(&table.as_str()) && table != IDENTITY {
                let (one, other) = (self.rows(one, &table), self.rows(other, &table));
                assert!(one == other, "{table}:\n{one}\n---\n{other}");
            }
        }
    }

    /// Writes a bit of everything.
    pub fn fill(&self) {
        let records = PgRecords::new(&self.server).unwrap();
        records.put("notes", "a", b"one").unwrap();
        records.put("notes", "b\u{e9}", &[0, 255]).unwrap();
        let journals = PgJournals::new(&self.server).unwrap();
        for (id, count) in [("paper", 300), ("other", 2), (AUDIT_JOURNAL, 5)] {
            let mut journal = journals.open(id).unwrap();
            write(&mut journal, count);
            journal.snapshot_write(2, b"state").unwrap();
        }
        journals.open("empty").unwrap();
        let series = PgSeries::open(&self.server).unwrap();
        fill_series(&series);
    }
}

pub(super) fn connect(postgres: &Postgres, database: &str) -> PgServer {
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url_of(database));
    PgServer::connect(options).unwrap()
}

/// Commits as many records, each alone.
pub(super) fn write(journal: &mut dyn Journal, count: u64) {
    for _ in 0..count {
        let sequence = journal.head().sequence + 1;
        let record = Record {
            sequence,
            kind: 1,
            schema: 1,
            payload: format!("{sequence:08000}").into_bytes(),
        };
        let unit = Unit {
            class: Class::Order,
            records: vec![record],
        };
        journal.append(&[unit]).unwrap();
        journal.commit().unwrap();
    }
}

pub(super) fn id(text: &str) -> InstrumentId {
    InstrumentId::new(text).unwrap()
}

pub(super) fn declare(series: &PgSeries, text: &str) -> InstrumentId {
    let (price, quantity) = (2, 3);
    series
        .declare(&id(text), Decimals { price, quantity })
        .unwrap();
    id(text)
}

pub(super) fn trade(sequence: u64, ts: i64) -> TradeRow {
    TradeRow {
        sequence,
        price: Price(100 + (sequence * 7 % 13) as i64),
        quantity: Quantity(2),
        aggressor: None,
        trade_id: sequence,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts + 5),
    }
}

/// Two instruments over two days and one before 1970, settled and rolled up but for the last rows.
pub(super) fn fill_series(series: &PgSeries) {
    for name in ["BTC/USD.SIM", "ETH.SIM"] {
        let id = declare(series, name);
        for (batch, day) in [(0, -3 * DAY_NS), (1, DAY), (2, DAY + DAY_NS)] {
            let trades: Vec<_> = (0..500)
                .map(|n| trade(batch * 600 + n + 1, day + n as i64 * 1_000_000_000))
                .collect();
            series.write_trades(&id, &trades).unwrap();
        }
        let level = |price| {
            Some(Level {
                price: Price(price),
                quantity: Quantity(1),
            })
        };
        let quote = |sequence, bid, ask| QuoteRow {
            sequence,
            bid,
            ask,
            ts_event: UnixNanos(DAY + sequence as i64),
            ts_init: UnixNanos(DAY),
        };
        let quotes = [quote(1, level(5), None), quote(2, level(5), level(6))];
        series.write_quotes(&id, &quotes).unwrap();
        let bar = BarRow {
            sequence: 1,
            open: Price(5),
            high: Price(9),
            low: Price(-3),
            close: Price(4),
            volume: i128::from(u64::MAX) * 7,
            trade_count: 3,
            ts_open: UnixNanos(DAY),
            ts_init: UnixNanos(DAY),
        };
        series.write_bars(&id, BarSpec::External, &[bar]).unwrap();
    }
    series.roll_up().unwrap();
    series
        .maintain(UnixNanos(DAY + DAY_NS + 4_000_000_000_000))
        .unwrap();
    let late = [trade(5_000, DAY + 5), trade(5_001, DAY + DAY_NS + 7)];
    series.write_trades(&id("ETH.SIM"), &late).unwrap();
}

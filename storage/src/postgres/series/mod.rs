//! Time series, in a database.
//!
//! `write.rs` stores a batch in one transaction, `read.rs` streams a range, `days.rs` makes, settles
//! and drops the partitions of days, `roll.rs` makes the roll-ups, `layout.rs` chooses between plain
//! PostgreSQL and TimescaleDB, and `wire.rs` has the bytes of rows.

mod days;
mod layout;
mod read;
mod roll;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use super::schema;
use super::server::{PgServer, text};
use crate::StorageError;
use crate::port::series::{
    BarRow, Decimals, Gap, Kind, QuoteRow, RollUp, Rows, Series, Stream, TimeRange, TradeRow,
    Written, check_decimals, same_decimals,
};
use apex_domain::id::InstrumentId;
use apex_domain::market::BarSpec;
use apex_domain::time::UnixNanos;
pub use layout::{Layout, layout_of};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
pub(super) use wire::{HEADER, TRAILER};

/// Connections that are kept for the next write or read; as many as a machine has writers at once.
const IDLE: usize = 4;

/// The time series of a database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct PgSeries {
    on: PgServer,
    layout: Layout,
    known: Arc<Mutex<Known>>,
    idle: Arc<Mutex<Vec<Client>>>,
}

/// What was found once and does not change, or is found again when it did.
#[derive(Debug, Default)]
struct Known {
    streams: BTreeMap<(InstrumentId, Stream), i32>,
    days: BTreeSet<(&'static str, i64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both hold only what can be found again.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PgSeries {
    /// Prepares a database whose schema is up to date: with the first of them, the tables are made
    /// for TimescaleDB where the server has it, otherwise for plain PostgreSQL. That stays so.
    ///
    /// # Errors
    /// `Setting` when the schema is older than this build needs, `NewerVersion`, `Unavailable`.
    pub fn open(server: &PgServer) -> Result<PgSeries, StorageError> {
        let on = server.clone();
        let layout = server.wait(async move {
            let client = on.shared().await?;
            schema::check(&on, &client).await?;
            layout::find(&on).await
        })?;
        Ok(PgSeries {
            on: server.clone(),
            layout,
            known: Arc::default(),
            idle: Arc::default(),
        })
    }

    /// Returns how the tables are kept.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    fn wait<T: Send + 'static, F>(
        &self,
        make: impl FnOnce(PgSeries) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        self.on.wait(make(self.clone()))
    }

    /// Takes a connection of its own; one that is whole is given back with `keep`.
    async fn take(&self) -> Result<Client, StorageError> {
        loop {
            let idle = lock(&self.idle).pop();
            match idle {
                Some(client) if client.is_closed() => {}
                Some(client) => return Ok(client),
                None => return self.on.connection().await,
            }
        }
    }

    fn keep(&self, client: Client) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE {
            idle.push(client);
        }
    }

    /// Sorts an error of the server by what the caller does next.
    fn failed(&self, error: &tokio_postgres::Error) -> StorageError {
        if error.code() == Some(&SqlState::DISK_FULL) {
            return StorageError::Full {
                what: format!("time series of {} ({})", self.on.name(), text(error)),
            };
        }
        self.on.failed(error)
    }

    /// Runs statements without parameters, within the time that one may take.
    async fn batch(&self, client: &Client, sql: &str) -> Result<(), StorageError> {
        self.on.within(client.batch_execute(sql)).await
    }

    /// Returns the number of a stream; `None` when nothing was ever written to it.
    async fn stream(&self, id: &InstrumentId, stream: Stream) -> Result<Option<i32>, StorageError> {
        let key = (id.clone(), stream);
        if let Some(number) = lock(&self.known).streams.get(&key) {
            return Ok(Some(*number));
        }
        let client = self.on.shared().await?;
        let asked = "SELECT stream_no FROM series_stream JOIN series_instrument \
                     USING (instrument_no) WHERE instrument_id = $1 AND name = $2";
        let row = self
            .on
            .query_opt(&client, asked, &[&id.as_str(), &stream.name()])
            .await?;
        let number = row.map(|row| row.get(0));
        if let Some(number) = number {
            lock(&self.known).streams.insert(key, number);
        }
        Ok(number)
    }
}

impl Series for PgSeries {
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError> {
        check_decimals(decimals)?;
        let id = id.clone();
        self.wait(|this| async move {
            let client = this.on.shared().await?;
            let insert = "INSERT INTO series_instrument \
                          (instrument_id, price_decimals, quantity_decimals) \
                          VALUES ($1, $2, $3) ON CONFLICT (instrument_id) DO NOTHING";
            let (price, quantity) = (i16::from(decimals.price), i16::from(decimals.quantity));
            let name = id.as_str();
            this.on
                .execute(&client, insert, &[&name, &price, &quantity])
                .await?;
            let stored = this.stated(&id).await?;
            same_decimals(&id, stored.unwrap_or(decimals), decimals)
        })
    }

    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        let id = id.clone();
        self.wait(|this| async move { this.stated(&id).await })
    }

    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError> {
        self.wait(|this| async move {
            let client = this.on.shared().await?;
            let asked = "SELECT instrument_id FROM series_instrument ORDER BY instrument_id";
            let rows = this.on.query(&client, asked, &[]).await?;
            // Only ids were ever written there.
            let id = |row: &tokio_postgres::Row| InstrumentId::new(row.get(0)).ok();
            Ok(rows.iter().filter_map(id).collect())
        })
    }

    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Trades, rows)
    }

    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Quotes, rows)
    }

    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        self.write(id, Stream::Bars(spec), rows)
    }

    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError> {
        let id = id.clone();
        self.wait(|this| async move {
            let Some(number) = this.stream(&id, stream).await? else {
                return Ok(0);
            };
            let client = this.on.shared().await?;
            let asked = "SELECT last_sequence FROM series_stream WHERE stream_no = $1";
            let row = this.on.query_one(&client, asked, &[&number]).await?;
            Ok(row.get::<_, i64>(0) as u64)
        })
    }

    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError> {
        self.read(id, Stream::Trades, range)
    }

    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError> {
        self.read(id, Stream::Quotes, range)
    }

    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        self.read(id, Stream::Bars(spec), range)
    }

    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        self.read_rolled(id, roll_up, range)
    }

    fn roll_up(&self) -> Result<(), StorageError> {
        self.wait(|this| async move { this.roll().await })
    }

    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError> {
        let id = id.clone();
        self.wait(|this| async move {
            let Some(number) = this.stream(&id, stream).await? else {
                return Ok(Vec::new());
            };
            let client = this.on.shared().await?;
            let asked = "SELECT first_sequence, last_sequence FROM series_gap \
                         WHERE stream_no = $1 ORDER BY first_sequence";
            let rows = this.on.query(&client, asked, &[&number]).await?;
            let gap = |row: &tokio_postgres::Row| Gap {
                first: row.get::<_, i64>(0) as u64,
                last: row.get::<_, i64>(1) as u64,
            };
            Ok(rows.iter().map(gap).collect())
        })
    }

    fn maintain(&self, now: UnixNanos) -> Result<(), StorageError> {
        self.wait(|this| async move { this.settle_days(now).await })
    }

    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError> {
        self.wait(move |this| async move { this.drop_days(kind, before).await })
    }
}

impl PgSeries {
    async fn stated(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        let client = self.on.shared().await?;
        let asked = "SELECT price_decimals, quantity_decimals FROM series_instrument \
                     WHERE instrument_id = $1";
        let row = self.on.query_opt(&client, asked, &[&id.as_str()]).await?;
        Ok(row.map(|row| Decimals {
            price: row.get::<_, i16>(0) as u8,
            quantity: row.get::<_, i16>(1) as u8,
        }))
    }
}

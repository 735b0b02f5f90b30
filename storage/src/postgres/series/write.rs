//! Storing a batch: one transaction, its rows by binary COPY.

use super::wire::{HEADER, TRAILER, Wire, put_row};
use super::{PgSeries, lock};
use crate::StorageError;
use crate::port::series::{RollUp, Stream, Written, check_batch, day_of};
use apex_domain::id::InstrumentId;
use bytes::Bytes;
use futures::SinkExt;
use std::collections::BTreeSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, CopyInSink};

/// Bytes that go to the server at a time.
const CHUNK_BYTES: usize = 256 * 1024;

impl PgSeries {
    pub(super) fn write<T: Wire>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        rows: &[T],
    ) -> Result<Written, StorageError> {
        check_batch(rows)?;
        let (id, rows) = (id.clone(), rows.to_vec());
        self.wait(|this| async move {
            let stream_no = this.own_stream(&id, stream).await?;
            match this.store(stream_no, stream, &rows).await {
                Err(Stored::NoDay) => {
                    // Another process has dropped a day that is known here.
                    lock(&this.known).days.clear();
                    this.store(stream_no, stream, &rows).await
                }
                stored => stored,
            }
            .map_err(|error| match error {
                Stored::Failed(error) => error,
                Stored::NoDay => this
                    .on
                    .unavailable("a day was dropped while it was written"),
            })
        })
    }

    /// Returns the number of a stream, which is made when it is new.
    async fn own_stream(&self, id: &InstrumentId, stream: Stream) -> Result<i32, StorageError> {
        if let Some(number) = self.stream(id, stream).await? {
            return Ok(number);
        }
        let client = self.on.shared().await?;
        let insert = "INSERT INTO series_stream (instrument_no, name) \
                      SELECT instrument_no, $2 FROM series_instrument WHERE instrument_id = $1 \
                      ON CONFLICT (instrument_no, name) DO NOTHING";
        self.on
            .execute(&client, insert, &[&id.as_str(), &stream.name()])
            .await?;
        let number = self.stream(id, stream).await?;
        number.ok_or_else(|| StorageError::NotDeclared {
            instrument_id: id.to_string(),
        })
    }

    async fn store<T: Wire>(
        &self,
        stream_no: i32,
        stream: Stream,
        rows: &[T],
    ) -> Result<Written, Stored> {
        let days: BTreeSet<i64> = rows.iter().map(|row| day_of(row.ts())).collect();
        self.make_days(T::TABLE, &days).await?;
        let client = self.take().await?;
        // A connection whose transaction failed is not used again.
        let written = self.transaction(&client, stream_no, stream, rows).await?;
        self.keep(client);
        Ok(written)
    }

    async fn transaction<T: Wire>(
        &self,
        client: &Client,
        stream_no: i32,
        stream: Stream,
        rows: &[T],
    ) -> Result<Written, Stored> {
        self.batch(client, "BEGIN").await?;
        // Whoever writes the same stream waits here until this one's outcome is seen.
        let own = "SELECT last_sequence FROM series_stream WHERE stream_no = $1 FOR UPDATE";
        let row = self.on.query_one(client, own, &[&stream_no]).await?;
        let last = row.get::<_, i64>(0) as u64;
        let repeated = rows.partition_point(|row| row.sequence() <= last);
        let new = &rows[repeated..];
        let written = Written {
            stored: new.len(),
            repeated,
        };
        let Some(newest) = new.last().map(|row| row.sequence() as i64) else {
            self.batch(client, "ROLLBACK").await?;
            return Ok(written);
        };
        self.copy(client, stream_no, new).await?;
        if stream == Stream::Trades {
            self.mark(client, stream_no, new).await?;
        }
        self.tell_gaps(client, stream_no, last, new).await?;
        let moved = "UPDATE series_stream SET last_sequence = $2 WHERE stream_no = $1";
        self.on
            .execute(client, moved, &[&stream_no, &newest])
            .await?;
        self.batch(client, "COMMIT").await?;
        Ok(written)
    }

    async fn copy<T: Wire>(
        &self,
        client: &Client,
        stream_no: i32,
        rows: &[T],
    ) -> Result<(), Stored> {
        let copy = format!(
            "COPY {} ({}, stream_no) FROM STDIN (FORMAT binary)",
            T::TABLE,
            T::COLUMNS
        );
        let send = async {
            let sink: CopyInSink<Bytes> = client.copy_in(&copy).await?;
            let mut sink = Box::pin(sink);
            let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
            chunk.extend_from_slice(HEADER);
            for row in rows {
                put_row(row, stream_no, &mut chunk);
                if chunk.len() >= CHUNK_BYTES {
                    let full =
                        std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
                    sink.feed(full.into()).await?;
                }
            }
            chunk.extend_from_slice(&TRAILER);
            sink.send(chunk.into()).await?;
            sink.as_mut().finish().await
        };
        match tokio::time::timeout(self.on.options().timeout, send).await {
            Ok(Ok(_)) => Ok(()),
            // The rows found no partition.
            Ok(Err(error)) if error.code() == Some(&SqlState::CHECK_VIOLATION) => {
                Err(Stored::NoDay)
            }
            Ok(Err(error)) => Err(Stored::Failed(self.failed(&error))),
            Err(_) => Err(Stored::Failed(self.on.unavailable("a batch took too long"))),
        }
    }

    /// Marks the minutes of rows, in order, so that a roll-up that takes marks off does not wait
    /// for this one while this one waits for it. A mark that is there is touched: a roll-up that does
    /// not see these rows leaves it.
    async fn mark<T: Wire>(
        &self,
        client: &Client,
        stream_no: i32,
        rows: &[T],
    ) -> Result<(), StorageError> {
        let minute = RollUp::Minute.interval_ns();
        let start = |row: &T| row.ts() - row.ts().rem_euclid(minute);
        let minutes: BTreeSet<i64> = rows.iter().map(start).collect();
        let minutes: Vec<i64> = minutes.into_iter().collect();
        let mark = "INSERT INTO series_dirty (stream_no, minute_ns) SELECT $1, unnest($2::int8[]) \
                    ON CONFLICT (stream_no, minute_ns) DO UPDATE SET minute_ns = excluded.minute_ns";
        self.on
            .execute(client, mark, &[&stream_no, &minutes])
            .await?;
        Ok(())
    }

    async fn tell_gaps<T: Wire>(
        &self,
        client: &Client,
        stream_no: i32,
        mut last: u64,
        rows: &[T],
    ) -> Result<(), StorageError> {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for row in rows {
            if row.sequence() > last + 1 {
                from.push(last as i64 + 1);
                to.push(row.sequence() as i64 - 1);
            }
            last = row.sequence();
        }
        if from.is_empty() {
            return Ok(());
        }
        let tell = "INSERT INTO series_gap (stream_no, first_sequence, last_sequence) \
                    SELECT $1, * FROM unnest($2::int8[], $3::int8[])";
        self.on
            .execute(client, tell, &[&stream_no, &from, &to])
            .await?;
        Ok(())
    }
}

/// Why a batch was not stored.
enum Stored {
    /// Its day is no longer there.
    NoDay,
    Failed(StorageError),
}

impl From<StorageError> for Stored {
    fn from(error: StorageError) -> Stored {
        Stored::Failed(error)
    }
}

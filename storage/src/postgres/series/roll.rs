//! Roll-ups of our own: minutes from the trades of marked minutes, the others from finer ones.

use super::PgSeries;
use super::layout::Layout;
use crate::StorageError;
use crate::port::series::RollUp;
use apex_domain::bar::AHEAD_NS;
use tokio_postgres::Client;

/// Marks that one transaction takes off: a day of an instrument has 1,440.
const MARKS: i64 = 20_000;

/// Two who roll up at once would each miss what the other has not committed. Any constant does.
const LOCK: i64 = 0x6170_6578_726f_6c6c;

/// Minutes between two marks that are made again with them rather than by a statement more.
const JOINED: i64 = 15;

const MINUTE_NS: i64 = RollUp::Minute.interval_ns();

/// Where a cell begins, of times that are not before `from`. Before 1970 it takes twice the sums, for
/// each row.
fn start(of: &str, interval_ns: i64, from: i64) -> String {
    match from {
        0.. => format!("({of} - {of} % {interval_ns})"),
        _ => format!("({of} - (({of} % {interval_ns}) + {interval_ns}) % {interval_ns})"),
    }
}

const TARGET: &str = "INSERT INTO series_rolled (stream_no, interval_ns, ts_open_ns, open, high, \
                      low, close, volume, trade_count, ts_init_ns)";

const RENEW: &str = "ON CONFLICT (stream_no, interval_ns, ts_open_ns) DO UPDATE SET \
                     (open, high, low, close, volume, trade_count, ts_init_ns) = \
                     (excluded.open, excluded.high, excluded.low, excluded.close, \
                     excluded.volume, excluded.trade_count, excluded.ts_init_ns)";

impl PgSeries {
    pub(super) async fn roll(&self) -> Result<(), StorageError> {
        let client = self.take().await?;
        loop {
            let count = match self.layout {
                Layout::Plain => self.roll_some(&client).await?,
                Layout::Timescale => self.refresh_some(&client).await?,
            };
            if count < MARKS {
                self.keep(client);
                return Ok(());
            }
        }
    }

    /// Makes the roll-ups of some marks, and returns how many these were.
    async fn roll_some(&self, client: &Client) -> Result<i64, StorageError> {
        self.long(client, "BEGIN").await?;
        self.long(client, &format!("SELECT pg_advisory_xact_lock({LOCK})"))
            .await?;
        let take = "SELECT stream_no, minute_ns, xmin::text::int8 FROM series_dirty \
                    ORDER BY stream_no, minute_ns LIMIT $1";
        let rows = client.query(take, &[&MARKS]).await;
        let rows = rows.map_err(|error| self.failed(&error))?;
        let marks: Vec<(i32, i64)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
        let seen: Vec<i64> = rows.iter().map(|row| row.get(2)).collect();
        // Of an open day there are no statistics, and the server takes it for empty: it would sort
        // all rows to group them, which takes nearly twice as long as a table of cells.
        self.long(client, "SET LOCAL enable_sort = off").await?;
        for (stream_no, from, to) in spans(&marks) {
            self.long(client, &minutes_sql(stream_no, from, to)).await?;
        }
        self.long(client, "SET LOCAL enable_sort = on").await?;
        for pair in RollUp::ALL.windows(2) {
            self.coarser(client, &marks, pair[0].interval_ns(), pair[1].interval_ns())
                .await?;
        }
        self.take_off(client, &marks, &seen).await?;
        self.long(client, "COMMIT").await?;
        Ok(marks.len() as i64)
    }

    /// Takes off the marks that nobody has touched since they were seen: who touched one has written
    /// rows that the roll-up may not have. It is the last thing of its transaction, so that a writer
    /// waits for it a moment only, and a writer that has touched one is waited for. They are locked in
    /// the order in which writers touch them.
    async fn take_off(
        &self,
        client: &Client,
        marks: &[(i32, i64)],
        seen: &[i64],
    ) -> Result<(), StorageError> {
        let (streams, minutes): (Vec<i32>, Vec<i64>) = marks.iter().copied().unzip();
        let take = "WITH done AS MATERIALIZED ( \
                    SELECT dirty.stream_no, dirty.minute_ns FROM series_dirty AS dirty \
                    JOIN unnest($1::int4[], $2::int8[], $3::int8[]) \
                    AS rolled (stream_no, minute_ns, seen) USING (stream_no, minute_ns) \
                    WHERE dirty.xmin::text::int8 = rolled.seen \
                    ORDER BY stream_no, minute_ns FOR UPDATE OF dirty) \
                    DELETE FROM series_dirty USING done \
                    WHERE series_dirty.stream_no = done.stream_no \
                    AND series_dirty.minute_ns = done.minute_ns";
        let taken = client.execute(take, &[&streams, &minutes, &seen]).await;
        taken.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    /// Makes the cells of an interval again that hold a mark, from finer ones.
    async fn coarser(
        &self,
        client: &Client,
        marks: &[(i32, i64)],
        finer_ns: i64,
        interval_ns: i64,
    ) -> Result<(), StorageError> {
        let mut cells: Vec<(i32, i64)> = marks
            .iter()
            .map(|(stream_no, minute)| (*stream_no, minute - minute.rem_euclid(interval_ns)))
            .collect();
        cells.dedup();
        let (streams, starts): (Vec<i32>, Vec<i64>) = cells.into_iter().unzip();
        let make = format!(
            "{TARGET} SELECT cell.stream_no, {interval_ns}, cell.start_ns, \
             (array_agg(open ORDER BY ts_open_ns))[1], max(high), min(low), \
             (array_agg(close ORDER BY ts_open_ns DESC))[1], sum(volume), \
             sum(trade_count)::int8, max(ts_init_ns) \
             FROM unnest($1::int4[], $2::int8[]) AS cell (stream_no, start_ns) \
             JOIN series_rolled AS finer ON finer.stream_no = cell.stream_no \
             AND interval_ns = {finer_ns} AND ts_open_ns >= cell.start_ns \
             AND ts_open_ns < cell.start_ns + {interval_ns} \
             GROUP BY cell.stream_no, cell.start_ns {RENEW}"
        );
        let made = client.execute(&make, &[&streams, &starts]).await;
        made.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    /// Has the continuous aggregates made again around some marks. What is late is in the
    /// extension's own log; the marks only tell where to look, and nothing else does. So they go behind
    /// it, as on plain PostgreSQL: a refresh commits by itself and may not be part of a transaction.
    async fn refresh_some(&self, client: &Client) -> Result<i64, StorageError> {
        let take = "SELECT stream_no, minute_ns, xmin::text::int8 FROM series_dirty \
                    ORDER BY minute_ns LIMIT $1";
        let rows = client.query(take, &[&MARKS]).await;
        let rows = rows.map_err(|error| self.failed(&error))?;
        let marks: Vec<(i32, i64)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
        let seen: Vec<i64> = rows.iter().map(|row| row.get(2)).collect();
        // An aggregate is of all streams.
        let minutes: Vec<(i32, i64)> = marks.iter().map(|(_, minute)| (0, *minute)).collect();
        for (_, from, to) in spans(&minutes) {
            self.refresh(client, from, to).await?;
        }
        self.take_off(client, &marks, &seen).await?;
        Ok(marks.len() as i64)
    }

    pub(super) async fn refresh(
        &self,
        client: &Client,
        from: i64,
        to: i64,
    ) -> Result<(), StorageError> {
        for (name, roll_up) in ["1m", "5m", "1h", "1d"].iter().zip(RollUp::ALL) {
            let interval = roll_up.interval_ns();
            let from = match from {
                i64::MIN => "NULL".to_owned(),
                from => format!("'{}'::int8", from - from.rem_euclid(interval)),
            };
            let to = to.saturating_add((-to).rem_euclid(interval));
            let call = format!(
                "CALL refresh_continuous_aggregate('series_rolled_{name}', {from}, '{to}'::int8)"
            );
            self.long(client, &call).await?;
        }
        Ok(())
    }

    /// Runs statements however long they take: a day that comes at once is large.
    async fn long(&self, client: &Client, sql: &str) -> Result<(), StorageError> {
        let done = client.batch_execute(sql).await;
        done.map_err(|error| self.failed(&error))
    }
}

/// Returns the spans of marks in order: stream, start, end.
fn spans(marks: &[(i32, i64)]) -> Vec<(i32, i64, i64)> {
    let mut spans: Vec<(i32, i64, i64)> = Vec::new();
    for (stream_no, minute) in marks {
        match spans.last_mut() {
            Some((same, _, to)) if same == stream_no && minute - *to <= JOINED * MINUTE_NS => {
                *to = minute + MINUTE_NS;
            }
            _ => spans.push((*stream_no, *minute, minute + MINUTE_NS)),
        }
    }
    spans
}

/// The statement that makes the minutes of a span again. Open and close go by time and, of equal
/// ones, by sequence: the least and the greatest of arrays that begin with them. Trades without
/// quantity (TC-B10) and of a time that cannot be theirs (TC-B20) are in no bar.
fn minutes_sql(stream_no: i32, from: i64, to: i64) -> String {
    let cell = start("ts_event_ns", MINUTE_NS, from);
    format!(
        "{TARGET} SELECT {stream_no}, {MINUTE_NS}, {cell} AS cell, \
         (min(ARRAY[ts_event_ns, sequence, price]))[3], max(price), min(price), \
         (max(ARRAY[ts_event_ns, sequence, price]))[3], sum(quantity), count(*), max(ts_init_ns) \
         FROM series_trade WHERE stream_no = {stream_no} AND quantity > 0 \
         AND ts_event_ns - {AHEAD_NS} <= ts_init_ns AND ts_event_ns >= '{from}'::int8 AND ts_event_ns < '{to}'::int8 GROUP BY cell {RENEW}"
    )
}

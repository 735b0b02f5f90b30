//! Reading a range back, some pages ahead of the reader and never all of it.

use super::PgSeries;
use super::wire::{Fields, HEADER, Wire, next_row};
use crate::StorageError;
use crate::error::{Damage, Position};
use crate::port::series::{BarRow, RollUp, Rows, Stream, TimeRange};
use crate::postgres::server::PgServer;
use apex_domain::id::InstrumentId;
use futures::TryStreamExt;
use std::pin::Pin;
use std::sync::mpsc;
use tokio_postgres::{Client, CopyOutStream};

/// Rows of a page.
const PAGE_ROWS: usize = 4_096;

/// Pages that are read ahead: a megabyte or two.
const AHEAD: usize = 4;

/// What is read.
struct Source {
    table: &'static str,
    columns: &'static str,
    condition: String,
}

/// Rows, and whether they are the last ones.
type Page<T> = Result<(Vec<T>, bool), StorageError>;

impl PgSeries {
    pub(super) fn read<T: Wire>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        range: TimeRange,
    ) -> Result<Rows<T>, StorageError> {
        let source = Source {
            table: T::TABLE,
            columns: T::COLUMNS,
            condition: String::new(),
        };
        self.read_from(id, stream, range, source)
    }

    pub(super) fn read_rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        let source = Source {
            table: "series_rolled",
            columns: "0::int8 AS sequence, open, high, low, close, trade_count, ts_open_ns, \
                      ts_init_ns, volume",
            condition: format!("AND interval_ns = {}", roll_up.interval_ns()),
        };
        self.read_from(id, Stream::Trades, range, source)
    }

    fn read_from<T: Wire>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        range: TimeRange,
        source: Source,
    ) -> Result<Rows<T>, StorageError> {
        let found = {
            let id = id.clone();
            self.wait(move |this| async move { this.stream(&id, stream).await })?
        };
        let Some(stream_no) = found.filter(|_| range.from < range.to) else {
            return Ok(Box::new(std::iter::empty()));
        };
        // COPY takes no parameters; all that is put in are numbers and names of our own.
        let Source {
            table,
            columns,
            condition,
        } = source;
        let (time, from, to) = (T::TIME, quoted(range.from.0), quoted(range.to.0));
        let copy = format!(
            "COPY (SELECT {columns} FROM {table} WHERE stream_no = {stream_no} {condition} \
             AND {time} >= {from} AND {time} < {to} ORDER BY {time}, sequence) \
             TO STDOUT (FORMAT binary)"
        );
        let stream = self.wait(move |this| async move {
            let client = this.take().await?;
            let stream = this.on.within(client.copy_out(&copy)).await?;
            Ok((client, stream))
        })?;
        let (sender, pages) = mpsc::sync_channel(AHEAD);
        let this = self.clone();
        self.on.spawn(async move {
            let (client, stream) = stream;
            hand_over::<T>(this, client, Box::pin(stream), sender).await;
        });
        Ok(Box::new(rows(self.on.clone(), pages)))
    }
}

/// A number that the server takes as an `int8`, the least one too.
fn quoted(number: i64) -> String {
    format!("'{number}'::int8")
}

fn rows<T: Wire>(
    on: PgServer,
    pages: mpsc::Receiver<Page<T>>,
) -> impl Iterator<Item = Result<T, StorageError>> + Send {
    let mut page = Vec::new().into_iter();
    let mut is_ended = false;
    std::iter::from_fn(move || {
        loop {
            if let Some(row) = page.next() {
                return Some(Ok(row));
            }
            if is_ended {
                return None;
            }
            let next = pages.recv().unwrap_or_else(|_| {
                // Without this the rows would merely seem to be fewer.
                Err(on.unavailable("reading has ended before the last row"))
            });
            match next {
                Ok((rows, is_last)) => {
                    page = rows.into_iter();
                    is_ended = is_last;
                }
                Err(error) => {
                    is_ended = true;
                    return Some(Err(error));
                }
            }
        }
    })
}

async fn hand_over<T: Wire>(
    this: PgSeries,
    client: Client,
    mut stream: Pin<Box<CopyOutStream>>,
    sender: mpsc::SyncSender<Page<T>>,
) {
    let mut parser = Parser::default();
    loop {
        let page = parser.page::<T>(&this, &mut stream).await;
        let is_whole = matches!(page, Ok((_, true)));
        let is_last = is_whole || page.is_err();
        // The reader is on another thread and may be slow; this one has others to serve.
        let to = sender.clone();
        let sent = tokio::task::spawn_blocking(move || to.send(page).is_ok()).await;
        if is_whole {
            this.keep(client);
            return;
        }
        if is_last || !sent.unwrap_or(false) {
            // With its connection the statement ends at the server.
            return;
        }
    }
}

/// Bytes that came and are no row yet.
#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
    is_begun: bool,
}

impl Parser {
    /// Returns the next page, and whether it is the last.
    async fn page<T: Wire>(
        &mut self,
        this: &PgSeries,
        stream: &mut Pin<Box<CopyOutStream>>,
    ) -> Page<T> {
        let mut page = Vec::with_capacity(PAGE_ROWS);
        while page.len() < PAGE_ROWS {
            let next = stream.try_next().await;
            let Some(chunk) = next.map_err(|error| this.failed(&error))? else {
                if self.bytes.is_empty() {
                    return Ok((page, true));
                }
                return Err(damaged::<T>("end of the rows"));
            };
            // A message is a whole row, though nothing says that it has to be.
            let taken = match self.bytes.is_empty() {
                true => self.take(&chunk, &mut page)?,
                false => {
                    let mut joined = std::mem::take(&mut self.bytes);
                    joined.extend_from_slice(&chunk);
                    let taken = self.take(&joined, &mut page)?;
                    self.bytes.extend_from_slice(&joined[taken..]);
                    continue;
                }
            };
            self.bytes.extend_from_slice(&chunk[taken..]);
        }
        Ok((page, false))
    }

    /// Takes the whole rows at the front of bytes; returns how many bytes they were.
    fn take<T: Wire>(&mut self, bytes: &[u8], page: &mut Vec<T>) -> Result<usize, StorageError> {
        let mut rest = bytes;
        if !self.is_begun {
            let Some(behind) = rest.get(HEADER.len()..) else {
                return Ok(0);
            };
            if rest[..11] != HEADER[..11] {
                return Err(damaged::<T>("header of the rows"));
            }
            (rest, self.is_begun) = (behind, true);
        }
        let malformed = || damaged::<T>("row");
        while let Some(row) = next_row(&mut rest, T::FIELDS).map_err(|()| malformed())? {
            page.push(T::take(&mut Fields(row)).ok_or_else(malformed)?);
        }
        Ok(bytes.len() - rest.len())
    }
}

fn damaged<T: Wire>(what: &'static str) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: T::TABLE.to_owned(),
            offset: 0,
            sequence: 0,
        },
        reason: Damage::Malformed(what),
    }
}

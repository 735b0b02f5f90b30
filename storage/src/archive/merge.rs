//! The union of two series of rows by time: what adding rows twice rests on.

use super::rows::ArchiveRow;
use crate::StorageError;
use crate::port::series::Rows;
use std::collections::BTreeMap;
use std::iter::Peekable;

/// Rows of one time at once.
struct Times<R> {
    rows: Peekable<Rows<R>>,
    last_ts: i64,
}

impl<R: ArchiveRow> Times<R> {
    fn new(rows: Rows<R>) -> Times<R> {
        let (rows, last_ts) = (rows.peekable(), i64::MIN);
        Times { rows, last_ts }
    }

    /// Returns the time of the next rows, or the error that is next.
    fn ts(&mut self) -> Result<Option<i64>, StorageError> {
        let ts = match self.rows.peek() {
            None => return Ok(None),
            Some(Ok(row)) => row.ts().0,
            Some(Err(error)) => return Err(error.clone()),
        };
        if ts < self.last_ts {
            return Err(StorageError::Row {
                ts_ns: ts,
                detail: "is older than the row before it: sort the file by time",
            });
        }
        self.last_ts = ts;
        Ok(Some(ts))
    }

    /// Takes the rows of that time.
    fn take(&mut self, ts: i64, to: &mut Vec<R>) -> Result<(), StorageError> {
        to.clear();
        while self.ts()? == Some(ts) {
            if let Some(row) = self.rows.next() {
                to.push(row?);
            }
        }
        Ok(())
    }
}

/// Gives the union to `out`: the rows of `old` of a time, and behind them those of `new` that are
/// more often there than in `old`. Returns how many are new.
///
/// Errors: those of the rows and of `out`; `Row` when rows are not in order of time.
pub(super) fn union<R: ArchiveRow>(
    old: Rows<R>,
    new: Rows<R>,
    out: &mut dyn FnMut(&R) -> Result<(), StorageError>,
) -> Result<u64, StorageError> {
    let (mut old, mut new) = (Times::new(old), Times::new(new));
    let (mut had, mut given) = (Vec::new(), Vec::new());
    let mut added = 0;
    loop {
        let ts = match (old.ts()?, new.ts()?) {
            (None, None) => return Ok(added),
            (Some(ts), None) | (None, Some(ts)) => ts,
            (Some(old), Some(new)) => old.min(new),
        };
        old.take(ts, &mut had)?;
        new.take(ts, &mut given)?;
        had.iter().try_for_each(&mut *out)?;
        let mut counts: BTreeMap<R::Key, u64> = BTreeMap::new();
        for row in &had {
            *counts.entry(row.key()).or_default() += 1;
        }
        for row in &given {
            match counts.get_mut(&row.key()).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => {
                    out(row)?;
                    added += 1;
                }
            }
        }
    }
}

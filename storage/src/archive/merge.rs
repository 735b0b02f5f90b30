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

    /// Takes the next row of that time.
    fn take(&mut self, ts: i64) -> Result<Option<R>, StorageError> {
        if self.ts()? != Some(ts) {
            return Ok(None);
        }
        self.rows.next().transpose()
    }

    /// Returns what tells the next row apart, if it is of that time.
    fn key(&mut self, ts: i64) -> Result<Option<R::Key>, StorageError> {
        if self.ts()? != Some(ts) {
            return Ok(None);
        }
        let next = self.rows.peek().and_then(|row| row.as_ref().ok());
        Ok(next.map(R::key))
    }
}

/// Gives the union to `out`: the rows of `old` of a time, and behind them those of `new` that are
/// more often there than in `old`. Returns how many are new.
///
/// Errors: those of the rows and of `out`; `Row` when rows are not in order of time, or too many
/// different ones of the same.
pub(super) fn union<R: ArchiveRow>(
    old: Rows<R>,
    new: Rows<R>,
    out: &mut dyn FnMut(&R) -> Result<(), StorageError>,
) -> Result<u64, StorageError> {
    union_within(MAX_DIFFERENT, old, new, out)
}

/// Different rows of one nanosecond that are held, some 100 MB of them: a day of prints whose source
/// tells the date alone may have as many. The same file again needs none of this.
const MAX_DIFFERENT: usize = 1 << 20;

fn union_within<R: ArchiveRow>(
    max_different: usize,
    old: Rows<R>,
    new: Rows<R>,
    out: &mut dyn FnMut(&R) -> Result<(), StorageError>,
) -> Result<u64, StorageError> {
    let (mut old, mut new) = (Times::new(old), Times::new(new));
    let mut added = 0;
    loop {
        let ts = match (old.ts()?, new.ts()?) {
            (None, None) => return Ok(added),
            (Some(ts), None) | (None, Some(ts)) => ts,
            (Some(old), Some(new)) => old.min(new),
        };
        // Rows that are the same from the first one on need not be counted.
        while let (Some(had), Some(given)) = (old.key(ts)?, new.key(ts)?)
            && had == given
        {
            new.take(ts)?;
            if let Some(row) = old.take(ts)? {
                out(&row)?;
            }
        }
        let mut counts: BTreeMap<R::Key, u64> = BTreeMap::new();
        let is_given = new.ts()? == Some(ts);
        while let Some(row) = old.take(ts)? {
            out(&row)?;
            if is_given {
                *counts.entry(row.key()).or_default() += 1;
            }
            if counts.len() > max_different {
                return Err(StorageError::Row {
                    ts_ns: ts,
                    detail: "has the time of over a million other rows: it is too coarse to tell \
                             which of them are new",
                });
            }
        }
        while let Some(row) = new.take(ts)? {
            match counts.get_mut(&row.key()).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => {
                    out(&row)?;
                    added += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::series::TradeRow;
    use apex_domain::number::{Price, Quantity};
    use apex_domain::time::UnixNanos;
    use proptest::prelude::*;

    fn rows(of: &[(i64, u64)]) -> Rows<TradeRow> {
        let row = |(ts, trade_id): &(i64, u64)| TradeRow {
            sequence: 0,
            price: Price(1),
            quantity: Quantity(1),
            aggressor: None,
            trade_id: *trade_id,
            ts_event: UnixNanos(*ts),
            ts_init: UnixNanos(*ts),
        };
        let rows: Vec<_> = of.iter().map(row).map(Ok).collect();
        Box::new(rows.into_iter())
    }

    /// Returns the union and how many rows are new.
    fn of(
        max_different: usize,
        old: &[(i64, u64)],
        new: &[(i64, u64)],
    ) -> Result<(Vec<(i64, u64)>, u64), StorageError> {
        let mut found = Vec::new();
        let added = union_within(max_different, rows(old), rows(new), &mut |row| {
            found.push((row.ts_event.0, row.trade_id));
            Ok(())
        })?;
        Ok((found, added))
    }

    /// What it has to be: of each time what was there, and behind it what is there more often now.
    fn expected(old: &[(i64, u64)], new: &[(i64, u64)]) -> (Vec<(i64, u64)>, u64) {
        let mut left = old.to_vec();
        let mut more = new.to_vec();
        more.retain(|row| match left.iter().position(|had| had == row) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        });
        let added = more.len() as u64;
        let mut all = [old, &more].concat();
        all.sort_by_key(|(ts, _)| *ts);
        (all, added)
    }

    #[test]
    fn a_day_of_one_time_comes_again_without_being_held() {
        let day: Vec<_> = (0..100).map(|id| (7, id)).collect();
        let longer: Vec<_> = (0..150).map(|id| (7, id)).collect();
        assert_eq!(of(10, &[], &day).expect("it fits"), (day.clone(), 100));
        assert_eq!(of(10, &day, &day).expect("it fits"), (day.clone(), 0));
        assert_eq!(of(10, &day, &longer).expect("it fits"), (longer, 50));
        let other: Vec<_> = (100..110).map(|id| (7, id)).collect();
        let error = of(10, &day, &other).expect_err("they are too many");
        assert!(
            matches!(error, StorageError::Row { ts_ns: 7, .. }),
            "{error}"
        );
        // As many of another time are no matter.
        let next: Vec<_> = (100..110).map(|id| (8, id)).collect();
        assert_eq!(of(10, &day, &next).expect("it fits").1, 10);
    }

    proptest! {
        #[test]
        fn a_row_is_there_as_often_as_in_the_one_that_has_it_more_often(
            mut old in proptest::collection::vec((0_i64..4, 0_u64..4), 0..30),
            mut new in proptest::collection::vec((0_i64..4, 0_u64..4), 0..30),
        ) {
            old.sort_by_key(|(ts, _)| *ts);
            new.sort_by_key(|(ts, _)| *ts);
            prop_assert_eq!(of(30, &old, &new).expect("they fit"), expected(&old, &new));
        }
    }
}

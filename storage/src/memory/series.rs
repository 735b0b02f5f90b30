//! Time series in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::StorageError;
use crate::port::series::{
    BarRow, Decimals, Gap, Kind, QuoteRow, RollUp, Row, Rows, Series, Stream, TimeRange, TradeRow,
    Written, check_batch, check_decimals, day_of, same_decimals,
};
use crate::rolling::{Rolling, trades_of};
use apex_domain::id::InstrumentId;
use apex_domain::market::BarSpec;
use apex_domain::time::UnixNanos;

/// One stream.
#[derive(Debug)]
struct Kept<T> {
    rows: BTreeMap<(i64, u64), T>,
    last: u64,
    gaps: Vec<Gap>,
}

type Streams<T> = BTreeMap<(InstrumentId, Stream), Kept<T>>;

#[derive(Debug, Default)]
struct Inner {
    decimals: BTreeMap<InstrumentId, Decimals>,
    trades: Streams<TradeRow>,
    quotes: Streams<QuoteRow>,
    bars: Streams<BarRow>,
}

/// Time series in memory, for tests. Roll-ups are made when they are read.
#[derive(Debug, Default)]
pub struct MemorySeries {
    inner: Mutex<Inner>,
}

impl MemorySeries {
    /// Returns an empty store.
    pub fn new() -> Self {
        MemorySeries::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A batch that a panic cut is written again.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T: Row>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        rows: &[T],
        of: fn(&mut Inner) -> &mut Streams<T>,
    ) -> Result<Written, StorageError> {
        check_batch(rows)?;
        let mut inner = self.lock();
        if !inner.decimals.contains_key(id) {
            return Err(StorageError::NotDeclared {
                instrument_id: id.to_string(),
            });
        }
        let kept = of(&mut inner)
            .entry((id.clone(), stream))
            .or_insert_with(|| Kept {
                rows: BTreeMap::new(),
                last: 0,
                gaps: Vec::new(),
            });
        let mut written = Written::default();
        for row in rows {
            let sequence = row.sequence();
            if sequence <= kept.last {
                written.repeated += 1;
                continue;
            }
            if sequence > kept.last + 1 {
                let (first, last) = (kept.last + 1, sequence - 1);
                kept.gaps.push(Gap { first, last });
            }
            kept.last = sequence;
            kept.rows.insert((row.ts(), sequence), *row);
            written.stored += 1;
        }
        Ok(written)
    }

    fn read<T: Row>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        range: TimeRange,
        of: fn(&mut Inner) -> &mut Streams<T>,
    ) -> Rows<T> {
        if range.to <= range.from {
            return Box::new(std::iter::empty());
        }
        let mut inner = self.lock();
        let kept = of(&mut inner).get(&(id.clone(), stream));
        let found = kept.map(|kept| kept.rows.range((range.from.0, 0)..(range.to.0, 0)));
        let rows: Vec<_> = found
            .into_iter()
            .flatten()
            .map(|(_, row)| Ok(*row))
            .collect();
        Box::new(rows.into_iter())
    }
}

impl Series for MemorySeries {
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError> {
        check_decimals(decimals)?;
        let mut inner = self.lock();
        let stored = *inner.decimals.entry(id.clone()).or_insert(decimals);
        same_decimals(id, stored, decimals)
    }

    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        Ok(self.lock().decimals.get(id).copied())
    }

    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError> {
        Ok(self.lock().decimals.keys().cloned().collect())
    }

    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Trades, rows, |inner| &mut inner.trades)
    }

    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Quotes, rows, |inner| &mut inner.quotes)
    }

    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        self.write(id, Stream::Bars(spec), rows, |inner| &mut inner.bars)
    }

    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError> {
        let (inner, key) = (self.lock(), (id.clone(), stream));
        let last = match stream {
            Stream::Trades => inner.trades.get(&key).map(|kept| kept.last),
            Stream::Quotes => inner.quotes.get(&key).map(|kept| kept.last),
            Stream::Bars(_) => inner.bars.get(&key).map(|kept| kept.last),
        };
        Ok(last.unwrap_or(0))
    }

    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError> {
        Ok(self.read(id, Stream::Trades, range, |inner| &mut inner.trades))
    }

    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError> {
        Ok(self.read(id, Stream::Quotes, range, |inner| &mut inner.quotes))
    }

    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        Ok(self.read(id, Stream::Bars(spec), range, |inner| &mut inner.bars))
    }

    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        let trades = self.trades(id, trades_of(roll_up, range))?;
        Ok(Box::new(Rolling::new(roll_up, trades)))
    }

    fn roll_up(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError> {
        let (inner, key) = (self.lock(), (id.clone(), stream));
        let gaps = match stream {
            Stream::Trades => inner.trades.get(&key).map(|kept| &kept.gaps),
            Stream::Quotes => inner.quotes.get(&key).map(|kept| &kept.gaps),
            Stream::Bars(_) => inner.bars.get(&key).map(|kept| &kept.gaps),
        };
        Ok(gaps.cloned().unwrap_or_default())
    }

    fn maintain(&self, _now: UnixNanos) -> Result<(), StorageError> {
        Ok(())
    }

    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError> {
        let mut inner = self.lock();
        Ok(match kind {
            Kind::Trades => forget(&mut inner.trades, before),
            Kind::Quotes => forget(&mut inner.quotes, before),
            Kind::Bars => forget(&mut inner.bars, before),
        })
    }
}

fn forget<T: Row>(streams: &mut Streams<T>, before: UnixNanos) -> usize {
    let mut days = std::collections::BTreeSet::new();
    for kept in streams.values_mut() {
        kept.rows.retain(|(ts, _), _| {
            let is_over = day_of(*ts) < day_of(before.0);
            if is_over {
                days.insert(day_of(*ts));
            }
            !is_over
        });
    }
    days.len()
}

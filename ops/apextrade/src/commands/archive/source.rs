//! A file to import: what is in it, by instrument and kind.

use anyhow::{Context, Result, bail};
use apex_domain::InstrumentId;
use apex_domain::market::MarketEvent;
use apex_storage::archive::{ArchiveRow, Content, Head, ParquetRows, file_head, parquet_to_csv};
use apex_storage::port::series::{BarRow, Decimals, QuoteRow, TradeRow};
use apex_venues::csv::{CsvOptions, CsvSource, Loaded};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What every Parquet file begins with.
const MAGIC: &[u8; 4] = b"PAR1";

/// How many bad rows are told with their reason; all are counted.
const BAD_KEPT: usize = 100;

/// Rows of one kind.
#[derive(Debug)]
pub enum Batch {
    Trades(Vec<TradeRow>),
    Quotes(Vec<QuoteRow>),
    Bars(Vec<BarRow>),
    /// Of a file that was exported from an archive: read as it is stored.
    File(PathBuf, u64),
}

/// A row that is left out, or that is in doubt.
#[derive(Debug)]
pub struct Bad {
    /// Counted from 1, the header included; `None` of one that was read but does not fit.
    pub line: Option<u64>,
    pub reason: String,
}

/// A file that was looked through.
#[derive(Debug)]
pub struct Source {
    pub is_parquet: bool,
    /// What its rows are, as its columns say: `quote bars` are quotes to the archive.
    pub recognised: &'static str,
    pub batches: Vec<(Head, Batch)>,
    /// The file does not say what its rows are of.
    pub is_unnamed: bool,
    pub bad_count: u64,
    pub bad: Vec<Bad>,
    /// Rows that are there although they can hardly be meant so.
    pub doubtful_count: u64,
    /// Those among them that contradict themselves.
    pub contradictions: u64,
    pub doubtful: Vec<Bad>,
    pub notes: Vec<String>,
}

/// What a caller chose.
#[derive(Debug)]
pub struct Choice<'a> {
    pub instrument: Option<&'a str>,
    pub interval_ns: Option<i64>,
}

/// Looks through a file.
///
/// Errors: it cannot be read, is not recognised, or has no row of what was chosen.
pub fn load(path: &Path, choice: &Choice<'_>) -> Result<Source> {
    let is_parquet = is_parquet(path)?;
    if is_parquet && let Some(head) = file_head(path)? {
        return ours(path, head, choice);
    }
    let options = CsvOptions {
        instrument: choice.instrument.map(str::to_owned),
    };
    let loaded = if is_parquet {
        CsvSource::from_text(path, &parquet_to_csv(path)?, &options)?
    } else {
        CsvSource::open(path, &options)?
    };
    let mut source = Source {
        is_parquet,
        recognised: loaded.kind.name(),
        batches: Vec::new(),
        is_unnamed: !loaded.names_instruments,
        bad_count: loaded.bad_rows.count,
        bad: Vec::new(),
        doubtful_count: loaded.doubtful.count,
        contradictions: loaded.doubtful.contradictions,
        doubtful: Vec::new(),
        notes: [loaded.assumptions.clone(), loaded.warnings.clone()].concat(),
    };
    source
        .bad
        .extend(loaded.bad_rows.first.iter().map(|bad| Bad {
            line: Some(bad.line),
            reason: bad.reason.to_string(),
        }));
    let doubtful = loaded.doubtful.first.iter();
    source.doubtful.extend(doubtful.map(|(line, doubt)| Bad {
        line: Some(*line),
        reason: doubt.to_string(),
    }));
    source.sort_rows(loaded, choice)?;
    Ok(source)
}

fn is_parquet(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut first))
        .with_context(|| format!("cannot read \"{}\"", path.display()))?;
    Ok(first == MAGIC)
}

/// A file of the archive's own form.
fn ours(path: &Path, head: Head, choice: &Choice<'_>) -> Result<Source> {
    let wanted = choice
        .instrument
        .map(InstrumentId::in_command)
        .transpose()?;
    if wanted.is_some_and(|wanted| wanted != head.instrument_id) {
        let (path, id) = (path.display(), &head.instrument_id);
        bail!("\"{path}\" holds {id} alone: leave --instrument out, or name it");
    }
    let count = match head.content {
        Content::Trades => ParquetRows::<TradeRow>::open(path)?.row_count(),
        Content::Quotes => ParquetRows::<QuoteRow>::open(path)?.row_count(),
        Content::Bars { .. } => ParquetRows::<BarRow>::open(path)?.row_count(),
    };
    Ok(Source {
        is_parquet: true,
        recognised: head.content.name(),
        batches: vec![(head, Batch::File(path.to_owned(), count))],
        is_unnamed: false,
        bad_count: 0,
        bad: Vec::new(),
        doubtful_count: 0,
        contradictions: 0,
        doubtful: Vec::new(),
        notes: Vec::new(),
    })
}

impl Source {
    pub fn rows(&self) -> u64 {
        self.batches.iter().map(|(_, batch)| batch.len()).sum()
    }

    /// Sorts what was loaded by instrument and kind.
    fn sort_rows(&mut self, loaded: Loaded, choice: &Choice<'_>) -> Result<()> {
        let mut trades: BTreeMap<InstrumentId, Vec<TradeRow>> = BTreeMap::new();
        let mut quotes: BTreeMap<InstrumentId, Vec<QuoteRow>> = BTreeMap::new();
        let mut bars: BTreeMap<InstrumentId, Vec<BarRow>> = BTreeMap::new();
        for event in loaded.events {
            let id = event.instrument_id();
            match &event {
                MarketEvent::Trade(trade) => self.keep(&mut trades, id, TradeRow::of(0, trade)),
                MarketEvent::Quote(quote) => self.keep(&mut quotes, id, QuoteRow::of(0, quote)),
                MarketEvent::Bar(bar) => self.keep(&mut bars, id, BarRow::of(0, bar)),
                // No CSV file has them.
                _ => {}
            }
        }
        for instrument in loaded.instruments {
            let id = instrument.instrument_id;
            let head = |content| Head {
                content,
                instrument_id: id.clone(),
                decimals: Decimals {
                    price: instrument.price_decimals,
                    quantity: instrument.quantity_decimals,
                },
            };
            if let Some(rows) = trades.remove(&id) {
                self.batches
                    .push((head(Content::Trades), Batch::Trades(rows)));
            }
            if let Some(rows) = quotes.remove(&id) {
                self.batches
                    .push((head(Content::Quotes), Batch::Quotes(rows)));
            }
            if let Some(rows) = bars.remove(&id) {
                let interval_ns = interval(&rows, &id, choice)?;
                self.batches
                    .push((head(Content::Bars { interval_ns }), Batch::Bars(rows)));
            }
        }
        Ok(())
    }

    /// Keeps a row, or counts it as bad where the archive has no place for its digits.
    fn keep<R: ArchiveRow>(
        &mut self,
        rows: &mut BTreeMap<InstrumentId, Vec<R>>,
        id: &InstrumentId,
        row: R,
    ) {
        if !row.fits() {
            self.bad_count += 1;
            if self.bad.len() < BAD_KEPT {
                self.bad.push(Bad {
                    line: None,
                    reason: format!("at {} ns has a number of more than 18 digits", row.ts().0),
                });
            }
            return;
        }
        match rows.get_mut(id) {
            Some(rows) => rows.push(row),
            None => {
                rows.insert(id.clone(), vec![row]);
            }
        }
    }
}

impl Batch {
    pub fn len(&self) -> u64 {
        match self {
            Batch::Trades(rows) => rows.len() as u64,
            Batch::Quotes(rows) => rows.len() as u64,
            Batch::Bars(rows) => rows.len() as u64,
            Batch::File(_, count) => *count,
        }
    }
}

/// Returns the interval of bars: what was chosen, else the most frequent distance of two.
fn interval(rows: &[BarRow], id: &InstrumentId, choice: &Choice<'_>) -> Result<i64> {
    if let Some(interval_ns) = choice.interval_ns {
        return Ok(interval_ns);
    }
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for pair in rows.windows(2) {
        let distance = pair[1].ts_open.0.saturating_sub(pair[0].ts_open.0);
        if distance > 0 {
            *counts.entry(distance).or_default() += 1;
        }
    }
    // The shortest of the most frequent: gaps only make distances longer.
    let usual = counts.iter().rev().max_by_key(|(_, count)| **count);
    let Some((interval_ns, _)) = usual else {
        bail!("the bars of {id} do not tell their interval: say it with --interval, such as 1m");
    };
    Ok(*interval_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn source(text: &str, choice: &Choice<'_>) -> Result<Source> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.csv");
        fs::write(&path, text)?;
        load(&path, choice)
    }

    const NO_CHOICE: Choice<'static> = Choice {
        instrument: None,
        interval_ns: None,
    };

    #[test]
    fn bars_tell_their_interval_by_their_usual_distance() {
        let text = "date,open,high,low,close\n2024-01-04,1,1,1,1\n2024-01-05,1,1,1,1\n\
                    2024-01-08,1,1,1,1\n2024-01-09,1,1,1,1\n";
        let found = source(text, &NO_CHOICE).unwrap();
        let day = Content::Bars {
            interval_ns: 86_400_000_000_000,
        };
        assert_eq!(found.batches[0].0.content, day);
        let one = "date,open,high,low,close\n2024-01-04,1,1,1,1\n";
        let refused = source(one, &NO_CHOICE).unwrap_err().to_string();
        assert!(refused.contains("--interval"), "{refused}");
        let choice = Choice {
            instrument: None,
            interval_ns: Some(7),
        };
        assert_eq!(
            source(one, &choice).unwrap().batches[0].0.content,
            Content::Bars { interval_ns: 7 }
        );
    }

    #[test]
    fn rows_that_can_hardly_be_meant_are_kept_and_told_with_their_lines() {
        let text = "ts,open,high,low,close\n\
                    2024-01-04T00:00:00Z,5,6,4,5\n\
                    2024-01-04T00:01:00Z,5,4.5,4,5\n\
                    2024-01-04T00:02:00Z,5,6,5.5,6\n\
                    2024-01-04T00:03:00Z,5,6,0,5\n\
                    2024-01-04T00:04:00Z,5,6,-1,5\n\
                    2024-01-04T00:04:00Z,5,6,4,5\n\
                    2024-01-04T00:01:00Z,5,6,4,5\n\
                    2024-01-04T00:05:00Z,NaN,6,4,5\n";
        let found = source(text, &NO_CHOICE).unwrap();
        assert_eq!((found.rows(), found.bad_count), (7, 1));
        assert_eq!(found.bad[0].line, Some(9));
        let told: Vec<_> = found.doubtful.iter().map(|row| row.line).collect();
        assert_eq!(told, [3, 4, 5, 6, 7, 8].map(Some));
        assert_eq!(found.contradictions, 2);
        let reasons: Vec<_> = found.doubtful.iter().map(|row| &*row.reason).collect();
        assert!(reasons[0].contains("high below"), "{reasons:?}");
        assert!(reasons[1].contains("low above"), "{reasons:?}");
        assert!(
            reasons[2].contains("zero or less in field 4"),
            "{reasons:?}"
        );
        assert!(reasons[3].contains("zero or less"), "{reasons:?}");
        assert!(reasons[4].contains("time of the bar before"), "{reasons:?}");
        assert!(reasons[5].contains("older"), "{reasons:?}");
    }

    #[test]
    fn equal_prints_of_one_moment_are_no_doubt() {
        let text = "ts_ns,price,size\n1,1,1\n1,1,1\n2,1,1\n";
        assert_eq!(source(text, &NO_CHOICE).unwrap().doubtful_count, 0);
    }

    #[test]
    fn bad_rows_are_counted_with_their_lines_and_those_that_do_not_fit_too() {
        let text = "ts_ns,price,size\n1,1,1\nx,1,1\n2,1,1234567890123456789\n";
        let found = source(text, &NO_CHOICE).unwrap();
        assert_eq!((found.rows(), found.bad_count), (1, 2));
        assert_eq!(found.bad[0].line, Some(3));
        assert_eq!(found.bad[1].line, None);
        assert!(
            found.bad[1].reason.contains("at 2 ns"),
            "{}",
            found.bad[1].reason
        );
    }
}

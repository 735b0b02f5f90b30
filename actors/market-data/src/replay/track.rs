//! Recordings that follow each other, as one row of lines.

use super::recording::Recording;
use apex_domain::{InstrumentId, UnixNanos};
use apex_venues::capture::{CaptureError, CaptureReader, Step};
use std::collections::BTreeSet;

/// A row of recordings of the same instruments, or a clone of one. It always stands at its next
/// line.
#[derive(Debug)]
pub struct Track {
    /// Indexes of the recordings, in the order of play.
    files: Vec<usize>,
    /// 0 for the real one, else the number of the clone.
    pub clone: u32,
    /// What the symbols on the wire mean here: indexes of the feed's instruments.
    pub symbols: Vec<(String, usize)>,
    at: usize,
    reader: Option<CaptureReader>,
    head: Option<Step>,
    /// The newest receive time, which a line without one is taken to have.
    last_ts: UnixNanos,
}

impl Track {
    pub fn new(files: Vec<usize>, clone: u32, symbols: Vec<(String, usize)>) -> Track {
        Track {
            files,
            clone,
            symbols,
            at: 0,
            reader: None,
            head: None,
            last_ts: UnixNanos::MIN,
        }
    }

    /// Goes to the first line.
    ///
    /// Errors: `Read`, when a file has gone.
    pub fn rewind(&mut self, recordings: &[Recording]) -> Result<(), CaptureError> {
        self.at = 0;
        self.last_ts = UnixNanos::MIN;
        self.reader = Some(recordings[self.files[0]].open()?);
        self.advance(recordings)
    }

    /// Goes to the next line, in the next recording when one has ended.
    ///
    /// Errors: as [`Track::rewind`].
    pub fn advance(&mut self, recordings: &[Recording]) -> Result<(), CaptureError> {
        loop {
            let Some(reader) = &mut self.reader else {
                self.head = None;
                return Ok(());
            };
            self.head = reader.advance();
            match &self.head {
                Some(Step::Line { ts, .. }) => {
                    self.last_ts = *ts;
                    return Ok(());
                }
                Some(Step::Bad(_)) => return Ok(()),
                None if self.at + 1 < self.files.len() => {
                    self.at += 1;
                    self.reader = Some(recordings[self.files[self.at]].open()?);
                }
                None => self.reader = None,
            }
        }
    }

    /// Returns the receive time of the line it stands at, as recorded; `None` at the end.
    pub fn ts(&self) -> Option<UnixNanos> {
        self.head.as_ref().map(|_| self.last_ts)
    }

    /// Returns the line it stands at, its recording and its frame.
    pub fn head(&self) -> Option<(&Step, usize, &[u8])> {
        let (head, reader) = (self.head.as_ref()?, self.reader.as_ref()?);
        Some((head, self.files[self.at], reader.frame()))
    }

    pub fn instrument_of(&self, symbol: &str) -> Option<usize> {
        let found = self.symbols.iter().find(|(name, _)| name == symbol);
        found.map(|(_, index)| *index)
    }
}

/// Puts recordings that share an instrument into one row, by first receive time; the rows keep the
/// order in which their first recording was given.
pub fn group(recordings: &[Recording]) -> Vec<Vec<usize>> {
    let ids = |index: usize| -> BTreeSet<&InstrumentId> {
        let symbols = &recordings[index].info().symbols;
        symbols
            .iter()
            .map(|symbol| &symbol.instrument.instrument_id)
            .collect()
    };
    let mut rows: Vec<(Vec<usize>, BTreeSet<&InstrumentId>)> = Vec::new();
    for index in 0..recordings.len() {
        let mut row = (vec![index], ids(index));
        // It may tie together rows that had nothing in common so far.
        let (shared, mut others): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|(_, known)| !known.is_disjoint(&row.1));
        for (files, known) in shared {
            row.0.extend(files);
            row.1.extend(known);
        }
        others.push(row);
        rows = others;
    }
    let mut rows: Vec<Vec<usize>> = rows.into_iter().map(|(files, _)| files).collect();
    rows.sort_by_key(|files| files.iter().min().copied());
    for files in &mut rows {
        files.sort_by_key(|index| (recordings[*index].info().first_ts, *index));
    }
    rows
}

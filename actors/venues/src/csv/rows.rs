//! A file of any size, walked over twice in bounded memory: what its rows are of, and then each row.

use super::build::Builder;
use super::header::{self, CsvKind, Layout};
use super::infer::{MAX_INSTRUMENTS, Selection, Shapes};
use super::lines::{Fingerprint, Lines, Opener};
use super::row::RowError;
use super::{BadRows, CsvError, CsvOptions, DoubtfulRows};
use crate::input;
use apex_domain::Instrument;
use apex_domain::market::MarketEvent;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is known of a file behind its last row.
#[derive(Clone, Debug)]
pub struct Summary {
    pub bad_rows: BadRows,
    pub doubtful: DoubtfulRows,
    /// True when the file states volumes or sizes. Without them quantities are zero, meaning
    /// unknown.
    pub has_sizes: bool,
    /// What was taken for granted, as sentences for a report.
    pub assumptions: Vec<String>,
    /// What is odd in the data, as sentences for a report.
    pub warnings: Vec<String>,
    /// What the text was.
    pub fingerprint: Fingerprint,
}

/// A file whose rows were looked at once.
pub struct CsvFile<'a> {
    path: PathBuf,
    open: Opener<'a>,
    layout: Layout,
    shapes: Shapes,
    fingerprint: Fingerprint,
}

impl fmt::Debug for CsvFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvFile({:?})", self.path)
    }
}

impl<'a> CsvFile<'a> {
    /// Looks at every row of a file, plain or gzip; `each` is called for each of them.
    ///
    /// Errors: [`CsvError`]; none is helped by trying again.
    pub fn open(
        path: &'a Path,
        options: &CsvOptions,
        each: &mut dyn FnMut(),
    ) -> Result<CsvFile<'a>, CsvError> {
        let open = || -> io::Result<Box<dyn io::Read>> { Ok(input::open(path)?) };
        CsvFile::look(path, Box::new(open), options, each)
    }

    /// As [`CsvFile::open`], of a text that `open` gives as often as it is asked. The path is for
    /// messages.
    ///
    /// Errors: as [`CsvFile::open`].
    pub fn look(
        path: &Path,
        open: Opener<'a>,
        options: &CsvOptions,
        each: &mut dyn FnMut(),
    ) -> Result<CsvFile<'a>, CsvError> {
        let failed = |source| CsvError::Read {
            path: path.to_owned(),
            source,
        };
        let mut lines = Lines::new(open().map_err(failed)?);
        let layout = layout(path, &mut lines)?;
        let mut selection = Selection::new(&layout, options.instrument.as_deref())?;
        let mut has_rows = false;
        while let Some(line) = lines.next().map_err(failed)? {
            match line.text {
                Ok([]) => continue,
                Ok(text) => selection.learn(&layout, text),
                Err(_) => {}
            }
            if selection.is_full() {
                return Err(CsvError::TooManyInstruments {
                    path: path.to_owned(),
                    line: line.number,
                    limit: MAX_INSTRUMENTS,
                });
            }
            has_rows = true;
            each();
        }
        if !has_rows {
            return Err(CsvError::NoRows {
                path: path.to_owned(),
            });
        }
        Ok(CsvFile {
            path: path.to_owned(),
            fingerprint: lines.fingerprint(),
            open,
            layout,
            shapes: selection.into_shapes(),
        })
    }

    pub fn kind(&self) -> CsvKind {
        self.layout.kind
    }

    /// Returns true when the rows say what they are of.
    pub fn names_instruments(&self) -> bool {
        self.layout.symbol.is_some()
    }

    /// Returns how many rows were selected and read well.
    pub fn row_count(&self) -> u64 {
        self.shapes.rows()
    }

    /// Returns one for each instrument that was selected and has a row that reads well, by id.
    pub fn instruments(&self) -> Vec<Instrument> {
        self.shapes.instruments()
    }

    /// Returns what its text is known by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Begins at its first row.
    ///
    /// Errors: `Read`, `Changed`.
    pub fn read(self) -> Result<CsvRows<'a>, CsvError> {
        let opened = (self.open)().map_err(|source| CsvError::Read {
            path: self.path.clone(),
            source,
        })?;
        let mut lines = Lines::new(opened);
        if layout(&self.path, &mut lines)? != self.layout {
            return Err(CsvError::Changed { path: self.path });
        }
        Ok(CsvRows {
            builder: Builder::new(self.layout, self.shapes),
            path: self.path,
            lines,
            last_line: 1,
            fingerprint: self.fingerprint,
            is_over: false,
        })
    }
}

/// Takes the header off.
fn layout(path: &Path, lines: &mut Lines<'_>) -> Result<Layout, CsvError> {
    let path = || path.to_owned();
    let first = lines.next().map_err(|source| CsvError::Read {
        path: path(),
        source,
    })?;
    let first = first.ok_or_else(|| CsvError::Empty { path: path() })?;
    let text = first.text.map_err(|error| CsvError::Header {
        path: path(),
        found: format!("a line that {error}"),
    })?;
    header::recognise(text).ok_or_else(|| CsvError::Header {
        path: path(),
        found: String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned(),
    })
}

/// The good rows of a file, in its order: they need not be in order of time. Rows of another
/// instrument than the wanted one are passed over, bad ones are counted.
///
/// An item that is an error is the last one.
pub struct CsvRows<'a> {
    path: PathBuf,
    lines: Lines<'a>,
    builder: Builder,
    last_line: u64,
    /// Of the first walk.
    fingerprint: Fingerprint,
    is_over: bool,
}

impl fmt::Debug for CsvRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvRows({:?})", self.path)
    }
}

impl CsvRows<'_> {
    /// Returns what is known behind the last row, the rest of them being passed over.
    ///
    /// Errors: `Changed`, when the rows are not those that were looked at, and what was given of
    /// them is not to be used; `NotInFile`, `NoValidRow`; `Read`.
    pub fn finish(mut self) -> Result<Summary, CsvError> {
        for row in &mut self {
            row?;
        }
        if self.lines.fingerprint() != self.fingerprint {
            return Err(CsvError::Changed { path: self.path });
        }
        if self.lines.is_cut() {
            let bad_rows = &mut self.builder.bad_rows;
            bad_rows.add(self.last_line + 1, RowError::CutOff);
        }
        let builder = self.builder;
        if builder.events > 0 {
            return Ok(builder.finish(self.fingerprint));
        }
        if let Some(bad) = builder.bad_rows.first.first()
            && !builder.shapes.misses_the_wanted()
        {
            return Err(CsvError::NoValidRow {
                path: self.path,
                line: bad.line,
                reason: bad.reason.clone(),
            });
        }
        Err(CsvError::NotInFile {
            path: self.path,
            wanted: builder.shapes.wanted(),
            known: builder.shapes.known(),
        })
    }

    fn step(&mut self) -> io::Result<Option<MarketEvent>> {
        while let Some(line) = self.lines.next()? {
            let taken = match line.text {
                Ok([]) => continue,
                Ok(text) => self.builder.take(line.number, text),
                Err(reason) => Err(reason),
            };
            self.last_line = line.number;
            match taken {
                Ok(None) => {}
                Ok(Some(event)) => return Ok(Some(event)),
                Err(reason) => self.builder.bad_rows.add(self.last_line, reason),
            }
        }
        Ok(None)
    }
}

impl Iterator for CsvRows<'_> {
    type Item = Result<MarketEvent, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        Some(item?.map_err(|source| CsvError::Read {
            path: self.path.clone(),
            source,
        }))
    }
}

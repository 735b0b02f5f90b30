//! What an import says: for people, or as one JSON object.

use super::source::{Batch, Source};
use super::text::{TextRow, write_line};
use anyhow::Result;
use apex_storage::archive::{Added, ArchiveRow, Content, Head, ParquetRows, interval_text};
use apex_storage::port::series::{BarRow, QuoteRow, TradeRow};
use serde::Serialize;
use std::path::Path;

/// Rows that a preview shows of each instrument and kind.
const FIRST_ROWS: usize = 5;

/// Bad rows that are shown to people; `--json` has more.
const BAD_SHOWN: usize = 10;

/// The whole report.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub preview: bool,
    pub files: Vec<FileReport>,
    /// Good rows of all files.
    pub rows: u64,
    pub bad_rows: u64,
    /// Were new to the archive.
    pub stored: u64,
    /// Were there before.
    pub repeated: u64,
}

#[derive(Debug, Serialize)]
pub struct FileReport {
    pub file: String,
    pub format: &'static str,
    /// What the columns are.
    pub recognised: &'static str,
    pub rows: u64,
    pub bad_rows: u64,
    /// The first of them.
    pub bad: Vec<BadReport>,
    pub contents: Vec<ContentReport>,
    pub notes: Vec<String>,
    /// Why the file was not imported.
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct BadReport {
    pub line: Option<u64>,
    pub reason: String,
}

#[derive(Debug, Serialize)]
pub struct ContentReport {
    pub instrument_id: String,
    pub kind: &'static str,
    /// Of bars.
    pub interval: Option<String>,
    pub rows: u64,
    pub stored: u64,
    pub repeated: u64,
    /// The header and the first rows, as an export has them; only of a preview.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_rows: Vec<String>,
}

impl FileReport {
    pub fn of(path: &Path, source: &Source) -> FileReport {
        let bad = source.bad.iter().map(|bad| BadReport {
            line: bad.line,
            reason: bad.reason.clone(),
        });
        FileReport {
            file: path.display().to_string(),
            format: if source.is_parquet { "parquet" } else { "csv" },
            recognised: source.recognised,
            rows: source.rows(),
            bad_rows: source.bad_count,
            bad: bad.collect(),
            contents: Vec::new(),
            notes: source.notes.clone(),
            error: None,
        }
    }

    pub fn failed(path: &Path, error: &anyhow::Error) -> FileReport {
        FileReport {
            file: path.display().to_string(),
            format: "unknown",
            recognised: "",
            rows: 0,
            bad_rows: 0,
            bad: Vec::new(),
            contents: Vec::new(),
            notes: Vec::new(),
            error: Some(crate::output::one_line(error)),
        }
    }

    fn print(&self, preview: bool) {
        if let Some(error) = &self.error {
            crate::say!("{}: {error}", self.file);
            return;
        }
        let (format, what) = (self.format, self.recognised);
        crate::say!("{}: {format} of {what}, {} rows", self.file, self.rows);
        for content in &self.contents {
            content.print(preview);
        }
        if self.bad_rows > 0 {
            crate::say!("  {} bad rows were left out", self.bad_rows);
        }
        for bad in self.bad.iter().take(BAD_SHOWN) {
            match bad.line {
                Some(line) => crate::say!("    line {line} {}", bad.reason),
                None => crate::say!("    the row {}", bad.reason),
            }
        }
        if self.bad_rows > BAD_SHOWN as u64 {
            crate::say!("    and so on; --json has the first 100");
        }
        for note in &self.notes {
            crate::say!("  note: {note}");
        }
    }
}

impl ContentReport {
    pub fn of(head: &Head, batch: &Batch, added: Added) -> ContentReport {
        let interval = match head.content {
            Content::Bars { interval_ns } => Some(interval_text(interval_ns)),
            _ => None,
        };
        ContentReport {
            instrument_id: head.instrument_id.to_string(),
            kind: head.content.name(),
            interval,
            rows: batch.len(),
            stored: added.stored,
            repeated: added.repeated,
            first_rows: Vec::new(),
        }
    }

    fn print(&self, preview: bool) {
        let interval = self.interval.as_deref().map(|text| format!("{text} "));
        let what = format!("{}{}", interval.unwrap_or_default(), self.kind);
        let id = &self.instrument_id;
        if preview {
            crate::say!("  {id}: {} {what}", self.rows);
            self.first_rows
                .iter()
                .for_each(|row| crate::say!("    {row}"));
        } else {
            let (stored, repeated) = (self.stored, self.repeated);
            crate::say!("  {id}: {stored} {what} stored, {repeated} were there");
        }
    }
}

impl Report {
    pub fn add(&mut self, file: FileReport) {
        self.rows += file.rows;
        self.bad_rows += file.bad_rows;
        for content in &file.contents {
            self.stored += content.stored;
            self.repeated += content.repeated;
        }
        self.files.push(file);
    }

    /// Prints a file as soon as it is done; JSON comes whole at the end.
    pub fn print_last(&self, json: bool) {
        if let Some(file) = self.files.last().filter(|_| !json) {
            file.print(self.preview);
        }
    }

    pub fn print_end(&self, json: bool) -> Result<()> {
        if json {
            crate::say!("{}", serde_json::to_string(self)?);
        } else if self.preview {
            crate::say!(
                "{} rows, {} bad; nothing was imported",
                self.rows,
                self.bad_rows
            );
        } else {
            let Report {
                stored,
                repeated,
                bad_rows,
                ..
            } = self;
            crate::say!("{stored} rows stored, {repeated} were there, {bad_rows} bad");
        }
        Ok(())
    }
}

/// Returns the header and the first rows.
pub fn first_rows(head: &Head, batch: &Batch) -> Result<Vec<String>> {
    Ok(match batch {
        Batch::Trades(rows) => lines(head, rows),
        Batch::Quotes(rows) => lines(head, rows),
        Batch::Bars(rows) => lines(head, rows),
        Batch::File(path, _) => match head.content {
            Content::Trades => lines(head, &first::<TradeRow>(path)?),
            Content::Quotes => lines(head, &first::<QuoteRow>(path)?),
            Content::Bars { .. } => lines(head, &first::<BarRow>(path)?),
        },
    })
}

fn first<R: ArchiveRow>(path: &Path) -> Result<Vec<R>> {
    let rows = ParquetRows::open(path)?.take(FIRST_ROWS);
    Ok(rows.collect::<Result<Vec<R>, _>>()?)
}

fn lines<R: TextRow>(head: &Head, rows: &[R]) -> Vec<String> {
    let mut lines = vec![R::HEADER.to_owned()];
    for row in rows.iter().take(FIRST_ROWS) {
        let mut line = String::new();
        write_line(&mut line, head, row);
        lines.push(line);
    }
    lines
}

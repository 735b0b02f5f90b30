//! What an import says: for people, or as one JSON object.

use super::source::{Bad, Series, Source};
use super::text::{TextRow, write_line};
use anyhow::Result;
use apex_storage::archive::{Added, Content, SeriesRow, interval_text};
use apex_storage::port::series::{BarRow, QuoteRow, TradeRow};
use serde::Serialize;
use std::path::Path;

/// Bad rows that are shown to people; `--json` has more.
const BAD_SHOWN: usize = 10;

/// The whole report.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub preview: bool,
    #[serde(skip)]
    pub end: End,
    pub files: Vec<FileReport>,
    /// Good rows of all files.
    pub rows: u64,
    pub bad_rows: u64,
    /// Good rows that can hardly be meant so.
    pub doubtful_rows: u64,
    /// Those among them that contradict themselves.
    pub contradicting_rows: u64,
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
    pub doubtful_rows: u64,
    /// Those among them that contradict themselves: they keep an import with `--strict` out.
    pub contradicting_rows: u64,
    /// The first of the doubtful ones.
    pub doubtful: Vec<BadReport>,
    /// True when its good rows are in the archive now; of a preview false.
    pub imported: bool,
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
        let report = |bad: &Bad| BadReport {
            line: bad.line,
            reason: bad.reason.clone(),
        };
        FileReport {
            file: path.display().to_string(),
            format: if source.is_parquet { "parquet" } else { "csv" },
            recognised: source.recognised,
            rows: source.rows(),
            bad_rows: source.bad_count,
            bad: source.bad.iter().map(report).collect(),
            doubtful_rows: source.doubtful_count,
            contradicting_rows: source.contradictions,
            doubtful: source.doubtful.iter().map(report).collect(),
            imported: false,
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
            doubtful_rows: 0,
            contradicting_rows: 0,
            doubtful: Vec::new(),
            imported: false,
            contents: Vec::new(),
            notes: Vec::new(),
            error: Some(crate::output::one_line(error)),
        }
    }

    /// Returns whether anything of it keeps an import with `--strict` out.
    pub fn is_flawed(&self) -> bool {
        self.error.is_some() || self.bad_rows > 0 || self.contradicting_rows > 0
    }

    fn print(&self, end: &End) {
        if let Some(error) = &self.error {
            let (stored, file) = (
                self.contents.iter().map(|of| of.stored).sum::<u64>(),
                &self.file,
            );
            match stored {
                0 => crate::say!("{file}: not imported: {error}"),
                stored => crate::say!("{file}: imported in part, {stored} rows: {error}"),
            }
            return;
        }
        let (format, what) = (self.format, self.recognised);
        crate::say!("{}: {format} of {what}, {} rows", self.file, self.rows);
        for content in &self.contents {
            content.print(end);
        }
        let left_out = match end {
            End::Imported => "were left out",
            End::Preview | End::KeptOut => "",
        };
        print_rows(self.bad_rows, &self.bad, "bad", left_out);
        let kept = match end {
            End::Imported => "were kept",
            End::Preview | End::KeptOut => "",
        };
        print_rows(self.doubtful_rows, &self.doubtful, "doubtful", kept);
        for note in &self.notes {
            crate::say!("  note: {note}");
        }
        match end {
            End::KeptOut if self.is_flawed() => crate::say!("  not imported"),
            End::KeptOut => crate::say!("  not imported, though there is nothing wrong with it"),
            End::Preview | End::Imported => {}
        }
    }
}

fn print_rows(count: u64, first: &[BadReport], what: &str, became: &str) {
    if count > 0 {
        let line = format!("  {count} {what} rows {became}");
        crate::say!("{}", line.trim_end());
    }
    for row in first.iter().take(BAD_SHOWN) {
        match row.line {
            Some(line) => crate::say!("    line {line} {}", row.reason),
            None => crate::say!("    the row {}", row.reason),
        }
    }
    if count > BAD_SHOWN as u64 {
        crate::say!("    and so on; --json has the first 100");
    }
}

/// What becomes of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Imported,
    /// They are only looked at.
    Preview,
    /// One of them keeps all out.
    KeptOut,
}

impl ContentReport {
    pub fn of(series: &Series, added: Added) -> ContentReport {
        let head = &series.head;
        let interval = match head.content {
            Content::Bars { interval_ns } => Some(interval_text(interval_ns)),
            _ => None,
        };
        ContentReport {
            instrument_id: head.instrument_id.to_string(),
            kind: head.content.name(),
            interval,
            rows: series.rows,
            stored: added.stored,
            repeated: added.repeated,
            first_rows: first_rows(series),
        }
    }

    fn print(&self, end: &End) {
        let interval = self.interval.as_deref().map(|text| format!("{text} "));
        let what = format!("{}{}", interval.unwrap_or_default(), self.kind);
        let id = &self.instrument_id;
        if *end != End::Imported {
            crate::say!("  {id}: {} {what}", self.rows);
            let shown = self.first_rows.iter().filter(|_| *end == End::Preview);
            shown.for_each(|row| crate::say!("    {row}"));
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
        self.doubtful_rows += file.doubtful_rows;
        self.contradicting_rows += file.contradicting_rows;
        for content in &file.contents {
            self.stored += content.stored;
            self.repeated += content.repeated;
        }
        self.files.push(file);
    }

    /// Prints a file as soon as it is done; JSON comes whole at the end.
    pub fn print_last(&self, json: bool) {
        if let Some(file) = self.files.last().filter(|_| !json) {
            file.print(&self.end);
        }
    }

    /// Prints all files, once it is known that they are kept out.
    pub fn print_files(&self, json: bool) {
        for file in self.files.iter().filter(|_| !json) {
            file.print(&self.end);
        }
    }

    pub fn print_end(&self, json: bool) -> Result<()> {
        if json {
            crate::say!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        let doubtful = match self.doubtful_rows {
            0 => String::new(),
            count => format!(", {count} doubtful"),
        };
        let bad = self.bad_rows;
        if self.end == End::Imported {
            let (stored, repeated) = (self.stored, self.repeated);
            crate::say!("{stored} rows stored, {repeated} were there, {bad} bad{doubtful}");
        } else {
            let rows = self.rows;
            crate::say!("{rows} rows, {bad} bad{doubtful}; nothing was imported");
        }
        Ok(())
    }
}

/// Returns the header and the first rows; nothing where none are to be shown.
fn first_rows(series: &Series) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(first) = series.first.first() {
        lines.push(match first {
            SeriesRow::Trade(_) => TradeRow::HEADER.to_owned(),
            SeriesRow::Quote(_) => QuoteRow::HEADER.to_owned(),
            SeriesRow::Bar(_) => BarRow::HEADER.to_owned(),
        });
    }
    for row in &series.first {
        let mut line = String::new();
        match row {
            SeriesRow::Trade(row) => write_line(&mut line, &series.head, row),
            SeriesRow::Quote(row) => write_line(&mut line, &series.head, row),
            SeriesRow::Bar(row) => write_line(&mut line, &series.head, row),
        }
        lines.push(line);
    }
    lines
}

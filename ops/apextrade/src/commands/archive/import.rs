//! `apextrade import`.

use super::progress::{Phase, Progress};
use super::report::{ContentReport, End, FileReport, Report};
use super::source::{Choice, Mark, Purpose, Series, Source, Stored, file_mark, load};
use crate::cli::ImportArgs;
use crate::config::Settings;
use anyhow::{Result, anyhow, bail, ensure};
use apex_storage::StorageError;
use apex_storage::archive::{
    Added, Archive, ArchiveRow, Content, ParquetRows, SeriesRow, SortedRows,
};
use apex_storage::port::series::{BarRow, QuoteRow, TradeRow};
use std::iter::Peekable;
use std::path::Path;
use std::process::ExitCode;

/// Imports files, one after the other. A bad row stops nothing unless asked to; a file that cannot
/// be read does not keep the others out, but ends with exit status 1.
pub fn run(args: &ImportArgs, settings: &Settings) -> Result<ExitCode> {
    let choice = Choice {
        instrument: args.instrument.as_deref(),
        interval_ns: args.interval,
    };
    let mut report = Report::default();
    let mut marks = Vec::new();
    if args.preview || args.strict {
        (report, marks) = look(args, &choice);
        let flaw = flaw(&report, args.strict);
        if args.preview || flaw.is_some() {
            if !args.preview {
                report.end = End::KeptOut;
                report.print_files(args.json);
            }
            report.print_end(args.json)?;
            return flaw.map_or(Ok(ExitCode::SUCCESS), |flaw| bail!("{flaw}"));
        }
        report = Report::default();
    }
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let opened = super::open(data_dir)?;
    for (at, path) in args.files.iter().enumerate() {
        let file = match load(path, &choice, Purpose::Store(&opened.folder)) {
            // Of what was not checked nothing is stored.
            Ok(source) if marks.get(at).is_some_and(|mark| *mark != source.mark) => {
                let error = anyhow!("it changed since it was checked: import it again");
                FileReport::failed(path, &error)
            }
            Ok(source) => import(&opened.archive, path, &source, &choice),
            Err(error) => FileReport::failed(path, &error),
        };
        report.add(file);
        report.print_last(args.json);
    }
    report.print_end(args.json)?;
    match flaw(&report, false) {
        Some(flaw) => bail!("{flaw}"),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Looks through all files, and shows each in a preview. Returns what those that can be imported are
/// known by; all of them unless the report has a flaw.
fn look(args: &ImportArgs, choice: &Choice<'_>) -> (Report, Vec<Mark>) {
    let mut report = Report {
        preview: args.preview,
        end: End::Preview,
        ..Report::default()
    };
    let purpose = Purpose::Look {
        is_shown: args.preview,
        is_checked: args.strict,
    };
    let mut marks = Vec::new();
    for path in &args.files {
        let file = match load(path, choice, purpose) {
            Ok(source) => {
                marks.push(source.mark);
                let mut file = FileReport::of(path, &source);
                let contents = source.series.iter();
                file.contents
                    .extend(contents.map(|series| ContentReport::of(series, Added::default())));
                file
            }
            Err(error) => FileReport::failed(path, &error),
        };
        report.add(file);
        if args.preview {
            report.print_last(args.json);
        }
    }
    (report, marks)
}

/// Returns why an import ends with exit status 1.
fn flaw(report: &Report, strict: bool) -> Option<String> {
    let failed: Vec<_> = report
        .files
        .iter()
        .filter(|file| file.error.is_some())
        .collect();
    let (bad, contradicting) = (report.bad_rows, report.contradicting_rows);
    if strict && report.files.iter().any(FileReport::is_flawed) {
        let (files, all) = (failed.len(), report.files.len());
        return Some(format!(
            "nothing was imported: {bad} bad rows, {contradicting} that contradict themselves, and {files} of {all} \
             files that cannot be imported; mend them, or leave --strict out"
        ));
    }
    let first = failed.first()?;
    let error = first.error.as_deref().unwrap_or_default();
    Some(format!("cannot import \"{}\": {error}", first.file))
}

fn import(archive: &Archive, path: &Path, source: &Source, choice: &Choice<'_>) -> FileReport {
    let mut report = FileReport::of(path, source);
    let before = match mixed(archive, source, choice) {
        Ok(before) => before,
        Err(error) => return FileReport::failed(path, &error),
    };
    let name = path.display().to_string();
    let mut progress = Progress::new(&name, Phase::Write, source.rows());
    let added = add(archive, source, &mut progress, &mut |series, added| {
        report.contents.push(ContentReport::of(series, added));
    });
    report.error = added.err().map(|error| crate::output::one_line(&error));
    report.imported = report.error.is_none();
    let stored = report.contents.iter().any(|content| content.stored > 0);
    report.notes.extend(before.filter(|_| stored));
    report
}

/// Returns what to say where rows without a name come to others without one.
fn mixed(archive: &Archive, source: &Source, choice: &Choice<'_>) -> Result<Option<String>> {
    let Some(first) = source.series.first() else {
        return Ok(None);
    };
    let id = &first.head.instrument_id;
    if !source.is_unnamed || choice.instrument.is_some() || archive.contents(id)?.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{id} held rows before: if they were of another instrument, both are mixed now; name \
         the instrument of each file with --instrument"
    )))
}

/// Adds the rows of a file, and tells `each` of every instrument and kind that is done.
fn add(
    archive: &Archive,
    source: &Source,
    progress: &mut Progress,
    each: &mut dyn FnMut(&Series, Added),
) -> Result<()> {
    match &source.stored {
        Stored::Nowhere => {}
        Stored::Sorted(sorted) => {
            let mut rows = sorted.rows()?.peekable();
            for series in &source.series {
                let added = match series.head.content {
                    Content::Trades => add_rows::<TradeRow>(archive, series, &mut rows, progress),
                    Content::Quotes => add_rows::<QuoteRow>(archive, series, &mut rows, progress),
                    Content::Bars { .. } => {
                        add_rows::<BarRow>(archive, series, &mut rows, progress)
                    }
                };
                each(series, added?);
            }
        }
        Stored::File(path) => {
            for series in &source.series {
                let added = match series.head.content {
                    Content::Trades => add_file::<TradeRow>(archive, path, source.mark, progress),
                    Content::Quotes => add_file::<QuoteRow>(archive, path, source.mark, progress),
                    Content::Bars { .. } => {
                        add_file::<BarRow>(archive, path, source.mark, progress)
                    }
                };
                each(series, added?);
            }
        }
    }
    Ok(())
}

/// Adds the rows of a series, which are next.
fn add_rows<R: ArchiveRow + TryFrom<SeriesRow>>(
    archive: &Archive,
    series: &Series,
    rows: &mut Peekable<SortedRows<'_>>,
    progress: &mut Progress,
) -> Result<Added, StorageError> {
    let is_ours = |item: &Result<(u32, SeriesRow), StorageError>| match item {
        Ok((number, _)) => *number == series.number,
        Err(_) => true,
    };
    let ours = std::iter::from_fn(|| rows.next_if(is_ours));
    // Every row of its number is of its kind.
    let ours = ours.filter_map(|item| item.map(|(_, row)| R::try_from(row).ok()).transpose());
    archive.add(&series.head, ours.inspect(|_| progress.step()))
}

/// Adds the rows of a file that was looked at as `mark` says.
fn add_file<R: ArchiveRow>(
    archive: &Archive,
    path: &Path,
    mark: Mark,
    progress: &mut Progress,
) -> Result<Added> {
    let rows = ParquetRows::<R>::open(path)?;
    let head = rows.head().clone();
    // Behind the opening: another file of that name is not what was opened, or is seen here.
    ensure!(
        file_mark(path)? == mark,
        "it changed since it was looked at, nothing of it was stored: import it again"
    );
    let added = archive.add(&head, rows.inspect(|_| progress.step()))?;
    ensure!(
        file_mark(path)? == mark,
        "it changed while it was stored, and {} rows of it were: import it again once it is whole",
        added.stored
    );
    Ok(added)
}

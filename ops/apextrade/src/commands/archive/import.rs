//! `apextrade import`.

use super::progress::Progress;
use super::report::{ContentReport, End, FileReport, Report, first_rows};
use super::source::{Batch, Choice, Source, load};
use crate::cli::ImportArgs;
use crate::config::Settings;
use anyhow::{Result, bail};
use apex_storage::archive::{Added, Archive, ArchiveRow, Content, Head, ParquetRows};
use apex_storage::port::series::{BarRow, QuoteRow, TradeRow};
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
    if args.preview || args.strict {
        report = look(args, &choice)?;
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
    for path in &args.files {
        // One file in memory at a time.
        let file = match load(path, &choice) {
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

/// Looks through all files, and shows each in a preview.
fn look(args: &ImportArgs, choice: &Choice<'_>) -> Result<Report> {
    let mut report = Report {
        preview: args.preview,
        end: End::Preview,
        ..Report::default()
    };
    for path in &args.files {
        let file = match load(path, choice) {
            Ok(source) => {
                let mut file = FileReport::of(path, &source);
                for (head, batch) in &source.batches {
                    let mut content = ContentReport::of(head, batch, Added::default());
                    content.first_rows = first_rows(head, batch)?;
                    file.contents.push(content);
                }
                file
            }
            Err(error) => FileReport::failed(path, &error),
        };
        report.add(file);
        if args.preview {
            report.print_last(args.json);
        }
    }
    Ok(report)
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
    let mut progress = Progress::new(&path.display().to_string(), source.rows());
    for (head, batch) in &source.batches {
        match add(archive, head, batch, &mut progress) {
            Ok(added) => report.contents.push(ContentReport::of(head, batch, added)),
            Err(error) => {
                report.error = Some(crate::output::one_line(&error));
                break;
            }
        }
    }
    report.imported = report.error.is_none();
    let stored = report.contents.iter().any(|content| content.stored > 0);
    report.notes.extend(before.filter(|_| stored));
    report
}

/// Returns what to say where rows without a name come to others without one.
fn mixed(archive: &Archive, source: &Source, choice: &Choice<'_>) -> Result<Option<String>> {
    let Some((head, _)) = source.batches.first() else {
        return Ok(None);
    };
    let id = &head.instrument_id;
    if !source.is_unnamed || choice.instrument.is_some() || archive.contents(id)?.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{id} held rows before: if they were of another instrument, both are mixed now; name \
         the instrument of each file with --instrument"
    )))
}

fn add(archive: &Archive, head: &Head, batch: &Batch, progress: &mut Progress) -> Result<Added> {
    let added = match batch {
        Batch::Trades(rows) => add_rows(archive, head, rows, progress),
        Batch::Quotes(rows) => add_rows(archive, head, rows, progress),
        Batch::Bars(rows) => add_rows(archive, head, rows, progress),
        Batch::File(path, _) => match head.content {
            Content::Trades => add_file::<TradeRow>(archive, path, progress),
            Content::Quotes => add_file::<QuoteRow>(archive, path, progress),
            Content::Bars { .. } => add_file::<BarRow>(archive, path, progress),
        },
    };
    Ok(added?)
}

fn add_rows<R: ArchiveRow>(
    archive: &Archive,
    head: &Head,
    rows: &[R],
    progress: &mut Progress,
) -> Result<Added, apex_storage::StorageError> {
    archive.add(
        head,
        rows.iter().copied().map(Ok).inspect(|_| progress.step()),
    )
}

fn add_file<R: ArchiveRow>(
    archive: &Archive,
    path: &Path,
    progress: &mut Progress,
) -> Result<Added, apex_storage::StorageError> {
    let rows = ParquetRows::<R>::open(path)?;
    let head = rows.head().clone();
    archive.add(&head, rows.inspect(|_| progress.step()))
}

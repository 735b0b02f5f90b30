//! `apextrade export`.

use super::progress::{Phase, Progress};
use super::text::{TextRow, write_line};
use crate::cli::{ArchiveFormat, ArchiveKind, ExportArgs};
use crate::config::Settings;
use crate::output::WrongUsage;
use anyhow::{Context, Result, bail};
use apex_domain::{InstrumentId, UnixNanos};
use apex_storage::StorageError;
use apex_storage::archive::{Archive, Content, Head, ParquetWriter, interval_text};
use apex_storage::port::series::{BarRow, QuoteRow, Rows, TimeRange, TradeRow};
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes what the archive holds of an instrument, one kind of it, as one file.
pub fn run(args: &ExportArgs, settings: &Settings) -> Result<ExitCode> {
    check(args)?;
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let folder = data_dir.join(super::FOLDER);
    if !folder.is_dir() {
        let folder = folder.display();
        bail!("there is no archive at \"{folder}\": import something, or name its --data-dir");
    }
    let id = InstrumentId::in_command(&args.instrument)
        .with_context(|| format!("--instrument \"{}\"", args.instrument))?;
    let opened = super::open(data_dir)?;
    let contents = opened.archive.contents(&id)?;
    let (source, content) = match args.interval.filter(|_| args.from_trades) {
        Some(_) if !contents.contains(&Content::Trades) => {
            bail!("the archive holds no trades of {id}: import them first")
        }
        Some(interval_ns) => (Content::Trades, Content::Bars { interval_ns }),
        None => {
            let content = choose(&contents, args, &id)?;
            (content, content)
        }
    };
    let head = opened.archive.head(source, &id)?;
    let mut head = head.with_context(|| format!("the {source} of {id} are gone"))?;
    head.content = content;
    let job = Job {
        archive: &opened.archive,
        head,
        range: TimeRange {
            from: args.from.unwrap_or(TimeRange::ALL.from),
            to: args.to.unwrap_or(UnixNanos(i64::MAX)),
        },
        format: args.format.unwrap_or_else(|| by_name(&args.out)),
        out: &args.out,
    };
    let rows = match content {
        Content::Bars { interval_ns } if args.from_trades => {
            job.write(opened.archive.bars_of_trades(&id, interval_ns, job.range)?)
        }
        Content::Trades => job.write(job.stored::<TradeRow>()?),
        Content::Quotes => job.write(job.stored::<QuoteRow>()?),
        Content::Bars { .. } => job.write(job.stored::<BarRow>()?),
    }?;
    tell(args, &job, rows);
    Ok(ExitCode::SUCCESS)
}

/// Standard output in place of a file.
const STDOUT: &str = "-";

/// Errors: what the flags ask for cannot be meant.
fn check(args: &ExportArgs) -> Result<()> {
    let wrong = |text: String| Err(WrongUsage(text).into());
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return wrong(format!(
            "--from ({} ns) is not before --to ({} ns): no row can be between them",
            from.0, to.0
        ));
    }
    if args.out.as_os_str() == STDOUT {
        if args.json {
            return wrong("--json and --out - both want standard output: name a file".to_owned());
        }
        if args.format == Some(ArchiveFormat::Parquet) {
            return wrong(
                "Parquet cannot go to standard output: name a file, or add --format csv".to_owned(),
            );
        }
        return Ok(());
    }
    if args.out.is_dir() || args.out.file_name().is_none() {
        let out = args.out.display();
        return wrong(format!("--out \"{out}\" is a folder: name a file"));
    }
    let above = args.out.parent();
    let above = above.filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| !above.is_dir()) {
        let (out, above) = (args.out.display(), above.display());
        bail!("cannot write \"{out}\": there is no folder \"{above}\", make it first");
    }
    Ok(())
}

fn tell(args: &ExportArgs, job: &Job<'_>, rows: u64) {
    let (content, id) = (job.head.content, &job.head.instrument_id);
    if args.out.as_os_str() == STDOUT {
        crate::tell!("{rows} {content} of {id} written");
        return;
    }
    if !args.json {
        crate::say!("{rows} {content} of {id} written to {}", args.out.display());
        return;
    }
    let interval = match content {
        Content::Bars { interval_ns } => Some(interval_text(interval_ns)),
        _ => None,
    };
    let said = serde_json::json!({
        "instrument_id": id.as_str(),
        "kind": content.name(),
        "interval": interval,
        "format": match job.format {
            ArchiveFormat::Csv => "csv",
            ArchiveFormat::Parquet => "parquet",
        },
        "rows": rows,
        "out": args.out.display().to_string(),
    });
    crate::say!("{said}");
}

/// Returns the one content that the flags leave.
fn choose(contents: &[Content], args: &ExportArgs, id: &InstrumentId) -> Result<Content> {
    let is_meant = |content: &Content| {
        let by_kind = match (args.kind, content) {
            (None, _)
            | (Some(ArchiveKind::Trades), Content::Trades)
            | (Some(ArchiveKind::Quotes), Content::Quotes)
            | (Some(ArchiveKind::Bars), Content::Bars { .. }) => true,
            (Some(_), _) => false,
        };
        let by_interval = match (args.interval, content) {
            (None, _) => true,
            (Some(wanted), Content::Bars { interval_ns }) => wanted == *interval_ns,
            (Some(_), _) => false,
        };
        by_kind && by_interval
    };
    let names = |contents: &[Content]| {
        let names: Vec<String> = contents.iter().map(Content::to_string).collect();
        names.join(", ")
    };
    let meant: Vec<Content> = contents.iter().copied().filter(is_meant).collect();
    match meant.as_slice() {
        [one] => Ok(*one),
        [] if contents.is_empty() => bail!("the archive holds nothing of {id}: import it first"),
        [] => bail!(
            "the archive holds no such rows of {id}, but {}",
            names(contents)
        ),
        several => bail!(
            "the archive holds {} of {id}: choose by --kind and --interval",
            names(several)
        ),
    }
}

fn by_name(out: &Path) -> ArchiveFormat {
    match out.extension() {
        Some(end) if end.eq_ignore_ascii_case("parquet") => ArchiveFormat::Parquet,
        _ => ArchiveFormat::Csv,
    }
}

struct Job<'a> {
    archive: &'a Archive,
    head: Head,
    range: TimeRange,
    format: ArchiveFormat,
    out: &'a Path,
}

impl Job<'_> {
    fn stored<R: TextRow>(&self) -> Result<Rows<R>> {
        let (content, id) = (self.head.content, &self.head.instrument_id);
        Ok(self.archive.rows::<R>(content, id, self.range)?)
    }

    /// Writes beside the file that is meant, and gives it its name once it is whole.
    fn write<R: TextRow>(&self, rows: Rows<R>) -> Result<u64> {
        if self.out.as_os_str() == STDOUT {
            return self.write_out(rows);
        }
        let mut name = self.out.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let written = self.write_to(&part, rows);
        if written.is_err() {
            // What is left of it is of no use; the error tells why.
            let _ = fs::remove_file(&part);
        }
        let rows = written.with_context(|| format!("cannot write \"{}\"", self.out.display()))?;
        fs::rename(&part, self.out)
            .with_context(|| format!("cannot write \"{}\"", self.out.display()))?;
        Ok(rows)
    }

    /// Writes CSV on standard output. A reader who has gone, such as `head`, has had enough.
    fn write_out<R: TextRow>(&self, rows: Rows<R>) -> Result<u64> {
        let mut out = BufWriter::with_capacity(256 * 1024, std::io::stdout().lock());
        let mut count = 0;
        let written = write_csv(&mut out, &self.head, rows.inspect(|_| count += 1))
            .and_then(|_| Ok(out.flush()?));
        match written {
            Err(error) if !is_gone(&error) => Err(error.context("cannot write standard output")),
            _ => Ok(count),
        }
    }

    fn write_to<R: TextRow>(&self, part: &Path, rows: Rows<R>) -> Result<u64> {
        let mut file = BufWriter::with_capacity(256 * 1024, File::create(part)?);
        let mut progress = Progress::new(&self.out.display().to_string(), Phase::Write, 0);
        let rows = rows.inspect(|_| progress.step());
        let (file, count) = match self.format {
            ArchiveFormat::Parquet => {
                let mut writer = ParquetWriter::new(&part.display().to_string(), file, &self.head)?;
                for row in rows {
                    writer.push(&row?)?;
                }
                writer.finish()?
            }
            ArchiveFormat::Csv => {
                let count = write_csv(&mut file, &self.head, rows)?;
                (file, count)
            }
        };
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        Ok(count)
    }
}

/// Whether nobody reads any more.
fn is_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn write_csv<R: TextRow>(
    out: &mut impl Write,
    head: &Head,
    rows: impl Iterator<Item = Result<R, StorageError>>,
) -> Result<u64> {
    let (mut line, mut count) = (String::new(), 0);
    writeln!(out, "{}", R::HEADER)?;
    for row in rows {
        write_line(&mut line, head, &row?);
        line.push('\n');
        out.write_all(line.as_bytes())?;
        count += 1;
    }
    Ok(count)
}

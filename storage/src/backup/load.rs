//! Brings the rows of a backup into empty databases.

use super::databases::{DAYS, DatabaseCopy, Holds, IDENTITY, ROLLED, Slice, SliceOf, TableCopy};
use super::manifest::Manifest;
use super::restore::Reading;
use super::tables::PLAIN;
use crate::error::StorageError;
use crate::port::series::Series;
use crate::postgres::{Layout, Load, Loaded, PgServer, check_empty, newest_schema};

/// Where a backup is brought back to, as the settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Targets<'a> {
    /// The database of journals and records; `None` for the data folder.
    pub journals: Option<&'a PgServer>,
    /// The database of time series, which may be the same; `None` for the data folder.
    pub series: Option<&'a PgServer>,
}

/// The setting that names the database of journals.
const JOURNALS_URL: &str = "APEX_DATABASE_URL";

/// The setting that names the database of time series.
const SERIES_URL: &str = "APEX_TIMESCALE_URL";

/// Refuses settings that name another kind of place than a backup is of, before anything is touched.
///
/// Errors: `Setting`, `NewerVersion`.
pub(super) fn check(id: &str, manifest: &Manifest, to: &Targets<'_>) -> Result<(), StorageError> {
    let refused = |variable, detail: String| Err(StorageError::Setting { variable, detail });
    let newest = manifest.schema().unwrap_or_default();
    if newest > newest_schema() {
        let version = |number: i32| u16::try_from(number).unwrap_or(u16::MAX);
        return Err(StorageError::NewerVersion {
            file: format!("backup {id}"),
            found: version(newest),
            supported: version(newest_schema()),
        });
    }
    let of = |holds| manifest.database(holds).map(|database| &database.name);
    match (of(Holds::Journals), to.journals) {
        (Some(name), None) => {
            return refused(
                JOURNALS_URL,
                format!(
                    "is not set, and backup {id} is of the database {name}: set it to an empty \
                     database; a data folder cannot take it"
                ),
            );
        }
        (None, Some(_)) => {
            return refused(
                JOURNALS_URL,
                format!(
                    "is set, and backup {id} has its journals in files: unset it to restore into \
                     a data folder; a database cannot take it"
                ),
            );
        }
        _ => {}
    }
    let in_files = manifest
        .files
        .iter()
        .any(|it| it.path.starts_with("series/"));
    match (of(Holds::Series), to.series) {
        (Some(name), None) => refused(
            SERIES_URL,
            format!(
                "is not set, and backup {id} has time series of the database {name}: set it to an \
                 empty database"
            ),
        ),
        (None, Some(server)) if in_files => refused(
            server.variable(),
            format!("is set, and backup {id} has its time series in files: unset it"),
        ),
        _ => Ok(()),
    }
}

/// Refuses databases that are not empty, before anything is touched: also one that the backup has
/// nothing for, since the platform goes on in it.
///
/// Errors: `NotEmptyDatabase`, `UnfinishedDatabase`, `Unavailable`.
pub(super) fn check_targets(to: &Targets<'_>) -> Result<(), StorageError> {
    let both = [to.journals, to.series];
    both.into_iter().flatten().try_for_each(check_empty)
}

/// Databases that have everything, and are marked as unfinished still.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// The one of series, where it is another one.
    series: Option<Loaded>,
    journals: Option<Loaded>,
}

impl Filled {
    pub(super) fn journals(&self) -> Option<&PgServer> {
        self.journals.as_ref().map(Loaded::server)
    }

    /// Takes the marks away, that of the journals last: with them the platform starts.
    ///
    /// Errors: `Unavailable`.
    pub(super) fn unmark(self) -> Result<(), StorageError> {
        let both = [self.series, self.journals];
        both.into_iter().flatten().try_for_each(Loaded::unmark)
    }
}

/// Brings all rows back, with their indexes and roll-ups; the marks stay.
///
/// Errors: `NotEmptyDatabase`, `UnfinishedDatabase`, with nothing changed where that is so;
/// `DamagedBackup`; of the databases and the store. After an error no start uses what was begun.
pub(super) fn load(
    reading: &Reading<'_>,
    manifest: &Manifest,
    to: &Targets<'_>,
) -> Result<Filled, StorageError> {
    let journals = manifest.database(Holds::Journals).zip(to.journals);
    let series = manifest.database(Holds::Series).zip(to.series);
    let is_one = match (journals, series) {
        (Some((_, one)), Some((_, other))) => one.is_same(other)?,
        _ => false,
    };
    let of_journals = journals.map(|(_, server)| Load::begin(server, is_one));
    let of_journals = of_journals.transpose()?;
    let of_series = match series {
        Some((_, server)) if !is_one => Some(Load::begin(server, true)?),
        _ => None,
    };
    let mut is_rolled = true;
    if let (Some((copy, _)), Some(load)) = (series, of_series.as_ref().or(of_journals.as_ref())) {
        is_rolled = Loading { reading, load }.series(copy)?;
    }
    if let (Some((copy, _)), Some(load)) = (journals, &of_journals) {
        Loading { reading, load }.tables(copy)?;
    }
    let settle = |load: Load| -> Result<Loaded, StorageError> {
        let (loaded, store) = load.finish()?;
        if let (Some(store), Some((copy, _))) = (store, series) {
            store.close_days(&reading.closed_days(copy)?)?;
            if !is_rolled {
                store.roll_up()?;
            }
        }
        Ok(loaded)
    };
    Ok(Filled {
        series: of_series.map(settle).transpose()?,
        journals: of_journals.map(settle).transpose()?,
    })
}

/// A database that is filled.
struct Loading<'l> {
    reading: &'l Reading<'l>,
    load: &'l Load,
}

impl Loading<'_> {
    fn tables(&self, copy: &DatabaseCopy) -> Result<(), StorageError> {
        copy.tables.iter().try_for_each(|table| self.table(table))
    }

    /// Roll-ups are copied where both sides keep them as rows; otherwise all minutes are marked, and
    /// false is returned: they are to be made of the trades.
    fn series(&self, copy: &DatabaseCopy) -> Result<bool, StorageError> {
        let is_plain = self.load.layout() == Some(Layout::Plain);
        let keeps_rolled = is_plain && copy.layout.as_deref() == Some(PLAIN);
        for table in &copy.tables {
            match table.name.as_str() {
                DAYS if is_plain => {
                    for (name, days) in self.reading.days(table)? {
                        self.load.make_days(&name, &days)?;
                    }
                }
                DAYS => {}
                ROLLED if !keeps_rolled => {}
                _ => {
                    let days: Vec<i64> = table.slices.iter().filter_map(day_of).collect();
                    self.load.make_days(&table.name, &days)?;
                    self.table(table)?;
                }
            }
        }
        if !keeps_rolled {
            self.load.mark_minutes()?;
        }
        Ok(keeps_rolled)
    }

    fn table(&self, table: &TableCopy) -> Result<(), StorageError> {
        if table.name == IDENTITY {
            self.load.empty(IDENTITY)?;
        }
        let mut rows = self.load.copy(&table.name, &table.columns)?;
        let parts = table.slices.iter().flat_map(|slice| &slice.parts);
        for part in parts {
            let bytes = self.reading.part(&part.hash, part.bytes, &table.name)?;
            rows = rows.send(bytes)?;
        }
        let taken = rows.finish()?;
        let expected: u64 = table.slices.iter().map(|slice| slice.rows).sum();
        if taken == expected {
            return Ok(());
        }
        Err(self.reading.short(&table.name))
    }
}

fn day_of(slice: &Slice) -> Option<i64> {
    match slice.of {
        SliceOf::Day { day, .. } => Some(day),
        _ => None,
    }
}

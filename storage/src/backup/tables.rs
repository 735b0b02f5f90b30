//! Copies the tables of a database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::blobs::Blobs;
use super::databases::{
    By, DAYS, DatabaseCopy, Holds, ROLLED, Slice, SliceOf, TABLES, Table, TableCopy,
};
use super::frames::{FRAMES, Journal, earlier};
use super::manifest::JournalEnd;
use super::rows::Cutter;
use crate::error::StorageError;
use crate::port::journal::{Head, RecordRef};
use crate::port::journals::AUDIT_JOURNAL;
use crate::port::objects::{ContentHash, Objects};
use crate::port::series::DAY_NS;
use crate::postgres::{DayOfStream, Dump, day_sql, newest_schema};

/// The layout with partitions and roll-ups of our own.
pub(super) const PLAIN: &str = "plain";

/// Tables on their way into a backup.
pub(super) struct Tables<'d, 'b, 'a> {
    dump: &'d Dump<'d>,
    blobs: &'b mut Blobs<'a>,
    /// The same of an earlier backup, whose parts are used again.
    earlier: Option<&'d DatabaseCopy>,
}

/// What a copy of journals goes by.
pub(super) struct JournalSource<'s> {
    /// Where old records were moved to, if anywhere.
    pub(super) moved: Option<&'s Arc<dyn Objects>>,
    /// The ends of reserves, by account: whether the journal has it is asked.
    pub(super) watched: &'s BTreeMap<String, Head>,
    /// The data folder whose own reserves are copied with it; `None` of one that never had any.
    pub(super) folder_id: Option<&'s str>,
    /// The accounts whose reserves are in it.
    pub(super) reserves: &'s BTreeSet<String>,
}

/// The journals of a database, and what goes with them.
pub(super) struct Journals {
    pub(super) database: DatabaseCopy,
    /// Where those of accounts end, in order.
    pub(super) ends: Vec<JournalEnd>,
    /// Accounts whose journal has the end that was watched for.
    pub(super) passed: BTreeSet<String>,
}

impl<'d, 'b, 'a> Tables<'d, 'b, 'a> {
    pub(super) fn new(
        dump: &'d Dump<'d>,
        blobs: &'b mut Blobs<'a>,
        earlier: Option<&'d DatabaseCopy>,
    ) -> Tables<'d, 'b, 'a> {
        Tables {
            dump,
            blobs,
            earlier,
        }
    }

    /// Copies journals, their snapshots and records, and shows the records of accounts.
    ///
    /// Errors: as [`super::copy`].
    pub(super) fn journals(
        &mut self,
        from: &JournalSource<'_>,
        each: &mut dyn FnMut(&str, RecordRef<'_>),
    ) -> Result<Journals, StorageError> {
        let mut journals = Journals {
            database: self.database(Holds::Journals, None),
            ends: Vec::new(),
            passed: BTreeSet::new(),
        };
        for table in TABLES.iter().filter(|it| it.holds == Holds::Journals) {
            let slices = match table.by {
                By::Frames => self.frames(from, each, &mut journals)?,
                By::OtherFolders => vec![self.reserves_elsewhere(table, from)?],
                _ => self.slices(table)?,
            };
            journals.database.tables.push(copied(table, slices));
        }
        Ok(journals)
    }

    fn frames(
        &mut self,
        from: &JournalSource<'_>,
        each: &mut dyn FnMut(&str, RecordRef<'_>),
        journals: &mut Journals,
    ) -> Result<Vec<Slice>, StorageError> {
        let known = earlier(self.earlier.and_then(|earlier| earlier.table(FRAMES)));
        let mut slices = Vec::new();
        for (account_id, until) in self.dump.heads()? {
            self.blobs.begin(&format!("journal of {account_id}"));
            let is_account = account_id != AUDIT_JOURNAL;
            let mut show = |record: RecordRef<'_>| {
                if is_account {
                    each(&account_id, record);
                }
            };
            let journal = Journal {
                account_id: &account_id,
                until,
                blobs: self.blobs,
                earlier: &known,
                watched: from.watched.get(&account_id).copied(),
                each: &mut show,
            };
            let copied = journal.copy(self.dump, from.moved)?;
            slices.extend(copied.groups);
            if copied.passed {
                journals.passed.insert(account_id.clone());
            }
            if is_account {
                journals.ends.push(JournalEnd {
                    account_id,
                    sequence: until.sequence,
                    chain: until.chain.to_string(),
                });
            }
        }
        Ok(slices)
    }

    /// Copies time series; `None` where there never were any.
    ///
    /// Errors: as [`super::copy`].
    pub(super) fn series(&mut self) -> Result<Option<DatabaseCopy>, StorageError> {
        let Some(layout) = self.dump.layout()? else {
            return Ok(None);
        };
        let is_plain = layout == PLAIN;
        let mut database = self.database(Holds::Series, Some(layout));
        for table in TABLES.iter().filter(|it| it.holds == Holds::Series) {
            // TimescaleDB keeps chunks by itself, and its roll-ups are made of the trades.
            if is_plain || ![DAYS, ROLLED].contains(&table.name) {
                let slices = self.slices(table)?;
                database.tables.push(copied(table, slices));
            }
        }
        Ok(Some(database))
    }

    fn database(&self, holds: Holds, layout: Option<String>) -> DatabaseCopy {
        DatabaseCopy {
            holds,
            schema: newest_schema(),
            layout,
            lineage: self.dump.lineage().map(str::to_owned),
            name: self.dump.name().to_owned(),
            tables: Vec::new(),
        }
    }

    fn slices(&mut self, table: &Table) -> Result<Vec<Slice>, StorageError> {
        self.blobs.begin(table.name);
        match table.by {
            By::Whole(order) => {
                let select = format!(
                    "SELECT {} FROM {} ORDER BY {order}",
                    table.columns, table.name
                );
                let slice = self.slice(&select, SliceOf::Whole)?;
                Ok(vec![slice])
            }
            By::Day(time) => self.days(table, time),
            By::ChangingDay(time) => self.changing_days(table, time),
            // They are copied with more, see `journals`.
            By::Frames | By::OtherFolders => Ok(Vec::new()),
        }
    }

    /// Copies where else a reserve may be, in other data folders or moved out of this one: what was
    /// acknowledged there is in no backup of this one, and a start on what is restored has to ask for it
    /// too.
    fn reserves_elsewhere(
        &mut self,
        table: &Table,
        from: &JournalSource<'_>,
    ) -> Result<Slice, StorageError> {
        self.blobs.begin(table.name);
        let here = from.reserves.iter();
        let here: Vec<String> = here
            .map(|id| format!(",'{}'", id.replace('\'', "''")))
            .collect();
        // Ids of folders are hexadecimal digits. A row without a folder says that none is there; a restore
        // makes its own.
        let select = format!(
            "SELECT {} FROM {} WHERE folder_id <> '' AND NOT (folder_id = '{}' AND account_id IN (''{})) \
             ORDER BY account_id, folder_id",
            table.columns,
            table.name,
            from.folder_id.unwrap_or_default(),
            here.concat()
        );
        self.slice(&select, SliceOf::Whole)
    }

    fn slice(&mut self, select: &str, of: SliceOf) -> Result<Slice, StorageError> {
        let mut cutter = Cutter::default();
        self.dump
            .rows(select, &mut |row| cutter.add(self.blobs, row.0))?;
        cutter.finish(self.blobs, of)
    }

    /// Copies rows of series by the day. Such a row is never changed, and each that comes has a higher
    /// sequence than all of its stream had before; days go as a whole. So within one history of a
    /// database, a day in the same files of the server that has as many rows of each stream as it had, up
    /// to the same sequence, has the same ones.
    fn days(&mut self, table: &Table, time: &str) -> Result<Vec<Slice>, StorageError> {
        let files = self.dump.day_files(table.name)?;
        let mut streams = Vec::new();
        if files.is_empty() {
            streams = self.dump.days(table.name, time)?;
        }
        // One by one: a large table takes long to count.
        for (partition, _) in files.values() {
            streams.extend(self.dump.days(partition, time)?);
        }
        let states = day_states(&streams, &files);
        let mut slices = Vec::new();
        for (day, (rows, state)) in states {
            let state = self.dump.lineage().map(|_| state);
            let of = SliceOf::Day { day, state };
            if let Some(known) = self.known_day(table, &of, rows)? {
                slices.push(known);
                continue;
            }
            self.blobs.begin(&format!("{} of day {day}", table.name));
            let (from, to) = (day * DAY_NS, (day + 1) * DAY_NS);
            let select = format!(
                "SELECT {} FROM {} WHERE {time} >= '{from}'::int8 AND {time} < '{to}'::int8",
                table.columns, table.name
            );
            slices.push(self.slice(&select, of)?);
        }
        Ok(slices)
    }

    /// Returns a day of the earlier backup that is still the same.
    fn known_day(
        &mut self,
        table: &Table,
        of: &SliceOf,
        rows: u64,
    ) -> Result<Option<Slice>, StorageError> {
        let same = |earlier: &&DatabaseCopy| {
            let lineage = self.dump.lineage();
            lineage.is_some() && earlier.lineage.as_deref() == lineage
        };
        let Some(earlier) = self.earlier.filter(same) else {
            return Ok(None);
        };
        let before = earlier.table(table.name);
        let before = before.filter(|before| before.columns == table.columns);
        let known = before.into_iter().flat_map(|before| &before.slices);
        let Some(known) = known.into_iter().find(|it| it.of == *of && it.rows == rows) else {
            return Ok(None);
        };
        let stored = known.parts.iter().map(|part| (part.hash, part.bytes));
        Ok(self.blobs.use_again(stored)?.then(|| known.clone()))
    }

    /// Copies rows by the day in one go, in an order that leaves old days as they were.
    fn changing_days(&mut self, table: &Table, time: &str) -> Result<Vec<Slice>, StorageError> {
        let (columns, name, day) = (table.columns, table.name, day_sql(time));
        let select =
            format!("SELECT {columns} FROM {name} ORDER BY {day}, stream_no, interval_ns, {time}");
        let place = columns.split(',').position(|column| column == time);
        let place = place.unwrap_or_default();
        let (mut slices, mut open) = (Vec::new(), None::<(i64, Cutter)>);
        self.dump.rows(&select, &mut |row| {
            let day = row.int8(place)?.div_euclid(DAY_NS);
            if let Some((ended, cutter)) = open.take_if(|(open, _)| *open != day) {
                slices.push(cutter.finish(self.blobs, changing_day(ended))?);
            }
            let (_, cutter) = open.get_or_insert_with(|| (day, Cutter::default()));
            cutter.add(self.blobs, row.0)
        })?;
        if let Some((ended, cutter)) = open {
            slices.push(cutter.finish(self.blobs, changing_day(ended))?);
        }
        Ok(slices)
    }
}

fn copied(table: &Table, slices: Vec<Slice>) -> TableCopy {
    TableCopy {
        name: table.name.to_owned(),
        columns: table.columns.to_owned(),
        slices,
    }
}

fn changing_day(day: i64) -> SliceOf {
    SliceOf::Day { day, state: None }
}

/// Returns how many rows each day has, and a hash over the files that it is in and what it has of each
/// stream.
fn day_states(
    streams: &[DayOfStream],
    files: &BTreeMap<i64, (String, String)>,
) -> BTreeMap<i64, (u64, ContentHash)> {
    let mut states: BTreeMap<i64, (u64, Sha256)> = BTreeMap::new();
    for of in streams {
        let (rows, hash) = states.entry(of.day).or_insert_with(|| {
            let file = files.get(&of.day).map_or("", |(_, file)| file.as_str());
            (0, Sha256::new_with_prefix(file))
        });
        *rows += of.rows;
        for number in [of.stream_no, of.rows.cast_signed(), of.last_sequence] {
            hash.update(number.to_le_bytes());
        }
    }
    let finished = states
        .into_iter()
        .map(|(day, (rows, hash))| (day, (rows, ContentHash(hash.finalize().into()))));
    finished.collect()
}

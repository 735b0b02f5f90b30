//! What a backup has of a database: rows of tables in PostgreSQL's binary COPY format, without its
//! header and end.
//!
//! ```text
//! database <journals|series> <schema> <plain|timescale|-> <lineage|-> <name>
//! table <name> <columns>
//! whole <rows>                                       a slice of the table, and what it is
//! frames <rows> <account> <first> <last> <chain>
//! day <rows> <day> <state|->
//! rows <bytes> <hash>                                a part of the slice, in order
//! ```

use std::fmt::Write as _;

use crate::port::objects::ContentHash;

/// What of the platform a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Journals, their snapshots, and records.
    Journals,
    /// Time series.
    Series,
}

impl Holds {
    /// Returns `journals` or `series`.
    pub fn word(self) -> &'static str {
        match self {
            Holds::Journals => "journals",
            Holds::Series => "series",
        }
    }
}

/// How a table is cut into slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// In one, in this order.
    Whole(&'static str),
    Frames,
    /// By the day of this column: rows of series, which are only added; an index gives them out by it.
    Day(&'static str),
    /// By the day of this column, of rows that are also changed.
    ChangingDay(&'static str),
    /// In one, but for the rows of the data folder that is backed up.
    OtherFolders,
}

/// A table that is copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) holds: Holds,
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    pub(super) by: By,
}

const fn table(holds: Holds, name: &'static str, columns: &'static str, by: By) -> Table {
    Table {
        holds,
        name,
        columns,
        by,
    }
}

/// In the order in which they are brought back. `journal_base` is left out: what was moved to a
/// bucket is copied as rows. So are those that the steps of the schema make and fill, but for the
/// database's identity.
pub(super) const TABLES: [Table; 15] = [
    // Reserves in the data folder name it.
    table(
        Holds::Journals,
        IDENTITY,
        "only_row,database_id,claims",
        By::Whole("only_row"),
    ),
    table(
        Holds::Journals,
        "record",
        "table_name,key,value",
        By::Whole("table_name, key"),
    ),
    table(
        Holds::Journals,
        "journal_snapshot",
        "account_id,sequence,check_sum,state",
        By::Whole("account_id, sequence"),
    ),
    table(
        Holds::Journals,
        "journal_frame",
        "account_id,last_sequence,first_sequence,epoch,written_at,frame",
        By::Frames,
    ),
    table(
        Holds::Journals,
        "journal_account",
        "account_id,epoch,sequence,chain,owner,opened_at",
        By::Whole("account_id"),
    ),
    // Those of the own folder come back with it.
    table(
        Holds::Journals,
        RESERVES,
        "account_id,folder_id,folder,epoch,opened_at",
        By::OtherFolders,
    ),
    table(
        Holds::Series,
        "series_instrument",
        "instrument_no,instrument_id,price_decimals,quantity_decimals",
        By::Whole("instrument_no"),
    ),
    table(
        Holds::Series,
        "series_stream",
        "stream_no,instrument_no,name,last_sequence",
        By::Whole("stream_no"),
    ),
    table(
        Holds::Series,
        "series_gap",
        "stream_no,first_sequence,last_sequence",
        By::Whole("stream_no, first_sequence"),
    ),
    table(
        Holds::Series,
        "series_dirty",
        "stream_no,minute_ns",
        By::Whole("stream_no, minute_ns"),
    ),
    // Before the rows of the days.
    table(
        Holds::Series,
        DAYS,
        "table_name,day,is_closed",
        By::Whole("table_name, day"),
    ),
    table(
        Holds::Series,
        "series_trade",
        "sequence,price,quantity,trade_id,ts_event_ns,ts_init_ns,stream_no,aggressor",
        By::Day("ts_event_ns"),
    ),
    table(
        Holds::Series,
        "series_quote",
        "sequence,bid_price,bid_quantity,ask_price,ask_quantity,ts_event_ns,ts_init_ns,stream_no",
        By::Day("ts_event_ns"),
    ),
    table(
        Holds::Series,
        "series_bar",
        "sequence,open,high,low,close,trade_count,ts_open_ns,ts_init_ns,stream_no,volume",
        By::Day("ts_open_ns"),
    ),
    table(
        Holds::Series,
        ROLLED,
        "open,high,low,close,trade_count,ts_open_ns,ts_init_ns,interval_ns,stream_no,volume",
        By::ChangingDay("ts_open_ns"),
    ),
];

/// Which database it is: one row, which the steps of the schema make anew.
pub(super) const IDENTITY: &str = "journal_database";

/// Data folders that may hold a reserve of an account.
pub(super) const RESERVES: &str = "journal_reserve";

/// The partitions of plain PostgreSQL; the store makes them by itself.
pub(super) const DAYS: &str = "series_day";

/// Roll-ups; on TimescaleDB they are views.
pub(super) const ROLLED: &str = "series_rolled";

/// Rows of a table, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) rows: u64,
    pub(super) of: SliceOf,
    pub(super) parts: Vec<RowsPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SliceOf {
    Whole,
    /// Frames of a journal, one behind the other, and the chain with the last.
    Frames {
        account_id: String,
        first: u64,
        last: u64,
        chain: String,
    },
    Day {
        /// Since 1970.
        day: i64,
        /// Hash over what of each stream it has, where that tells whether it has changed.
        state: Option<ContentHash>,
    },
}

/// Bytes of rows that are stored together. A large row may go over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowsPart {
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableCopy {
    pub(super) name: String,
    pub(super) columns: String,
    pub(super) slices: Vec<Slice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseCopy {
    pub(super) holds: Holds,
    /// Version of its schema.
    pub(super) schema: i32,
    /// How its series are kept: `plain` or `timescale`.
    pub(super) layout: Option<String>,
    /// Which history of changes it is of; see [`crate::postgres::Dump::lineage`].
    pub(super) lineage: Option<String>,
    /// `host:port/database`, for people.
    pub(super) name: String,
    pub(super) tables: Vec<TableCopy>,
}

impl DatabaseCopy {
    pub(super) fn bytes(&self) -> u64 {
        self.parts().map(|part| part.bytes).sum()
    }

    pub(super) fn rows(&self) -> u64 {
        let slices = self.tables.iter().flat_map(|table| &table.slices);
        slices.map(|slice| slice.rows).sum()
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = ContentHash> {
        self.parts().map(|part| part.hash)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &RowsPart> {
        let slices = self.tables.iter().flat_map(|table| &table.slices);
        slices.flat_map(|slice| &slice.parts)
    }

    pub(super) fn table(&self, name: &str) -> Option<&TableCopy> {
        self.tables.iter().find(|table| table.name == name)
    }

    pub(super) fn write(&self, text: &mut String) {
        let layout = self.layout.as_deref().unwrap_or("-");
        let lineage = self.lineage.as_deref().unwrap_or("-");
        let (holds, schema) = (self.holds.word(), self.schema);
        // Writing to a String cannot fail.
        let name = self.name.replace(char::is_control, "?");
        let _ = writeln!(text, "database {holds} {schema} {layout} {lineage} {name}");
        for table in &self.tables {
            let _ = writeln!(text, "table {} {}", table.name, table.columns);
            for slice in &table.slices {
                let rows = slice.rows;
                let _ = match &slice.of {
                    SliceOf::Whole => writeln!(text, "whole {rows}"),
                    SliceOf::Frames {
                        account_id,
                        first,
                        last,
                        chain,
                    } => writeln!(text, "frames {rows} {account_id} {first} {last} {chain}"),
                    SliceOf::Day { day, state } => {
                        let state = state.map_or("-".to_owned(), |state| state.to_string());
                        writeln!(text, "day {rows} {day} {state}")
                    }
                };
                for part in &slice.parts {
                    let _ = writeln!(text, "rows {} {}", part.bytes, part.hash);
                }
            }
        }
    }

    /// Reads the line that begins a database.
    pub(super) fn begin(rest: &str) -> Option<DatabaseCopy> {
        let mut words = rest.splitn(5, ' ');
        let holds = match words.next()? {
            "journals" => Holds::Journals,
            "series" => Holds::Series,
            _ => return None,
        };
        let schema = words.next()?.parse().ok()?;
        let mut told = || {
            words
                .next()
                .map(|word| (word != "-").then(|| word.to_owned()))
        };
        let (layout, lineage) = (told()?, told()?);
        Some(DatabaseCopy {
            holds,
            schema,
            layout,
            lineage,
            name: words.next()?.to_owned(),
            tables: Vec::new(),
        })
    }

    /// Reads a line of it.
    pub(super) fn read_line(&mut self, word: &str, rest: &str) -> Option<()> {
        let mut words = rest.split(' ');
        if word == "table" {
            let (name, columns) = (words.next()?, words.next()?);
            let known = TABLES.iter().find(|table| table.name == name)?;
            // They become a part of a statement: only such as are known.
            let mut columns_known = columns.split(',');
            let all = columns_known.all(|it| known.columns.split(',').any(|known| known == it));
            let is_right = all && known.holds == self.holds && words.next().is_none();
            is_right.then(|| {
                self.tables.push(TableCopy {
                    name: name.to_owned(),
                    columns: columns.to_owned(),
                    slices: Vec::new(),
                });
            })?;
            return Some(());
        }
        let slices = &mut self.tables.last_mut()?.slices;
        if word == "rows" {
            let (bytes, hash) = (words.next()?.parse().ok()?, words.next()?);
            let hash = ContentHash::parse(hash)?;
            slices.last_mut()?.parts.push(RowsPart { bytes, hash });
            return Some(());
        }
        let rows = words.next()?.parse().ok()?;
        let of = match word {
            "whole" => SliceOf::Whole,
            "frames" => SliceOf::Frames {
                account_id: words.next()?.to_owned(),
                first: words.next()?.parse().ok()?,
                last: words.next()?.parse().ok()?,
                chain: words.next()?.to_owned(),
            },
            "day" => SliceOf::Day {
                day: words.next()?.parse().ok()?,
                state: match words.next()? {
                    "-" => None,
                    state => Some(ContentHash::parse(state)?),
                },
            },
            _ => return None,
        };
        slices.push(Slice {
            rows,
            of,
            parts: Vec::new(),
        });
        Some(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A database with a slice of each kind.
    pub(in crate::backup) fn one(hash: ContentHash) -> DatabaseCopy {
        let slice = |of| Slice {
            rows: 3,
            of,
            parts: vec![RowsPart { bytes: 10, hash }],
        };
        let frames = SliceOf::Frames {
            account_id: "paper".to_owned(),
            first: 1,
            last: 9,
            chain: "ab".to_owned(),
        };
        let day = |state| SliceOf::Day { day: -1, state };
        DatabaseCopy {
            holds: Holds::Journals,
            schema: 4,
            layout: None,
            lineage: Some("7/1/16384/public".to_owned()),
            name: "host:5432/a name".to_owned(),
            tables: vec![TableCopy {
                name: "record".to_owned(),
                columns: "table_name,key".to_owned(),
                slices: vec![
                    slice(SliceOf::Whole),
                    slice(frames),
                    slice(day(None)),
                    slice(day(Some(hash))),
                ],
            }],
        }
    }
}

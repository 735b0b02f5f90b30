//! What one backup consists of, as lines of text.

use std::fmt::Write as _;

use super::damaged;
use super::databases::{DatabaseCopy, RESERVES};
use crate::StorageError;
use crate::port::objects::ContentHash;

/// What a list begins with; its version follows.
const FIRST_WORDS: &str = "apextrade backup ";

/// Of what is written. Version 1 is of files alone.
const VERSION: u16 = 2;

/// A part of a file that is not all zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins in the file, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
}

/// A file: its parts in order, and zeros between and behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileCopy {
    /// Below the data folder, with `/` between names.
    pub(super) path: String,
    pub(super) length: u64,
    pub(super) parts: Vec<Part>,
}

/// Where an account's journal ended in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEnd {
    pub account_id: String,
    /// Its last record; 0 for an empty journal.
    pub sequence: u64,
    /// The chain hash there, in hexadecimal digits.
    pub chain: String,
}

/// What a backup has of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents<'m> {
    pub holds: super::Holds,
    /// `host:port/database` that it was taken of.
    pub name: &'m str,
    /// Of all its tables.
    pub rows: u64,
}

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// When it began, in nanoseconds since 1970: what was answered before is in it.
    pub begun_ns: u64,
    /// Over all accounts at the ends of their journals; empty when nobody folded them.
    pub state_hash: String,
    /// Version of the build that took it; empty where that did not say so.
    pub build: String,
    /// In order of account.
    pub journals: Vec<JournalEnd>,
    pub(super) files: Vec<FileCopy>,
    pub(super) databases: Vec<DatabaseCopy>,
}

impl Manifest {
    /// Returns the bytes of its files as they were, zeros included, and of the rows of its databases.
    pub fn bytes(&self) -> u64 {
        let files: u64 = self.files.iter().map(|file| file.length).sum();
        let databases = self.databases.iter().map(DatabaseCopy::bytes);
        files + databases.sum::<u64>()
    }

    /// Returns whether it has a file, named by its path below the data folder.
    pub fn has_file(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Returns whether the journals were in a database.
    pub fn has_journals_in_database(&self) -> bool {
        self.database(super::Holds::Journals).is_some()
    }

    /// Returns the version of the schema of its databases; `None` of files alone.
    pub fn schema(&self) -> Option<i32> {
        self.databases.iter().map(|it| it.schema).max()
    }

    /// Returns what it has of databases.
    pub fn contents(&self) -> impl Iterator<Item = Contents<'_>> {
        self.databases.iter().map(|of| Contents {
            holds: of.holds,
            name: &of.name,
            rows: of.rows(),
        })
    }

    /// Returns how many reserves of accounts other data folders may hold, which are not in it: a start on
    /// what is restored asks for them.
    pub fn reserves_elsewhere(&self) -> u64 {
        let journals = self.database(super::Holds::Journals);
        let table = journals.and_then(|journals| journals.table(RESERVES));
        let slices = table.map(|table| &table.slices).into_iter().flatten();
        slices.map(|slice| slice.rows).sum()
    }

    pub(super) fn database(&self, holds: super::Holds) -> Option<&DatabaseCopy> {
        self.databases.iter().find(|it| it.holds == holds)
    }

    /// Returns the hashes and lengths in bytes of the parts that it names, some more than once.
    pub(super) fn parts(&self) -> impl Iterator<Item = ([u8; 32], u64)> {
        let parts = self.files.iter().flat_map(|file| &file.parts);
        let rows = self.databases.iter().flat_map(DatabaseCopy::parts);
        let rows = rows.map(|part| (part.hash.0, part.bytes));
        parts.map(|part| (part.hash.0, part.bytes)).chain(rows)
    }

    /// Returns the hashes of the parts that it names.
    pub(super) fn hashes(&self) -> impl Iterator<Item = ContentHash> {
        let parts = self.files.iter().flat_map(|file| &file.parts);
        let rows = self.databases.iter().flat_map(DatabaseCopy::hashes);
        parts.map(|part| part.hash).chain(rows)
    }

    pub(super) fn write(&self) -> String {
        let mut text = format!("{FIRST_WORDS}{VERSION}\nbegun_ns {}\n", self.begun_ns);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "build {}", self.build);
        if !self.state_hash.is_empty() {
            let _ = writeln!(text, "state_hash {}", self.state_hash);
        }
        for end in &self.journals {
            let (id, sequence, chain) = (&end.account_id, end.sequence, &end.chain);
            let _ = writeln!(text, "journal {id} {sequence} {chain}");
        }
        for file in &self.files {
            let _ = writeln!(text, "file {} {}", file.length, file.path);
            for part in &file.parts {
                let _ = writeln!(text, "part {} {} {}", part.offset, part.bytes, part.hash);
            }
        }
        for database in &self.databases {
            database.write(&mut text);
        }
        text.push_str("end\n");
        text
    }

    /// Reads what [`Manifest::write`] wrote, of this version or an earlier one.
    ///
    /// Errors: `DamagedBackup`; `NewerVersion` of a later build's.
    pub(super) fn read(id: &str, bytes: &[u8]) -> Result<Manifest, StorageError> {
        let part = format!("{}{id}", super::MANIFESTS);
        let bad = || damaged(id, &part, "is no list of a backup");
        let text = std::str::from_utf8(bytes).map_err(|_| bad())?;
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix(FIRST_WORDS));
        let version: u16 = version
            .and_then(|version| version.parse().ok())
            .ok_or_else(bad)?;
        if version > VERSION {
            return Err(StorageError::NewerVersion {
                file: part,
                found: version,
                supported: VERSION,
            });
        }
        if version == 0 || !text.ends_with("\nend\n") {
            return Err(bad());
        }
        let mut manifest = Manifest::default();
        for line in lines {
            if line != "end" {
                manifest.read_line(line).ok_or_else(bad)?;
            }
        }
        Ok(manifest)
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        if let Some(database) = self.databases.last_mut()
            && word != "database"
        {
            return database.read_line(word, rest);
        }
        match word {
            "begun_ns" => self.begun_ns = rest.parse().ok()?,
            "build" => self.build = rest.to_owned(),
            "state_hash" => self.state_hash = rest.to_owned(),
            "journal" => {
                let mut words = rest.split(' ');
                self.journals.push(JournalEnd {
                    account_id: words.next()?.to_owned(),
                    sequence: words.next()?.parse().ok()?,
                    chain: words.next()?.to_owned(),
                });
            }
            "file" => {
                let (length, path) = rest.split_once(' ')?;
                self.files.push(FileCopy {
                    path: is_inside(path).then(|| path.to_owned())?,
                    length: length.parse().ok()?,
                    parts: Vec::new(),
                });
            }
            "part" => {
                let mut words = rest.split(' ');
                let part = Part {
                    offset: words.next()?.parse().ok()?,
                    bytes: words.next()?.parse().ok()?,
                    hash: ContentHash::parse(words.next()?)?,
                };
                let file = self.files.last_mut()?;
                let begins = file.parts.last().map_or(0, |last| last.offset + last.bytes);
                let ends = part.offset.checked_add(part.bytes)?;
                (part.offset >= begins && ends <= file.length).then(|| file.parts.push(part))?;
            }
            "database" => self.databases.push(DatabaseCopy::begin(rest)?),
            _ => return None,
        }
        Some(())
    }
}

/// Returns whether a path stays in the folder that it is below.
pub(super) fn is_inside(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\n', '\0']);
    path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::databases;

    #[test]
    fn a_list_is_read_back_and_a_cut_or_escaping_one_is_refused() {
        let hash = ContentHash([7; 32]);
        let part = |offset| Part {
            offset,
            bytes: 10,
            hash,
        };
        let manifest = Manifest {
            begun_ns: 5,
            state_hash: "00ff".to_owned(),
            build: "0.1.0".to_owned(),
            journals: vec![JournalEnd {
                account_id: "paper".to_owned(),
                sequence: 3,
                chain: "ab".to_owned(),
            }],
            files: vec![FileCopy {
                path: "journal/paper/a b.seg".to_owned(),
                length: 30,
                parts: vec![part(0), part(20)],
            }],
            databases: vec![databases::tests::one(hash)],
        };
        let text = manifest.write();
        assert_eq!(Manifest::read("x", text.as_bytes()).unwrap(), manifest);
        for bad in [
            text.trim_end_matches("end\n").to_owned(),
            text.replace("a b.seg", "../../../x"),
            text.replace("journal/paper/", "/"),
            text.replace("part 20", "part 9"),
            text.replace("part 20", "part 21"),
            text.replace("table record ", "table refinery_schema_history "),
            text.replace("table_name,key", "table_name,key); DROP TABLE record; --"),
            text.replace("rows 10", "rows ten"),
            text.replace("database journals", "database users"),
        ] {
            assert_ne!(bad, text);
            let refused = Manifest::read("x", bad.as_bytes()).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "backup x is damaged: backup/manifests/x is no list of a backup"
            );
        }
        let newer = text.replace("apextrade backup 2", "apextrade backup 3");
        let refused = Manifest::read("x", newer.as_bytes()).unwrap_err();
        assert!(
            matches!(refused, StorageError::NewerVersion { found: 3, .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_list_of_version_1_is_still_read() {
        let text = "apextrade backup 1\nbegun_ns 5\nstate_hash 00ff\njournal paper 3 ab\n\
                    file 30 journal/paper/1.seg\nend\n";
        let manifest = Manifest::read("x", text.as_bytes()).unwrap();
        assert_eq!(manifest.journals[0].sequence, 3);
        assert_eq!((manifest.bytes(), manifest.schema()), (30, None));
        assert_eq!(manifest.build, "");
    }
}

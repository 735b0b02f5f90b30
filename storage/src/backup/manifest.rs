//! What one backup consists of, as lines of text.

use std::fmt::Write as _;

use super::malformed;
use crate::StorageError;
use crate::port::objects::ContentHash;

const FIRST_LINE: &str = "apextrade backup 1";

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

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// When it began, in nanoseconds since 1970: what was answered before is in it.
    pub begun_ns: u64,
    /// Over all accounts at the ends of their journals; empty when nobody folded them.
    pub state_hash: String,
    /// In order of account.
    pub journals: Vec<JournalEnd>,
    pub(super) files: Vec<FileCopy>,
}

impl Manifest {
    /// Returns the bytes of its files as they were, zeros included.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Returns the hashes of the parts that it names.
    pub(super) fn hashes(&self) -> impl Iterator<Item = ContentHash> {
        let parts = self.files.iter().flat_map(|file| &file.parts);
        parts.map(|part| part.hash)
    }

    pub(super) fn write(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nbegun_ns {}\n", self.begun_ns);
        // Writing to a String cannot fail.
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
        text.push_str("end\n");
        text
    }

    /// Reads what [`Manifest::write`] wrote.
    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Manifest, StorageError> {
        let bad = || malformed(name, "list of a backup");
        let text = std::str::from_utf8(bytes).map_err(|_| bad())?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) || !text.ends_with("\nend\n") {
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
        match word {
            "begun_ns" => self.begun_ns = rest.parse().ok()?,
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
        };
        let text = manifest.write();
        assert_eq!(Manifest::read("x", text.as_bytes()).unwrap(), manifest);
        for bad in [
            text.trim_end_matches("end\n").to_owned(),
            text.replace("a b.seg", "../../../x"),
            text.replace("journal/paper/", "/"),
            text.replace("part 20", "part 9"),
            text.replace("part 20", "part 21"),
        ] {
            assert!(Manifest::read("x", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

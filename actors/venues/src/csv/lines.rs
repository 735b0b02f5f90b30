//! The lines of a text of any length, of which one block is in memory.

use super::row::{MAX_LINE_BYTES, RowError};
use flate2::Crc;
use std::io::{self, Read};

/// Opens a text at its beginning; the same text each time.
pub type Opener<'a> = Box<dyn Fn() -> io::Result<Box<dyn Read + 'a>> + 'a>;

/// What tells one text from another: its length and its checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    pub bytes: u64,
    pub crc: u32,
}

/// One line, without its end.
#[derive(Debug)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Errors: `TooLong`.
    pub text: Result<&'a [u8], RowError>,
}

/// Walks over the lines of a text. The last one may lack its end.
pub struct Lines<'a> {
    reader: Box<dyn Read + 'a>,
    /// What was read and not yet given, between `start` and `end`; no line end before `searched`.
    block: Vec<u8>,
    start: usize,
    searched: usize,
    end: usize,
    number: u64,
    bytes: u64,
    crc: Crc,
    is_over: bool,
    is_cut: bool,
}

impl<'a> Lines<'a> {
    pub fn new(reader: Box<dyn Read + 'a>) -> Lines<'a> {
        Lines {
            reader,
            block: vec![0; MAX_LINE_BYTES + 1],
            start: 0,
            searched: 0,
            end: 0,
            number: 0,
            bytes: 0,
            crc: Crc::new(),
            is_over: false,
            is_cut: false,
        }
    }

    /// Returns true once the text has ended in the middle of its compressed form. What follows the
    /// last whole line is not given then, since it may read as a row with half a number; but of a
    /// first line.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns what tells the text from others, once it has ended.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            bytes: self.bytes,
            crc: self.crc.sum(),
        }
    }

    /// Returns the next line.
    ///
    /// Errors: those of the reader, but for the damage of a text that has begun, which ends it.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut is_too_long = false;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.block[self.searched..self.end]) {
                let (from, to) = (self.start, self.searched + at);
                (self.start, self.searched) = (to + 1, to + 1);
                return Ok(Some(self.line(from, to, is_too_long)));
            }
            self.searched = self.end;
            if self.is_over {
                let (from, to) = (self.start, self.end);
                self.start = self.end;
                let is_given = (to > from || is_too_long) && !(self.is_cut && self.number > 0);
                return Ok(is_given.then(|| self.line(from, to, is_too_long)));
            }
            if self.end - self.start > MAX_LINE_BYTES {
                is_too_long = true;
                self.start = self.end;
            }
            self.fill()?;
        }
    }

    fn line(&mut self, from: usize, to: usize, is_too_long: bool) -> Line<'_> {
        self.number += 1;
        let text = &self.block[from..to];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Line {
            number: self.number,
            text: if is_too_long {
                Err(RowError::TooLong)
            } else {
                Ok(text)
            },
        }
    }

    /// Reads behind what is left, which goes to the front of the block.
    fn fill(&mut self) -> io::Result<()> {
        self.block.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        (self.start, self.searched) = (0, self.end);
        loop {
            match self.reader.read(&mut self.block[self.end..]) {
                Ok(count) => {
                    self.crc.update(&self.block[self.end..self.end + count]);
                    self.end += count;
                    self.bytes += count as u64;
                    self.is_over = count == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A gzip file that was cut still holds good rows before the cut.
                Err(error) if is_damage(&error) && self.bytes > 0 => {
                    (self.is_over, self.is_cut) = (true, true);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

pub fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and then ends as it is told.
    struct Slow<'a> {
        text: &'a [u8],
        step: usize,
        end: Option<io::ErrorKind>,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(to.len()).min(self.text.len());
            if count == 0
                && let Some(kind) = self.end
            {
                return Err(kind.into());
            }
            to[..count].copy_from_slice(&self.text[..count]);
            self.text = &self.text[count..];
            Ok(count)
        }
    }

    fn lines(text: &[u8], step: usize, end: Option<io::ErrorKind>) -> (Vec<String>, bool) {
        let mut lines = Lines::new(Box::new(Slow { text, step, end }));
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("it can be read") {
            found.push(match line.text {
                Ok(text) => format!("{} {}", line.number, String::from_utf8_lossy(text)),
                Err(error) => format!("{} {error}", line.number),
            });
        }
        assert!(lines.next().expect("as well").is_none());
        (found, lines.is_cut())
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        for step in [1, 2, 3, 1_000] {
            let (found, is_cut) = lines(b"a,b\r\n\n1,2\nlast", step, None);
            assert_eq!(found, ["1 a,b", "2 ", "3 1,2", "4 last"]);
            assert!(!is_cut);
            assert_eq!(lines(b"a\n", step, None).0, ["1 a"]);
            assert!(lines(b"", step, None).0.is_empty());
        }
    }

    #[test]
    fn a_line_that_would_fill_the_memory_is_told_and_the_next_one_is_read() {
        for more in [0, 1, 2, 5_000_000] {
            let mut text = b"a,b\n".to_vec();
            text.extend(vec![b'x'; MAX_LINE_BYTES + more]);
            text.extend(b"\n1,2\n");
            let (found, _) = lines(&text, 100_000, None);
            assert_eq!(found.len(), 3, "{more}");
            assert_eq!(found[1].ends_with("bytes"), more > 0, "{more}");
            assert_eq!(found[2], "3 1,2");
            let (found, _) = lines(&text[..text.len() - 5], 100_000, None);
            assert_eq!(found.len(), 2, "{more}");
        }
    }

    #[test]
    fn what_follows_the_last_whole_line_of_a_cut_text_is_not_given() {
        let end = Some(io::ErrorKind::UnexpectedEof);
        assert_eq!(
            lines(b"a\n1\n2", 2, end),
            (vec!["1 a".into(), "2 1".into()], true)
        );
        assert_eq!(lines(b"a,b", 2, end), (vec!["1 a,b".into()], true));
        let mut nothing = Lines::new(Box::new(Slow {
            text: b"",
            step: 1,
            end,
        }));
        assert!(nothing.next().is_err());
    }
}

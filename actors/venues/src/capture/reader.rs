//! One line after the other.

use crate::input;
use apex_domain::UnixNanos;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use thiserror::Error;

/// The longest line that is read. A snapshot of 5,000 levels a side takes 0.3 MB; a longer line
/// is no frame, and is passed over without being held.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// How far, in nanoseconds, a line may be from the one before without a second one that agrees: a
/// day. A quiet instrument pauses for hours.
const MAX_JUMP_NS: u64 = 86_400_000_000_000;

/// How much inflated text is read ahead: one call to the inflater for some hundred lines.
const BUFFER_BYTES: usize = 64 * 1024;

/// Why a line is no frame of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    #[error("does not begin with a time in nanoseconds and a space")]
    Time,
    #[error("is a day or more from the line before")]
    TimeJump,
    #[error("is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    #[error("the compressed file is damaged or cut off here")]
    CutOff,
    #[error("cannot be read: {0}")]
    Read(io::ErrorKind),
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine<E> {
    /// Counted from 1, empty lines included.
    pub line: u64,
    pub reason: E,
}

/// What [`CaptureReader::advance`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A line whose frame is at [`CaptureReader::frame`].
    Line {
        line: u64,
        ts: UnixNanos,
    },
    Bad(BadLine<LineError>),
}

/// Reads a recording line by line, holding one line at a time.
pub struct CaptureReader {
    input: BufReader<Box<dyn Read + Send>>,
    buffer: Vec<u8>,
    /// Where the frame begins and ends in the buffer.
    frame: (usize, usize),
    line: u64,
    is_done: bool,
    /// Time of the last line that was taken.
    last_ts: Option<i64>,
    /// Time of the line before, when it was refused for being far from `last_ts`.
    jumped_to: Option<i64>,
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl CaptureReader {
    /// Opens a recording, plain or gzip.
    ///
    /// Errors: those of the operating system.
    pub fn open(path: &Path) -> io::Result<CaptureReader> {
        input::open(path).map(CaptureReader::over)
    }

    /// Reads a recording that is at hand as bytes, plain or gzip.
    ///
    /// Errors: those of reading the first bytes.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> io::Result<CaptureReader> {
        input::from_reader(io::Cursor::new(bytes)).map(CaptureReader::over)
    }

    fn over(input: Box<dyn Read + Send>) -> CaptureReader {
        CaptureReader {
            input: BufReader::with_capacity(BUFFER_BYTES, input),
            buffer: Vec::new(),
            frame: (0, 0),
            line: 0,
            is_done: false,
            last_ts: None,
            jumped_to: None,
        }
    }

    /// Goes to the next line that is not empty. `None` at the end.
    pub fn advance(&mut self) -> Option<Step> {
        while !self.is_done {
            let read = self.read_line();
            self.line += 1;
            match read {
                Ok(0) => self.is_done = true,
                Ok(_) => {
                    let end = self.buffer.trim_ascii_end().len();
                    if end > 0 {
                        return Some(self.split(end));
                    }
                }
                Err(error) => return Some(self.failed(&error)),
            }
        }
        None
    }

    /// Returns the frame of the line that [`CaptureReader::advance`] went to.
    pub fn frame(&self) -> &[u8] {
        &self.buffer[self.frame.0..self.frame.1]
    }

    /// Reads one line into the buffer; returns how many bytes were taken from the input.
    fn read_line(&mut self) -> io::Result<usize> {
        self.buffer.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let mut taken = (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() > MAX_LINE_BYTES {
            // Pass over the rest of the line in pieces, so that it is never held.
            loop {
                let piece = self.input.fill_buf()?;
                if piece.is_empty() {
                    break;
                }
                let end = memchr::memchr(b'\n', piece);
                let length = end.map_or(piece.len(), |at| at + 1);
                self.input.consume(length);
                taken += length;
                if end.is_some() {
                    break;
                }
            }
        }
        Ok(taken)
    }

    fn failed(&mut self, error: &io::Error) -> Step {
        self.is_done = true;
        self.bad(match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData => LineError::CutOff,
            kind => LineError::Read(kind),
        })
    }

    fn bad(&mut self, reason: LineError) -> Step {
        self.frame = (0, 0);
        let line = self.line;
        Step::Bad(BadLine { line, reason })
    }

    fn split(&mut self, end: usize) -> Step {
        if self.buffer.len() > MAX_LINE_BYTES {
            return self.bad(LineError::TooLong);
        }
        let mut ts: i64 = 0;
        let mut at = 0;
        while let Some(digit) = self.buffer[at..end].first().map(|b| b.wrapping_sub(b'0')) {
            if digit > 9 {
                break;
            }
            match ts
                .checked_mul(10)
                .and_then(|ts| ts.checked_add(i64::from(digit)))
            {
                Some(next) => ts = next,
                None => return self.bad(LineError::Time),
            }
            at += 1;
        }
        if at == 0 || self.buffer[..end].get(at) != Some(&b' ') {
            return self.bad(LineError::Time);
        }
        if !self.is_plausible(ts) {
            return self.bad(LineError::TimeJump);
        }
        self.frame = (at + 1, end);
        let (line, ts) = (self.line, UnixNanos(ts));
        Step::Line { line, ts }
    }

    /// Returns false for a time that is far from the line before. One garbled time would send a
    /// replay decades ahead; when the next line is near it, the recorder did pause, and that line
    /// is taken.
    fn is_plausible(&mut self, ts: i64) -> bool {
        let near = |other: Option<i64>| other.is_some_and(|other| ts.abs_diff(other) < MAX_JUMP_NS);
        let is_plausible = self.last_ts.is_none() || near(self.last_ts) || near(self.jumped_to);
        if is_plausible {
            (self.last_ts, self.jumped_to) = (Some(ts), None);
        } else {
            self.jumped_to = Some(ts);
        }
        is_plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    /// Line, time and frame, or the line and what is wrong with it.
    type Read = Result<(u64, i64, String), (u64, LineError)>;

    fn steps(bytes: Vec<u8>) -> Vec<Read> {
        let mut reader = CaptureReader::from_bytes(bytes).unwrap();
        let mut out = Vec::new();
        while let Some(step) = reader.advance() {
            out.push(match step {
                Step::Line { line, ts } => Ok((
                    line,
                    ts.0,
                    String::from_utf8_lossy(reader.frame()).into_owned(),
                )),
                Step::Bad(bad) => Err((bad.line, bad.reason)),
            });
        }
        out
    }

    #[test]
    fn lines_are_split_into_time_and_frame() {
        let text = b"12 {\"a\": 1}\n\n13 x y\r\n14 last".to_vec();
        let expected = [
            Ok((1, 12, "{\"a\": 1}".to_owned())),
            Ok((3, 13, "x y".to_owned())),
            Ok((4, 14, "last".to_owned())),
        ];
        assert_eq!(steps(text), expected);
    }

    #[test]
    fn a_line_without_a_time_is_bad_and_the_next_is_read() {
        for line in [
            "{}",
            "12",
            "12{}",
            " 12 {}",
            "-1 {}",
            "99999999999999999999 {}",
            "\u{7}",
        ] {
            let found = steps(format!("{line}\n5 ok\n").into_bytes());
            let expected = [Err((1, LineError::Time)), Ok((2, 5, "ok".to_owned()))];
            assert_eq!(found, expected, "{line:?}");
        }
    }

    #[test]
    fn a_time_far_from_its_neighbours_is_bad_but_a_pause_goes_on() {
        let day = MAX_JUMP_NS;
        let text = format!("5 a\n{day}9 b\n6 c\n{day}0 d\n{day}1 e\n{day}2 f\n");
        let lines: Vec<_> = steps(text.into_bytes())
            .into_iter()
            .map(|read| read.map(|(line, _, _)| line))
            .collect();
        let jump = |line| Err((line, LineError::TimeJump));
        assert_eq!(lines, [Ok(1), jump(2), Ok(3), jump(4), Ok(5), Ok(6)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut text = b"1 ".to_vec();
        text.resize(MAX_LINE_BYTES + 100_000, b'x');
        text.extend(b"\n2 ok");
        assert_eq!(
            steps(text),
            [Err((1, LineError::TooLong)), Ok((2, 2, "ok".to_owned()))]
        );
    }

    #[test]
    fn a_compressed_file_that_is_cut_ends_with_one_bad_line() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for i in 0..20_000_u64 {
            writeln!(encoder, "{i} {}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
        }
        let whole = encoder.finish().unwrap();
        let found = steps(whole[..whole.len() / 2].to_vec());
        let (last, before) = found.split_last().unwrap();
        assert!(before.len() > 5_000 && before.iter().all(Result::is_ok));
        assert_eq!(*last, Err((before.len() as u64 + 1, LineError::CutOff)));
    }
}

//! Lines of bounded length from a socket.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("line has more than {limit} bytes")]
    TooLong { limit: usize },
    #[error("connection broke")]
    Io(#[from] std::io::Error),
}

#[derive(Debug)]
pub(super) struct LineReader<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(super) fn new(reader: R, limit: usize) -> LineReader<R> {
        LineReader {
            reader: BufReader::new(reader),
            line: Vec::new(),
            limit,
        }
    }

    /// Returns the next line without its end; `None` when the peer closed. A last line without
    /// an end is no line.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.line.clear();
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.unwrap_or(chunk.len());
            if self.line.len() + taken > self.limit {
                return Err(LineError::TooLong { limit: self.limit });
            }
            self.line.extend_from_slice(&chunk[..taken]);
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(&self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_at_their_ends_and_refused_when_too_long() {
        let mut lines = LineReader::new(&b"one\n\ntwo\ntorn"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next().await.unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().await.unwrap(), Some(&b"two"[..]));
        assert_eq!(lines.next().await.unwrap(), None);
        let mut lines = LineReader::new(&b"123456\n"[..], 5);
        assert!(matches!(
            lines.next().await,
            Err(LineError::TooLong { limit: 5 })
        ));
    }
}

//! A connection's budget of frames that carry nothing: resets, pings, settings and the like.
//!
//! HTTP/2 lets a client make work without asking for anything (CVE-2023-44487 and its kin). The
//! library bounds what it keeps for that; this bounds what it does: whoever sends more such frames
//! than any client needs is disconnected, and its address waits a moment before it may come again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Such frames of one connection a second, with a burst of four seconds' worth. A client that reads
/// 100 MB/s in windows of 64 KiB sends 3,200 updates of them; one that cancels every call it makes
/// sends as many resets as it makes calls.
const FRAMES_PER_SECOND: f64 = 5_000.0;
const BURST: f64 = 20_000.0;

/// How long an address that sent a flood waits.
pub(super) const COOL_OFF: Duration = Duration::from_secs(1);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Follows the frames that come over a connection, in pieces of any size.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface that came; what does not begin with it is another protocol.
    preface: usize,
    is_http2: bool,
    head: [u8; HEAD],
    filled: usize,
    /// Bytes of the frame that did not come yet.
    rest: usize,
    budget: f64,
    at: Instant,
}

/// More frames than any client needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl Frames {
    pub(super) fn new(now: Instant) -> Frames {
        Frames {
            preface: 0,
            is_http2: true,
            head: [0; HEAD],
            filled: 0,
            rest: 0,
            budget: BURST,
            at: now,
        }
    }

    pub(super) fn pass(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        while self.is_http2 && self.preface < PREFACE.len() {
            let Some((first, more)) = bytes.split_first() else {
                return Ok(());
            };
            self.is_http2 = *first == PREFACE[self.preface];
            self.preface += 1;
            bytes = more;
        }
        if !self.is_http2 {
            return Ok(());
        }
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.budget = (self.budget + elapsed * FRAMES_PER_SECOND).min(BURST);
        self.at = now;
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let part = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == HEAD {
                self.filled = 0;
                self.count()?;
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, ..] = self.head;
        self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
        // A call is counted where calls are; data by the windows.
        let carries = kind == HEADERS || (kind == DATA && self.rest > 0);
        if !carries {
            self.budget -= 1.0;
        }
        if self.budget < 0.0 {
            return Err(Flood);
        }
        Ok(())
    }
}

/// A socket whose incoming frames are counted.
pub(super) struct Counted<S> {
    pub(super) socket: S,
    pub(super) frames: Frames,
    /// Told once, when there is a flood.
    pub(super) on_flood: Option<Box<dyn FnOnce() + Send>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let came = &buffer.filled()[before..];
        if self.frames.pass(came, Instant::now()).is_err() {
            if let Some(told) = self.on_flood.take() {
                told();
            }
            return Poll::Ready(Err(io::Error::other("too many frames that carry nothing")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut bytes = (length as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 0]);
        bytes.extend(vec![0; length]);
        bytes
    }

    /// Sends the frames in pieces and returns after how many bytes it was too much.
    fn send(frames: &mut Frames, bytes: &[u8], piece: usize, now: Instant) -> Option<usize> {
        let mut pieces = bytes.chunks(piece).enumerate();
        pieces
            .find(|(_, bytes)| frames.pass(bytes, now).is_err())
            .map(|(at, _)| at * piece)
    }

    proptest! {
        #[test]
        fn a_flood_is_found_however_it_is_cut(piece in 1usize..5_000, kind in 2u8..12) {
            let now = Instant::now();
            let mut frames = Frames::new(now);
            let mut bytes = PREFACE.to_vec();
            for _ in 0..BURST as usize {
                bytes.extend(frame(kind, 4));
            }
            prop_assert_eq!(send(&mut frames, &bytes, piece, now), None);
            prop_assert!(send(&mut frames, &frame(kind, 4), piece, now).is_some());
        }

        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..400), has_preface in any::<bool>()) {
            let now = Instant::now();
            let mut frames = Frames::new(now);
            let mut all = if has_preface { PREFACE.to_vec() } else { Vec::new() };
            all.extend(bytes);
            prop_assert_eq!(send(&mut frames, &all, 7, now), None);
        }
    }

    #[test]
    fn calls_data_and_time_do_not_count() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        let mut bytes = PREFACE.to_vec();
        for _ in 0..2 * BURST as usize {
            bytes.extend(frame(HEADERS, 1));
            bytes.extend(frame(DATA, 1));
        }
        assert_eq!(send(&mut frames, &bytes, 16_384, now), None);
        // As fast as the budget fills again.
        for second in 1..20 {
            let later = now + Duration::from_secs(second);
            let pings = frame(6, 8).repeat(FRAMES_PER_SECOND as usize);
            assert_eq!(send(&mut frames, &pings, 16_384, later), None);
        }
    }

    #[test]
    fn another_protocol_is_not_looked_at() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        let bytes = [&b"PRI * HTTP/1.1\r\n"[..], &vec![0; 9 * 2 * BURST as usize]].concat();
        assert_eq!(send(&mut frames, &bytes, 4_096, now), None);
    }
}

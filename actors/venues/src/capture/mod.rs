//! Recordings of a venue's traffic.
//!
//! A recording is text, plain or gzip: one frame a line, with the local receive time in front,
//! `<unix nanoseconds><space><frame exactly as received>`. [`CaptureReader`] walks over it in
//! constant memory; [`scan`] looks at the whole of it once to learn which instruments it holds
//! and how precisely the venue wrote them.
//!
//! A line that is no frame is reported with its number and skipped. A compressed file that was
//! cut ends with one such report. What is no recording at all is refused by [`scan`].

mod reader;
mod scan;

pub use reader::{BadLine, CaptureReader, LineError, MAX_LINE_BYTES, Step};
pub use scan::{CaptureError, Market, RecordingInfo, SymbolInfo, scan, scan_reader};

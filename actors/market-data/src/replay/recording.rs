//! A recording that can be opened again and again.

use apex_venues::capture::{self, CaptureError, CaptureReader, RecordingInfo};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the bytes of a recording are.
#[derive(Clone, Debug)]
enum Source {
    File,
    Bytes(Arc<[u8]>),
}

/// A recording that was looked at and can be replayed.
#[derive(Clone, Debug)]
pub struct Recording {
    path: PathBuf,
    source: Source,
    info: RecordingInfo,
}

impl Recording {
    /// Looks at the whole of a file, plain or gzip.
    ///
    /// Errors: [`CaptureError`]; the file cannot be replayed.
    pub fn file(path: &Path) -> Result<Recording, CaptureError> {
        Ok(Recording {
            path: path.to_owned(),
            source: Source::File,
            info: capture::scan(path)?,
        })
    }

    /// As [`Recording::file`], for bytes that are at hand; `name` stands where a path would.
    ///
    /// Errors: as there.
    pub fn bytes(name: &str, bytes: impl Into<Arc<[u8]>>) -> Result<Recording, CaptureError> {
        let path = PathBuf::from(name);
        let bytes: Arc<[u8]> = bytes.into();
        let reader = open(&path, &Source::Bytes(bytes.clone()))?;
        Ok(Recording {
            info: capture::scan_reader(&path, reader)?,
            path,
            source: Source::Bytes(bytes),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn info(&self) -> &RecordingInfo {
        &self.info
    }

    /// Opens it at its first line.
    ///
    /// Errors: `Read`, when the file has gone since.
    pub fn open(&self) -> Result<CaptureReader, CaptureError> {
        open(&self.path, &self.source)
    }
}

fn open(path: &Path, source: &Source) -> Result<CaptureReader, CaptureError> {
    let reader = match source {
        Source::File => CaptureReader::open(path),
        Source::Bytes(bytes) => CaptureReader::from_bytes(bytes.clone()),
    };
    reader.map_err(|source| CaptureError::Read {
        path: path.to_owned(),
        source,
    })
}

//! The backends of this crate run the suite of time series.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::tests::InDatabase;
use super::{SeriesBackend, series_suite};
use crate::disk::SimDisk;
use crate::port::series::Series;
use crate::postgres::{Layout, PgSeries};
use crate::testkit::{Postgres, here};
use crate::{DataDir, EmbeddedSeries, MemorySeries, StorageError};

/// Series in memory that outlive a handle, as the reopening case needs.
struct InMemory(Arc<MemorySeries>);

impl SeriesBackend for InMemory {
    fn open(&self) -> Result<Box<dyn Series>, StorageError> {
        Ok(Box::new(Arc::clone(&self.0)))
    }
}

#[test]
fn the_memory_series_keep_the_promises() {
    series_suite(|| InMemory(Arc::new(MemorySeries::new())));
}

struct InFiles {
    dir: Arc<DataDir>,
    _folder: Option<tempfile::TempDir>,
}

impl SeriesBackend for InFiles {
    fn open(&self) -> Result<Box<dyn Series>, StorageError> {
        Ok(Box::new(EmbeddedSeries::open(&self.dir)?))
    }
}

#[test]
fn the_embedded_series_keep_the_promises() {
    series_suite(|| InFiles {
        dir: DataDir::on_disk(Arc::new(SimDisk::new()), Path::new("/data")),
        _folder: None,
    });
    series_suite(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        InFiles {
            dir: DataDir::open(folder.path()).expect("a free folder"),
            _folder: Some(folder),
        }
    });
}

impl SeriesBackend for InDatabase {
    fn open(&self) -> Result<Box<dyn Series>, StorageError> {
        Ok(Box::new(PgSeries::open(&self.server())?))
    }
}

#[test]
fn postgres_series_keep_the_promises() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    let first = InDatabase::new(&server, &number);
    let layout = PgSeries::open(&first.server()).expect("it opens").layout();
    if layout == Layout::Plain {
        eprintln!("SKIPPED: TimescaleDB is not installed at this server; plain PostgreSQL is run");
    }
    series_suite(|| InDatabase::new(&server, &number));
}

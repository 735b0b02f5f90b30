//! `apextrade import` and `apextrade export`: market data into and out of the archive.

pub mod export;
pub mod import;
mod progress;
mod report;
mod source;
mod tally;
mod text;

use anyhow::{Context, Result};
use apex_storage::archive::Archive;
use apex_storage::{DataDir, FolderObjects};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of the archive below the data folder. A folder and a lock of its own: a platform that
/// runs on the same data folder is not disturbed.
const FOLDER: &str = "archive";

/// An archive that is this process's alone.
struct Opened {
    archive: Archive,
    folder: PathBuf,
    _lock: Arc<DataDir>,
}

/// Opens the archive of a data folder, or makes it.
fn open(data_dir: &Path) -> Result<Opened> {
    let folder = data_dir.join(FOLDER);
    let opened = || {
        let lock = DataDir::open(&folder)?;
        let objects = FolderObjects::open(&folder)?;
        anyhow::Ok(Opened {
            archive: Archive::new(Arc::new(objects)),
            folder: folder.clone(),
            _lock: lock,
        })
    };
    opened().with_context(|| format!("cannot open the archive \"{}\"", folder.display()))
}

//! Where backups are.

use crate::NodeError;
use apex_storage::s3::{S3Objects, S3Options};
use apex_storage::{FolderObjects, Objects};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where backups are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder, which the first backup makes.
    Folder(PathBuf),
    /// A bucket of a server that speaks S3.
    S3(S3Options),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => write!(f, "folder \"{}\"", folder.display()),
            Place::S3(options) => write!(f, "bucket {} at {}", options.bucket, options.endpoint),
        }
    }
}

impl Place {
    pub(super) fn open(&self) -> Result<Box<dyn Objects>, NodeError> {
        Ok(match self {
            Place::Folder(folder) => Box::new(FolderObjects::open(folder)?),
            Place::S3(options) => Box::new(S3Objects::connect(options.clone())?),
        })
    }

    /// Opens it to be read, and changes nothing of a folder: a backup may be taken there.
    pub(super) fn look(&self) -> Result<Box<dyn Objects>, NodeError> {
        match self {
            Place::Folder(folder) => Ok(Box::new(FolderObjects::look(folder))),
            Place::S3(_) => self.open(),
        }
    }

    /// Refuses a place in the data folder: it would be lost with it, and each backup would have
    /// those before it.
    ///
    /// Errors: `Usage`.
    pub(super) fn refuse_inside(&self, data_dir: &Path) -> Result<(), NodeError> {
        let Place::Folder(folder) = self else {
            return Ok(());
        };
        let (place, data) = (real(folder), real(data_dir));
        if place.starts_with(&data) {
            return Err(NodeError::Usage(format!(
                "{self} is in the data folder \"{}\", with which it would be lost: name one elsewhere, \
                 best on another disk",
                data_dir.display()
            )));
        }
        Ok(())
    }
}

/// Returns a path without links and dots, also where its end is not there yet.
fn real(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in whole.ancestors() {
        if let Ok(found) = above.canonicalize() {
            let below = whole.strip_prefix(above).unwrap_or(Path::new(""));
            return found.join(below);
        }
    }
    whole
}

//! Which databases a data folder belongs to, as its last start has noted in it.

use super::{DATABASE_URL, ServerSettings, TIMESCALE_URL};
use crate::NodeError;
use crate::marks::Marks;
use std::path::Path;

/// Says in a data folder which database its accounts are in; there is none where they are in the
/// folder itself. A setting that was lost must not start an account anew.
const PLACE: &str = "database";

/// Says in a data folder which database its time series were in at the last start; there is none where
/// they were never in one. A setting that was lost must not leave them out of a backup.
const SERIES_PLACE: &str = "series_database";

/// What it says of a folder whose series came back to it.
const IN_FOLDER: &str = "folder";

/// Refuses a folder whose accounts are not where the settings say.
///
/// Errors: `Usage`, which says what to do; `Mark`, `Storage`.
pub(crate) fn check_place(root: &Path, servers: &ServerSettings) -> Result<(), NodeError> {
    let place = noted_place(root)?;
    let refused = match (&servers.database_url, place) {
        (None, Some(place)) => format!(
            "are in the database {place}, and {DATABASE_URL} is not set: set it, or pass another \
             --data-dir"
        ),
        (Some(_), None) if !apex_storage::accounts(root)?.is_empty() => format!(
            "are in the folder, and {DATABASE_URL} is set: unset it, or pass another --data-dir"
        ),
        _ => return Ok(()),
    };
    let folder = root.display();
    Err(NodeError::Usage(format!(
        "the accounts of data folder \"{folder}\" {refused}"
    )))
}

/// Returns which database the accounts of a data folder are in, as its last start has noted; `None`
/// when they are in the folder.
///
/// Errors: `Mark`.
pub(crate) fn noted_place(root: &Path) -> Result<Option<String>, NodeError> {
    Marks::in_folder(root).get(PLACE)
}

/// Notes in a data folder which database its accounts are in.
///
/// Errors: `Archive`.
pub(crate) fn note_place(root: &Path, name: &str) -> Result<(), NodeError> {
    Marks::in_folder(root).set(PLACE, name)
}

/// Notes in a data folder which database its time series are in, `None` for the folder.
///
/// Errors: `Archive`, `Mark`.
pub(crate) fn note_series(root: &Path, name: Option<&str>) -> Result<(), NodeError> {
    let marks = Marks::in_folder(root);
    let noted = marks.get(SERIES_PLACE)?;
    match (name, noted) {
        (None, None) => Ok(()),
        (name, noted) => {
            let place = name.unwrap_or(IN_FOLDER);
            if noted.as_deref() == Some(place) {
                return Ok(());
            }
            marks.set(SERIES_PLACE, place)
        }
    }
}

/// Refuses settings that name another place of time series than the last start of a folder had; a
/// folder that does not say takes any.
///
/// Errors: `Usage`, which says what to do; `Mark`.
pub(crate) fn check_series(root: &Path, name: Option<&str>) -> Result<(), NodeError> {
    let Some(noted) = Marks::in_folder(root).get(SERIES_PLACE)? else {
        return Ok(());
    };
    let set = name.unwrap_or(IN_FOLDER);
    if noted == set {
        return Ok(());
    }
    let place = |name: &str| match name {
        IN_FOLDER => "the folder".to_owned(),
        name => format!("the database {name}"),
    };
    Err(NodeError::Usage(format!(
        "the time series of data folder \"{}\" are in {}, and the settings say {}: set {TIMESCALE_URL} \
         as `apextrade up` has it; where they were moved, start `up` once",
        root.display(),
        place(&noted),
        place(set)
    )))
}

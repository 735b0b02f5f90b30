//! Folders and files, durably.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Makes a folder below `root`, and `root` itself, each durable in its parent.
pub(super) fn make_folder(root: &Path, folder: &Path) -> io::Result<()> {
    let mut path = root.to_owned();
    if !path.is_dir() {
        fs::create_dir_all(&path)?;
    }
    for part in folder.components() {
        let parent = path.clone();
        path.push(part);
        match fs::create_dir(&path) {
            Ok(()) => sync_folder(&parent)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Replaces a small file by way of another one, durably.
pub(super) fn replace(path: &Path, aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(aside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(aside, path)?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Returns the keys of files below a folder that begin with `prefix` and come behind `after`, in
/// order, as many as `limit`. Folders without such keys are not looked into.
pub(super) fn walk(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    // Keys yet to look at, the next one last; folders end with a slash, and so stand in the very
    // place in which their keys do.
    let mut open = entries(root, "")?;
    while let Some(key) = open.pop() {
        if found.len() >= limit {
            break;
        }
        if !key.ends_with('/') {
            if key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after) {
                found.push(key);
            }
            continue;
        }
        let may_match = key.starts_with(prefix) || prefix.starts_with(&key);
        let is_behind = after.is_none_or(|after| key.as_str() > after || after.starts_with(&key));
        if may_match && is_behind {
            open.extend(entries(root, &key)?);
        }
    }
    Ok(found)
}

/// Returns what is in the folder of `key`, the first in order last.
fn entries(root: &Path, key: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let folder = match fs::read_dir(root.join(key)) {
        Ok(folder) => folder,
        // It was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in folder {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        found.push(format!("{key}{name}{slash}"));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

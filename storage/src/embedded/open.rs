//! Opens a journal: the way of every start, after a crash or not.

use std::path::PathBuf;

use super::data_dir::{DataDir, journal_folder};
use super::journal::Active;
use super::options::{Opened, Options};
use super::read::SegmentName;
use super::scan::{Finding, Scan, scan};
use super::spare::Spare;
use super::tail::cut_steps;
use crate::StorageError;
use crate::disk::{Disk, Open, write_all};
use crate::error::{Damage, Position};
use crate::port::journal::Head;

/// What an open journal begins with.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) folder: PathBuf,
    pub(crate) options: Options,
    pub(crate) opened: Opened,
    pub(crate) segments: Vec<SegmentName>,
    pub(crate) current: Option<Active>,
    pub(crate) spare: Spare,
    pub(crate) reserve: Spare,
    pub(crate) base: Head,
    pub(crate) head: Head,
}

/// Reads and checks an account's journal, cuts an unfinished last write, and finds its spares.
pub(crate) fn open_parts(
    dir: &DataDir,
    account_id: &str,
    options: Options,
) -> Result<Parts, StorageError> {
    let disk = dir.disk();
    let folder = journal_folder(dir.root(), account_id);
    disk.create_folder(&folder)
        .map_err(|e| StorageError::io("create folder", &folder, e))?;
    let scan = scan(&**disk, &folder, account_id, &mut |_| {})?;
    if let Some(refusal) = scan.refusal() {
        return Err(refusal);
    }
    refuse_a_lost_end(dir, account_id, &scan.head)?;
    let (current, torn_tail_bytes) = open_newest(&**disk, &scan)?;
    let left_over = scan.left_over.iter().map(|name| name.path.clone());
    super::closing::remove(&**disk, left_over);

    let options = options.within_limits();
    let spare = Spare::find(&**disk, folder.join("next.spare"), options.segment_bytes)?;
    let mut reserve = Spare::find(&**disk, folder.join("reserve.spare"), options.reserve_bytes)?;
    if !reserve.is_ready() {
        reserve.build(&**disk)?;
    }
    Ok(Parts {
        opened: Opened {
            records: scan.records,
            frames: scan.frames,
            torn_tail_bytes,
        },
        folder,
        options,
        base: scan.base,
        segments: scan.segments,
        current,
        spare,
        reserve,
        head: scan.head,
    })
}

/// Opens the newest segment for writing and cuts an unfinished write at its end.
pub(crate) fn open_newest(
    disk: &dyn Disk,
    scan: &Scan,
) -> Result<(Option<Active>, u64), StorageError> {
    let Some(newest) = scan.segments.last() else {
        return Ok((None, 0));
    };
    let path = newest.path.clone();
    let failed = |action, e| StorageError::io_fatal(action, &path, e);
    let file = disk
        .open(&path, Open::Write)
        .map_err(|e| failed("open", e))?;
    let mut torn_bytes = 0;
    if let Some(Finding::Torn(bytes)) = scan.finding {
        torn_bytes = bytes;
        let position = newest.position(scan.used_bytes, scan.head.sequence + 1);
        tracing::warn!(%position, torn_bytes, "unfinished last write is cut");
        for step in cut_steps(bytes) {
            // At most MAX_FRAME_BYTES, so the cast keeps the value.
            let zeros = vec![0; (step.end - step.start) as usize];
            write_all(&*file, &zeros, scan.used_bytes + step.start)
                .map_err(|e| failed("write", e))?;
            file.sync_data()
                .map_err(|e| StorageError::fsync(&path, e))?;
        }
    }
    let bytes = file.length().map_err(|e| failed("read", e))?;
    Ok((
        Some(Active {
            file,
            path,
            bytes,
            used_bytes: scan.used_bytes,
        }),
        torn_bytes,
    ))
}

/// A snapshot is taken of durable records only: one past the end shows that the end is gone.
fn refuse_a_lost_end(dir: &DataDir, account_id: &str, head: &Head) -> Result<(), StorageError> {
    let newest = super::latest_snapshot(&**dir.disk(), dir.root(), account_id)?;
    match newest {
        Some(snapshot) if snapshot.sequence > head.sequence => {
            let position = Position {
                segment: String::new(),
                offset: 0,
                sequence: head.sequence + 1,
            };
            let reason = Damage::EndsBeforeSnapshot {
                snapshot: snapshot.sequence,
            };
            Err(StorageError::Damaged { position, reason })
        }
        _ => Ok(()),
    }
}

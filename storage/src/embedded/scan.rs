//! Walks a whole journal, checks every byte, and changes nothing.
//!
//! Opening a journal and `verify` both go through here, so they cannot disagree.

use std::path::Path;

use super::base;
use super::closed::ClosedSegments;
use super::frame::{Header, VERSION, genesis, next_record};
use super::options::is_full_size;
use super::read::{SegmentName, SegmentReader, file_name};
use super::tail::{Tail, judge};
use crate::disk::Disk;
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::{ChainHash, Head, RecordRef};

/// Why a walk ended before the end of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// An unfinished last write, this many bytes long, at the place where the walk ended.
    Torn(u64),
    /// Damage.
    Bad(Position, Damage),
    /// A frame of a version of the format that this build does not know.
    Version(String, u16),
}

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The segments, in order, up to where the walk ended.
    pub(crate) segments: Vec<SegmentName>,
    /// The last record before them; zero where they begin with the first.
    pub(crate) base: Head,
    /// Segments before the base: they are in the store of objects, and are to be removed here.
    pub(crate) left_over: Vec<SegmentName>,
    /// Bytes of whole frames in the last of them.
    pub(crate) used_bytes: u64,
    /// The last whole record.
    pub(crate) head: Head,
    pub(crate) frames: u64,
    pub(crate) records: u64,
    pub(crate) finding: Option<Finding>,
}

/// Walks the segments in a folder and shows each record of each whole frame, in order. Those that
/// were moved to the store of objects are not looked at.
pub(crate) fn scan(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<Scan, StorageError> {
    let mut scan = Scan::behind(beginning(account_id));
    match base::read(disk, folder, account_id)? {
        Ok(Some(base)) => scan = Scan::behind(base),
        Ok(None) => {}
        Err((position, damage)) => {
            scan.finding = Some(Finding::Bad(position, damage));
            return Ok(scan);
        }
    }
    scan_folder(disk, folder, &mut scan, each)?;
    Ok(scan)
}

/// Walks the segments in a folder from `scan.head` on, which is its base or behind that.
fn scan_folder(
    disk: &dyn Disk,
    folder: &Path,
    scan: &mut Scan,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<(), StorageError> {
    let names = match segment_names(disk, folder)? {
        Ok(names) => names,
        Err((position, damage)) => {
            scan.finding = Some(Finding::Bad(position, damage));
            return Ok(());
        }
    };
    let (left_over, names) = names
        .into_iter()
        .partition(|name: &SegmentName| name.first <= scan.base.sequence);
    scan.left_over = left_over;
    let names: Vec<SegmentName> = names;
    for (index, name) in names.iter().enumerate() {
        let (expected, found) = (scan.head.sequence + 1, name.first);
        if found != expected {
            let damage = Damage::MissingSegment { expected, found };
            scan.finding = Some(Finding::Bad(name.position(0, expected), damage));
            return Ok(());
        }
        let newest = index + 1 == names.len();
        scan.segments.push(name.clone());
        let mut shown = |header: &Header, frame: &[u8]| show(header, frame, each);
        scan.finding = scan_segment(disk, name, newest, scan, &mut shown)?;
        if scan.finding.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// Shows the records of a whole frame, which was decoded once when it was checked.
fn show(header: &Header, frame: &[u8], each: &mut dyn FnMut(RecordRef<'_>)) {
    let mut body = header.body(frame).unwrap_or_default();
    while let Some(record) = next_record(&mut body) {
        each(record);
    }
}

/// Walks all of a journal: what was moved to the store of objects, which has to lead to the base of
/// the folder, and then the folder. Each record is shown once, also where the journal is cut
/// meanwhile: what is gone from the folder is among the objects then.
pub(crate) fn scan_whole(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
    closed: &ClosedSegments,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<Scan, StorageError> {
    let mut whole = Scan::behind(beginning(account_id));
    let mut base = match base::read(disk, folder, account_id)? {
        Ok(base) => base,
        Err((position, damage)) => {
            whole.finding = Some(Finding::Bad(position, damage));
            return Ok(whole);
        }
    };
    loop {
        if let Some(base) = base {
            let mut shown = |header: &Header, frame: &[u8]| show(header, frame, each);
            walk_closed(closed, base, &mut whole, &mut shown)?;
            if whole.finding.is_some() {
                return Ok(whole);
            }
            whole.base = base;
            whole.segments.clear();
            whole.used_bytes = 0;
        }
        let walked = scan_folder(disk, folder, &mut whole, each);
        let is_short = match &walked {
            Ok(()) => matches!(
                whole.finding,
                Some(Finding::Bad(_, Damage::MissingSegment { .. }))
            ),
            Err(error) => error.is_not_found(),
        };
        if is_short {
            let moved = base::of(disk, folder, account_id)?;
            // Each time further, so that it ends.
            if let Some(moved) = moved.filter(|it| it.sequence > whole.head.sequence) {
                whole.finding = None;
                base = Some(moved);
                continue;
            }
        }
        return walked.map(|()| whole);
    }
}

/// Walks what was moved to a store of objects from `whole.head` on, and finds out whether it leads to
/// a base.
pub(crate) fn walk_closed(
    closed: &ClosedSegments,
    base: Head,
    whole: &mut Scan,
    each: &mut dyn FnMut(&Header, &[u8]),
) -> Result<(), StorageError> {
    for name in closed.names_up_to(base.sequence)? {
        let (expected, found) = (whole.head.sequence + 1, name.first);
        if found < expected {
            continue;
        }
        if found != expected {
            break;
        }
        // It was listed: one that is gone by now shows as what is missing.
        let Some(reader) = closed.open(name.first)? else {
            break;
        };
        whole.finding = walk(reader, &name, Ending::AtLastFrame, whole, each)?;
        if whole.finding.is_some() {
            return Ok(());
        }
    }
    if whole.head != base {
        let expected = whole.head.sequence + 1;
        let damage = if whole.head.sequence == base.sequence {
            Damage::Chain
        } else {
            let found = base.sequence + 1;
            Damage::MissingSegment { expected, found }
        };
        let name = SegmentName::new(Path::new(""), expected);
        whole.finding = Some(Finding::Bad(name.position(0, expected), damage));
    }
    Ok(())
}

/// Walks one segment that is followed by another, from the head before it, and returns its end and
/// the bytes of its frames.
///
/// Errors: `Damaged` for anything but whole frames and zeros behind them.
pub(crate) fn scan_closed(
    disk: &dyn Disk,
    name: &SegmentName,
    before: Head,
) -> Result<(Head, u64), StorageError> {
    let mut scan = Scan::behind(before);
    scan.finding = scan_segment(disk, name, false, &mut scan, &mut |_, _| {})?;
    match scan.refusal() {
        Some(refusal) => Err(refusal),
        None => Ok((scan.head, scan.used_bytes)),
    }
}

/// Returns the head of a journal without records.
pub(crate) fn beginning(account_id: &str) -> Head {
    Head {
        sequence: 0,
        chain: genesis(account_id),
    }
}

/// How a segment ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// In zeros, and in an unfinished write where it is the newest.
    InZeros {
        newest: bool,
    },
    AtLastFrame,
}

/// Walks one segment from `scan.head` on and shows each whole frame that follows.
pub(crate) fn scan_segment(
    disk: &dyn Disk,
    name: &SegmentName,
    newest: bool,
    scan: &mut Scan,
    each: &mut dyn FnMut(&Header, &[u8]),
) -> Result<Option<Finding>, StorageError> {
    let reader = SegmentReader::open(disk, &name.path)?;
    let bytes = reader.length();
    if !is_full_size(bytes) {
        scan.used_bytes = 0;
        let at = name.position(bytes, scan.head.sequence + 1);
        return Ok(Some(Finding::Bad(at, Damage::SegmentLength { bytes })));
    }
    walk(reader, name, Ending::InZeros { newest }, scan, each)
}

fn walk(
    mut reader: SegmentReader,
    name: &SegmentName,
    ending: Ending,
    scan: &mut Scan,
    each: &mut dyn FnMut(&Header, &[u8]),
) -> Result<Option<Finding>, StorageError> {
    scan.used_bytes = 0;
    loop {
        let (at, expected) = (reader.at(), scan.head.sequence + 1);
        let bad = |damage| Ok(Some(Finding::Bad(name.position(at, expected), damage)));
        let Some((header, frame)) = reader.frame()? else {
            let newest = match ending {
                Ending::AtLastFrame if at == reader.length() => return Ok(None),
                Ending::AtLastFrame => return bad(Damage::Checksum),
                Ending::InZeros { newest } => newest,
            };
            if reader.rest_is_zero()? {
                return Ok(None);
            }
            return Ok(match judge(&reader.rest()?, at, newest) {
                Tail::End => None,
                Tail::Torn(bytes) => Some(Finding::Torn(bytes)),
                Tail::Bad(damage) => return bad(damage),
                Tail::Version(found) => Some(Finding::Version(file_name(&name.path), found)),
            });
        };
        if let Err(damage) = check_frame(&header, frame, expected, Some(&scan.head.chain)) {
            return bad(damage);
        }
        each(&header, frame);
        scan.head = Head {
            sequence: header.last,
            chain: header.chain,
        };
        scan.frames += 1;
        scan.records += u64::from(header.records);
        reader.skip(&header);
        scan.used_bytes = reader.at();
    }
}

/// Checks that a whole frame is the one that has to follow, and that it decodes. The chain is
/// checked from where its link before is known.
pub(crate) fn check_frame(
    header: &Header,
    frame: &[u8],
    mut expected: u64,
    before: Option<&ChainHash>,
) -> Result<(), Damage> {
    if header.first != expected {
        return Err(Damage::Sequence {
            expected,
            found: header.first,
        });
    }
    let Some(mut body) = header.body(frame) else {
        return Err(Damage::Checksum);
    };
    if before.is_some_and(|before| !header.follows(before, frame, body)) {
        return Err(Damage::Chain);
    }
    let mut records = 0;
    while let Some(record) = next_record(&mut body) {
        if record.sequence != expected {
            return Err(Damage::Sequence {
                expected,
                found: record.sequence,
            });
        }
        expected += 1;
        records += 1;
    }
    if !body.is_empty() || records != header.records || header.last != expected - 1 {
        return Err(Damage::Malformed("batch"));
    }
    Ok(())
}

type Names = Result<Vec<SegmentName>, (Position, Damage)>;

fn segment_names(disk: &dyn Disk, folder: &Path) -> Result<Names, StorageError> {
    let files = disk
        .files(folder)
        .map_err(|e| StorageError::io_fatal("list", folder, e))?;
    let mut names = Vec::new();
    for path in files {
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let first = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        match first.map(|first| SegmentName::new(folder, first)) {
            Some(name) if name.path == path => names.push(name),
            _ => {
                let position = Position {
                    segment: file_name(&path),
                    offset: 0,
                    sequence: 0,
                };
                return Ok(Err((position, Damage::Malformed("segment name"))));
            }
        }
    }
    names.sort_by_key(|name| name.first);
    Ok(Ok(names))
}

impl Scan {
    /// Returns a walk that has seen nothing yet of what follows `base`.
    pub(crate) fn behind(base: Head) -> Scan {
        Scan {
            segments: Vec::new(),
            base,
            left_over: Vec::new(),
            used_bytes: 0,
            head: base,
            frames: 0,
            records: 0,
            finding: None,
        }
    }

    /// Returns the error that refuses this journal; an unfinished last write is none.
    pub(crate) fn refusal(&self) -> Option<StorageError> {
        match self.finding.clone()? {
            Finding::Torn(_) => None,
            Finding::Bad(position, reason) => Some(StorageError::Damaged { position, reason }),
            Finding::Version(file, found) => Some(StorageError::NewerVersion {
                file,
                found,
                supported: VERSION,
            }),
        }
    }
}

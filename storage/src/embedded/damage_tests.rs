//! Damage of every kind is refused with its place, and looking changes nothing.

use std::path::{Path, PathBuf};

use super::crash_tests::{ACCOUNT, ROOT, open, unit};
use super::frame::{Header, genesis};
use crate::disk::{Crash, Disk, SimDisk};
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::{Class, Journal};
use crate::verify::{VerifyReport, verify_on};

/// A journal of some segments, each full of frames.
fn journal_of(batches: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut journal = open(&disk).expect("an empty disk");
    for batch in 0..batches {
        let units = [unit(Class::Order, batch * 2 + 1, 2)];
        journal.append(&units).expect("there is space");
        journal.commit().expect("the disk works");
    }
    drop(journal);
    disk
}

fn folder() -> PathBuf {
    Path::new(ROOT).join("journal").join(ACCOUNT)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let files = disk.files(&folder()).expect("a folder");
    files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect()
}

fn name(path: &Path) -> String {
    path.file_name()
        .expect("a file name")
        .to_string_lossy()
        .into_owned()
}

/// Start, length and first sequence of each frame of a segment.
fn frames(content: &[u8]) -> Vec<(usize, usize, u64)> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Ok(header) = Header::parse(&content[at..]) {
        frames.push((at, header.frame_bytes(), header.first));
        at += header.frame_bytes();
    }
    frames
}

fn verify(disk: &SimDisk) -> VerifyReport {
    verify_on(disk, Path::new(ROOT), ACCOUNT, None, &mut |_| {}).expect("it can be read")
}

/// Checks that opening and verifying refuse a damaged disk at a place, and change nothing.
fn refused(disk: &SimDisk, position: &Position, reason: &Damage, case: &str) {
    let content = |disk: &SimDisk| -> Vec<_> {
        segments(disk)
            .iter()
            .map(|path| (name(path), disk.content(path)))
            .collect()
    };
    let before = content(disk);
    let report = verify(disk);
    let bad = report
        .first_bad
        .as_ref()
        .unwrap_or_else(|| panic!("{case}: {report:?}"));
    assert_eq!(bad.segment, position.segment, "{case}");
    assert_eq!(
        (bad.offset, bad.sequence),
        (position.offset, position.sequence),
        "{case}"
    );
    assert_eq!(bad.reason, reason.to_string(), "{case}");
    match open(disk) {
        Err(StorageError::Damaged {
            position: at,
            reason: why,
        }) => {
            assert_eq!((&at, &why), (position, reason), "{case}");
        }
        other => panic!("{case}: {other:?}"),
    }
    assert_eq!(content(disk), before, "{case}: it was changed");
}

fn changed(disk: &SimDisk, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> SimDisk {
    let copy = disk.crash(Crash::KeepAll);
    let mut content = copy.content(path).expect("the file is there");
    change(&mut content);
    copy.set_content(path, content);
    copy
}

#[test]
fn a_flipped_bit_in_any_byte_of_any_frame_is_refused_at_its_frame() {
    let disk = journal_of(7);
    assert!(segments(&disk).len() >= 2, "more than one segment");
    for path in segments(&disk) {
        let content = disk.content(&path).expect("the file is there");
        for (start, length, sequence) in frames(&content) {
            let position = Position {
                segment: name(&path),
                offset: start as u64,
                sequence,
            };
            for at in start..start + length {
                let copy = changed(&disk, &path, |content| content[at] ^= 1 << (at % 8));
                refused(
                    &copy,
                    &position,
                    &Damage::Checksum,
                    &format!("{position} at {at}"),
                );
            }
        }
    }
}

#[test]
fn a_missing_segment_is_refused_where_it_should_begin() {
    let disk = journal_of(20);
    let paths = segments(&disk);
    assert!(paths.len() >= 4, "{paths:?}");
    for missing in 0..paths.len() - 1 {
        let copy = disk.crash(Crash::KeepAll);
        copy.remove(&paths[missing]).expect("the file is there");
        let first = |path: &Path| name(path)[..20].parse::<u64>().expect("a sequence");
        let (expected, found) = (first(&paths[missing]), first(&paths[missing + 1]));
        let segment = name(&paths[missing + 1]);
        let position = Position {
            segment,
            offset: 0,
            sequence: expected,
        };
        let reason = Damage::MissingSegment { expected, found };
        refused(
            &copy,
            &position,
            &reason,
            &format!("without segment {missing}"),
        );
    }
}

#[test]
fn a_missing_end_is_noticed_by_a_later_snapshot() {
    let disk = journal_of(20);
    let mut journal = open(&disk).expect("a sound journal");
    journal
        .snapshot_write(40, b"state")
        .expect("a snapshot is stored");
    drop(journal);
    let paths = segments(&disk);
    disk.remove(paths.last().expect("a segment"))
        .expect("the file is there");
    let sequence = verify(&disk).head.sequence + 1;
    let position = Position {
        segment: String::new(),
        offset: 0,
        sequence,
    };
    refused(
        &disk,
        &position,
        &Damage::EndsBeforeSnapshot { snapshot: 40 },
        "without the end",
    );
}

#[test]
fn frames_in_another_order_or_twice_are_refused() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).expect("an empty disk");
    for sequence in 1..=4 {
        let mut same_size = unit(Class::Order, sequence, 1);
        same_size.records[0].payload = vec![sequence as u8; 50];
        journal.append(&[same_size]).expect("there is space");
        journal.commit().expect("the disk works");
    }
    drop(journal);
    let path = segments(&disk).remove(0);
    let found = frames(&disk.content(&path).expect("the file is there"));
    let (second, third, length) = (found[1].0, found[2].0, found[1].1);
    let position = Position {
        segment: name(&path),
        offset: second as u64,
        sequence: 2,
    };

    let swapped = changed(&disk, &path, |content| {
        let (front, back) = content.split_at_mut(third);
        front[second..].swap_with_slice(&mut back[..length]);
    });
    refused(
        &swapped,
        &position,
        &Damage::Sequence {
            expected: 2,
            found: 3,
        },
        "swapped",
    );
    let twice = changed(&disk, &path, |content| {
        content.copy_within(0..length, second)
    });
    refused(
        &twice,
        &position,
        &Damage::Sequence {
            expected: 2,
            found: 1,
        },
        "twice",
    );
    let gone = changed(&disk, &path, |content| content[second..third].fill(0));
    refused(&gone, &position, &Damage::Checksum, "zeroed");
}

#[test]
fn a_frame_that_was_forged_whole_breaks_the_chain() {
    let disk = journal_of(3);
    let path = segments(&disk).remove(0);
    let first = frames(&disk.content(&path).expect("the file is there"))[0];
    let payloads = [vec![9; 131], vec![9; 262]];
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let forged = super::frame::tests::frame(1, &payloads, &genesis("somebody"));
    assert_eq!(forged.len(), first.1);
    let copy = changed(&disk, &path, |content| {
        content[..first.1].copy_from_slice(&forged)
    });
    let position = Position {
        segment: name(&path),
        offset: 0,
        sequence: 1,
    };
    refused(&copy, &position, &Damage::Chain, "forged");
}

#[test]
fn a_file_that_is_not_its_full_size_is_refused_at_its_end() {
    let disk = journal_of(20);
    for path in segments(&disk) {
        let whole = disk.content(&path).expect("the file is there").len();
        assert_eq!(whole, 4096);
        let first = name(&path)[..20].parse().expect("a sequence");
        let lengths = (0..whole)
            .step_by(7)
            .chain([whole - 1, whole + 1, 2 * whole - 1]);
        for length in lengths {
            let copy = changed(&disk, &path, |content| content.resize(length, 0));
            let bytes = length as u64;
            let position = Position {
                segment: name(&path),
                offset: bytes,
                sequence: first,
            };
            let case = format!("{position} of {length} bytes");
            refused(&copy, &position, &Damage::SegmentLength { bytes }, &case);
        }
    }
}

#[test]
fn a_last_frame_cut_within_its_file_is_an_unfinished_write() {
    let disk = journal_of(20);
    let paths = segments(&disk);
    let newest = paths.last().expect("a segment");
    let content = disk.content(newest).expect("the file is there");
    let last = *frames(&content).last().expect("a frame");
    for end in last.0 + 1..last.0 + last.1 {
        let copy = changed(&disk, newest, |content| content[end..].fill(0));
        let report = verify(&copy);
        assert!(report.ok(), "{end}: {report:?}");
        assert!(report.torn_tail_bytes > 0 && report.torn_tail_bytes <= (end - last.0) as u64);
        let mut journal = open(&copy).expect("an unfinished write is no damage");
        assert_eq!(journal.head().sequence, last.2 - 1);
        journal
            .append(&[unit(Class::Order, last.2, 3)])
            .expect("it goes on");
        journal.commit().expect("the disk works");
        drop(journal);
        assert!(verify(&copy).ok(), "{end}");
    }
}

#[test]
fn a_last_frame_cut_within_an_older_file_is_refused() {
    let disk = journal_of(20);
    let older = segments(&disk).remove(0);
    let content = disk.content(&older).expect("the file is there");
    let (start, length, sequence) = *frames(&content).last().expect("a frame");
    let copy = changed(&disk, &older, |content| {
        content[start + length - 1..].fill(0)
    });
    let position = Position {
        segment: name(&older),
        offset: start as u64,
        sequence,
    };
    refused(&copy, &position, &Damage::Checksum, "an older segment cut");
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let disk = journal_of(2);
    let path = segments(&disk).remove(0);
    let copy = changed(&disk, &path, |content| {
        content[4] = 2;
        let check = xxhash_rust::xxh3::xxh3_64(&content[..64]);
        content[64..72].copy_from_slice(&check.to_le_bytes());
    });
    let error = open(&copy).expect_err("it cannot be read");
    assert!(
        matches!(
            error,
            StorageError::NewerVersion {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
    let reason = verify(&copy).first_bad.expect("it cannot be read").reason;
    assert!(reason.contains("version 2"), "{reason}");
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_the_one_before() {
    let disk = journal_of(5);
    let mut journal = open(&disk).expect("a sound journal");
    journal
        .snapshot_write(4, b"four")
        .expect("a snapshot is stored");
    journal
        .snapshot_write(8, b"eight")
        .expect("a snapshot is stored");
    let folder = Path::new(ROOT).join("snapshots").join(ACCOUNT);
    let newest = folder.join(format!("{:020}.snap", 8));
    let length = disk.content(&newest).expect("the file is there").len();
    for at in 0..length {
        let copy = changed(&disk, &newest, |content| content[at] ^= 0x10);
        let found = open(&copy).expect("the journal is sound").snapshot_latest();
        let found = found
            .expect("a damaged snapshot is no error")
            .expect("there is an older one");
        assert_eq!(
            (found.sequence, found.bytes.as_slice()),
            (4, b"four".as_slice()),
            "{at}"
        );
    }
    let empty = changed(&disk, &newest, Vec::clear);
    let kept = open(&empty).and_then(|journal| journal.snapshots()?.collect::<Result<Vec<_>, _>>());
    let kept = kept.expect("a damaged snapshot is no error");
    assert_eq!(kept.len(), 1, "only the one that is whole");
    let older = folder.join(format!("{:020}.snap", 4));
    let empty = changed(&empty, &older, Vec::clear);
    assert_eq!(
        open(&empty)
            .expect("sound")
            .snapshot_latest()
            .expect("no error"),
        None
    );
}

#[test]
fn only_the_newest_two_snapshots_are_kept() {
    let disk = journal_of(5);
    let mut journal = open(&disk).expect("a sound journal");
    for sequence in 1..=9 {
        journal
            .snapshot_write(sequence, b"state")
            .expect("a snapshot is stored");
    }
    let folder = Path::new(ROOT).join("snapshots").join(ACCOUNT);
    let names: Vec<_> = disk
        .files(&folder)
        .expect("a folder")
        .iter()
        .map(|p| name(p))
        .collect();
    assert_eq!(names, [8, 9].map(|sequence| format!("{sequence:020}.snap")));
}

#[test]
fn an_account_without_a_journal_is_not_found() {
    let missing = verify_on(&journal_of(1), Path::new(ROOT), "other", None, &mut |_| {});
    assert!(
        matches!(missing, Err(StorageError::NotFound { .. })),
        "{missing:?}"
    );
}

//! Power cuts at every operation, full disks at every size, and what must hold afterwards.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{DataDir, EmbeddedJournal, Options, Preallocation};
use crate::disk::{Crash, Disk, SimDisk};
use crate::port::journal::{Class, Journal, JournalError, JournalState, Record, Unit};
use crate::verify::verify_on;

pub(crate) const ROOT: &str = "/data";
pub(crate) const ACCOUNT: &str = "paper";

pub(crate) fn open(disk: &SimDisk) -> Result<EmbeddedJournal, JournalError> {
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new(ROOT));
    let options = Options {
        segment_bytes: 4096,
        reserve_bytes: 4096,
        preallocation: Preallocation::Inline,
        ..Options::default()
    };
    EmbeddedJournal::open(&dir, ACCOUNT, options)
}

pub(crate) fn record(sequence: u64) -> Record {
    // No aligned run of 512 zeros, and lengths that put frames at all kinds of offsets.
    let payload = vec![1 + (sequence % 250) as u8; (sequence * 131 % 900) as usize];
    Record {
        sequence,
        kind: 1,
        schema: 1,
        payload,
    }
}

pub(crate) fn unit(class: Class, first: u64, count: u64) -> Unit {
    Unit {
        class,
        records: (first..first + count).map(record).collect(),
    }
}

/// How far a journal came before the power went.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    acknowledged: u64,
    staged: u64,
    /// Sequence of the last snapshot that was stored; 0 without one.
    snapshot: u64,
}

/// Commits batches of 1 to 3 records, with a snapshot now and then, until something fails.
fn work(disk: &SimDisk, batches: u64) -> Progress {
    let mut progress = Progress::default();
    let Ok(mut journal) = open(disk) else {
        return progress;
    };
    for batch in 0..batches {
        let count = 1 + batch % 3;
        if journal
            .append(&[unit(Class::Order, progress.staged + 1, count)])
            .is_err()
        {
            break;
        }
        progress.staged += count;
        let Ok(durable) = journal.commit() else {
            break;
        };
        assert_eq!(durable.0, progress.staged);
        progress.acknowledged = durable.0;
        if batch % 5 == 4 {
            if journal.snapshot_write(durable.0, b"state").is_err() {
                break;
            }
            progress.snapshot = durable.0;
        }
    }
    progress
}

/// Checks that everything acknowledged is there, that nothing is that was not written, and that
/// the journal goes on.
fn check(disk: &SimDisk, progress: Progress, case: &str) {
    let mut journal = open(disk).unwrap_or_else(|error| panic!("{case}: {error}"));
    let last = journal.head().sequence;
    let complete = last == progress.acknowledged || last == progress.staged;
    assert!(complete, "{case}: ends at {last}, {progress:?}");
    let snapshot = journal.snapshot_latest().expect("snapshots can be read");
    let kept = snapshot.map_or(0, |snapshot| snapshot.sequence);
    assert!(
        kept >= progress.snapshot,
        "{case}: snapshot {kept}, {progress:?}"
    );
    let records = journal.read_from(1).expect("an open journal can be read");
    let records: Vec<_> = records.map(|item| item.expect("a stored record")).collect();
    assert_eq!(
        records,
        (1..=last).map(record).collect::<Vec<_>>(),
        "{case}"
    );
    journal
        .append(&[unit(Class::Order, last + 1, 2)])
        .expect("there is space");
    journal.commit().expect("the disk works");
    drop(journal);
    let report =
        verify_on(disk, Path::new(ROOT), ACCOUNT, None, &mut |_| {}).expect("it can be read");
    assert!(
        report.ok() && report.torn_tail_bytes == 0,
        "{case}: {report:?}"
    );
    assert_eq!(
        (report.records, report.head.sequence),
        (last + 2, last + 2),
        "{case}"
    );
}

const CRASHES: [Crash; 9] = [
    Crash::KeepAll,
    Crash::LoseUnsynced,
    Crash::KeepPrefix(1),
    Crash::KeepPrefix(60),
    Crash::KeepPrefix(90),
    Crash::KeepPrefix(700),
    Crash::KeepSectors(0xAAAA_AAAA_AAAA_AAAA),
    Crash::KeepSectors(0x5555_5555_5555_5555),
    Crash::KeepSectors(0xC4C4_1313_9292_4848),
];

/// Enough batches for several segments.
const BATCHES: u64 = 14;

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for operations in 0.. {
        let disk = SimDisk::new();
        disk.cut_power_after(operations);
        let progress = work(&disk, BATCHES);
        for crash in CRASHES {
            check(
                &disk.crash(crash),
                progress,
                &format!("{operations} operations, {crash:?}"),
            );
        }
        if progress.acknowledged == (0..BATCHES).map(|batch| 1 + batch % 3).sum::<u64>() {
            assert!(operations > 60, "the power never went");
            break;
        }
    }
}

#[test]
fn a_power_cut_while_recovering_from_a_power_cut_is_recovered_from() {
    let mut torn = 0;
    for operations in 0..80 {
        let disk = SimDisk::new();
        disk.cut_power_after(operations);
        let progress = work(&disk, BATCHES);
        for crash in CRASHES {
            let left = disk.crash(crash);
            let folder = Path::new(ROOT);
            let report = verify_on(&left, folder, ACCOUNT, None, &mut |_| {});
            if report.is_ok_and(|report| report.torn_tail_bytes == 0) {
                continue;
            }
            torn += 1;
            for again in 0..7 {
                let second = left.crash(Crash::KeepAll);
                second.cut_power_after(again);
                drop(open(&second));
                for crash in [
                    Crash::KeepAll,
                    Crash::KeepPrefix(40),
                    Crash::KeepSectors(0x6666),
                ] {
                    let case = format!("{operations} operations, then {again}, {crash:?}");
                    check(&second.crash(crash), progress, &case);
                }
            }
        }
    }
    assert!(torn > 20, "only {torn} unfinished writes were met");
}

#[test]
fn a_last_frame_cut_at_any_byte_is_cut_off_and_reported() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).expect("an empty disk");
    journal
        .append(&[unit(Class::Order, 1, 2)])
        .expect("there is space");
    journal.commit().expect("the disk works");
    disk.fail_sync_after(0, ".seg");
    journal
        .append(&[unit(Class::Order, 3, 1)])
        .expect("there is space");
    let error = journal.commit().expect_err("the sync fails");
    assert!(matches!(error, JournalError::FsyncFailed { .. }), "{error}");
    drop(journal);
    let progress = Progress {
        acknowledged: 2,
        staged: 3,
        snapshot: 0,
    };
    let whole = 72 + 15 + record(3).payload.len() + 12;
    for kept in 0..=whole {
        let left = disk.crash(Crash::KeepPrefix(kept));
        let report =
            verify_on(&left, Path::new(ROOT), ACCOUNT, None, &mut |_| {}).expect("readable");
        assert!(report.ok(), "{kept}: {report:?}");
        assert_eq!(report.records, if kept == whole { 3 } else { 2 });
        let opened = open(&left)
            .expect("an unfinished write is no damage")
            .opened();
        assert_eq!(opened.torn_tail_bytes, report.torn_tail_bytes);
        assert_eq!(
            opened.torn_tail_bytes > 0,
            kept > 0 && kept < whole,
            "{kept}"
        );
        check(&left, progress, &format!("{kept} bytes"));
    }
}

#[test]
fn a_write_that_failed_sync_is_never_answered_later() {
    for successes in 0..12 {
        let disk = SimDisk::new();
        disk.fail_sync_after(successes, ".seg");
        let progress = work(&disk, BATCHES);
        assert!(progress.acknowledged < progress.staged, "one commit failed");
        for crash in CRASHES {
            check(
                &disk.crash(crash),
                progress,
                &format!("after {successes} syncs, {crash:?}"),
            );
        }
    }
}

#[test]
fn short_writes_are_gone_on_with() {
    let disk = SimDisk::new();
    disk.set_longest_write(Some(7));
    let progress = work(&disk, 8);
    assert_eq!(progress.acknowledged, progress.staged);
    check(&disk.crash(Crash::LoseUnsynced), progress, "short writes");
}

/// Offers orders and essentials in turn; returns the last sequence taken.
fn offer(journal: &mut EmbeddedJournal, rounds: u64) -> u64 {
    for round in 0..rounds {
        let class = if round % 2 == 0 {
            Class::Order
        } else {
            Class::Essential
        };
        let next = journal.head().sequence + 1;
        match journal.append(&[unit(class, next, 1)]) {
            Ok(()) => {
                journal.commit().expect("what was staged has its space");
                let reserve = journal.state() != JournalState::Ready;
                assert!(
                    !(reserve
                        && class == Class::Order
                        && journal.append(&[unit(Class::Order, next + 1, 1)]).is_ok())
                );
            }
            Err(JournalError::Full { .. }) => assert_ne!(journal.state(), JournalState::Ready),
            Err(error) => panic!("{error}"),
        }
    }
    journal.head().sequence
}

#[test]
fn a_disk_full_at_any_byte_refuses_and_recovers() {
    for capacity in (0..26_000).step_by(193) {
        let disk = SimDisk::new();
        disk.set_capacity(Some(capacity));
        let mut journal = open(&disk).expect("a full disk is a state");
        let last = offer(&mut journal, 80);
        assert_ne!(
            journal.state(),
            JournalState::Ready,
            "{capacity} bytes cannot be enough"
        );
        drop(journal);

        // A restart on the full disk: reads go on.
        let mut journal = open(&disk).expect("a full disk is a state");
        assert_eq!(journal.read_from(1).expect("readable").count() as u64, last);
        let before = offer(&mut journal, 6);
        assert_ne!(journal.probe().expect("still full"), JournalState::Ready);

        disk.set_capacity(None);
        assert_eq!(
            journal.probe().expect("there is space"),
            JournalState::Ready
        );
        journal
            .append(&[unit(Class::Order, before + 1, 1)])
            .expect("orders are taken again");
        journal.commit().expect("the disk works");
        drop(journal);
        let (acknowledged, staged) = (before + 1, before + 1);
        let case = format!("{capacity} bytes");
        check(
            &disk.crash(Crash::LoseUnsynced),
            Progress {
                acknowledged,
                staged,
                snapshot: 0,
            },
            &case,
        );
    }
}

#[test]
fn the_reserve_takes_essentials_when_the_segment_is_used_up() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).expect("an empty disk");
    journal
        .append(&[unit(Class::Order, 1, 1)])
        .expect("there is space");
    journal.commit().expect("the disk works");
    // One segment in use, one spare and the reserve: no more from here on.
    disk.set_capacity(Some(disk.used_bytes()));
    let last = offer(&mut journal, 200);
    assert_eq!(journal.state(), JournalState::Full);
    let segments = disk
        .files(&Path::new(ROOT).join("journal").join(ACCOUNT))
        .expect("a folder");
    let names: Vec<_> = segments
        .iter()
        .filter_map(|path| path.extension())
        .collect();
    assert_eq!(
        names,
        ["seg", "seg", "seg"],
        "spare and reserve are segments now"
    );
    drop(journal);
    disk.set_capacity(None);
    let progress = Progress {
        acknowledged: last,
        staged: last,
        snapshot: 0,
    };
    check(&disk.crash(Crash::LoseUnsynced), progress, "all used up");
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Commit(u64),
    CutPowerAfter(u64, Crash),
    FailSync(Crash),
    Fill,
    Free,
}

fn step() -> impl Strategy<Value = Step> {
    let crash = prop_oneof![
        Just(Crash::KeepAll),
        Just(Crash::LoseUnsynced),
        (0..3000_usize).prop_map(Crash::KeepPrefix),
        any::<u64>().prop_map(Crash::KeepSectors),
    ];
    prop_oneof![
        6 => (1..4_u64).prop_map(Step::Commit),
        1 => (0..20_u64, crash.clone()).prop_map(|(n, crash)| Step::CutPowerAfter(n, crash)),
        1 => crash.prop_map(Step::FailSync),
        1 => Just(Step::Fill),
        1 => Just(Step::Free),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_story_of_faults_keeps_what_was_acknowledged(steps in prop::collection::vec(step(), 1..40)) {
        let mut disk = SimDisk::new();
        let mut progress = Progress::default();
        let mut journal = open(&disk).expect("an empty disk");
        let mut pending = None;
        for step in steps {
            let count = match step {
                Step::Commit(count) => count,
                Step::CutPowerAfter(operations, crash) => {
                    disk.cut_power_after(operations);
                    pending = Some(crash);
                    continue;
                }
                Step::FailSync(crash) => {
                    disk.fail_sync_after(0, ".seg");
                    pending = Some(crash);
                    continue;
                }
                Step::Fill => {
                    disk.set_capacity(Some(disk.used_bytes()));
                    continue;
                }
                Step::Free => {
                    disk.set_capacity(None);
                    continue;
                }
            };
            let taken = journal.append(&[unit(Class::Essential, progress.staged + 1, count)]);
            let outcome = taken.and_then(|()| {
                progress.staged += count;
                journal.commit()
            });
            match outcome {
                Ok(durable) => {
                    prop_assert_eq!(durable.0, progress.staged);
                    progress.acknowledged = durable.0;
                }
                Err(JournalError::Full { .. }) => {}
                Err(error) => {
                    prop_assert!(error.must_abort(), "{}", error);
                    drop(journal);
                    disk = disk.crash(pending.unwrap_or(Crash::KeepAll));
                    journal = open(&disk).expect("a crash is no damage");
                    let last = journal.head().sequence;
                    prop_assert!(last == progress.acknowledged || last == progress.staged);
                    progress = Progress { acknowledged: last, staged: last, snapshot: 0 };
                }
            }
        }
        drop(journal);
        check(&disk.crash(Crash::LoseUnsynced), progress, "the end");
    }
}

#[test]
fn space_prepared_ahead_outlives_a_power_cut() {
    let disk = SimDisk::new();
    drop(open(&disk).expect("an empty disk"));
    let left = disk.crash(Crash::LoseUnsynced);
    let folder = Path::new(ROOT).join("journal").join(ACCOUNT);
    for spare in ["next.spare", "reserve.spare"] {
        let content = left.content(&folder.join(spare)).expect("a spare");
        assert_eq!(content, vec![0; 4096], "{spare}");
    }
}

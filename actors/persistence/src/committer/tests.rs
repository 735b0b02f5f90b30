use super::*;
use crate::testing::{Listener, Notice, Watch, Watched, heard, records};
use apex_storage::disk::SimDisk;
use apex_storage::embedded::Preallocation;
use apex_storage::{DataDir, EmbeddedJournal, MemoryStore, Options};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

const KB: usize = 1_000;

struct Bench {
    committer: Committer,
    store: MemoryStore,
    watch: Watch,
    notices: Receiver<Notice>,
    next: u64,
}

impl Bench {
    fn new() -> Bench {
        let store = MemoryStore::new();
        let (journal, watch) = Watched::open(&store);
        let (listener, notices) = Listener::new();
        Bench {
            committer: Committer::new(Box::new(journal), Box::new(listener)),
            store,
            watch,
            notices,
            next: 1,
        }
    }

    /// Hands over one decision of so many records.
    fn decide(&mut self, count: u64, bytes: usize) {
        self.committer.push(records(self.next, count, bytes));
        self.next += count;
    }

    fn durable(&self) -> Vec<u64> {
        let durable = |notice: &Notice| match notice {
            Notice::Durable(sequence) => Some(*sequence),
            _ => None,
        };
        heard(&self.notices).iter().filter_map(durable).collect()
    }

    fn kept(&self) -> Vec<u64> {
        let records = self.committer.read(1).unwrap();
        records.map(|record| record.unwrap().sequence).collect()
    }

    /// Writes, and returns true where the process would have ended.
    fn write_ends(&mut self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.committer.write())).is_err()
    }
}

#[test]
fn what_waits_shares_one_commit() {
    let mut bench = Bench::new();
    bench.decide(1, 10);
    bench.decide(2, 10);
    bench.decide(1, 10);
    assert_eq!(bench.durable(), [0_u64; 0]);
    bench.committer.write();
    assert_eq!(bench.watch.commits(), [3]);
    assert_eq!(bench.durable(), [4]);
    bench.committer.write();
    assert_eq!(
        bench.watch.commits(),
        [3],
        "nothing waits, nothing is written"
    );
}

#[test]
fn more_than_a_batch_takes_further_commits_and_keeps_its_order() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        bench.decide(1, 400 * KB);
    }
    bench.committer.write();
    assert_eq!(bench.watch.commits(), [2, 2, 1]);
    assert_eq!(bench.durable(), [2, 4, 5]);
    assert_eq!(bench.kept(), [1, 2, 3, 4, 5]);
}

#[test]
fn thousands_of_small_decisions_past_a_batch_are_all_kept() {
    let mut bench = Bench::new();
    for _ in 0..10_000 {
        bench.decide(1, 300);
    }
    bench.committer.write();
    assert_eq!(bench.durable().last(), Some(&10_000));
    assert_eq!(bench.kept(), (1..=10_000).collect::<Vec<_>>());
    assert!(bench.watch.commits().len() < 10);
}

#[test]
fn a_decision_larger_than_a_batch_is_kept_in_parts() {
    let mut bench = Bench::new();
    bench.decide(1, 10);
    bench.decide(7, 400 * KB);
    bench.decide(1, 10);
    bench.committer.write();
    assert_eq!(bench.kept(), (1..=9).collect::<Vec<_>>());
    assert_eq!(bench.durable().last(), Some(&9));
    assert_eq!(bench.committer.health(), JournalHealth::Ready);
}

#[test]
fn a_record_larger_than_any_batch_ends_the_process() {
    let mut bench = Bench::new();
    bench.decide(1, 2_000 * KB);
    assert!(bench.write_ends());
    assert!(matches!(heard(&bench.notices)[..], [Notice::Failed(_)]));
}

#[test]
fn a_journal_that_is_never_empty_enough_ends_the_process_and_not_in_a_loop() {
    let mut bench = Bench::new();
    bench.watch.always_batch_full();
    bench.decide(1, 10);
    assert!(bench.write_ends());
    assert!(matches!(heard(&bench.notices)[..], [Notice::Failed(_)]));
}

#[test]
fn a_failed_sync_is_told_and_never_durable() {
    let mut bench = Bench::new();
    bench.decide(1, 10);
    bench.store.fail_next_sync();
    assert!(bench.write_ends());
    bench.decide(1, 10);
    assert!(bench.write_ends(), "the failure stays");
    let notices = heard(&bench.notices);
    assert_eq!(notices.len(), 2);
    let failed = |notice: &Notice| matches!(notice, Notice::Failed(why) if why.contains("fsync"));
    assert!(notices.iter().all(failed), "{notices:?}");
}

#[test]
fn what_does_not_fit_is_kept_back_in_order_and_written_once_space_is_back() {
    let mut bench = Bench::new();
    assert_eq!(bench.committer.health(), JournalHealth::Ready);
    bench.store.set_full(true);
    bench.decide(1, 600 * KB);
    bench.committer.write();
    assert_eq!(bench.durable(), [1], "into the reserve");
    assert_eq!(bench.committer.health(), JournalHealth::Reserve);
    bench.decide(1, 600 * KB);
    bench.decide(1, 10);
    for _ in 0..3 {
        bench.committer.probe();
        bench.committer.write();
    }
    assert_eq!(bench.durable(), [0_u64; 0], "a small one must not overtake");
    assert_eq!(bench.committer.health(), JournalHealth::Full);
    bench.store.set_full(false);
    bench.committer.probe();
    bench.committer.write();
    assert_eq!(bench.durable(), [3]);
    assert_eq!(bench.kept(), [1, 2, 3]);
    assert_eq!(bench.committer.health(), JournalHealth::Ready);
}

#[test]
fn what_fits_into_the_reserve_is_durable_although_the_next_does_not() {
    let mut bench = Bench::new();
    bench.store.set_full(true);
    for _ in 0..4 {
        bench.decide(1, 400 * KB);
    }
    bench.committer.write();
    assert_eq!(bench.durable(), [2]);
    assert_eq!(bench.committer.waiting(), 2);
}

#[test]
fn a_snapshot_comes_after_what_was_decided_before_it() {
    let mut bench = Bench::new();
    bench.decide(3, 10);
    bench.committer.snapshot(3, b"state".to_vec());
    assert_eq!(bench.durable(), [3]);
    drop(bench.committer);
    let latest = bench
        .store
        .open("paper")
        .unwrap()
        .snapshot_latest()
        .unwrap();
    assert_eq!(latest.unwrap().sequence, 3);
}

#[test]
fn a_snapshot_of_what_has_no_space_is_not_kept() {
    let mut bench = Bench::new();
    bench.store.set_full(true);
    bench.decide(1, 900 * KB);
    bench.decide(1, 900 * KB);
    bench.committer.snapshot(2, b"state".to_vec());
    assert_eq!(bench.durable(), [1]);
    drop(bench.committer);
    let latest = bench
        .store
        .open("paper")
        .unwrap()
        .snapshot_latest()
        .unwrap();
    assert_eq!(latest, None);
}

/// The embedded journal on a disk of its own that runs full and is given space again.
#[test]
fn a_real_journal_goes_from_ready_to_reserve_to_full_and_back_without_a_loss() {
    let disk = SimDisk::new();
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new("/data"));
    let options = Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 8 << 10,
        preallocation: Preallocation::Inline,
        ..Options::default()
    };
    let journal = EmbeddedJournal::open(&dir, "paper", options.clone()).unwrap();
    let (listener, notices) = Listener::new();
    let mut committer = Committer::new(Box::new(journal), Box::new(listener));
    disk.set_capacity(Some(disk.used_bytes()));
    let (mut seen, mut decided) = (vec![committer.health()], 0);
    while committer.waiting() < 5 {
        decided += 1;
        committer.push(records(decided, 1, 500));
        committer.write();
        if seen.last() != Some(&committer.health()) {
            seen.push(committer.health());
        }
        assert!(decided < 1_000, "the disk never runs full");
    }
    use JournalHealth::{Full, Ready, Reserve};
    assert_eq!(seen, [Ready, Reserve, Full]);
    disk.set_capacity(None);
    committer.probe();
    committer.write();
    assert_eq!((committer.waiting(), committer.health()), (0, Ready));
    assert_eq!(heard(&notices).last(), Some(&Notice::Durable(decided)));
    drop(committer);
    let journal = EmbeddedJournal::open(&dir, "paper", options).unwrap();
    assert_eq!(journal.opened().records, decided);
}

#[test]
fn that_the_server_is_away_is_told_before_what_is_durable_without_it() {
    use Notice::{Durable, Health};
    let mut bench = Bench::new();
    let mut write = |away| {
        bench.watch.set_away(away);
        bench.decide(1, KB);
        bench.committer.write();
        heard(&bench.notices)
    };
    assert_eq!(write(false), [Durable(1)]);
    assert_eq!(write(true), [Health(JournalHealth::Away), Durable(2)]);
    assert_eq!(write(true), [Durable(3)]);
    assert_eq!(write(false), [Durable(4)]);
    assert_eq!(write(true), [Health(JournalHealth::Away), Durable(5)]);
    assert_eq!(bench.committer.health(), JournalHealth::Away);
}

#[test]
fn a_server_that_was_back_between_two_commits_is_told_away_again() {
    use Notice::{Durable, Health};
    let mut bench = Bench::new();
    let cancel = |bench: &mut Bench| {
        bench.decide(1, KB);
        bench.committer.write();
        heard(&bench.notices)
    };
    bench.watch.set_away(true);
    assert_eq!(
        cancel(&mut bench),
        [Health(JournalHealth::Away), Durable(1)]
    );
    bench.committer.probe();
    assert_eq!(cancel(&mut bench), [Durable(2)]);
    bench.watch.set_away(false);
    bench.committer.probe();
    assert_eq!(bench.committer.health(), JournalHealth::Ready);
    bench.watch.set_away(true);
    assert_eq!(
        cancel(&mut bench),
        [Health(JournalHealth::Away), Durable(3)]
    );
}

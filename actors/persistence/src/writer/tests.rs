use super::*;
use crate::testing::{Listener, Notice, PATIENCE, Watch, Watched, heard, records, wait_for};
use apex_storage::{DataDir, EmbeddedJournals, Journals, MemoryStore, Options, own_objects};

const SOON: Duration = Duration::from_millis(1);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

struct Running {
    writer: Writer,
    store: MemoryStore,
    watch: Watch,
    notices: Receiver<Notice>,
}

fn start(probe_interval: Duration) -> Running {
    start_on(MemoryStore::new(), probe_interval)
}

fn start_on(store: MemoryStore, probe_interval: Duration) -> Running {
    let (journal, watch) = Watched::open(&store);
    let (listener, notices) = Listener::new();
    let writer = Writer::start_with(Box::new(journal), Box::new(listener), probe_interval).unwrap();
    Running {
        writer,
        store,
        watch,
        notices,
    }
}

fn sequences(store: &MemoryStore) -> Vec<u64> {
    let journal = store.open("paper").unwrap();
    let records = journal.read_from(1).unwrap();
    records.map(|record| record.unwrap().sequence).collect()
}

#[test]
fn what_comes_during_a_commit_shares_the_next_one() {
    let running = start(NEVER);
    let (begun, go) = running.watch.gate();
    let queue = running.writer.queue();
    queue.append(records(1, 1, 10));
    begun.recv_timeout(PATIENCE).unwrap();
    for sequence in 2..=10 {
        queue.append(records(sequence, 1, 10));
    }
    assert_eq!(heard(&running.notices), [], "not durable before the commit");
    go.send(()).unwrap();
    begun.recv_timeout(PATIENCE).unwrap();
    assert_eq!(heard(&running.notices), [Notice::Durable(1)]);
    go.send(()).unwrap();
    wait_for(&running.notices, &Notice::Durable(10));
    assert_eq!(running.watch.commits(), [1, 9]);
    running.writer.stop();
}

#[test]
fn a_stop_makes_durable_what_was_handed_over() {
    let running = start(NEVER);
    let queue = running.writer.queue();
    for sequence in 1..=7_000 {
        queue.append(records(sequence, 1, 10));
    }
    running.writer.stop();
    assert_eq!(sequences(&running.store), (1..=7_000).collect::<Vec<_>>());
    let notices = heard(&running.notices);
    assert_eq!(notices.last(), Some(&Notice::Durable(7_000)));
    queue.append(records(7_001, 1, 10));
    assert!(queue.read(1).is_none(), "nobody is there any more");
}

#[test]
fn a_full_disk_is_told_looked_at_again_and_told_to_be_well() {
    let running = start(SOON);
    let queue = running.writer.queue();
    running.store.set_full(true);
    queue.append(records(1, 1, 10));
    wait_for(&running.notices, &Notice::Health(JournalHealth::Reserve));
    queue.append(records(2, 1, 900_000));
    queue.append(records(3, 1, 900_000));
    let before = wait_for(&running.notices, &Notice::Health(JournalHealth::Full));
    assert!(!before.contains(&Notice::Durable(3)));
    running.store.set_full(false);
    let before = wait_for(&running.notices, &Notice::Health(JournalHealth::Ready));
    assert!(before.contains(&Notice::Durable(3)), "{before:?}");
    running.writer.stop();
    assert_eq!(sequences(&running.store), [1, 2, 3]);
}

#[test]
fn a_listener_that_came_late_hears_of_a_full_disk_again() {
    let running = start(SOON);
    running.store.set_full(true);
    running.writer.queue().append(records(1, 1, 10));
    let told = Notice::Health(JournalHealth::Reserve);
    for _ in 0..3 {
        wait_for(&running.notices, &told);
    }
    running.writer.stop();
}

#[test]
fn a_full_disk_is_not_looked_at_for_each_decision() {
    let running = start(NEVER);
    running.store.set_full(true);
    let queue = running.writer.queue();
    for sequence in 1..=500 {
        queue.append(records(sequence, 1, 10));
    }
    wait_for(&running.notices, &Notice::Durable(500));
    running.writer.stop();
    assert!(running.watch.probes() <= 1, "{}", running.watch.probes());
}

#[test]
fn with_a_full_disk_and_a_full_backlog_reads_and_the_stop_get_through() {
    let running = start(SOON);
    let queue = running.writer.queue();
    queue.append(records(1, 1, 10));
    wait_for(&running.notices, &Notice::Durable(1));
    running.store.set_full(true);
    let behind = BATCH as u64 + QUEUE as u64 / 2;
    queue.append(records(2, 1, 900_000));
    queue.append(records(3, 1, 900_000));
    for sequence in 4..4 + behind {
        queue.append(records(sequence, 1, 10));
    }
    let records = queue.read(1).unwrap().unwrap();
    let read: Vec<u64> = records.map(|record| record.unwrap().sequence).collect();
    assert_eq!(read, [1, 2]);
    running.writer.stop();
    assert_eq!(sequences(&running.store), [1, 2], "the rest was never told");
}

#[test]
fn what_filled_the_queue_while_the_disk_was_full_is_written_when_it_is_not() {
    let running = start(SOON);
    let queue = running.writer.queue();
    running.store.set_full(true);
    queue.append(records(1, 1, 900_000));
    queue.append(records(2, 1, 900_000));
    let last = BATCH as u64 + QUEUE as u64 / 2;
    for sequence in 3..=last {
        queue.append(records(sequence, 1, 10));
    }
    running.store.set_full(false);
    let before = wait_for(&running.notices, &Notice::Durable(last));
    let failed = |notice: &Notice| matches!(notice, Notice::Failed(_));
    assert!(!before.iter().any(failed));
    running.writer.stop();
    assert_eq!(sequences(&running.store), (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_failed_sync_is_told_and_nothing_is_taken_any_more() {
    let running = start(NEVER);
    let queue = running.writer.queue();
    running.store.fail_next_sync();
    queue.append(records(1, 1, 10));
    let notice = running.notices.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(notice, Notice::Failed(_)), "{notice:?}");
    wait_for(&running.notices, &Notice::Panicked);
    // The test's process did not end, only the thread; nothing hangs on it.
    queue.append(records(2, 1, 10));
    running.writer.stop();
    assert_eq!(heard(&running.notices), []);
}

#[test]
fn a_broken_invariant_on_the_thread_is_told() {
    let running = start(NEVER);
    running.watch.panics();
    running.writer.queue().append(records(1, 1, 10));
    wait_for(&running.notices, &Notice::Panicked);
    running.writer.stop();
}

#[test]
fn a_read_sees_what_is_durable_and_not_what_is_being_written() {
    let running = start(NEVER);
    let queue = running.writer.queue();
    queue.append(records(1, 2, 10));
    wait_for(&running.notices, &Notice::Durable(2));
    let (begun, go) = running.watch.gate();
    queue.append(records(3, 1, 10));
    begun.recv_timeout(PATIENCE).unwrap();
    let reader = std::thread::spawn(move || {
        let records = queue.read(2).unwrap().unwrap();
        records.map(|r| r.unwrap().sequence).collect::<Vec<_>>()
    });
    go.send(()).unwrap();
    drop((begun, go));
    // The commit ended before the read was answered.
    assert_eq!(reader.join().unwrap(), [2, 3]);
    running.writer.stop();
}

#[test]
fn reads_go_on_while_decisions_are_written() {
    let running = start(NEVER);
    let queue = running.writer.queue();
    let writing = {
        let queue = queue.clone();
        std::thread::spawn(move || {
            for sequence in 1..=20_000 {
                queue.append(records(sequence, 1, 10));
            }
        })
    };
    let mut last = 0;
    while last < 20_000 {
        for record in queue.read(last + 1).unwrap().unwrap() {
            assert_eq!(record.unwrap().sequence, last + 1);
            last += 1;
        }
    }
    writing.join().unwrap();
    running.writer.stop();
}

/// Commits records until the journal's folder says that old segments were moved.
fn write_until_moved(
    running: &Writer,
    notices: &Receiver<Notice>,
    folder: &std::path::Path,
) -> u64 {
    let queue = running.queue();
    let begun = Instant::now();
    let mut sequence = 0;
    while !folder.join("journal/paper/base").exists() {
        assert!(begun.elapsed() < PATIENCE, "nothing was moved");
        for _ in 0..20 {
            sequence += 1;
            queue.append(records(sequence, 1, 500));
        }
        wait_for(notices, &Notice::Durable(sequence));
        queue.snapshot(sequence, b"state".to_vec());
    }
    sequence
}

#[test]
fn old_segments_are_moved_behind_snapshots_and_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let options = Options {
        segment_bytes: 4_096,
        reserve_bytes: 4_096,
        ..Options::default()
    };
    let journals =
        EmbeddedJournals::new(&dir, options).with_objects(own_objects(folder.path()).unwrap());
    let (listener, notices) = Listener::new();
    let journal = journals.open("paper").unwrap();
    let writer = Writer::start_with(journal, Box::new(listener), NEVER).unwrap();
    let last = write_until_moved(&writer, &notices, folder.path());
    let read = writer.queue().read(1).unwrap().unwrap();
    let read: Vec<u64> = read.map(|item| item.unwrap().sequence).collect();
    assert_eq!(read, (1..=last).collect::<Vec<_>>());
    writer.stop();
    let report = journals.verify("paper", &mut |_| {}).unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!(report.records, last);
    let objects = folder.path().join("objects/data/journals/paper");
    assert!(std::fs::read_dir(objects).unwrap().count() > 0);
}

#[test]
fn a_snapshot_that_takes_long_holds_up_no_commit_and_counts_once_it_is_kept() {
    let running = start(NEVER);
    let (queue, watch) = (running.writer.queue(), running.watch.clone());
    let stored = watch.slow_snapshots();
    let mut last = 0;
    let mut commit = || {
        last += 1;
        queue.append(records(last, 1, 10));
        wait_for(&running.notices, &Notice::Durable(last));
        last
    };
    let sequence = commit();
    queue.snapshot(sequence, b"state".to_vec());
    for _ in 0..3 {
        let sequence = commit();
        // One at a time: these are left out.
        queue.snapshot(sequence, b"state".to_vec());
    }
    assert_eq!(watch.closings(), 0, "it is not kept yet");
    stored.send(()).unwrap();
    let begun = Instant::now();
    while watch.closings() == 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not count as kept");
        commit();
    }
    // One that fails is followed by the next.
    let sequence = commit();
    queue.snapshot(sequence, b"state".to_vec());
    drop(stored);
    let stored = watch.slow_snapshots();
    while watch.closings() == 1 {
        assert!(begun.elapsed() < PATIENCE, "none is stored any more");
        let sequence = commit();
        queue.snapshot(sequence, b"state".to_vec());
        let _ = stored.send(());
    }
    // A stop waits for one that is being stored, and not for ever.
    let sequence = commit();
    queue.snapshot(sequence, b"state".to_vec());
    running.writer.stop();
    assert!(heard(&running.notices).is_empty());
}

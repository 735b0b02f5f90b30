//! A server that answers, and takes its time.

use super::*;
use crate::port::journals::AUDIT_JOURNAL;

#[test]
fn a_slow_server_that_takes_commits_ends_being_away() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    commit(&mut journal, 1);
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    commit(&mut journal, 2);
    assert!(is_away(&journal));
    // Longer than a look may take, and no longer than a commit may.
    bench.proxy.delay_answers(Duration::from_millis(300));
    bench.proxy.set_refusing(false);
    let mut sequence = 2;
    look_until_ready(Duration::from_millis(500), || {
        let state = journal.probe()?;
        // Something comes between any two looks.
        if state != JournalState::Ready {
            sequence += 1;
            commit(&mut journal, sequence);
        }
        Ok(state)
    });
    drop(journal);
    bench.holds(sequence);
}

#[test]
fn a_server_slower_than_a_commit_may_wait_does_not_hold_up_every_look() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    commit(&mut journal, 1);
    bench.proxy.delay_answers(PATIENCE + AT_ONCE);
    let (mut sequence, mut waits, mut looks) = (1, 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < SLOW_FOR {
        sequence += 1;
        commit(&mut journal, sequence);
        let look = Instant::now();
        journal.probe().expect("nothing is broken");
        (waits, looks) = (waits + u32::from(look.elapsed() > AT_ONCE), looks + 1);
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(waits <= 1, "{waits} of {looks} looks waited");
    bench.proxy.delay_answers(Duration::ZERO);
    until_ready(&mut journal);
    drop(journal);
    bench.holds(sequence);
}

/// Less than the pause behind a wait that was in vain, and several answers of the server.
const SLOW_FOR: Duration = Duration::from_secs(8);

#[test]
fn the_audit_waits_less_for_a_server_than_the_kill_switch_waits_for_the_audit() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.journals().open(AUDIT_JOURNAL).expect("it opens");
    for sequence in 1..=3 {
        commit(&mut journal, sequence);
    }
    bench.postgres.pause().expect("it stops");
    let took = commit(&mut journal, 4);
    assert!(took < PATIENCE / 2, "{took:?}");
    assert!(is_away(&journal));
    bench.postgres.resume();
    until_ready(&mut journal);
}

#[test]
fn a_checkpoint_of_the_audit_vouches_for_nothing_that_is_in_the_reserve_alone() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let mut log = crate::audit::AuditLog::open(&bench.journals()).expect("it opens");
    log.append(b"begin").expect("it is taken");
    assert_eq!(log.commit().expect("it is durable"), 1);
    // A busy machine may have taken longer than a commit of the audit waits.
    look_until_ready(Duration::from_millis(10), || log.probe());
    assert_eq!(log.checkpoint().map(|it| it.sequence), Some(1));
    bench.postgres.pause().expect("it stops");
    log.append(b"meanwhile").expect("it is taken");
    assert_eq!(log.commit().expect("it is durable"), 2);
    assert_eq!(log.checkpoint(), None);
    bench.postgres.resume();
    look_until_ready(Duration::from_millis(10), || log.probe());
    assert_eq!(log.checkpoint().map(|it| it.sequence), Some(2));
}

#[test]
fn a_server_that_is_away_has_not_said_that_there_is_no_snapshot() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    for sequence in [1, 2] {
        commit(&mut journal, sequence);
        let written = journal.snapshot_write(sequence, b"state");
        written.expect("it is kept");
    }
    assert_eq!(journal.snapshots().expect("it answers").count(), 2);
    drop(journal);
    let options = ServerOptions {
        give_up: Duration::from_millis(200),
        ..ServerOptions::new("APEX_DATABASE_URL", &bench.url())
    };
    let server = PgServer::connect(options).expect("the server answers");
    let journals = PgJournals::new(&server).expect("the tables are there");
    let journal = journals.open("paper").expect("it opens");
    let mut kept = journal.snapshots().expect("it answers");
    let newest = kept.next().expect("there are two").expect("it is whole");
    assert_eq!(newest.sequence, 2);
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    let older = kept.next();
    assert!(
        matches!(older, Some(Err(StorageError::Unavailable { .. }))),
        "nor that there is no other one: {older:?}"
    );
    assert!(kept.next().is_none(), "an error is the last one");
    let missing = journal.snapshots().map(Iterator::count);
    assert!(
        matches!(missing, Err(StorageError::Unavailable { .. })),
        "{missing:?}"
    );
}

#[test]
fn a_look_of_the_audit_at_a_slow_server_waits_no_longer_than_its_commits_do() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.journals().open(AUDIT_JOURNAL).expect("it opens");
    commit(&mut journal, 1);
    bench.proxy.delay_answers(Duration::from_millis(800));
    commit(&mut journal, 2);
    commit(&mut journal, 3);
    assert!(is_away(&journal));
    let mut longest = Duration::ZERO;
    look_until_ready(Duration::from_millis(10), || {
        let look = Instant::now();
        let state = journal.probe();
        longest = longest.max(look.elapsed());
        state
    });
    assert!(longest < AT_ONCE, "{longest:?}");
}

#[test]
fn a_snapshot_that_takes_a_server_long_is_stored_and_holds_up_no_commit() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.open();
    for sequence in 1..=3 {
        commit(&mut journal, sequence);
    }
    bench.proxy.delay_answers(PATIENCE + AT_ONCE);
    let begun = Instant::now();
    let job = journal.snapshot_job(3, b"state".to_vec());
    let job = job.expect("it is begun").expect("beside the commits");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let storing = std::thread::spawn(job);
    storing.join().expect("no panic").expect("it is kept");
    assert!(begun.elapsed() > PATIENCE, "{:?}", begun.elapsed());
    bench.proxy.delay_answers(Duration::ZERO);
    let newest = journal.snapshot_latest().expect("it answers");
    assert_eq!(newest.map(|newest| newest.sequence), Some(3));
    // An owner that was replaced is told so, by the same work.
    let job = journal.snapshot_job(3, b"late".to_vec());
    let job = job.expect("it is begun").expect("beside the commits");
    drop(bench.take_over());
    let fenced = job().expect_err("another owner has the account");
    assert!(matches!(fenced, StorageError::Fenced { .. }), "{fenced}");
    // Without the server there is none, and that ends nothing.
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    commit(&mut journal, 4);
    let none = journal.snapshot_job(4, b"state".to_vec());
    let none = none.map(|_| ()).expect_err("it is away");
    assert!(!none.must_abort(), "{none}");
}

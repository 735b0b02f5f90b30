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
    let (mut sequence, begun) = (2, Instant::now());
    // Something comes between any two looks.
    while journal.probe().expect("nothing is broken") != JournalState::Ready {
        assert!(begun.elapsed() < LIMIT, "{journal:?}");
        sequence += 1;
        commit(&mut journal, sequence);
        std::thread::park_timeout(Duration::from_millis(500));
    }
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

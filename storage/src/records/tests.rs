//! What the kinds say of themselves, without a store.

use super::*;
use crate::MemoryRecords;
use crate::conformance::{At, at, job};
use apex_domain::risk::Limits;
use std::time::Duration;

#[test]
fn a_job_goes_from_state_to_state_by_its_own_run_alone() {
    let ready = job("one", 50);
    assert_eq!(ready.begun("a", 49, 100), None, "not due");
    assert_eq!(ready.done(0, 60, None), None, "nobody runs it");
    assert_eq!(ready.renewed(0, 60, 100), None);
    assert_eq!(ready.failed(0, 60, "why", None), None);
    let running = ready.begun("a", 50, 100).expect("it is due");
    assert_eq!(running.begun("b", 149, 100), None, "it runs");
    for epoch in [0, 2] {
        assert_eq!(running.done(epoch, 60, None), None);
        assert_eq!(running.renewed(epoch, 60, 100), None);
        assert_eq!(running.failed(epoch, 60, "why", None), None);
    }
    let shorter = running.renewed(1, 10, 100).expect("it runs");
    assert_eq!(
        shorter, running,
        "a clock that went back takes no time away"
    );
    let failed = running
        .failed(1, 60, "no space", Some(300))
        .expect("it runs");
    assert_eq!((&failed.state, failed.due_ns), (&JobState::Ready, 300));
    assert!(failed.ended_ns.is_none() && !failed.has_ended_before(i64::MAX));
    let ended = [
        running.done(1, 60, Some("results/1")),
        running.failed(1, 60, "for good", None),
        running.canceled(60, "not wanted"),
        ready.canceled(60, "not wanted"),
    ];
    for job in ended.map(|job| job.expect("it may end")) {
        assert_eq!(job.begun("b", i64::MAX, 100), None, "{job:?}");
        assert_eq!(job.ended_ns, Some(60), "{job:?}");
        assert!(job.has_ended_before(61) && !job.has_ended_before(60));
        let of_older_build = Job {
            ended_ns: None,
            ..job.clone()
        };
        assert!(of_older_build.has_ended_before(51) && !of_older_build.has_ended_before(50));
        assert_eq!(job.done(job.epoch, 61, None), None, "{job:?}");
        assert_eq!(job.canceled(61, "again"), None, "{job:?}");
    }
    let worn = Job {
        epoch: u64::MAX,
        ..ready
    };
    assert_eq!(worn.begun("a", 50, 100), None, "there is no newer epoch");
}

#[test]
fn names_and_times_that_would_change_the_meaning_of_a_key_are_refused() {
    let records = MemoryRecords::new();
    let wrong = [
        Job {
            class: "a/b".to_owned(),
            ..job("one", 0)
        },
        Job {
            unique_key: Some("a/b".to_owned()),
            ..job("one", 0)
        },
        job("a/b", 0),
        job("", 0),
        job("one", -1),
    ];
    for job in wrong {
        let outcome = add_job(&records, &job);
        assert!(
            matches!(outcome, Err(StorageError::BadName { .. })),
            "{job:?}"
        );
    }
    assert_eq!(records.list("work").expect("it can be read"), []);
    let known = add_job(&records, &job("one", 0)).expect("it is new");
    let other = update_job(&records, &known, &job("two", 0));
    assert!(
        matches!(other, Err(StorageError::BadName { .. })),
        "{other:?}"
    );
}

#[test]
fn a_firing_is_of_the_time_that_is_due() {
    let records = MemoryRecords::new();
    let schedule = Schedule {
        schedule_id: "hourly".to_owned(),
        kind: "backup".to_owned(),
        spec: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        next_due_ns: Some(100),
        paused: false,
    };
    let known = insert(&records, &schedule).expect("it is new");
    let firing = |due_ns, job_id: Option<&str>| Firing {
        schedule_id: "hourly".to_owned(),
        due_ns,
        fired_ns: 105,
        outcome: match job_id {
            Some(job_id) => Outcome::Fired {
                job_id: job_id.to_owned(),
            },
            None => Outcome::Skipped {
                reason: "late".to_owned(),
            },
        },
    };
    let one = job("one", 100);
    for (firing, job, next) in [
        (firing(99, None), None, Some(200)),
        (firing(100, Some("one")), None, Some(200)),
        (firing(100, Some("two")), Some(&one), Some(200)),
        (firing(100, None), Some(&one), Some(200)),
        (firing(100, None), None, Some(100)),
    ] {
        let outcome = fire(&records, &known, &firing, job, next);
        assert!(
            matches!(outcome, Err(StorageError::BadName { .. })),
            "{firing:?}"
        );
    }
    let known = fire(
        &records,
        &known,
        &firing(100, Some("one")),
        Some(&one),
        Some(200),
    );
    let known = known.expect("it is due");
    let known = fire(&records, &known, &firing(200, None), None, None).expect("it is due");
    assert_eq!(known.value.next_due_ns, None);
    let fired = firings(&records, "hourly", 0, 9).expect("they can be read");
    let held = ledger(&[100, 150], &fired);
    assert_eq!(
        (held.missing_ns, held.unexpected_ns),
        (vec![150], vec![200])
    );
    let from = firings(&records, "hourly", 101, 9).expect("they can be read");
    assert_eq!(from, fired[1..]);
    let from = firings(&records, "hourly", 100, 9).expect("they can be read");
    assert_eq!(from, fired);
}

#[test]
fn accounts_are_kept_with_what_is_asked_of_them() {
    let records = MemoryRecords::new();
    let settings = AccountSettings {
        account_id: "paper".to_owned(),
        title: "Ann's \u{201c}first\u{201d}".to_owned(),
        owner: "ann".to_owned(),
        venue: "sim".to_owned(),
        enabled: true,
    };
    let limits = AccountLimits {
        account_id: "paper".to_owned(),
        revision: 1,
        by: "ann".to_owned(),
        asked_ns: 5,
        limits: Limits {
            max_open_orders: Some(10),
            ..Limits::default()
        },
    };
    insert(&records, &settings).expect("it is new");
    let first = insert(&records, &limits).expect("it is new");
    let found = find::<AccountSettings>(&records, "paper").expect("it can be read");
    assert_eq!(found.map(|found| found.value), Some(settings));
    let second = AccountLimits {
        revision: 2,
        ..limits.clone()
    };
    replace(&records, &first, &second).expect("nobody changed it");
    let lost = replace(&records, &first, &limits);
    assert!(
        matches!(lost, Err(StorageError::Conflict { .. })),
        "{lost:?}"
    );
    let found = find::<AccountLimits>(&records, "paper").expect("it can be read");
    let found = found.expect("it is there");
    assert_eq!(found.value, second);
    remove(&records, &found).expect("nobody changed it");
    let left = page::<AccountSettings>(&records, None, 9).expect("it can be read");
    assert_eq!(left.len(), 1);
    let left = page::<AccountLimits>(&records, None, 9).expect("it can be read");
    assert!(left.is_empty());
}

#[test]
fn an_owner_is_safe_for_the_length_of_its_lease_whatever_the_clock_of_the_store() {
    const LENGTH: Duration = Duration::from_secs(60);
    let length_ns = LENGTH.as_nanos() as i64;
    let (memory, told) = (MemoryRecords::new(), std::sync::Mutex::new(Moment::now()));
    let tell = || *told.lock().expect("nobody panicked") = Moment::now();
    let told = || *told.lock().expect("nobody panicked");
    // Its clock is years from the machine's.
    let records = At {
        before_change: &tell,
        ..at(&memory, i64::MAX / 2)
    };
    let before = Moment::now();
    let what = Assigned::Feed("sim".to_owned());
    let mut hold = claim(&records, &what, "a", length_ns).expect("it is free");
    let is_bounded = |hold: &Hold| hold.until.steady <= told().steady + LENGTH;
    assert!(before.steady + LENGTH <= hold.until.steady && is_bounded(&hold));
    let margin = Duration::from_secs(10);
    let ahead = |by: Duration| Moment {
        steady: hold.until.steady - margin - by,
        clock: hold.until.clock - margin - by,
    };
    let (last, safe) = (ahead(Duration::ZERO), ahead(Duration::from_micros(1)));
    assert!(!hold.is_safe(last, margin));
    assert!(hold.is_safe(safe, margin));
    assert!(!hold.is_safe(safe, Duration::MAX));
    // A machine that slept: the one clock stood still, and another may be the owner by now.
    let slept = Moment {
        clock: safe.clock + LENGTH,
        ..safe
    };
    assert!(!hold.is_safe(slept, margin));
    // One whose clock was set back has no more time for it.
    let set_back = Moment {
        clock: last.clock - LENGTH,
        ..last
    };
    assert!(!hold.is_safe(set_back, margin));

    let until = hold.until;
    hold.renew(&records, length_ns).expect("it is the owner");
    assert!(until.steady <= hold.until.steady && is_bounded(&hold));
    let until = hold.until;
    hold.renew(&records, 0).expect("it is the owner");
    assert_eq!(hold.until, until, "no time is lost");
}

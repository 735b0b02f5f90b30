//! The cases of what is kept as records: assignments, jobs, schedules, strategies.

use super::RecordsBackend;
use super::clocked::at;
use super::record_changes::in_threads;
use super::records::{Case, get, open, put};
use crate::StorageError;
use crate::port::records::{Change, Entries, Records};
use crate::records::{
    self, ACCESS_TABLE, Assigned, AssignmentError, Firing, Hold, Job, JobState, Outcome, Schedule,
    Strategy, StrategyVersion, User,
};
use apex_domain::access::{Grants, Role};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(super) const CASES: &[Case] = &[
    (
        "TC-R17 after a takeover every write of the old owner is refused",
        stale_owner,
    ),
    ("TC-R18 of eight nodes that claim one gets it", one_owner),
    (
        "TC-R19 a takeover while the owner writes stops it at once",
        taken_while_writing,
    ),
    (
        "TC-R20 an owner renews and writes at the same time",
        renewing,
    ),
    ("TC-R21 each time of a schedule is seen to once", fired_once),
    ("TC-R22 each job is begun by one node at a time", begun_once),
    (
        "TC-R23 the result of a run that was taken for lost is refused",
        lost_run,
    ),
    (
        "TC-R24 a record of a newer build is refused and not written over",
        newer,
    ),
    ("TC-R25 versions of a strategy never change", versions),
];

const TABLES: [&str; 6] = [
    "assignments",
    "strategy_state",
    "work",
    "accounts",
    "strategies",
    "others",
];

fn everything(records: &dyn Records) -> Vec<Entries> {
    let list = |table| records.list(table).expect("it can be read");
    TABLES.map(list).to_vec()
}

fn claim(records: &dyn Records, what: &Assigned, node: &str, now: i64) -> Hold {
    records::claim(&at(records, now), what, node, 100).expect("it is free")
}

fn is_fenced(outcome: &Result<(), AssignmentError>, epochs: (u64, u64)) -> bool {
    matches!(outcome, Err(AssignmentError::Fenced { epoch, found, .. })
        if (*epoch, *found) == epochs)
}

fn stale_owner(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for what in [
        Assigned::Account("paper".to_owned()),
        Assigned::Feed("sim".to_owned()),
        Assigned::Strategy("paper:ema".to_owned()),
        Assigned::Role("scheduler".to_owned()),
    ] {
        let mut old = claim(&*records, &what, "a", 0);
        old.put(&*records, "strategy_state", "s", b"old")
            .expect("it is the owner");
        old.renew(&at(&*records, 20), 100).expect("it is the owner");
        let early = records::claim(&at(&*records, 119), &what, "b", 100);
        assert!(
            matches!(&early, Err(AssignmentError::Held { node, until_ns: 120, .. }) if node == "a"),
            "{early:?}"
        );
        let new = claim(&*records, &what, "b", 120);
        assert_eq!((old.epoch, new.epoch), (1, 2));
        new.put(&*records, "strategy_state", "s", b"new")
            .expect("it is the owner");

        let before = everything(&*records);
        let stale = |records: &dyn Records, old: &Hold| {
            let found = (1, new.epoch);
            for (table, key) in [
                ("strategy_state", "s"),
                ("strategy_state", "fresh"),
                ("others", "fresh"),
                ("assignments", "fresh"),
            ] {
                let outcome = old.put(records, table, key, b"stale");
                assert!(is_fenced(&outcome, found), "{table}/{key}: {outcome:?}");
                let outcome = old.change(records, &[Change::delete(table, key)]);
                assert!(is_fenced(&outcome, found), "{table}/{key}: {outcome:?}");
            }
            let several = [
                Change::put("others", "one", b"stale"),
                Change::put("work", "two", b"stale"),
                Change::absent("others", "three"),
            ];
            let outcome = old.change(records, &several);
            assert!(is_fenced(&outcome, found), "{outcome:?}");
            let outcome = old.change(records, &[]);
            assert!(is_fenced(&outcome, found), "even nothing: {outcome:?}");
            // Whatever its clock says.
            for now in [0, 50, i64::MAX] {
                let outcome = old.clone().renew(&at(records, now), 100);
                assert!(is_fenced(&outcome, found), "{outcome:?}");
            }
            let outcome = old.clone().release(records);
            assert!(is_fenced(&outcome, found), "{outcome:?}");
        };
        stale(&*records, &old);
        assert_eq!(everything(&*records), before, "nothing was written");

        // Given back and claimed by the first node again: its old handle stays stale.
        new.clone().release(&*records).expect("it is the owner");
        let outcome = new.put(&*records, "others", "fresh", b"stale");
        assert!(is_fenced(&outcome, (2, 2)), "given back: {outcome:?}");
        let again = claim(&*records, &what, "a", 121);
        assert_eq!(again.epoch, 3);
        let before = everything(&*records);
        let outcome = old.put(&*records, "others", "fresh", b"stale");
        assert!(is_fenced(&outcome, (1, 3)), "{outcome:?}");
        assert_eq!(everything(&*records), before, "nothing was written");
        again
            .put(&*records, "strategy_state", "s", b"again")
            .expect("it is the owner");
    }
}

fn one_owner(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let what = Assigned::Account("paper".to_owned());
    for round in 0..10_i64 {
        let outcomes = in_threads(&*records, |records, number| {
            records::claim(
                &at(records, round * 100),
                &what,
                &format!("node-{number}"),
                100,
            )
        });
        let mut owners = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(hold) => owners.push(hold),
                Err(
                    AssignmentError::Held { .. }
                    | AssignmentError::Storage(StorageError::Conflict { .. }),
                ) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let [owner] = &owners[..] else {
            panic!("{owners:?}");
        };
        assert_eq!(owner.epoch, round as u64 + 1);
        owner
            .put(&*records, "others", "owner", owner.node.as_bytes())
            .expect("it is the owner");
    }
}

fn taken_while_writing(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let what = Assigned::Account("paper".to_owned());
    for round in 0..8_i64 {
        let old = claim(&*records, &what, "a", round * 1_000);
        let written = AtomicU64::new(0);
        let new = std::thread::scope(|scope| {
            let records = &*records;
            let (old, written) = (&old, &written);
            let writer = scope.spawn(move || {
                for number in 0_u64.. {
                    match old.put(records, "others", "by a", number.to_string().as_bytes()) {
                        Ok(()) => written.store(number + 1, Ordering::SeqCst),
                        Err(AssignmentError::Fenced { .. }) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            while written.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
            let new = claim(records, &what, "b", round * 1_000 + 100);
            // What is there now stays: nothing of the old owner comes behind the claim.
            let seen = get(records, "others", "by a");
            writer.join().expect("it stops by itself");
            assert_eq!(get(records, "others", "by a"), seen);
            new
        });
        new.release(&*records).expect("it is the owner");
    }
}

fn renewing(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let what = Assigned::Feed("sim".to_owned());
    let hold = claim(&*records, &what, "a", 0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let records = &*records;
        let (is_done, mut own) = (&is_done, hold.clone());
        let renewer = scope.spawn(move || {
            for now in 1..=40 {
                own.renew(&at(records, now), 100).expect("nobody took it");
                if is_done.load(Ordering::SeqCst) {
                    break;
                }
                std::thread::yield_now();
            }
        });
        for number in 0..20_u8 {
            hold.put(records, "others", "n", &[number])
                .expect("a renewal takes nothing away");
        }
        is_done.store(true, Ordering::SeqCst);
        renewer.join().expect("no renewal fails");
    });
    assert_eq!(get(&*records, "others", "n"), Some(vec![19]));
}

pub(crate) fn job(job_id: &str, due_ns: i64) -> Job {
    Job {
        job_id: job_id.to_owned(),
        unique_key: None,
        kind: "backup".to_owned(),
        class: "batch".to_owned(),
        arguments: String::new(),
        state: JobState::Ready,
        attempt: 0,
        due_ns,
        epoch: 0,
        result_key: None,
        reason: None,
        ended_ns: None,
    }
}

fn fired_once(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let schedule = Schedule {
        schedule_id: "nightly".to_owned(),
        kind: "backup".to_owned(),
        spec: "0 2 * * *".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        next_due_ns: Some(1_000),
        paused: false,
    };
    records::insert(&*records, &schedule).expect("it is new");
    in_threads(&*records, |records, number| {
        loop {
            let found = records::find::<Schedule>(records, "nightly");
            let found = found.expect("it can be read").expect("it is there");
            let Some(due_ns) = found.value.next_due_ns else {
                return;
            };
            let job = job(&format!("{due_ns}-{number}"), due_ns);
            let firing = Firing {
                schedule_id: "nightly".to_owned(),
                due_ns,
                fired_ns: due_ns + 7,
                outcome: Outcome::Fired {
                    job_id: job.job_id.clone(),
                },
            };
            let next = (due_ns < 15_000).then_some(due_ns + 1_000);
            match records::fire(records, &found, &firing, Some(&job), next) {
                Ok(_) | Err(StorageError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let due: Vec<i64> = (1..=15).map(|hour| hour * 1_000).collect();
    let mut fired = Vec::new();
    loop {
        let from = fired.last().map_or(0, |firing: &Firing| firing.due_ns + 1);
        let page = records::firings(&*records, "nightly", from, 4).expect("they can be read");
        if page.is_empty() {
            break;
        }
        fired.extend(page);
    }
    assert_eq!(records::ledger(&due, &fired), records::Ledger::default());
    let waiting = records::due_jobs(&*records, "batch", i64::MAX, 99).expect("it can be read");
    let made: Vec<String> = fired
        .iter()
        .map(|firing| match &firing.outcome {
            Outcome::Fired { job_id } => job_id.clone(),
            Outcome::Skipped { reason } => panic!("{reason}"),
        })
        .collect();
    assert_eq!(waiting, made, "one job for each, and no other");
    let again = records::inserting(&fired[3]).expect("it is a firing");
    let again = records.change(&[again]);
    assert!(
        matches!(&again, Err(StorageError::Conflict { key, .. })
            if key == "firing/nightly/0000000000000004000"),
        "{again:?}"
    );
}

fn begun_once(backend: &dyn RecordsBackend) {
    let records = open(backend);
    for number in 0..12 {
        records::add_job(&*records, &job(&format!("job-{number:02}"), 100 + number))
            .expect("it is new");
    }
    records::add_job(&*records, &job("later", 5_000)).expect("it is new");
    let unique = |job_id: &str| Job {
        unique_key: Some("nightly".to_owned()),
        class: "other".to_owned(),
        ..job(job_id, 0)
    };
    records::add_job(&*records, &unique("first")).expect("it is new");
    for (second, key) in [("second", "key/nightly"), ("first", "job/first")] {
        let again = records::add_job(&*records, &unique(second));
        assert!(
            matches!(&again, Err(StorageError::Conflict { key: found, .. }) if found == key),
            "{again:?}"
        );
    }
    let begun = in_threads(&*records, |records, number| {
        let (node, mut mine) = (format!("node-{number}"), Vec::new());
        while let Some(claimed) =
            records::claim_job(&at(records, 1_000), "batch", &node, 100).expect("it answers")
        {
            assert_eq!((claimed.value.attempt, claimed.value.epoch), (1, 1));
            mine.push(claimed.value.job_id.clone());
            let done = claimed
                .value
                .done(1, 0, Some("results/1"))
                .expect("it runs");
            records::update_job(records, &claimed, &done).expect("nobody else has it");
        }
        mine
    });
    let all: Vec<String> = begun.into_iter().flatten().collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (12, 12), "{all:?}");
    let left = records::due_jobs(&*records, "batch", i64::MAX, 99).expect("it can be read");
    assert_eq!(left, ["later"], "what is done is in no one's way");
}

fn lost_run(backend: &dyn RecordsBackend) {
    let records = open(backend);
    records::add_job(&*records, &job("one", 0)).expect("it is new");
    let claim = |node: &str, now| {
        records::claim_job(&at(&*records, now), "batch", node, 100).expect("it answers")
    };
    let first = claim("a", 10).expect("it is due");
    assert_eq!(claim("b", 109), None, "it runs");
    let renewed = first.value.renewed(1, 60, 100).expect("it runs");
    let first = records::update_job(&*records, &first, &renewed).expect("nobody has it");
    assert_eq!(claim("b", 159), None, "it has more time");
    let second = claim("b", 160).expect("its lease has ended");
    assert_eq!((second.value.attempt, second.value.epoch), (2, 2));
    let before = everything(&*records);
    let late = first
        .value
        .done(1, 0, Some("results/a"))
        .expect("as it knows");
    let outcome = records::update_job(&*records, &first, &late);
    assert!(
        matches!(outcome, Err(StorageError::Conflict { .. })),
        "{outcome:?}"
    );
    // Nor after it has read again.
    let found = records::find::<Job>(&*records, "one").expect("it can be read");
    let found = found.expect("it is there");
    assert_eq!(found.value.done(1, 0, None), None);
    assert_eq!(found.value.failed(1, 0, "late", Some(0)), None);
    assert_eq!(everything(&*records), before, "nothing was written");
    let failed = second
        .value
        .failed(2, 0, "no space", Some(900))
        .expect("it runs");
    let failed = records::update_job(&*records, &second, &failed).expect("nobody has it");
    assert_eq!(claim("a", 899), None, "not before it is due again");
    let canceled = failed.value.canceled(0, "not wanted").expect("it waits");
    records::update_job(&*records, &failed, &canceled).expect("nobody has it");
    assert_eq!(claim("a", i64::MAX), None);
}

fn newer(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let user = User {
        version: 7,
        ..User::new("ann", Role::Trader, Grants::All, 5)
    };
    let found = records::insert(&*records, &user).expect("it is new");
    let bytes = get(&*records, ACCESS_TABLE, "user/ann").expect("it is there");
    let text = String::from_utf8(bytes).expect("it is text");
    let stored = concat!(
        r#"{"version":1,"value":{"user_id":"ann","role":"trader","grants":"all","disabled":false,"#,
        r#""password":null,"must_change":false,"totp":null,"totp_begun":null,"#,
        r#""sessions_after_ns":0,"created_ns":5,"version":7}}"#
    );
    assert_eq!(text, stored);
    for (changed, is_newer) in [
        (
            stored.replace("\"version\":1,", "\"version\":2,\"more\":[],"),
            true,
        ),
        (
            stored.replace("\"version\":1,", "\"version\":1,\"more\":[],"),
            false,
        ),
        (
            stored.replace("\"disabled\":false", "\"disabled\":false,\"more\":1"),
            false,
        ),
        (stored.replace("trader", "owner"), false),
        (stored.replace("\"version\":1,", ""), false),
        (String::new(), false),
    ] {
        put(&*records, ACCESS_TABLE, "user/ann", changed.as_bytes());
        let refused = records::find::<User>(&*records, "ann").expect_err("it is not known");
        match refused {
            StorageError::NewerVersion {
                found,
                supported,
                file,
            } => {
                assert!(is_newer && (found, supported) == (2, 1), "{changed}");
                assert_eq!(file, "record credentials/user/ann");
            }
            StorageError::Damaged { .. } => assert!(!is_newer, "{changed}"),
            other => panic!("{changed}: {other}"),
        }
        let disabled = User {
            disabled: true,
            ..user.clone()
        };
        let outcome = records::replace(&*records, &found, &disabled);
        assert!(
            matches!(outcome, Err(StorageError::Conflict { .. })),
            "{outcome:?}"
        );
        let kept = get(&*records, ACCESS_TABLE, "user/ann");
        assert_eq!(kept.as_deref(), Some(changed.as_bytes()));
    }
}

fn versions(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let strategy = Strategy {
        strategy_id: "ema".to_owned(),
        version: 0,
        disabled: false,
    };
    let first = records::insert(&*records, &strategy).expect("it is new");
    let version = |version, digit: &str| StrategyVersion {
        strategy_id: "ema".to_owned(),
        version,
        content_hash: digit.repeat(64),
        object_key: format!("strategies/{digit}"),
        by: "ann".to_owned(),
        created_ns: 5,
    };
    let second = records::add_version(&*records, &first, &version(1, "a")).expect("the next");
    assert_eq!(second.value.version, 1);
    let stale = records::add_version(&*records, &first, &version(1, "b"));
    assert!(
        matches!(stale, Err(StorageError::Conflict { .. })),
        "{stale:?}"
    );
    for wrong in [
        version(1, "b"),
        version(3, "b"),
        version(2, "B"),
        version(2, ""),
    ] {
        let outcome = records::add_version(&*records, &second, &wrong);
        assert!(
            matches!(outcome, Err(StorageError::BadName { .. })),
            "{outcome:?}"
        );
    }
    records::add_version(&*records, &second, &version(2, "c")).expect("the next");
    let listed = records::page::<StrategyVersion>(&*records, None, 9).expect("it can be read");
    let kept: Vec<StrategyVersion> = listed.into_iter().map(|found| found.value).collect();
    assert_eq!(kept, [version(1, "a"), version(2, "c")]);
    let again = records::insert(&*records, &version(1, "d"));
    assert!(
        matches!(again, Err(StorageError::Conflict { .. })),
        "{again:?}"
    );
}

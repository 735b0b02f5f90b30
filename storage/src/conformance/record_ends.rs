//! The cases of what runs out: leases by the store's clock, and records that are over.

use super::RecordsBackend;
use super::clocked::{At, at};
use super::record_kinds::job;
use super::records::{Case, get, open, put};
use crate::StorageError;
use crate::port::records::{Change, Records};
use crate::records::{
    self, Assigned, AssignmentError, Firing, Hold, Job, Outcome, Pruned, Schedule,
};
use std::sync::atomic::{AtomicI64, Ordering};

pub(super) const CASES: &[Case] = &[
    (
        "TC-R26 an owner's write expects its epoch alone, whatever is renewed beside it",
        epoch_alone,
    ),
    ("TC-R27 a change expects how a value begins", expected_begin),
    ("TC-R28 leases run by the clock of the store", store_clock),
    (
        "TC-R29 jobs that have ended and firings are removed behind a time, and nothing else",
        pruned,
    ),
    (
        "TC-R30 two that remove at once remove everything once",
        pruned_at_once,
    ),
];

fn account() -> Assigned {
    Assigned::Account("paper".to_owned())
}

fn epoch_alone(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let what = account();
    let hold = records::claim(&at(&*records, 0), &what, "a", 100).expect("it is free");
    let renewals = AtomicI64::new(0);
    let renew = || {
        let now = 1 + renewals.fetch_add(1, Ordering::SeqCst);
        let mut own: Hold = hold.clone();
        own.renew(&at(&*records, now), 100).expect("it is its own");
    };
    let renewed = At {
        before_change: &renew,
        ..at(&*records, 0)
    };
    for number in 1..=3_u8 {
        hold.put(&renewed, "others", "n", &[number])
            .expect("a renewal is in nobody's way");
        assert_eq!(
            renewals.load(Ordering::SeqCst),
            i64::from(number),
            "at once"
        );
    }
    let lease = records::look(&*records, &what).expect("it can be read");
    assert_eq!(lease.expect("it is there").lease.until_ns, 103);
    // Of a node whose name begins as the owner's, and of epochs whose digits begin as its own.
    for (node, epoch) in [("a", 11), ("a", 10), ("ab", 1), ("a.", 1)] {
        let stale = Hold {
            node: node.to_owned(),
            epoch,
            ..hold.clone()
        };
        let outcome = stale.put(&*records, "others", "n", b"stale");
        assert!(
            matches!(outcome, Err(AssignmentError::Fenced { found: 1, .. })),
            "{node} {epoch}: {outcome:?}"
        );
    }
    let take = || {
        let taken = records::claim(&at(&*records, 1_000), &what, "b", 100);
        taken.expect("its time is up");
    };
    let taken = At {
        before_change: &take,
        ..at(&*records, 0)
    };
    let outcome = hold.put(&taken, "others", "n", b"late");
    assert!(
        matches!(outcome, Err(AssignmentError::Fenced { found: 2, .. })),
        "{outcome:?}"
    );
    assert_eq!(get(&*records, "others", "n"), Some(vec![3]));
}

fn expected_begin(backend: &dyn RecordsBackend) {
    let records = open(backend);
    let write = |begin: &str| {
        let changes = [
            Change::begins("jobs", "a", begin),
            Change::put("others", "by", begin),
        ];
        records.change(&changes)
    };
    let refused = |begin: &str| {
        let outcome = write(begin);
        assert!(
            matches!(&outcome, Err(StorageError::Conflict { table, key })
                if table == "jobs" && key == "a"),
            "{begin:?}: {outcome:?}"
        );
    };
    refused("");
    put(&*records, "jobs", "a", b"epoch 1, until 5");
    for begin in ["", "epoch 1,", "epoch 1, until 5"] {
        write(begin).expect("it begins so");
        assert_eq!(
            get(&*records, "others", "by").as_deref(),
            Some(begin.as_bytes())
        );
    }
    put(&*records, "jobs", "a", b"epoch 1, until 9");
    write("epoch 1,").expect("the rest may change");
    for begin in ["epoch 2,", "poch", "epoch 1, until 99", "epoch 1, until 5"] {
        refused(begin);
    }
    assert_eq!(
        get(&*records, "jobs", "a").as_deref(),
        Some(&b"epoch 1, until 9"[..])
    );
}

fn store_clock(backend: &dyn RecordsBackend) {
    const HOUR: i64 = 3_600_000_000_000;
    let records = open(backend);
    let what = account();
    let before = records.now_ns().expect("it has a clock");
    let mut hold = records::claim(&*records, &what, "a", HOUR).expect("it is free");
    let after = records.now_ns().expect("it has a clock");
    let within = |until_ns| (before + HOUR..=after + HOUR).contains(&until_ns);
    assert!(within(hold.lease.until_ns), "{before} {hold:?} {after}");
    hold.renew(&*records, HOUR).expect("it is its own");
    assert!(hold.lease.until_ns >= before + HOUR, "{hold:?}");
    for (now, free) in [
        (hold.lease.until_ns - 1, false),
        (hold.lease.until_ns, true),
    ] {
        let outcome = records::claim(&at(&*records, now), &what, "b", HOUR);
        assert_eq!(outcome.is_ok(), free, "{outcome:?}");
    }
    let due = records.now_ns().expect("it has a clock");
    records::add_job(&*records, &job("now", due)).expect("it is new");
    records::add_job(&*records, &job("later", due + HOUR)).expect("it is new");
    let claim = || records::claim_job(&*records, "batch", "a", HOUR).expect("it answers");
    assert_eq!(
        claim().map(|found| found.value.job_id),
        Some("now".to_owned())
    );
    assert_eq!(claim(), None, "the other is not due by that clock");
}

/// Makes jobs and firings, each due at 100 times its number; those with an odd one ended then.
fn work(records: &dyn Records, count: i64) {
    let schedule = Schedule {
        schedule_id: "hourly".to_owned(),
        kind: "backup".to_owned(),
        spec: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        next_due_ns: Some(100),
        paused: false,
    };
    let mut schedule = records::insert(records, &schedule).expect("it is new");
    for number in 1..=count {
        let due_ns = number * 100;
        let one = Job {
            unique_key: (number % 3 == 0).then(|| format!("key-{number}")),
            ..job(&format!("job-{number:04}"), due_ns)
        };
        let firing = Firing {
            schedule_id: "hourly".to_owned(),
            due_ns,
            fired_ns: due_ns + 1,
            outcome: Outcome::Fired {
                job_id: one.job_id.clone(),
            },
        };
        let next = Some(due_ns + 100);
        schedule = records::fire(records, &schedule, &firing, Some(&one), next).expect("it is due");
        let found = records::find::<Job>(records, &one.job_id).expect("it can be read");
        let found = found.expect("it is there");
        if number % 2 == 1 {
            let canceled = found
                .value
                .canceled(due_ns, "not wanted")
                .expect("it waits");
            records::update_job(records, &found, &canceled).expect("nobody has it");
        }
    }
}

fn kept(records: &dyn Records, prefix: &str) -> Vec<String> {
    let entries = records.list("work").expect("it can be read").into_iter();
    let keys = entries.filter_map(|(key, _)| key.strip_prefix(prefix).map(str::to_owned));
    keys.collect()
}

fn pruned(backend: &dyn RecordsBackend) {
    let records = open(backend);
    work(&*records, 10);
    let none = records::prune(&*records, 100).expect("it can be done");
    assert_eq!(none, Pruned::default(), "exclusive");
    // One that is behind the time and runs.
    let running = records::claim_job(&at(&*records, 250), "batch", "a", 1_000);
    let running = running.expect("it answers").expect("it is due");
    assert_eq!(running.value.job_id, "job-0002");
    let removed = records::prune(&*records, 701).expect("it can be done");
    assert_eq!((removed.jobs, removed.firings), (4, 7));
    let jobs = kept(&*records, "job/");
    let left = ["0002", "0004", "0006", "0008", "0009", "0010"];
    assert_eq!(jobs, left.map(|number| format!("job-{number}")));
    assert_eq!(kept(&*records, "key/"), ["key-6", "key-9"]);
    assert_eq!(kept(&*records, "firing/").len(), 3);
    assert_eq!(kept(&*records, "schedule/"), ["hourly"]);
    let due = records::due_jobs(&*records, "batch", i64::MAX, 99).expect("it can be read");
    assert_eq!(due.len(), 5, "{due:?}");
    let done = running.value.done(1, 701, None).expect("it runs");
    records::update_job(&*records, &running, &done).expect("nobody else has it");
    let again = Job {
        unique_key: Some("key-3".to_owned()),
        ..job("again", 900)
    };
    records::add_job(&*records, &again).expect("its key is free again");
    let none = records::prune(&*records, 701).expect("it can be done");
    assert_eq!(none, Pruned::default(), "due before, ended since");
    let removed = records::prune(&*records, 702).expect("it can be done");
    assert_eq!((removed.jobs, removed.firings), (1, 0));
}

fn pruned_at_once(backend: &dyn RecordsBackend) {
    let records = open(backend);
    work(&*records, 90);
    // Whoever is second finds the records that it has read gone.
    let first = std::sync::Mutex::new(Vec::new());
    let other = || {
        if let Ok(mut done) = first.try_lock()
            && done.is_empty()
        {
            done.push(records::prune(&at(&*records, 0), 4_001).expect("it can be done"));
        }
    };
    let beside = At {
        before_change: &other,
        ..at(&*records, 0)
    };
    let second = records::prune(&beside, 8_001).expect("it can be done");
    let first = first.into_inner().expect("nobody panicked")[0];
    assert_eq!((first.jobs, first.firings), (20, 40));
    assert_eq!((second.jobs, second.firings), (20, 40));
    assert_eq!(
        (
            kept(&*records, "job/").len(),
            kept(&*records, "firing/").len()
        ),
        (50, 10)
    );
}

//! The cases of the journal port.

use super::JournalBackend;
use crate::port::journal::{
    Class, DurableSequence, Head, Journal, JournalError, JournalState, Record, Unit,
};
use crate::port::journals::Journals;

type Case = (&'static str, fn(&dyn JournalBackend));

const CASES: &[Case] = &[
    (
        "TC-S01 an empty journal has no records, no snapshot and space",
        empty,
    ),
    (
        "TC-S02 what was not committed is not read and not kept",
        uncommitted,
    ),
    (
        "TC-S03 committed records come back as they were, in order",
        come_back,
    ),
    (
        "TC-S04 a gap or a repeat in the sequence stages nothing",
        sequence_gap,
    ),
    (
        "TC-S05 reading starts where it is asked to",
        read_from_the_middle,
    ),
    (
        "TC-S06 a commit of nothing answers the durable sequence",
        commit_of_nothing,
    ),
    ("TC-S07 a reopened journal goes on where it ended", reopen),
    (
        "TC-S08 too large a unit is refused and too full a batch asks for a commit",
        limits,
    ),
    (
        "TC-S09 units appended together are staged together or not at all",
        all_or_none,
    ),
    (
        "TC-S10 the newest snapshot is kept, and none ahead of the journal",
        snapshots,
    ),
    ("TC-S11 the chain depends on every batch", chain),
    (
        "TC-S12 payloads of any bytes and length come back",
        payloads,
    ),
    (
        "TC-S13 a reader ends at what was durable when it was made",
        stable_reader,
    ),
    ("TC-S14 many records over many files come back", many),
    ("TC-S15 a second owner is refused", second_owner),
    (
        "TC-S16 a full disk refuses orders, takes essentials, then nothing, and recovers",
        full_disk,
    ),
    (
        "TC-S17 a failed sync is final until reopened, and no batch is half there",
        failed_sync,
    ),
];

/// Runs every case on a backend of its own.
///
/// # Panics
/// When the backend breaks a promise; the message names the case.
pub fn journal_suite<B: JournalBackend>(make: impl Fn() -> B) {
    for (name, case) in CASES {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&make())));
        assert!(outcome.is_ok(), "{name}");
    }
}

fn record(sequence: u64) -> Record {
    let payload = sequence.to_le_bytes().repeat(1 + sequence as usize % 7);
    Record {
        sequence,
        kind: (sequence % 5) as u8,
        schema: 1 + (sequence % 3) as u16,
        payload,
    }
}

fn unit(class: Class, sequences: impl IntoIterator<Item = u64>) -> Unit {
    Unit {
        class,
        records: sequences.into_iter().map(record).collect(),
    }
}

pub(super) fn order(sequences: impl IntoIterator<Item = u64>) -> [Unit; 1] {
    [unit(Class::Order, sequences)]
}

pub(super) fn open(backend: &dyn JournalBackend) -> Box<dyn Journal> {
    backend.open().expect("the journal opens")
}

pub(super) fn open_in(store: &dyn Journals, account_id: &str) -> Box<dyn Journal> {
    store.open(account_id).expect("the journal opens")
}

pub(super) fn commit(journal: &mut dyn Journal, units: &[Unit]) -> DurableSequence {
    journal.append(units).expect("the units are accepted");
    journal.commit().expect("the batch becomes durable")
}

pub(super) fn read(journal: &dyn Journal, sequence: u64) -> Vec<Record> {
    let records = journal
        .read_from(sequence)
        .expect("the journal can be read");
    records
        .map(|record| record.expect("a stored record can be read"))
        .collect()
}

pub(super) fn expected(sequences: impl IntoIterator<Item = u64>) -> Vec<Record> {
    sequences.into_iter().map(record).collect()
}

fn empty(backend: &dyn JournalBackend) {
    let journal = open(backend);
    assert_eq!(journal.head().sequence, 0);
    assert_eq!(journal.state(), JournalState::Ready);
    assert_eq!(read(&*journal, 0), []);
    assert_eq!(
        journal.snapshot_latest().expect("no snapshot is no error"),
        None
    );
}

fn uncommitted(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=2));
    journal
        .append(&order(3..=4))
        .expect("the units are accepted");
    assert_eq!(journal.head().sequence, 2);
    assert_eq!(read(&*journal, 1), expected(1..=2));
    drop(journal);
    let mut journal = open(backend);
    assert_eq!(read(&*journal, 1), expected(1..=2));
    assert_eq!(commit(&mut *journal, &order(3..=3)), DurableSequence(3));
}

fn come_back(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    assert_eq!(commit(&mut *journal, &order(1..=1)), DurableSequence(1));
    let units = [unit(Class::Essential, 2..=4), unit(Class::Order, 5..=5)];
    assert_eq!(commit(&mut *journal, &units), DurableSequence(5));
    assert_eq!(read(&*journal, 1), expected(1..=5));
}

fn sequence_gap(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=2));
    for wrong in [0, 2, 4] {
        let refused = journal.append(&order([wrong]));
        let seen =
            matches!(refused, Err(JournalError::Sequence { expected: 3, found }) if found == wrong);
        assert!(seen, "sequence {wrong}: {refused:?}");
    }
    let refused = journal.append(&[unit(Class::Order, 3..=3), unit(Class::Order, 5..=5)]);
    assert!(matches!(
        refused,
        Err(JournalError::Sequence {
            expected: 4,
            found: 5
        })
    ));
    assert_eq!(commit(&mut *journal, &order(3..=3)), DurableSequence(3));
    assert_eq!(read(&*journal, 1), expected(1..=3));
}

fn read_from_the_middle(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    for batch in 0..20 {
        commit(&mut *journal, &order(batch * 10 + 1..=batch * 10 + 10));
    }
    assert_eq!(read(&*journal, 0), expected(1..=200));
    for from in [1, 2, 10, 11, 100, 199, 200] {
        assert_eq!(read(&*journal, from), expected(from..=200), "from {from}");
    }
    assert_eq!(read(&*journal, 201), []);
    assert_eq!(read(&*journal, u64::MAX), []);
}

fn commit_of_nothing(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    assert_eq!(journal.commit().expect("nothing to do"), DurableSequence(0));
    commit(&mut *journal, &order(1..=3));
    let head = journal.head();
    journal.append(&[]).expect("no units are accepted");
    assert_eq!(journal.commit().expect("nothing to do"), DurableSequence(3));
    assert_eq!(journal.head(), head);
}

fn reopen(backend: &dyn JournalBackend) {
    let mut heads = Vec::new();
    for round in 0..5 {
        let mut journal = open(backend);
        assert_eq!(
            heads.last().copied().unwrap_or(journal.head()),
            journal.head()
        );
        assert_eq!(read(&*journal, 1), expected(1..=round * 3));
        commit(&mut *journal, &order(round * 3 + 1..=round * 3 + 3));
        heads.push(journal.head());
    }
}

fn limits(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    let huge = |sequence| Record {
        sequence,
        kind: 1,
        schema: 1,
        payload: vec![1; 2 << 20],
    };
    let refused = journal.append(&[Unit {
        class: Class::Order,
        records: vec![huge(1)],
    }]);
    let Err(JournalError::TooLarge { limit_bytes, .. }) = refused else {
        panic!("{refused:?}");
    };
    let half = |sequence| {
        let payload = vec![2; limit_bytes / 2 - 100];
        [Unit {
            class: Class::Order,
            records: vec![Record {
                sequence,
                kind: 1,
                schema: 1,
                payload,
            }],
        }]
    };
    journal.append(&half(1)).expect("half a batch fits");
    journal.append(&half(2)).expect("two halves fit");
    let refused = journal.append(&half(3));
    assert!(
        matches!(refused, Err(JournalError::BatchFull { .. })),
        "{refused:?}"
    );
    assert_eq!(
        journal.commit().expect("the batch fits"),
        DurableSequence(2)
    );
    assert_eq!(commit(&mut *journal, &half(3)), DurableSequence(3));
    assert_eq!(read(&*journal, 3)[0], half(3)[0].records[0]);
}

fn all_or_none(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    let huge = Record {
        sequence: 2,
        kind: 1,
        schema: 1,
        payload: vec![1; 2 << 20],
    };
    let units = [
        unit(Class::Order, 1..=1),
        Unit {
            class: Class::Order,
            records: vec![huge],
        },
    ];
    journal.append(&units).expect_err("the second is too large");
    assert_eq!(
        journal.commit().expect("nothing is staged"),
        DurableSequence(0)
    );
    assert_eq!(commit(&mut *journal, &order(1..=2)), DurableSequence(2));
}

fn snapshots(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=10));
    let refused = journal.snapshot_write(11, b"future");
    assert!(matches!(
        refused,
        Err(JournalError::SnapshotAhead {
            snapshot: 11,
            durable: 10
        })
    ));
    for sequence in [3, 5, 9] {
        let state = format!("state {sequence}");
        journal
            .snapshot_write(sequence, state.as_bytes())
            .expect("a snapshot is stored");
    }
    drop(journal);
    let journal = open(backend);
    let newest = journal.snapshot_latest().expect("snapshots can be read");
    let newest = newest.expect("there are three");
    assert_eq!(
        (newest.sequence, newest.bytes.as_slice()),
        (9, b"state 9".as_slice())
    );
    // A backend keeps as many as it likes, and gives them newest first.
    let kept = journal.snapshots().expect("snapshots can be listed");
    let kept: Result<Vec<_>, _> = kept.collect();
    let kept = kept.expect("they can be read");
    assert_eq!(kept.first(), Some(&newest));
    assert!(kept.is_sorted_by(|one, next| one.sequence > next.sequence));
    for one in kept {
        assert_eq!(one.bytes, format!("state {}", one.sequence).as_bytes());
    }
}

fn chain(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    let mut heads = vec![journal.head()];
    for sequence in 1..=10 {
        commit(&mut *journal, &order([sequence]));
        heads.push(journal.head());
    }
    let mut links: Vec<_> = heads.iter().map(|head: &Head| head.chain.0).collect();
    links.sort_unstable();
    links.dedup();
    assert_eq!(links.len(), 11, "every batch moves the chain");
}

fn payloads(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    let contents: Vec<Vec<u8>> = vec![
        vec![],
        vec![0; 2000],
        (0..=255).collect(),
        b"AXJF".repeat(100),
        vec![255; 3000],
    ];
    let record = |(index, payload): (usize, &Vec<u8>)| Record {
        sequence: index as u64 + 1,
        kind: 255,
        schema: u16::MAX,
        payload: payload.clone(),
    };
    let records: Vec<_> = contents.iter().enumerate().map(record).collect();
    for record in &records {
        commit(
            &mut *journal,
            &[Unit {
                class: Class::Order,
                records: vec![record.clone()],
            }],
        );
    }
    drop(journal);
    assert_eq!(read(&*open(backend), 1), records);
}

fn stable_reader(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=5));
    let reader = journal.read_from(2).expect("the journal can be read");
    for batch in 1..10 {
        commit(&mut *journal, &order(batch * 50 - 44..batch * 50 + 6));
    }
    let seen: Vec<_> = reader
        .map(|record| record.expect("a stored record").sequence)
        .collect();
    assert_eq!(seen, [2, 3, 4, 5]);
}

fn many(backend: &dyn JournalBackend) {
    let mut journal = open(backend);
    let mut next = 1;
    for size in (0..400).map(|batch| 1 + batch * 37 % 100) {
        commit(&mut *journal, &order(next..next + size));
        next += size;
    }
    let head = journal.head();
    drop(journal);
    let journal = open(backend);
    assert_eq!(journal.head(), head);
    let records = journal.read_from(1).expect("the journal can be read");
    let mut count = 0;
    for (found, sequence) in records.zip(1..) {
        assert_eq!(found.expect("a stored record"), record(sequence));
        count += 1;
    }
    assert_eq!(count, next - 1);
}

fn second_owner(backend: &dyn JournalBackend) {
    let journal = open(backend);
    let refused = backend.open().err();
    assert!(
        matches!(refused, Some(JournalError::Locked { .. })),
        "{refused:?}"
    );
    drop(journal);
    open(backend);
}

/// Commits units of one class, one record each, until one is refused; returns how many were taken.
fn until_full(journal: &mut dyn Journal, class: Class, limit: u64) -> u64 {
    for taken in 0..limit {
        let next = journal.head().sequence + 1;
        match journal.append(&[unit(class, [next])]) {
            Ok(()) => {
                journal.commit().expect("what was staged has its space");
            }
            Err(JournalError::Full { .. }) => return taken,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{limit} units were taken on a full disk");
}

fn full_disk(backend: &dyn JournalBackend) {
    let Some(faults) = backend.faults() else {
        return;
    };
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=3));
    faults.fill_disk();
    // More than any backend under test has allocated ahead.
    let limit = 1_000_000;
    until_full(&mut *journal, Class::Order, limit);
    assert!(
        matches!(journal.state(), JournalState::Reserve { .. }),
        "{:?}",
        journal.state()
    );
    let taken = until_full(&mut *journal, Class::Essential, limit);
    assert!(taken > 10, "the reserve took only {taken}");
    assert_eq!(journal.state(), JournalState::Full);
    assert_eq!(until_full(&mut *journal, Class::Essential, limit), 0);
    assert_eq!(
        journal.probe().expect("no space is no failure"),
        JournalState::Full
    );

    let last = journal.head().sequence;
    assert_eq!(read(&*journal, 1), expected(1..=last), "reads go on");
    faults.free_disk();
    // A backend may prepare space aside and say so only at a later look.
    let ready = |_: &u32| journal.probe().expect("space is there") == JournalState::Ready;
    assert!(
        (0..1_000_000).find(ready).is_some(),
        "space is back and not taken into use"
    );
    assert_eq!(
        commit(&mut *journal, &order([last + 1])),
        DurableSequence(last + 1)
    );
    let head = journal.head();
    drop(journal);
    let journal = open(backend);
    assert_eq!(journal.head(), head);
    assert_eq!(
        read(&*journal, 1),
        expected(1..=last + 1),
        "one order, one chain"
    );
}

fn failed_sync(backend: &dyn JournalBackend) {
    let Some(faults) = backend.faults() else {
        return;
    };
    let mut journal = open(backend);
    commit(&mut *journal, &order(1..=3));
    faults.fail_next_sync();
    journal
        .append(&order(4..=6))
        .expect("the units are accepted");
    let failed = journal.commit().expect_err("the sync failed");
    assert!(failed.must_abort(), "{failed}");
    assert!(
        journal.commit().is_err_and(|error| error.must_abort()),
        "never retried as success"
    );
    assert!(journal.append(&order(4..=4)).is_err());
    assert!(journal.read_from(1).is_err());
    assert_eq!(journal.head().sequence, 3);
    drop(journal);
    let mut journal = open(backend);
    let last = journal.head().sequence;
    assert!(last == 3 || last == 6, "half a batch: {last}");
    assert_eq!(read(&*journal, 1), expected(1..=last));
    assert_eq!(
        commit(&mut *journal, &order([last + 1])),
        DurableSequence(last + 1)
    );
}

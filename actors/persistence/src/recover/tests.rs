use super::*;
use crate::testing::{Scripted, append};
use apex_domain::event::SCHEMA;
use apex_storage::{
    DurableSequence, Head, JournalState, MemoryJournal, RecordIter, SnapshotIter, Unit,
};

#[test]
fn an_account_is_rebuilt_from_its_first_record() {
    let scripted = Scripted::with_orders(5);
    let recovered = recover(&scripted.journal()).unwrap();
    assert_eq!(recovered.account, scripted.account);
    assert_eq!(
        recovered.account.state_hash(),
        scripted.account.state_hash()
    );
    assert_eq!(recovered.records, scripted.events.len() as u64);
}

#[test]
fn an_empty_journal_gives_an_account_that_is_not_open() {
    let recovered = recover(&Scripted::with_orders(0).journal()).unwrap();
    assert!(recovered.account.is_open());
    let journal = apex_storage::MemoryStore::new().open("paper").unwrap();
    assert!(!recover(&journal).unwrap().account.is_open());
}

#[test]
fn behind_a_snapshot_only_the_tail_is_read() {
    let scripted = Scripted::with_orders(5);
    for at in [1, 2, 4, 9, scripted.events.len()] {
        let mut before = Account::new();
        for recorded in &scripted.events[..at] {
            before.fold(recorded).unwrap();
        }
        let mut journal = scripted.journal();
        journal
            .snapshot_write(at as u64, &before.snapshot())
            .unwrap();
        let recovered = recover(&journal).unwrap();
        assert_eq!(recovered.account, scripted.account);
        assert_eq!(recovered.records, (scripted.events.len() - at) as u64);
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_ignored() {
    let scripted = Scripted::with_orders(5);
    let whole = scripted.account.snapshot();
    let last = scripted.events.len() as u64;
    let other_version: Vec<u8> = [&[0xFF, 0xFF], &whole[2..]].concat();
    let bad: [&[u8]; 5] = [
        b"",
        b"x",
        &whole[..whole.len() / 2],
        &[0xFF; 64],
        &other_version,
    ];
    for bytes in bad {
        let mut journal = scripted.journal();
        journal.snapshot_write(last, bytes).unwrap();
        let recovered = recover(&journal).unwrap();
        assert_eq!(recovered.account, scripted.account);
        assert_eq!(recovered.records, last, "all was read");
    }
}

#[test]
fn a_snapshot_under_another_sequence_is_ignored() {
    let scripted = Scripted::with_orders(5);
    let mut journal = scripted.journal();
    journal
        .snapshot_write(3, &scripted.account.snapshot())
        .unwrap();
    let recovered = recover(&journal).unwrap();
    assert_eq!(recovered.account, scripted.account);
    assert_eq!(recovered.records, scripted.events.len() as u64);
}

/// Appends a changed record behind a good account, and returns why it is refused.
fn refused(change: impl FnOnce(&mut Record)) -> RecoverError {
    let mut scripted = Scripted::with_orders(1);
    let mut journal = scripted.journal();
    let head = scripted.events.len();
    scripted.apply(apex_domain::account::AccountInput::SetTradingState {
        request_id: None,
        state: apex_domain::risk::TradingState::Halted,
        by: "operator".to_owned(),
        reason: "test".to_owned(),
    });
    let mut record = crate::to_record(&scripted.events[head]);
    change(&mut record);
    append(&mut journal, record);
    recover(&journal).unwrap_err()
}

#[test]
fn a_record_of_an_unknown_kind_is_refused_with_its_place() {
    let error = refused(|record| record.kind = 9);
    assert!(
        matches!(
            error,
            RecoverError::Kind {
                sequence: 6,
                kind: 9
            }
        ),
        "{error}"
    );
}

#[test]
fn a_record_of_a_newer_schema_is_refused_with_its_place() {
    let error = refused(|record| record.schema = SCHEMA + 1);
    let newer = DecodeError::NewerSchema { found: SCHEMA + 1 };
    let RecoverError::Decode { sequence, source } = error else {
        panic!("{error}");
    };
    assert_eq!((sequence, source), (6, newer));
}

#[test]
fn a_record_that_does_not_decode_is_refused_with_its_place() {
    let error = refused(|record| record.payload.truncate(3));
    assert!(
        matches!(error, RecoverError::Decode { sequence: 6, .. }),
        "{error}"
    );
}

#[test]
fn a_record_that_does_not_follow_is_refused_with_its_place() {
    let first = crate::to_record(&Scripted::with_orders(0).events[0]);
    let error = refused(|record| record.payload = first.payload);
    assert!(
        matches!(error, RecoverError::Fold { sequence: 6, .. }),
        "{error}"
    );
}

#[test]
fn a_newest_snapshot_that_cannot_be_read_gives_way_to_the_one_before_it() {
    let scripted = Scripted::with_orders(5);
    let last = scripted.events.len() as u64;
    let older = last / 2;
    let mut before = Account::new();
    for recorded in &scripted.events[..older as usize] {
        before.fold(recorded).unwrap();
    }
    for newest in [&b"x"[..], &before.snapshot()] {
        let mut journal = scripted.journal();
        journal.snapshot_write(older, &before.snapshot()).unwrap();
        journal.snapshot_write(last, newest).unwrap();
        let recovered = recover(&journal).unwrap();
        assert_eq!(recovered.account, scripted.account);
        assert_eq!(recovered.records, last - older, "no more than since then");
    }
}

/// A journal whose server goes away behind its newest snapshot.
struct GoesAway(MemoryJournal);

impl Journal for GoesAway {
    fn append(&mut self, units: &[Unit]) -> Result<(), JournalError> {
        self.0.append(units)
    }

    fn commit(&mut self) -> Result<DurableSequence, JournalError> {
        self.0.commit()
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, JournalError> {
        self.0.read_from(sequence)
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), JournalError> {
        self.0.snapshot_write(sequence, bytes)
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, JournalError> {
        self.0.snapshot_latest()
    }

    fn snapshots(&self) -> Result<SnapshotIter, JournalError> {
        let newest = self.0.snapshot_latest()?.into_iter().map(Ok);
        let away = JournalError::Unavailable {
            server: "a server".to_owned(),
            detail: "it went away".to_owned(),
            variable: "APEX_DATABASE_URL",
        };
        Ok(Box::new(newest.chain([Err(away)])))
    }

    fn head(&self) -> Head {
        self.0.head()
    }

    fn state(&self) -> JournalState {
        self.0.state()
    }

    fn probe(&mut self) -> Result<JournalState, JournalError> {
        self.0.probe()
    }
}

#[test]
fn a_server_that_goes_away_between_snapshots_is_told_and_all_is_not_read() {
    let scripted = Scripted::with_orders(5);
    let last = scripted.events.len() as u64;
    let mut journal = scripted.journal();
    journal.snapshot_write(last, b"x").unwrap();
    let refused = recover(&GoesAway(journal)).unwrap_err();
    assert!(
        matches!(
            refused,
            RecoverError::Journal(JournalError::Unavailable { .. })
        ),
        "{refused}"
    );
    // The newest one is enough where it can be used.
    let mut journal = scripted.journal();
    let state = scripted.account.snapshot();
    journal.snapshot_write(last, &state).unwrap();
    assert_eq!(recover(&GoesAway(journal)).unwrap().records, 0);
}

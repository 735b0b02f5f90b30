//! A journal that lost its end is refused by a start and by `verify`, with what to do.

use super::*;
use crate::stores::{Purpose, ServerSettings};
use crate::up::{Base, NodeOptions};
use crate::verify::verify;
use apex_domain::matching::SimInstrument;
use apex_storage::verify::VerifyReport;
use apex_storage::{
    DataDir, DurableSequence, EmbeddedJournals, EmbeddedRecords, Head, JournalState, Options,
    RecordIter, RecordRef, Snapshot, StorageError,
};
use std::error::Error;
use std::path::{Path, PathBuf};

fn opening() -> Opening {
    Opening {
        account_id: AccountId::new("paper").unwrap(),
        mode: AccountMode::Paper,
        instruments: SimInstrument::defaults()
            .into_iter()
            .map(|sim| sim.instrument)
            .collect(),
        charter: None,
        now: UnixNanos(1_000),
    }
}

fn journals(dir: &Arc<DataDir>) -> EmbeddedJournals {
    EmbeddedJournals::new(dir, Options::default())
}

/// Starts an account as far as its decisions go, and returns its last sequence.
fn start(root: &Path) -> Result<u64, NodeError> {
    let dir = DataDir::open(root)?;
    let records = EmbeddedRecords::open(&dir)?;
    let opening = opening();
    let account = recover_account(&journals(&dir), &opening.account_id)?;
    let account = account.prepare(&opening, &records, None)?;
    Ok(account.account.sequence())
}

/// As [`start`], of an account that was taken over without the reserve of another folder.
fn start_lacking(root: &Path, lacks: &str) -> Account {
    let dir = DataDir::open(root).unwrap();
    let records = EmbeddedRecords::open(&dir).unwrap();
    let opening = opening();
    let account = recover_account(&journals(&dir), &opening.account_id).unwrap();
    let lacks = Some(lacks.to_owned());
    account.prepare(&opening, &records, lacks).unwrap().account
}

fn opened(root: &Path) -> Account {
    let dir = DataDir::open(root).unwrap();
    recover_account(&journals(&dir), &opening().account_id)
        .unwrap()
        .account
}

/// Where the frames of a segment begin.
fn frames(segment: &[u8]) -> Vec<usize> {
    let places = 0..segment.len() - 4;
    places
        .filter(|at| segment[*at..].starts_with(b"AXJF"))
        .collect()
}

fn segment(root: &Path) -> PathBuf {
    root.join("journal/paper/00000000000000000001.seg")
}

/// Returns what a person is shown: the error, what to do, and its causes.
fn text(error: &NodeError) -> String {
    let mut text = format!("{error} ({})", error.advice().unwrap_or_default());
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn first_bad(root: &Path) -> (u64, String) {
    let verification = verify(root, &ServerSettings::default()).unwrap();
    assert!(!verification.ok, "{verification:?}");
    let bad = verification.first_bad.unwrap();
    assert_eq!(bad.account_id, "paper");
    (bad.offset, bad.reason)
}

#[test]
fn a_segment_cut_short_is_refused_with_its_account_and_what_to_do() {
    for length in [0, 3000, 5000, 8 << 20 | 1] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        start(root).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).open(segment(root)).unwrap();
        file.set_len(length).unwrap();
        assert_eq!(first_bad(root).0, length);
        let text = text(&start(root).unwrap_err());
        for part in ["account paper", ".seg byte", "backup", "apextrade verify"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(file.metadata().unwrap().len(), length, "it was changed");
    }
}

#[test]
fn a_journal_that_ends_before_what_was_durable_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let durable = start(root).unwrap();
    assert!(durable >= 2, "{durable}");
    assert_eq!(start(root).unwrap(), durable, "an ordinary start goes on");
    let whole = std::fs::read(segment(root)).unwrap();
    let starts = frames(&whole);
    assert!(starts.len() >= 2, "{starts:?}");
    for at in &starts {
        let mut cut = whole.clone();
        cut[*at..].fill(0);
        std::fs::write(segment(root), cut).unwrap();
        let reason = first_bad(root).1;
        let ends = format!(", but {durable} was durable");
        assert!(reason.contains(&ends), "{reason}");
        // Twice, since the first must not make it the new truth.
        for _ in 0..2 {
            let text = text(&start(root).unwrap_err());
            assert!(text.contains(&ends) && text.contains("backup"), "{text}");
        }
    }
    std::fs::remove_file(segment(root)).unwrap();
    assert!(matches!(start(root), Err(NodeError::LostEnd { .. })));
    std::fs::write(segment(root), whole).unwrap();
    assert_eq!(start(root).unwrap(), durable, "put back, it goes on");
}

#[test]
fn a_first_start_that_is_cut_off_anywhere_goes_on_to_the_same_account() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).unwrap();
    let whole = std::fs::read(segment(folder.path())).unwrap();
    let expected = opened(folder.path());
    assert!(expected.limits().max_orders_per_second.is_some());
    for at in frames(&whole) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // The run that was cut off had noted nothing yet.
        std::fs::create_dir_all(segment(root).parent().unwrap()).unwrap();
        let mut cut = whole.clone();
        cut[at..].fill(0);
        std::fs::write(segment(root), cut).unwrap();
        start(root).unwrap();
        assert_eq!(opened(root), expected, "cut off at byte {at}");
    }
}

/// Starts an account, halts it and stops it again. Returns the sequence that it was opened with.
async fn run_halted(base: &Base) -> u64 {
    struct NoVenue;
    impl VenueSession for NoVenue {
        fn send(
            &self,
            _: apex_domain::venue::VenueCommand,
        ) -> Result<(), apex_bus::venue::NotSent> {
            Ok(())
        }
    }
    let account = base.open_account(&opening()).unwrap();
    let opened = account.account.sequence();
    let running = base
        .start_account(account, Arc::new(NoVenue), None)
        .await
        .unwrap();
    let link = apex_bus::message::VenueLink::Ready;
    running.actor.cast(AccountMessage::Link(link)).unwrap();
    let (port, _answer) = ractor::concurrency::oneshot();
    let halt = AccountInput::SetTradingState {
        request_id: None,
        state: apex_domain::risk::TradingState::Halted,
        by: "ann".to_owned(),
        reason: "test".to_owned(),
    };
    let step = AccountMessage::Step {
        now: UnixNanos(3_000),
        input: Box::new(halt),
        reply: port.into(),
    };
    running.actor.cast(step).unwrap();
    running.stop().await;
    opened
}

fn base(root: &Path) -> Base {
    let clock = Clock::replay();
    clock.advance(UnixNanos(2_000));
    Base::open(&NodeOptions::in_folder(root), Purpose::Live, clock).unwrap()
}

fn last_sequence(root: &Path) -> u64 {
    let found = verify(root, &ServerSettings::default()).unwrap();
    found.accounts[0].last_sequence
}

#[tokio::test]
async fn a_run_that_stops_notes_how_far_its_journal_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let opened = run_halted(&base(root)).await;
    let last = last_sequence(root);
    assert!(last > opened, "{last} after {opened}");
    assert_eq!(starts::durable_in(root, "paper").unwrap(), last);
}

/// Journals whose records are in this folder's reserve alone but for the first, as while their server
/// is away.
#[derive(Debug)]
struct InReserve(Arc<dyn Journals>);

struct OneInReserve(Box<dyn Journal>);

impl Journals for InReserve {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        Ok(Box::new(OneInReserve(self.0.open(account_id)?)))
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        self.0.accounts()
    }

    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        self.0.verify(account_id, each)
    }
}

impl Journal for OneInReserve {
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

    fn head(&self) -> Head {
        self.0.head()
    }

    fn shared_sequence(&self) -> u64 {
        1
    }

    fn state(&self) -> JournalState {
        self.0.state()
    }

    fn probe(&mut self) -> Result<JournalState, JournalError> {
        self.0.probe()
    }
}

#[tokio::test]
async fn what_is_in_one_folders_reserve_alone_is_not_noted_as_durable() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut base = base(root);
    base.stores.journals = Arc::new(InReserve(base.stores.journals.clone()));
    run_halted(&base).await;
    drop(base);
    assert!(last_sequence(root) > 1);
    assert_eq!(starts::durable_in(root, "paper").unwrap(), 1);
}

#[test]
fn a_forced_start_is_halted_where_its_journal_ends_before_what_was_durable() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let durable = start(root).unwrap();
    let mut cut = std::fs::read(segment(root)).unwrap();
    let last = frames(&cut).pop().unwrap();
    cut[last..].fill(0);
    std::fs::write(segment(root), cut).unwrap();
    let ends_at = opened(root).sequence();
    assert!(matches!(start(root), Err(NodeError::LostEnd { .. })));
    let forced = start_lacking(root, "a reserve elsewhere");
    assert_eq!(forced.trading_state(), TradingState::Halted);
    // It is accounted for, so that the next start is an ordinary one.
    start(root).unwrap();
    assert_eq!(opened(root).trading_state(), TradingState::Halted);
    let dir = DataDir::open(root).unwrap();
    let account = recover_account(&journals(&dir), &opening().account_id).unwrap();
    let mut reasons = Vec::new();
    let mut each = |recorded: &Recorded| {
        if let Event::TradingStateChanged { reason, .. } = &recorded.event {
            reasons.push(reason.clone());
        }
    };
    account.for_each_event(&mut each).unwrap();
    let reason = format!(
        "taken over without its reserve: a reserve elsewhere; its journal ends at sequence \
         {ends_at}, but {durable} was durable"
    );
    assert_eq!(reasons, [reason]);
}

#[test]
fn an_account_of_which_something_may_be_missing_starts_halted_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Even where nothing of it is here.
    let new = start_lacking(root, "a reserve elsewhere");
    assert_eq!(new.trading_state(), TradingState::Halted);
    let taken_over = start_lacking(root, "a reserve elsewhere");
    assert_eq!(taken_over.trading_state(), TradingState::Halted);
    start(root).unwrap();
    assert_eq!(opened(root).trading_state(), TradingState::Halted);
}

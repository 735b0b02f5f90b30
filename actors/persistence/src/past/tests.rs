use crate::testing::{Listener, Notice, Scripted, wait_for};
use crate::{JournalHistory, Writer, to_record};
use apex_bus::handle::{EventHistory, HistoryError, PastError};
use apex_domain::account::Account;
use apex_domain::event::{Event, Recorded};
use apex_domain::{AccountId, Currency, Money, UnixNanos};
use apex_storage::MemoryStore;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

struct Kept {
    history: JournalHistory,
    scripted: Scripted,
    id: AccountId,
    writer: Writer,
    notices: Receiver<Notice>,
}

impl Kept {
    /// A running writer that has made a whole script durable, with snapshots after the given
    /// sequences.
    fn with(scripted: Scripted, snapshots: &[(u64, Vec<u8>)]) -> Kept {
        let (listener, notices) = Listener::new();
        let journal = MemoryStore::new().open("paper").unwrap();
        let writer = Writer::start(Box::new(journal), Box::new(listener)).unwrap();
        for recorded in &scripted.events {
            writer.queue().append(vec![to_record(recorded)]);
        }
        wait_for(&notices, &Notice::Durable(scripted.events.len() as u64));
        for (sequence, bytes) in snapshots {
            writer.queue().snapshot(*sequence, bytes.clone());
        }
        let id = AccountId::new("paper").unwrap();
        Kept {
            history: JournalHistory::new([(id.clone(), writer.queue())]),
            scripted,
            id,
            writer,
            notices,
        }
    }

    fn new(orders: usize) -> Kept {
        Kept::with(Scripted::with_orders(orders), &[])
    }

    fn at(&self, ts: i64) -> Result<Arc<Account>, PastError> {
        self.history.as_of(&self.id, UnixNanos(ts), LONG)
    }

    /// The account after the events up to `ts`.
    fn expected(&self, ts: i64) -> Account {
        let events = self.scripted.events.iter();
        after(events.filter(|recorded| recorded.ts.0 <= ts))
    }
}

fn after<'a>(events: impl Iterator<Item = &'a Recorded>) -> Account {
    let mut account = Account::new();
    for recorded in events {
        account.fold(recorded).unwrap();
    }
    account
}

#[test]
fn each_time_shows_the_account_of_that_time_in_whatever_order_they_are_asked() {
    let kept = Kept::new(6);
    let last = kept.scripted.events.last().unwrap().ts.0;
    for ts in [last, 5, 5, 6, 11, 3, last + 1_000, last + 2_000, 1] {
        assert_eq!(*kept.at(ts).unwrap(), kept.expected(ts), "{ts}");
    }
    kept.writer.stop();
}

#[test]
fn the_same_time_again_is_answered_from_what_was_folded() {
    let kept = Kept::new(6);
    let first = kept.at(9).unwrap();
    assert!(Arc::ptr_eq(&first, &kept.at(9).unwrap()));
    // An answer that is still read stays as it is while the next one goes on from it.
    let later = kept.at(12).unwrap();
    assert_eq!(*first, kept.expected(9));
    assert_eq!(*later, kept.expected(12));
    kept.writer.stop();
}

#[test]
fn what_becomes_durable_later_is_seen_by_the_next_look() {
    let kept = Kept::new(2);
    let before = kept.at(1_000).unwrap();
    let more = Scripted::with_orders(3);
    let (known, new) = more.events.split_at(kept.scripted.events.len());
    assert_eq!(known, kept.scripted.events);
    for recorded in new {
        kept.writer.queue().append(vec![to_record(recorded)]);
    }
    let last = more.events.len() as u64;
    wait_for(&kept.notices, &Notice::Durable(last));
    let after = kept.at(1_000).unwrap();
    assert_eq!((before.orders().len(), after.orders().len()), (2, 3));
    kept.writer.stop();
}

/// The snapshot here has euros that no event paid in, so that it shows where it was used.
#[test]
fn a_snapshot_at_or_before_the_time_is_where_folding_begins() {
    let scripted = Scripted::with_orders(6);
    let (last, before) = scripted.events.split_last().unwrap();
    let ts = last.ts.0;
    let mut marked = after(before.iter());
    let euros = Event::CashAdjusted {
        request_id: None,
        currency: Currency::new("EUR").unwrap(),
        amount: Money::parse("7").unwrap(),
        reason: String::new(),
    };
    marked
        .fold(&Recorded {
            event: euros,
            ..last.clone()
        })
        .unwrap();
    let kept = Kept::with(scripted, &[(marked.sequence(), marked.snapshot())]);
    assert_eq!(*kept.at(ts - 1).unwrap(), kept.expected(ts - 1), "too new");
    assert_eq!(*kept.at(ts).unwrap(), marked);
    kept.writer.stop();
}

#[test]
fn a_snapshot_that_cannot_be_read_changes_nothing() {
    let scripted = Scripted::with_orders(6);
    let (last, ts) = (scripted.account.sequence(), scripted.events.len() as i64);
    let kept = Kept::with(scripted, &[(last, b"no snapshot".to_vec())]);
    assert_eq!(*kept.at(ts).unwrap(), kept.expected(ts));
    kept.writer.stop();
}

#[test]
fn a_time_before_the_first_event_says_when_that_was() {
    let kept = Kept::new(2);
    for ts in [0, -1, i64::MIN] {
        match kept.at(ts) {
            Err(PastError::NotOpenYet { account_id, opened }) => {
                assert_eq!((account_id, opened), (kept.id.clone(), UnixNanos(1)));
            }
            other => panic!("{other:?}"),
        }
    }
    kept.writer.stop();
}

#[test]
fn a_fold_that_takes_too_long_goes_on_where_it_ended() {
    let kept = Kept::new(600);
    let last = kept.scripted.events.last().unwrap().ts;
    let mut reached = Vec::new();
    let account = loop {
        match kept.history.as_of(&kept.id, last, Duration::ZERO) {
            Err(PastError::TooLong { sequence, .. }) => reached.push(sequence),
            other => break other.unwrap(),
        }
    };
    assert_eq!(reached, [1_023]);
    assert_eq!(*account, kept.scripted.account);
    kept.writer.stop();
}

#[test]
fn an_account_without_a_journal_here_is_named() {
    let kept = Kept::new(1);
    let other = AccountId::new("other").unwrap();
    let error = kept.history.as_of(&other, UnixNanos(1), LONG).unwrap_err();
    assert!(matches!(
        error,
        PastError::History(HistoryError::NoJournal(id)) if id == other
    ));
    kept.writer.stop();
}

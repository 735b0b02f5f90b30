use super::*;
use crate::testing::{Listener, Notice, Scripted, wait_for};
use crate::{Writer, to_record};
use apex_storage::MemoryStore;
use std::sync::mpsc::Receiver;

struct Kept {
    history: JournalHistory,
    scripted: Scripted,
    id: AccountId,
    writer: Writer,
    notices: Receiver<Notice>,
}

/// A running writer that has made a whole script durable.
fn kept(orders: usize) -> Kept {
    let scripted = Scripted::with_orders(orders);
    let (listener, notices) = Listener::new();
    let journal = MemoryStore::new().open("paper").unwrap();
    let writer = Writer::start(Box::new(journal), Box::new(listener)).unwrap();
    for recorded in &scripted.events {
        writer.queue().append(vec![to_record(recorded)]);
    }
    let last = scripted.events.len() as u64;
    wait_for(&notices, &Notice::Durable(last));
    let id = AccountId::new("paper").unwrap();
    Kept {
        history: JournalHistory::new([(id.clone(), writer.queue())]),
        scripted,
        id,
        writer,
        notices,
    }
}

impl Kept {
    fn page(&self, after: u64, limit: usize) -> Vec<u64> {
        let events = self.history.events(&self.id, after, limit).unwrap();
        events.iter().map(|event| event.recorded.sequence).collect()
    }
}

#[test]
fn pages_follow_each_other_without_a_gap_and_end() {
    let kept = kept(10);
    let last = kept.scripted.events.len() as u64;
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let page = kept.page(after, 7);
        let Some(end) = page.last().copied() else {
            break;
        };
        after = end;
        all.extend(page);
    }
    assert_eq!(all, (1..=last).collect::<Vec<_>>());
    assert_eq!(
        kept.page(last + 5, 7),
        [0_u64; 0],
        "past the end there is nothing"
    );
    assert_eq!(
        kept.page(0, 0),
        [0_u64; 0],
        "a page of nothing holds nothing"
    );
    kept.writer.stop();
}

#[test]
fn each_event_is_the_same_as_live_with_its_order_as_it_stood_then() {
    let kept = kept(4);
    let events = kept.history.events(&kept.id, 0, 1_000).unwrap();
    let live = kept.scripted.events.iter().zip(&kept.scripted.orders);
    assert_eq!(events.len(), kept.scripted.events.len());
    for (event, (recorded, order)) in events.iter().zip(live) {
        assert_eq!(*event.recorded, *recorded);
        assert_eq!(event.order, *order);
    }
    kept.writer.stop();
}

#[test]
fn a_stream_that_starts_further_back_sees_the_past_as_it_was() {
    let kept = kept(10);
    let whole = kept.history.events(&kept.id, 0, 1_000).unwrap();
    for after in [20, 5, 12, 0, 31, 11] {
        let again = kept.history.events(&kept.id, after, 6).unwrap();
        for (event, before) in again.iter().zip(&whole[after as usize..]) {
            assert_eq!(event.recorded, before.recorded);
            assert_eq!(event.order, before.order);
        }
    }
    kept.writer.stop();
}

#[test]
fn what_is_decided_while_a_stream_reads_comes_in_its_next_page() {
    let kept = kept(2);
    let last = kept.scripted.events.len() as u64;
    assert_eq!(kept.page(last, 10), [0_u64; 0]);
    let more = Scripted::with_orders(3);
    for recorded in &more.events[last as usize..] {
        kept.writer.queue().append(vec![to_record(recorded)]);
    }
    wait_for(&kept.notices, &Notice::Durable(last + 3));
    assert_eq!(kept.page(last, 10), [last + 1, last + 2, last + 3]);
    kept.writer.stop();
}

#[test]
fn an_account_without_a_journal_here_is_named() {
    let kept = kept(1);
    let other = AccountId::new("other").unwrap();
    let error = kept.history.events(&other, 0, 10).unwrap_err();
    assert!(error.to_string().contains("other"), "{error}");
    kept.writer.stop();
}

#[test]
fn a_journal_that_cannot_be_read_is_an_error_and_not_an_empty_past() {
    let scripted = Scripted::with_orders(1);
    let (listener, notices) = Listener::new();
    let journal = MemoryStore::new().open("paper").unwrap();
    let writer = Writer::start(Box::new(journal), Box::new(listener)).unwrap();
    let mut record = to_record(&scripted.events[0]);
    record.kind = 9;
    writer.queue().append(vec![record]);
    wait_for(&notices, &Notice::Durable(1));
    let id = AccountId::new("paper").unwrap();
    let history = JournalHistory::new([(id.clone(), writer.queue())]);
    for _ in 0..2 {
        let error = history.events(&id, 0, 10).unwrap_err();
        assert!(error.to_string().contains("kind 9"), "{error}");
    }
    writer.stop();
}

#[test]
fn records_come_as_they_stand_in_the_journal() {
    let kept = kept(10);
    let all = kept.history.records(&kept.id, 0, 1_000).unwrap();
    assert_eq!(all, kept.scripted.events);
    let last = all.len() as u64;
    let page = kept.history.records(&kept.id, 5, 3).unwrap();
    assert_eq!(page, kept.scripted.events[5..8]);
    assert_eq!(kept.history.records(&kept.id, last, 3).unwrap(), []);
    assert_eq!(kept.history.records(&kept.id, u64::MAX, 3).unwrap(), []);
    let nobody = AccountId::new("nobody").unwrap();
    assert!(kept.history.records(&nobody, 0, 3).is_err());
    kept.writer.stop();
}

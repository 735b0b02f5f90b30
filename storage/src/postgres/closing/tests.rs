//! Owners, crashes and damage between a database and a store of objects.

mod keys;

use super::watched::Watched;
use super::*;
use crate::port::journal::{Class, Journal, Record, Unit};
use crate::port::journals::Journals;
use crate::port::objects::{ObjectKey, Objects};
use crate::postgres::{PgJournal, PgJournals, PgServer, ReservedJournals, ServerOptions, migrate};
use crate::testkit::{Postgres, Proxy, here};
use crate::{DataDir, FolderObjects};
use std::time::{Duration, Instant};

/// Bounds a wait that ends at once unless something is broken.
const LIMIT: Duration = Duration::from_secs(30);

/// One account, its database and its store of objects.
struct Bench {
    postgres: Postgres,
    objects: Arc<Watched>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Bench> {
        let postgres = here(Postgres::start())?;
        let folder = tempfile::tempdir().expect("a folder");
        let objects = FolderObjects::open(&folder.path().join("objects"));
        let bench = Bench {
            postgres,
            objects: Arc::new(Watched::on(objects.expect("a folder of objects"))),
            folder,
        };
        migrate(&bench.server(&bench.postgres.url())).expect("the tables are made");
        Some(bench)
    }

    /// With a journal that has something to move; `None` where there is no server.
    fn grown() -> Option<(Bench, PgJournal)> {
        let bench = Bench::new()?;
        let mut journal = bench.journals().open("paper").expect("it opens");
        grow(&mut journal);
        Some((bench, journal))
    }

    fn server(&self, url: &str) -> PgServer {
        let options = ServerOptions {
            timeout: Duration::from_secs(5),
            ..ServerOptions::new("APEX_DATABASE_URL", url)
        };
        PgServer::connect(options).expect("the server answers")
    }

    fn on(&self, url: &str) -> PgJournals {
        let journals = PgJournals::new(&self.server(url)).expect("the tables are there");
        let objects = self.objects.clone();
        journals.with_objects(objects).with_sizes(1_024, 8 * 1_024)
    }

    fn journals(&self) -> PgJournals {
        self.on(&self.postgres.url())
    }

    fn query(&self, sql: &str) -> String {
        self.postgres.query("apex", sql).expect("it answers")
    }

    /// Rows in front of the base.
    fn left_over(&self) -> String {
        self.query(
            "SELECT count(*) FROM journal_frame JOIN journal_base AS base USING (account_id) \
             WHERE last_sequence <= base.sequence",
        )
    }

    fn until_removed(&self) {
        let begun = Instant::now();
        while self.left_over() != "0" {
            assert!(begun.elapsed() < LIMIT, "{} rows stay", self.left_over());
        }
    }

    fn base(&self) -> String {
        self.query("SELECT coalesce(max(sequence), 0) FROM journal_base")
    }
}

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        kind: 3,
        schema: 2,
        payload: format!("{sequence:0400}").into_bytes(),
    }
}

fn append(journal: &mut dyn Journal, count: u64) {
    for _ in 0..count {
        let records = vec![record(journal.head().sequence + 1)];
        let class = Class::Order;
        journal
            .append(&[Unit { class, records }])
            .expect("it is taken");
        journal.commit().expect("it is stored");
    }
}

fn snapshot(journal: &mut dyn Journal) {
    let sequence = journal.head().sequence;
    let stored = journal.snapshot_write(sequence, b"state");
    stored.expect("a snapshot is stored");
}

/// Two snapshots, and enough behind what they cover.
fn grow(journal: &mut dyn Journal) {
    append(journal, 30);
    snapshot(journal);
    append(journal, 30);
    snapshot(journal);
}

fn job(journal: &dyn Journal) -> ClosingJob {
    let job = journal.closing().expect("it can be asked");
    job.expect("there is a store")
}

fn stored(journal: &dyn Journal) -> Option<Closed> {
    job(journal)().expect("the objects are stored")
}

fn whole(journal: &dyn Journal) {
    let records = journal.read_from(1).expect("it can be asked");
    let found: Vec<Record> = records.map(|item| item.expect("it is whole")).collect();
    assert_eq!(
        found,
        (1..=journal.head().sequence)
            .map(record)
            .collect::<Vec<_>>()
    );
}

#[test]
fn segments_end_by_the_batches_alone_and_the_newest_stay() {
    let ends = |lengths: &[u64], covered| {
        let mut ends = Ends::new(100);
        for (last, bytes) in (1..).zip(lengths) {
            ends.add(last, *bytes);
        }
        ends.leaving(covered, 800)
    };
    // 800 bytes stay.
    let even = [50; 24];
    assert_eq!(ends(&even, 99), [2, 4, 6, 8]);
    assert_eq!(ends(&even, 7), [2, 4, 6]);
    assert_eq!(ends(&even[..23], 99), [2, 4, 6]);
    assert_eq!(ends(&even, 1), [0; 0]);
    // One that is larger than a segment ends it.
    assert_eq!(ends(&[99, 1_000, 40, 60, 800], 99), [2, 4]);
    assert_eq!(ends(&[], 99), [0; 0]);
}

#[test]
fn rows_in_front_of_the_base_are_not_read_and_go_with_the_next_start() {
    let Some(bench) = Bench::new() else {
        return;
    };
    // A crash once the base is set; one in the middle of the removal, from its begin or with holes.
    for removed in ["false", "last_sequence <= 7", "last_sequence % 3 = 0"] {
        let journals = bench.journals();
        let mut journal = journals.open("paper").expect("it opens");
        grow(&mut journal);
        let closed = stored(&journal).expect("there is something");
        let setting = journal.setting_base(closed);
        journal.server().wait(setting).expect("the base is set");
        drop(journal);
        assert_eq!(bench.base(), closed.sequence().to_string());
        bench.query(&format!(
            "DELETE FROM journal_frame USING journal_base AS base \
             WHERE last_sequence <= base.sequence AND {removed}"
        ));
        assert_ne!(bench.left_over(), "0");
        // A check of what a crash has left.
        let report = journals.verify("paper", &mut |_| {}).expect("it is read");
        assert!(report.ok(), "{report:?}");
        // Without the objects, as where their store is away.
        let mut first = None;
        let mut each = |record: crate::RecordRef<'_>| {
            first.get_or_insert(record.sequence);
        };
        let (rows, passed_over) = journals
            .verify_rows("paper", &mut each)
            .expect("it is read");
        assert!(rows.ok(), "{rows:?}");
        assert_eq!((rows.head, passed_over), (report.head, closed.sequence()));
        assert_eq!(first, Some(closed.sequence() + 1));
        let mut journal = bench.journals().open("paper").expect("it opens");
        whole(&journal);
        bench.until_removed();
        whole(&journal);
        append(&mut journal, 1);
        let report = journals.verify("paper", &mut |_| {}).expect("it is read");
        assert_eq!((report.ok(), report.head), (true, journal.head()));
    }
}

#[test]
fn an_object_that_is_there_is_not_stored_again_and_one_of_another_journal_stops_everything() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    let closed = stored(&journal).expect("there is something");
    assert_eq!(stored(&journal), Some(closed), "the same again");
    assert!(bench.objects.puts.lock().unwrap().values().all(|n| *n == 1));
    let keys: Vec<ObjectKey> = bench.objects.puts.lock().unwrap().keys().cloned().collect();
    assert!(keys.len() > 3, "{keys:?}");
    // The second one: those before it are there as well, and nothing is cut.
    let foreign = b"a segment of another database";
    let put = bench.objects.objects.put(&keys[1], &mut &foreign[..]);
    put.expect("it is replaced");
    let error = job(&journal)().expect_err("it is another one's");
    assert_eq!(
        error.to_string(),
        format!(
            "damaged at segment object {} byte 0 (sequence 0): it is there and holds something \
             else: is the store that of another journal?",
            keys[1]
        )
    );
    let there = bench.objects.get(&keys[1]).expect("it is read");
    assert_eq!(there.as_deref(), Some(&foreign[..]));
    assert_eq!(bench.base(), "0");
    whole(&journal);
    append(&mut journal, 1);
}

#[test]
fn a_replaced_owner_cuts_nothing_and_its_late_job_harms_nobody() {
    let Some((bench, mut old)) = Bench::grown() else {
        return;
    };
    let closed = stored(&old).expect("there is something");
    let late = job(&old);
    let mut new = bench.journals().take_over("paper").expect("it takes over");
    let error = old.cut(closed).expect_err("it is fenced");
    let text = "account paper has another owner: epoch 2 where this one has 1";
    assert_eq!(error.to_string(), text);
    assert_eq!(bench.base(), "0");
    whole(&new);
    grow(&mut new);
    let more = stored(&new).expect("there is something");
    new.cut(more).expect("it is the owner's");
    assert!(more.sequence() > closed.sequence());
    bench.until_removed();
    // As a job that was begun before the other came, and got no time until now.
    let error = late().expect_err("it is fenced");
    assert_eq!(error.to_string(), text);
    let error = old.cut(closed).expect_err("it is fenced");
    assert_eq!(error.to_string(), text);
    assert_eq!(bench.base(), more.sequence().to_string());
    // What the replaced one had stored serves the other.
    assert!(bench.objects.puts.lock().unwrap().values().all(|n| *n == 1));
    whole(&new);
}

#[test]
fn two_owners_that_store_at_once_store_the_same() {
    let Some((bench, mut old)) = Bench::grown() else {
        return;
    };
    let journals = bench.journals();
    let (told, heard) = std::sync::mpsc::channel();
    // While the replaced one stores its first segment, the other moves all, and more.
    *bench.objects.before_put.lock().unwrap() = Some(Box::new(move || {
        let mut new = journals.take_over("paper").expect("it takes over");
        grow(&mut new);
        let closed = stored(&new).expect("there is something");
        new.cut(closed).expect("it is the owner's");
        told.send((new, closed)).expect("it is waited for");
    }));
    let outcome = job(&old)();
    let (new, closed) = heard.recv().expect("the other has come");
    bench.until_removed();
    // It may have found its batches gone, or all of its objects there.
    if let Ok(Some(stale)) = outcome {
        assert!(old.cut(stale).is_err());
    }
    assert_eq!(bench.base(), closed.sequence().to_string());
    // The first one was stored by both, and `Watched` has compared them.
    let puts = bench.objects.puts.lock().unwrap();
    assert_eq!(puts.values().next(), Some(&2));
    drop(puts);
    whole(&new);
    let report = bench.journals().verify("paper", &mut |_| {});
    assert!(report.expect("it is read").ok());
}

#[test]
fn only_whole_snapshots_count() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    bench.query(
        "UPDATE journal_snapshot SET state = 'spoiled' \
         WHERE sequence = (SELECT min(sequence) FROM journal_snapshot)",
    );
    assert_eq!(stored(&journal), None, "one is left");
    let newest = journal.snapshot_latest().expect("it is read");
    append(&mut journal, 30);
    snapshot(&mut journal);
    let closed = stored(&journal).expect("there are two again");
    let older = newest.expect("it is whole").sequence;
    assert!(closed.sequence() <= older, "{closed:?} behind {older}");
}

#[test]
fn a_base_that_is_not_ours_or_is_gone_is_refused() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    let closed = stored(&journal).expect("there is something");
    journal.cut(closed).expect("it is cut");
    bench.until_removed();
    drop(journal);
    bench.query("CREATE TABLE kept AS SELECT * FROM journal_base");
    for change in [
        "UPDATE journal_base SET sequence = sequence + 1",
        "UPDATE journal_base SET sequence = 1",
        "UPDATE journal_base SET chain = set_byte(chain, 5, get_byte(chain, 5) # 1)",
        "UPDATE journal_base SET check_sum = set_byte(check_sum, 5, get_byte(check_sum, 5) # 1)",
    ] {
        bench.query(change);
        let error = bench.journals().open("paper").expect_err(change);
        let text = error.to_string();
        assert!(text.contains("journal_base of paper"), "{change}: {text}");
        let report = bench.journals().verify("paper", &mut |_| {});
        let bad = report.expect("it is read").first_bad.expect(change);
        assert_eq!(bad.segment, "journal_base of paper", "{change}");
        bench.query("DELETE FROM journal_base");
        bench.query("INSERT INTO journal_base SELECT * FROM kept");
    }
    bench.query("DELETE FROM journal_base");
    let report = bench.journals().verify("paper", &mut |_| {});
    let bad = report
        .expect("it is read")
        .first_bad
        .expect("rows are gone");
    assert_eq!(bad.segment, "journal_frame of paper");
    // That of another account does not pass.
    bench.journals().open("other").expect("it opens");
    bench.query(
        "INSERT INTO journal_base SELECT 'other', sequence, chain, check_sum, epoch FROM kept",
    );
    let error = bench.journals().open("other").expect_err("it is not its");
    assert!(
        error.to_string().contains("journal_base of other"),
        "{error}"
    );
}

#[test]
fn a_bucket_that_is_not_set_is_named_and_the_journal_goes_on() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    let closed = stored(&journal).expect("there is something");
    journal.cut(closed).expect("it is cut");
    drop(journal);
    let server = bench.server(&bench.postgres.url());
    let journals = PgJournals::new(&server).expect("the tables are there");
    let mut journal = journals.open("paper").expect("it opens");
    assert!(journal.closing().expect("it can be asked").is_none());
    append(&mut journal, 1);
    let behind = journal
        .read_from(closed.sequence() + 1)
        .expect("it is read");
    let behind = behind.map(|item| item.expect("it is here").sequence);
    assert!(behind.eq(closed.sequence() + 1..=61));
    let text = format!(
        "APEX_S3_ENDPOINT is not set, and records 1 to {} of account paper were moved to a \
         bucket: set APEX_S3_* as they were",
        closed.sequence()
    );
    let mut records = journal.read_from(closed.sequence()).expect("it is asked");
    let error = records
        .next()
        .and_then(Result::err)
        .expect("it is not here");
    assert_eq!(error.to_string(), text);
    let error = journals.verify("paper", &mut |_| {});
    assert_eq!(error.expect_err("it is not here").to_string(), text);
}

#[test]
fn a_cut_whose_answer_is_lost_is_sound_either_way() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let proxy = Proxy::start(bench.postgres.port()).expect("a proxy starts");
    let direct = format!(":{}/", bench.postgres.port());
    let through = format!(":{}/", proxy.port());
    let journals = bench.on(&bench.postgres.url().replace(&direct, &through));
    let dir = DataDir::open(&bench.folder.path().join("data")).expect("a free folder");
    let journal = ReservedJournals::new(journals, &dir).unwrap();
    let mut journal = journal.open("paper").unwrap();
    grow(&mut journal);
    let connections = || bench.query("SELECT count(*) FROM pg_stat_activity");
    let before = connections();
    let closed = stored(&journal).expect("there is something");
    let begun = Instant::now();
    // The next answer is that of the cut once the job's connection is gone.
    while connections() != before {
        assert!(begun.elapsed() < LIMIT);
    }
    proxy.swallow_next_answer();
    let error = journal.cut(closed).expect_err("there is no answer");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    append(&mut journal, 1);
    whole(&journal);
    journal.cut(closed).expect("it is set, by this or before");
    assert_eq!(bench.base(), closed.sequence().to_string());
    bench.until_removed();
    // Without the server nothing is moved: there is more to do.
    let (late, closing) = (job(&journal), stored(&journal));
    assert_eq!(closing, None);
    proxy.set_refusing(true);
    proxy.cut();
    let class = Class::Essential;
    let records = vec![record(journal.head().sequence + 1)];
    journal
        .append(&[Unit { class, records }])
        .expect("it is taken");
    journal.commit().expect("into the reserve");
    assert!(journal.closing().expect("it can be asked").is_none());
    let error = journal.cut(closed).expect_err("it is away");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    late().expect_err("it is away");
    proxy.set_refusing(false);
    let begun = Instant::now();
    while journal.probe().expect("it goes on") != crate::JournalState::Ready {
        assert!(begun.elapsed() < LIMIT);
    }
    whole(&journal);
    grow(&mut journal);
    let more = stored(&journal).expect("there is something");
    // On another thread, as it is done.
    let cut = journal.cutting().expect("it needs the server alone");
    let cut = std::thread::spawn(move || cut(more));
    cut.join().expect("no panic").expect("it is back");
    assert_eq!(bench.base(), more.sequence().to_string());
    bench.until_removed();
    whole(&journal);
}

#[test]
fn a_base_at_the_same_record_of_another_history_is_damage() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let mut journal = bench.journals().open("paper").expect("it opens");
    grow(&mut journal);
    let closed = stored(&journal).expect("there is something");
    let base = closed.base;
    journal.cut(closed).expect("the base is set");
    let epoch = bench.query("SELECT epoch FROM journal_account WHERE account_id = 'paper'");
    let epoch: i64 = epoch.trim().parse().expect("a number");
    let server = bench.server(&bench.postgres.url());
    let set = |base: Head| {
        let on = server.clone();
        server.wait(async move { crate::postgres::base::set(&on, "paper", epoch, base).await })
    };
    set(base).expect("it stands so already");
    let mut other = base;
    other.chain.0[0] ^= 1;
    let error = set(other).expect_err("it is another history");
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
}

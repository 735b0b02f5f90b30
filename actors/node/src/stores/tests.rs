//! Which objects old records of a database go to.

use super::*;
use apex_storage::testkit::{Moto, Postgres, here};
use apex_storage::{Class, Journal, ObjectKey, Record, Unit};

fn record(sequence: u64) -> Record {
    Record {
        sequence,
        kind: 1,
        schema: 1,
        // Few batches make a journal that is long enough.
        payload: vec![sequence as u8; 1_000_000],
    }
}

/// 45 MB, of which two snapshots cover the first 20.
fn grow(journal: &mut dyn Journal) {
    for sequence in 1..=45 {
        let (class, records) = (Class::Order, vec![record(sequence)]);
        journal.append(&[Unit { class, records }]).unwrap();
        journal.commit().unwrap();
        if sequence == 20 || sequence == 45 {
            journal.snapshot_write(sequence, b"state").unwrap();
        }
    }
}

fn objects(options: &S3Options) -> Vec<ObjectKey> {
    let bucket = S3Objects::connect(options.clone()).unwrap();
    let listed = bucket.list("journals/", None, 100).unwrap();
    listed.into_iter().map(|info| info.key).collect()
}

#[test]
fn old_records_of_a_database_go_to_the_bucket_or_stay() {
    let (Some(postgres), Some(moto)) = (here(Postgres::start()), here(Moto::start())) else {
        return;
    };
    moto.make_bucket("apex").unwrap();
    let options = S3Options {
        endpoint: moto.endpoint(),
        bucket: "apex".to_owned(),
        access_key: "key".to_owned(),
        secret_key: "secret".to_owned(),
        timeout: Duration::from_secs(20),
    };
    let without = ServerSettings {
        database_url: Some(postgres.url()),
        ..ServerSettings::default()
    };
    let with = ServerSettings {
        s3: Some(options.clone()),
        ..without.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let open = |servers: &ServerSettings, purpose| Stores::open(&dir, servers, purpose).unwrap();
    {
        let stores = open(&without, Purpose::Live);
        let mut journal = stores.journals.open("paper").unwrap();
        grow(&mut *journal);
        assert!(journal.closing().unwrap().is_none(), "there is no bucket");
    }
    {
        let stores = open(&with, Purpose::Replay);
        let journal = stores.journals.open("paper").unwrap();
        assert!(journal.closing().unwrap().is_none(), "replays move nothing");
    }
    {
        let stores = open(&with, Purpose::Live);
        let mut journal = stores.journals.open("paper").unwrap();
        let job = journal.closing().unwrap().expect("there is a bucket");
        let closed = job().unwrap().expect("there is something");
        journal.cut(closed).unwrap();
        assert!(closed.sequence() <= 20, "{closed:?}");
        let read = journal.read_from(1).unwrap().map(Result::unwrap);
        assert!(read.eq((1..=45).map(record)));
    }
    let keys = objects(&options);
    let asked = "SELECT 'journals/' || database_id || '/paper/00000000000000000001.seg' \
                 FROM journal_database";
    let first = postgres.query("apex", asked).unwrap();
    assert_eq!(keys.first().map(ObjectKey::as_str), Some(first.as_str()));
    let whole = look(folder.path(), &with).unwrap().unwrap();
    let report = whole.journals.verify("paper", &mut |_| {}).unwrap();
    assert_eq!((report.ok(), report.records), (true, 45));
    let lost = look(folder.path(), &without).unwrap().unwrap();
    let error = lost.journals.verify("paper", &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("APEX_S3_ENDPOINT is not set"),
        "{error}"
    );
}

#[test]
fn a_database_keeps_the_size_of_segments_of_its_first_start() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let open = |bytes: Option<u64>| {
        let servers = ServerSettings {
            database_url: Some(postgres.url()),
            journal: JournalSettings {
                segment_bytes: bytes,
                ..JournalSettings::default()
            },
            ..ServerSettings::default()
        };
        let stores = Stores::open(&dir, &servers, Purpose::Live)?;
        stores.journals.open("paper")?;
        Ok::<(), NodeError>(())
    };
    let refused = |bytes| open(bytes).unwrap_err().to_string();
    open(Some(8_192)).unwrap();
    open(None).unwrap();
    assert_eq!(
        refused(Some(4_096)),
        "APEX_JOURNAL_SEGMENT_BYTES is 4096, and old records of this database move in segments of \
         8192 bytes since its first start: unset it, or set 8192"
    );
    // Of a build that noted none.
    let forget = "DELETE FROM record WHERE convert_from(key, 'UTF8') = 'journal_segment_bytes'";
    postgres.query("apex", forget).unwrap();
    assert!(refused(Some(8_192)).contains("segments of 4194304 bytes"));
    open(None).unwrap();
}

#[test]
fn what_a_folder_keeps_is_counted_in_its_segments() {
    let kept = |segment_bytes, keep_bytes| {
        let sizes = JournalSettings {
            segment_bytes,
            keep_bytes,
            snapshot_events: None,
        };
        let options = sizes.embedded().unwrap();
        (options.segment_bytes, options.kept_segments)
    };
    assert_eq!(kept(None, None), (16 << 20, 2));
    assert_eq!(kept(Some(2 << 20), None), (2 << 20, 16));
    assert_eq!(kept(Some(2 << 20), Some(0)), (2 << 20, 0));
    assert_eq!(kept(Some(2 << 20), Some((2 << 20) + 1)), (2 << 20, 2));
    assert_eq!(kept(None, Some(64 << 20)), (16 << 20, 4));
    let small = JournalSettings {
        segment_bytes: Some(1 << 20),
        ..JournalSettings::default()
    };
    let error = small.embedded().unwrap_err().to_string();
    assert!(error.contains("set at least 2097152"), "{error}");
}

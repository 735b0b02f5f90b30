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
    assert_eq!(
        keys.first().map(ObjectKey::as_str),
        Some("journals/paper/00000000000000000001.seg")
    );
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

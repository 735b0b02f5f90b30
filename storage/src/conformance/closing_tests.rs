//! The backends whose old records move to a store of objects run that suite.

use super::closing::closing_suite_of_objects;
use super::tests::InDatabase;
use super::{ClosingBackend, closing_suite};
use crate::postgres::{PgJournals, ReservedJournals};
use crate::s3::{S3Objects, S3Options};
use crate::testkit::{Moto, Postgres, here};
use crate::{
    DataDir, EmbeddedJournals, FolderObjects, Journals, Objects, Options, StorageError, own_objects,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

struct InFolder {
    dir: Arc<DataDir>,
    objects: Arc<dyn Objects>,
    _folder: tempfile::TempDir,
}

impl ClosingBackend for InFolder {
    fn open(&self) -> Result<Box<dyn Journals>, StorageError> {
        let options = Options {
            segment_bytes: 4_096,
            reserve_bytes: 4_096,
            ..Options::default()
        };
        let journals = EmbeddedJournals::new(&self.dir, options);
        Ok(Box::new(journals.with_objects(self.objects.clone())))
    }

    fn objects(&self) -> Arc<dyn Objects> {
        self.objects.clone()
    }
}

#[test]
fn journals_in_a_folder_move_their_old_segments() {
    closing_suite(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        InFolder {
            dir: DataDir::open(folder.path()).expect("a free folder"),
            objects: own_objects(folder.path()).expect("a folder of objects"),
            _folder: folder,
        }
    });
}

struct Database {
    case: InDatabase,
    objects: Arc<dyn Objects>,
    /// With a reserve in a folder where there is one.
    reserve: Option<Arc<DataDir>>,
    _folder: tempfile::TempDir,
}

impl Database {
    fn new(server: &Postgres, number: &AtomicUsize) -> Database {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = FolderObjects::open(&folder.path().join("objects"));
        Database {
            case: InDatabase::new(server, number),
            objects: Arc::new(objects.expect("a folder of objects")),
            reserve: None,
            _folder: folder,
        }
    }
}

impl ClosingBackend for Database {
    fn open(&self) -> Result<Box<dyn Journals>, StorageError> {
        let journals = PgJournals::new(&self.case.server())?;
        let journals = journals.with_objects(self.objects.clone());
        // Five batches of the cases.
        let journals = journals.with_sizes(3_072, 8 * 3_072);
        Ok(match &self.reserve {
            Some(dir) => Box::new(ReservedJournals::new(journals, dir).unwrap()),
            None => Box::new(journals),
        })
    }

    fn objects(&self) -> Arc<dyn Objects> {
        self.objects.clone()
    }
}

#[test]
fn journals_on_postgres_move_their_old_batches_to_a_folder() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    closing_suite(|| Database::new(&server, &number));
}

#[test]
fn journals_on_postgres_with_a_reserve_move_their_old_batches() {
    let Some(server) = here(Postgres::start()) else {
        return;
    };
    let number = AtomicUsize::new(0);
    closing_suite(|| {
        let mut database = Database::new(&server, &number);
        let dir = DataDir::open(&database._folder.path().join("data"));
        database.reserve = Some(dir.expect("a free folder"));
        database
    });
}

#[test]
fn journals_on_postgres_move_their_old_batches_to_s3() {
    let (Some(server), Some(moto)) = (here(Postgres::start()), here(Moto::start())) else {
        return;
    };
    let number = AtomicUsize::new(0);
    closing_suite_of_objects(|| {
        let mut database = Database::new(&server, &number);
        let bucket = format!("closing-{}", number.load(Ordering::Relaxed));
        moto.make_bucket(&bucket).expect("a bucket is made");
        let options = S3Options {
            endpoint: moto.endpoint(),
            bucket,
            access_key: "key".to_owned(),
            secret_key: "secret".to_owned(),
            timeout: Duration::from_secs(20),
        };
        database.objects = Arc::new(S3Objects::connect(options).expect("the bucket answers"));
        database
    });
}

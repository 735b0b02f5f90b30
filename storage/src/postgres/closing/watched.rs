//! A store of objects that tests look into.

use crate::port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects};
use crate::{FolderObjects, StorageError};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

/// Done before the next object is stored.
pub(super) type Hook = Box<dyn FnOnce() + Send>;

/// Objects in a folder, which counts what is stored and refuses to replace.
pub(super) struct Watched {
    pub objects: FolderObjects,
    /// How often each was stored.
    pub puts: Mutex<BTreeMap<ObjectKey, usize>>,
    pub before_put: Mutex<Option<Hook>>,
}

impl Watched {
    pub fn on(objects: FolderObjects) -> Watched {
        Watched {
            objects,
            puts: Mutex::default(),
            before_put: Mutex::default(),
        }
    }
}

impl Objects for Watched {
    fn put(&self, key: &ObjectKey, content: &mut dyn Read) -> Result<ContentHash, StorageError> {
        let hook = self.before_put.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).expect("it is in memory");
        if let Some(there) = self.objects.get(key)? {
            assert_eq!(there, bytes, "{key} is stored again with another content");
        }
        *self.puts.lock().unwrap().entry(key.clone()).or_default() += 1;
        self.objects.put(key, &mut &bytes[..])
    }

    fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError> {
        self.objects.get(key)
    }

    fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        self.objects.get_range(key, offset, length)
    }

    fn hash(&self, key: &ObjectKey) -> Result<Option<ContentHash>, StorageError> {
        self.objects.hash(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StorageError> {
        self.objects.list(prefix, after, limit)
    }

    fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        self.objects.delete(key)
    }

    fn presign(&self, key: &ObjectKey, valid: Duration) -> Result<Option<String>, StorageError> {
        self.objects.presign(key, valid)
    }

    fn expire(&self, prefix: &str, days: u32) -> Result<(), StorageError> {
        self.objects.expire(prefix, days)
    }
}

//! The chain's head, told to an object store.

use super::Link;
use crate::StorageError;
use crate::port::objects::{ContentHash, ObjectKey, Objects};
use crate::s3::probe::PROBES;
use std::collections::BTreeMap;

const PREFIX: &str = "audit/";

/// Objects that are listed at a time.
const PAGE: usize = 1_000;

/// The head of an audit at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub audit_id: String,
    /// Of the last record in it.
    pub sequence: u64,
    /// Of that record.
    pub link: Link,
}

impl Checkpoint {
    fn key(&self) -> Result<ObjectKey, StorageError> {
        let Checkpoint {
            audit_id,
            sequence,
            link,
        } = self;
        // All of it is in the name, so that a check lists and does not read.
        ObjectKey::new(&format!("{PREFIX}{audit_id}/{sequence:020}-{link}"))
    }

    fn of_key(key: &str) -> Option<Checkpoint> {
        let (audit_id, name) = key.strip_prefix(PREFIX)?.split_once('/')?;
        let (sequence, link) = name.split_once('-')?;
        Some(Checkpoint {
            audit_id: audit_id.to_owned(),
            sequence: sequence.parse().ok()?,
            link: Link(ContentHash::parse(link)?.0),
        })
    }
}

/// Stores a checkpoint. `ts_ns` is the time now in nanoseconds since 1970, for people.
///
/// # Errors
/// Those of [`Objects::put`]; the ones before stand.
pub fn put_checkpoint(
    objects: &dyn Objects,
    checkpoint: &Checkpoint,
    ts_ns: i64,
) -> Result<(), StorageError> {
    let text = format!(
        "apextrade audit {}: record {} has link {} at {ts_ns} ns\n",
        checkpoint.audit_id, checkpoint.sequence, checkpoint.link
    );
    objects
        .put(&checkpoint.key()?, &mut text.as_bytes())
        .map(drop)
}

/// The checkpoints of one audit. A sequence may have two: then one of them is of another history.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    pub(super) links: BTreeMap<u64, Vec<Link>>,
}

impl Checkpoints {
    /// Reads which there are.
    ///
    /// # Errors
    /// Those of [`Objects::list`].
    pub fn of(objects: &dyn Objects, audit_id: &str) -> Result<Checkpoints, StorageError> {
        let mut found = Checkpoints::default();
        each(objects, &format!("{PREFIX}{audit_id}/"), |one| {
            found.add(one)
        })?;
        Ok(found)
    }

    /// Reads those of all audits that have some in a store, by id.
    ///
    /// # Errors
    /// Those of [`Objects::list`].
    pub fn all(objects: &dyn Objects) -> Result<BTreeMap<String, Checkpoints>, StorageError> {
        let mut found: BTreeMap<String, Checkpoints> = BTreeMap::new();
        each(objects, PREFIX, |one| {
            found.entry(one.audit_id.clone()).or_default().add(one);
        })?;
        Ok(found)
    }

    fn add(&mut self, one: Checkpoint) {
        self.links.entry(one.sequence).or_default().push(one.link);
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.links.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Returns the sequence of the last one; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.links.last_key_value().map_or(0, |(last, _)| *last)
    }
}

fn each(
    objects: &dyn Objects,
    prefix: &str,
    mut found: impl FnMut(Checkpoint),
) -> Result<(), StorageError> {
    let mut last: Option<ObjectKey> = None;
    loop {
        let page = objects.list(prefix, last.as_ref(), PAGE)?;
        for info in &page {
            match Checkpoint::of_key(info.key.as_str()) {
                Some(one) => found(one),
                None if info.key.as_str().starts_with(PROBES) => {}
                None => tracing::warn!(key = %info.key, "no checkpoint of ours, passed over"),
            }
        }
        last = page.last().map(|info| info.key.clone());
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

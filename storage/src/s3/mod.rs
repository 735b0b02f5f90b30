//! The objects port on a server that speaks S3.
//!
//! An object carries the hash of its content as metadata, which S3 only takes at the beginning. So
//! content is read to its end first, into a temporary file beyond eight MiB, and then sent: in one
//! request, or in parts that become an object with the last request. Either way nobody sees half
//! an object, whenever the wire is cut.

mod address;
mod dispatch;
mod errors;
pub(crate) mod probe;
mod requests;
mod silence;
mod spool;
#[cfg(test)]
mod tests;

use crate::StorageError;
use crate::blocking::Waiter;
use crate::port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects, check_length, damaged};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use dispatch::Dispatcher;
use rusoto_core::Region;
use rusoto_core::credential::{AwsCredentials, StaticProvider};
use rusoto_s3::util::{PreSignedRequest, PreSignedRequestOption};
use rusoto_s3::{
    BucketLifecycleConfiguration, DeleteObjectRequest, GetObjectRequest, HeadBucketRequest,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    PutBucketLifecycleConfigurationRequest, S3, S3Client,
};
use sha2::{Digest, Sha256};
use spool::Spool;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// The setting that names the server.
const VARIABLE: &str = "APEX_S3_ENDPOINT";

/// The metadata that carries the hash.
const HASH: &str = "sha256";

/// Keys that S3 lists at once.
const PAGE: i64 = 1_000;

/// How a server is reached, as `APEX_S3_*` names it.
#[derive(Clone)]
pub struct S3Options {
    /// `http://host:port` or `https://host`.
    pub endpoint: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
    /// How long the server may give no sign of life: no byte taken of a request, none sent of an
    /// answer. One that stays silent is asked twice. The answer to much content may take a minute.
    pub timeout: Duration,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("endpoint", &address::shown(&self.endpoint))
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// The objects of a bucket.
#[derive(Clone)]
pub struct S3Objects {
    waiter: Waiter,
    client: S3Client,
    options: Arc<S3Options>,
    region: Region,
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Objects({})", self.name())
    }
}

impl S3Objects {
    /// Reaches a bucket, which has to exist.
    ///
    /// # Errors
    /// `Setting` for an endpoint that is no URL or has keys in it, or a bucket that is not there; `Unavailable` when
    /// the server does not answer or refuses the keys.
    pub fn connect(options: S3Options) -> Result<S3Objects, StorageError> {
        let options = S3Options {
            endpoint: address::parse(&options.endpoint)?.to_owned(),
            ..options
        };
        let waiter = Waiter::start("apex-s3")?;
        let region = Region::Custom {
            name: "us-east-1".to_owned(),
            endpoint: options.endpoint.clone(),
        };
        let keys =
            StaticProvider::new_minimal(options.access_key.clone(), options.secret_key.clone());
        let dispatcher = Dispatcher::new(&options.endpoint, options.timeout)?;
        let objects = S3Objects {
            waiter,
            client: S3Client::new_with(dispatcher, keys, region.clone()),
            options: Arc::new(options),
            region,
        };
        objects.check()?;
        Ok(objects)
    }

    fn check(&self) -> Result<(), StorageError> {
        let found = self.ask(|this| {
            let request = HeadBucketRequest {
                bucket: this.options.bucket.clone(),
                ..HeadBucketRequest::default()
            };
            async move { this.client.head_bucket(request).await }
        });
        let found = found.map_err(|error| self.not_let_in(error))?;
        match found {
            Some(()) => Ok(()),
            None => Err(StorageError::Setting {
                variable: "APEX_S3_BUCKET",
                detail: format!(
                    "names {}, which is not at {}: make the bucket first",
                    self.options.bucket, self.options.endpoint
                ),
            }),
        }
    }

    /// A server that answers and does not take the keys is no server that is away.
    fn not_let_in(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Unavailable { detail, .. } if detail.contains(errors::KEYS) => {
                StorageError::Setting {
                    variable: "APEX_S3_ACCESS_KEY",
                    detail: format!("is not let in by S3 at {}: {detail}", self.name()),
                }
            }
            other => other,
        }
    }

    /// Returns `endpoint/bucket`; never a key.
    pub fn name(&self) -> String {
        format!("{}/{}", self.options.endpoint, self.options.bucket)
    }
}

impl Objects for S3Objects {
    fn put(&self, key: &ObjectKey, content: &mut dyn Read) -> Result<ContentHash, StorageError> {
        let mut spool = Spool::take(content)?;
        let hash = spool.hash();
        match spool.small() {
            Some(bytes) => self.put_small(key, bytes.into(), hash)?,
            None => self.put_large(key, &mut spool, hash)?,
        }
        Ok(hash)
    }

    fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(head) = self.head(key)? else {
            return Ok(None);
        };
        check_length(head.content_length.unwrap_or(0) as u64)?;
        let Some((bytes, metadata)) = self.read(key, None)? else {
            return Ok(None);
        };
        let stored = metadata.and_then(|metadata| hash_in(&metadata));
        if stored == Some(ContentHash(Sha256::digest(&bytes).into())) {
            return Ok(Some(bytes));
        }
        Err(damaged(key))
    }

    fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        check_length(length)?;
        let Some(head) = self.head(key)? else {
            return Ok(None);
        };
        // A range that begins behind the end is an error to S3, and an empty one cannot be asked.
        let there = head.content_length.unwrap_or(0) as u64;
        let length = there.saturating_sub(offset).min(length);
        if length == 0 {
            return Ok(Some(Vec::new()));
        }
        let range = format!("bytes={offset}-{}", offset + length - 1);
        Ok(self.read(key, Some(range))?.map(|(bytes, _)| bytes))
    }

    fn hash(&self, key: &ObjectKey) -> Result<Option<ContentHash>, StorageError> {
        let head = self.head(key)?;
        Ok(head.and_then(|head| hash_in(&head.metadata?)))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StorageError> {
        let mut found: Vec<ObjectInfo> = Vec::new();
        let mut after = after.map(ObjectKey::to_string);
        while found.len() < limit {
            let wanted = PAGE.min(i64::try_from(limit - found.len()).unwrap_or(PAGE));
            let page = self.page(prefix, after, wanted)?;
            let Some(last) = page.last().and_then(|object| object.key.clone()) else {
                break;
            };
            after = Some(last);
            // An object that somebody else put there under another kind of name is none of ours.
            found.extend(page.into_iter().filter_map(info));
        }
        Ok(found)
    }

    fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        if self.head(key)?.is_none() {
            return Ok(false);
        }
        let key = key.to_string();
        let deleted = self.ask(move |this| {
            let request = DeleteObjectRequest {
                bucket: this.options.bucket.clone(),
                key: key.clone(),
                ..DeleteObjectRequest::default()
            };
            async move { this.client.delete_object(request).await.map(drop) }
        })?;
        Ok(deleted.is_some())
    }

    fn presign(&self, key: &ObjectKey, valid: Duration) -> Result<Option<String>, StorageError> {
        let request = GetObjectRequest {
            bucket: self.options.bucket.clone(),
            key: key.to_string(),
            ..GetObjectRequest::default()
        };
        let keys = AwsCredentials::new(
            self.options.access_key.clone(),
            self.options.secret_key.clone(),
            None,
            None,
        );
        let valid = PreSignedRequestOption { expires_in: valid };
        Ok(Some(request.get_presigned_url(&self.region, &keys, &valid)))
    }

    fn expire(&self, prefix: &str, days: u32) -> Result<(), StorageError> {
        let mut rules = self.lifecycle()?;
        let id = format!("apextrade-{prefix}");
        rules.retain(|rule| rule.id.as_ref() != Some(&id));
        rules.push(LifecycleRule {
            id: Some(id),
            status: "Enabled".to_owned(),
            filter: Some(LifecycleRuleFilter {
                prefix: Some(prefix.to_owned()),
                ..LifecycleRuleFilter::default()
            }),
            expiration: Some(LifecycleExpiration {
                // A server counts whole days, from one on.
                days: Some(i64::from(days.max(1))),
                ..LifecycleExpiration::default()
            }),
            ..LifecycleRule::default()
        });
        self.demand(move |this| {
            let request = PutBucketLifecycleConfigurationRequest {
                bucket: this.options.bucket.clone(),
                lifecycle_configuration: Some(BucketLifecycleConfiguration {
                    rules: rules.clone(),
                }),
                ..PutBucketLifecycleConfigurationRequest::default()
            };
            async move {
                this.client
                    .put_bucket_lifecycle_configuration(request)
                    .await
            }
        })
    }
}

fn metadata(hash: ContentHash) -> HashMap<String, String> {
    HashMap::from([(HASH.to_owned(), hash.to_string())])
}

fn hash_in(metadata: &HashMap<String, String>) -> Option<ContentHash> {
    ContentHash::parse(metadata.get(HASH)?)
}

/// Lets the server notice what the wire has changed.
fn md5(bytes: &[u8]) -> String {
    BASE64.encode(<md5::Md5 as md5::Digest>::digest(bytes))
}

fn info(object: rusoto_s3::Object) -> Option<ObjectInfo> {
    let stored_at: jiff::Timestamp = object.last_modified?.parse().ok()?;
    Some(ObjectInfo {
        key: ObjectKey::new(&object.key?).ok()?,
        bytes: object.size? as u64,
        stored_at: stored_at.as_second(),
    })
}

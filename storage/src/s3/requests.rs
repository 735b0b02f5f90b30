//! The requests, each sent until it is answered.

use super::errors::{retry, unavailable};
use super::spool::Spool;
use super::{S3Objects, hash_in, md5, metadata};
use crate::StorageError;
use crate::port::objects::{ContentHash, ObjectKey};
use bytes::Bytes;
use rusoto_core::RusotoError;
use rusoto_core::request::HttpDispatchError;
use rusoto_s3::{
    AbortMultipartUploadRequest, CompleteMultipartUploadRequest, CompletedMultipartUpload,
    CompletedPart, CreateMultipartUploadRequest, GetBucketLifecycleConfigurationRequest,
    GetObjectError, GetObjectRequest, HeadObjectOutput, HeadObjectRequest, LifecycleRule,
    ListObjectsV2Request, PutObjectRequest, S3, UploadPartRequest,
};
use std::collections::HashMap;
use std::future::Future;
use tokio::io::AsyncReadExt;

/// What was read, with the object's metadata.
pub(super) type Content = (Vec<u8>, Option<HashMap<String, String>>);

impl S3Objects {
    /// Asks until there is an answer; `None` is "there is no such thing".
    pub(super) fn ask<T, E, F>(
        &self,
        request: impl Fn(S3Objects) -> F + Send + Sync + 'static,
    ) -> Result<Option<T>, StorageError>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, RusotoError<E>>> + Send + 'static,
    {
        let this = self.clone();
        self.waiter.wait(async move {
            let name = this.name();
            retry(&name, || request(this.clone())).await
        })
    }

    /// As [`S3Objects::ask`], where "there is no such thing" is an error.
    pub(super) fn demand<T, E, F>(
        &self,
        request: impl Fn(S3Objects) -> F + Send + Sync + 'static,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, RusotoError<E>>> + Send + 'static,
    {
        let answer = self.ask(request)?;
        answer.ok_or_else(|| unavailable(&self.name(), "the bucket, or a part of it, is gone"))
    }

    pub(super) fn head(&self, key: &ObjectKey) -> Result<Option<HeadObjectOutput>, StorageError> {
        let key = key.to_string();
        self.ask(move |this| {
            let request = HeadObjectRequest {
                bucket: this.options.bucket.clone(),
                key: key.clone(),
                ..HeadObjectRequest::default()
            };
            async move { this.client.head_object(request).await }
        })
    }

    /// Sends what one request takes.
    pub(super) fn put_small(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        hash: ContentHash,
    ) -> Result<(), StorageError> {
        let key = key.to_string();
        self.demand(move |this| {
            let request = PutObjectRequest {
                bucket: this.options.bucket.clone(),
                key: key.clone(),
                content_length: Some(bytes.len() as i64),
                content_md5: Some(md5(&bytes)),
                metadata: Some(metadata(hash)),
                body: Some(bytes.to_vec().into()),
                ..PutObjectRequest::default()
            };
            async move { this.client.put_object(request).await.map(drop) }
        })
    }

    /// Sends content in parts. What was sent of an object that is not finished is given up.
    pub(super) fn put_large(
        &self,
        key: &ObjectKey,
        spool: &mut Spool,
        hash: ContentHash,
    ) -> Result<(), StorageError> {
        let upload = self.begin(key, hash)?;
        let sent = self.send_parts(key, &upload, spool);
        let finished = sent.and_then(|parts| self.finish(key, &upload, parts, hash));
        if finished.is_err() {
            // The server's own rules remove what this cannot.
            let _ = self.abort(key, &upload);
        }
        finished
    }

    pub(super) fn begin(&self, key: &ObjectKey, hash: ContentHash) -> Result<String, StorageError> {
        let name = key.to_string();
        let begun = self.demand(move |this| {
            let request = CreateMultipartUploadRequest {
                bucket: this.options.bucket.clone(),
                key: name.clone(),
                metadata: Some(metadata(hash)),
                ..CreateMultipartUploadRequest::default()
            };
            async move { this.client.create_multipart_upload(request).await }
        })?;
        begun
            .upload_id
            .ok_or_else(|| unavailable(&self.name(), "it gave no number to an upload"))
    }

    pub(super) fn send_parts(
        &self,
        key: &ObjectKey,
        upload: &str,
        spool: &mut Spool,
    ) -> Result<Vec<CompletedPart>, StorageError> {
        let mut parts = Vec::new();
        for number in 1.. {
            let bytes = Bytes::from(spool.next_part()?);
            if bytes.is_empty() {
                break;
            }
            let (name, upload_id) = (key.to_string(), upload.to_owned());
            let sent = self.demand(move |this| {
                let request = UploadPartRequest {
                    bucket: this.options.bucket.clone(),
                    key: name.clone(),
                    upload_id: upload_id.clone(),
                    part_number: number,
                    content_length: Some(bytes.len() as i64),
                    content_md5: Some(md5(&bytes)),
                    body: Some(bytes.to_vec().into()),
                    ..UploadPartRequest::default()
                };
                async move { this.client.upload_part(request).await }
            })?;
            parts.push(CompletedPart {
                e_tag: sent.e_tag,
                part_number: Some(number),
            });
        }
        Ok(parts)
    }

    /// Makes an object of the parts, and looks whether it is there with its hash. Where the answer to that
    /// was lost, the upload is gone when it is asked for again. And an answer that says "done" may be
    /// none: S3 begins it before it is done, and tells of an error in what follows
    /// (CompleteMultipartUpload, "200 OK" with an `Error` in the body).
    pub(super) fn finish(
        &self,
        key: &ObjectKey,
        upload: &str,
        parts: Vec<CompletedPart>,
        hash: ContentHash,
    ) -> Result<(), StorageError> {
        let (name, upload_id) = (key.to_string(), upload.to_owned());
        let finished = self.ask(move |this| {
            let request = CompleteMultipartUploadRequest {
                bucket: this.options.bucket.clone(),
                key: name.clone(),
                upload_id: upload_id.clone(),
                multipart_upload: Some(CompletedMultipartUpload {
                    parts: Some(parts.clone()),
                }),
                ..CompleteMultipartUploadRequest::default()
            };
            async move {
                this.client
                    .complete_multipart_upload(request)
                    .await
                    .map(drop)
            }
        })?;
        let stored = self.head(key)?.and_then(|head| hash_in(&head.metadata?));
        if stored == Some(hash) {
            return Ok(());
        }
        let detail = match finished {
            Some(()) => format!("it took the upload of {key}, and the object is not what was sent"),
            None => format!("the upload of {key} is gone, and the object is not what was sent"),
        };
        Err(unavailable(&self.name(), &detail))
    }

    pub(super) fn abort(&self, key: &ObjectKey, upload: &str) -> Result<(), StorageError> {
        let (name, upload_id) = (key.to_string(), upload.to_owned());
        let aborted = self.ask(move |this| {
            let request = AbortMultipartUploadRequest {
                bucket: this.options.bucket.clone(),
                key: name.clone(),
                upload_id: upload_id.clone(),
                ..AbortMultipartUploadRequest::default()
            };
            async move { this.client.abort_multipart_upload(request).await.map(drop) }
        });
        aborted.map(|_| ())
    }

    /// Returns an object's bytes, all or those of an HTTP range, with its metadata.
    pub(super) fn read(
        &self,
        key: &ObjectKey,
        range: Option<String>,
    ) -> Result<Option<Content>, StorageError> {
        let key = key.to_string();
        self.ask(move |this| {
            let request = GetObjectRequest {
                bucket: this.options.bucket.clone(),
                key: key.clone(),
                range: range.clone(),
                ..GetObjectRequest::default()
            };
            async move {
                let found = this.client.get_object(request).await?;
                let mut bytes = Vec::new();
                if let Some(body) = found.body {
                    let read = body.into_async_read().read_to_end(&mut bytes).await;
                    read.map_err(|error| HttpDispatchError::new(error.to_string()))?;
                }
                Ok::<_, RusotoError<GetObjectError>>((bytes, found.metadata))
            }
        })
    }

    pub(super) fn page(
        &self,
        prefix: &str,
        after: Option<String>,
        limit: i64,
    ) -> Result<Vec<rusoto_s3::Object>, StorageError> {
        let prefix = prefix.to_owned();
        let page = self.demand(move |this| {
            let request = ListObjectsV2Request {
                bucket: this.options.bucket.clone(),
                prefix: Some(prefix.clone()),
                start_after: after.clone(),
                max_keys: Some(limit),
                ..ListObjectsV2Request::default()
            };
            async move { this.client.list_objects_v2(request).await }
        })?;
        Ok(page.contents.unwrap_or_default())
    }

    /// Returns the bucket's own rules, which others may have made too.
    pub(super) fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StorageError> {
        let found = self.ask(|this| {
            let request = GetBucketLifecycleConfigurationRequest {
                bucket: this.options.bucket.clone(),
                ..GetBucketLifecycleConfigurationRequest::default()
            };
            async move {
                this.client
                    .get_bucket_lifecycle_configuration(request)
                    .await
            }
        })?;
        Ok(found.and_then(|found| found.rules).unwrap_or_default())
    }
}

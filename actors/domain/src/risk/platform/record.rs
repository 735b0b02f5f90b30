//! What of the platform's side outlives its process.

use super::machine::PlatformLimit;
use crate::id::{AccountId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use thiserror::Error;

/// Version of the encoding that this build writes and the only one it reads.
const FORMAT: u16 = 1;

/// Why bytes are no record. Without it the limit is not known, and nothing may be handed out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    #[error(
        "the record of the platform's exposure limit has format {found}, this build reads {FORMAT}: use the build that wrote it, or a newer one"
    )]
    Format { found: u16 },
    #[error("the record of the platform's exposure limit does not decode: {0}")]
    Bytes(postcard::Error),
}

/// Shares are not in it: they stand in the accounts' journals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the last start.
    pub epoch: u64,
    pub limit: Option<PlatformLimit>,
    pub sequence: u64,
    /// Every account that joined and has not left, in order of id.
    pub accounts: Vec<AccountId>,
    pub answered: VecDeque<Answered>,
}

/// A change that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub request_id: RequestId,
    pub limit: Option<PlatformLimit>,
    pub sequence: u64,
}

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let bytes = FORMAT.to_le_bytes().to_vec();
    // As for events: only types that refuse to be serialised fail, and none of these does.
    postcard::to_extend(record, bytes).expect("records serialise")
}

pub(super) fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    let short = RecordError::Bytes(postcard::Error::DeserializeUnexpectedEnd);
    let (format, body) = bytes.split_first_chunk::<2>().ok_or(short)?;
    let found = u16::from_le_bytes(*format);
    if found != FORMAT {
        return Err(RecordError::Format { found });
    }
    postcard::from_bytes(body).map_err(RecordError::Bytes)
}

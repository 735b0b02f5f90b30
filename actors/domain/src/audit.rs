//! What the audit keeps: who asked for what, from where, what it changed, and what came of it.
//!
//! A call is two records: [`AuditRecord::Requested`] before it is carried out, and
//! [`AuditRecord::Answered`] behind it. A request without an answer is one whose process ended in
//! between: what came of it stands in the account's journal.

use crate::UnixNanos;
use serde::{Deserialize, Serialize};

/// Who asks, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOrigin {
    /// The user; empty where nobody could be told.
    pub principal: String,
    /// The public part of the key that the call came with; never its secret.
    pub key_id: String,
    pub role: String,
    /// Address and port of the other end, `node` for what this process does itself.
    pub peer: String,
    /// What the client calls itself, cut to 200 bytes.
    pub user_agent: String,
}

/// A call as it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRequest {
    /// Ties the answer to it; unique within an audit.
    pub call: u64,
    pub ts: UnixNanos,
    /// Service and method: `OrderService/SubmitOrder`.
    pub action: String,
    pub origin: AuditOrigin,
    /// The message as it came, encoded, without secrets.
    pub request: Vec<u8>,
    /// The message was larger than what is kept of one, and is left out.
    pub is_cut: bool,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAnswer {
    pub call: u64,
    pub ts: UnixNanos,
    /// The gRPC code; 0 is success.
    pub code: u32,
    /// The stable reason of a refusal: `MAX_ORDER_NOTIONAL`.
    pub reason: String,
    /// What was said of it.
    pub message: String,
    /// What a setting was before, encoded as the answer is; empty where nothing was set.
    pub before: Vec<u8>,
    /// The answer, encoded; empty of a refusal.
    pub after: Vec<u8>,
    /// The answer was larger than what is kept of one, and is left out.
    pub is_cut: bool,
}

/// One record of the audit. Variants are added at the end: their number is in stored bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditRecord {
    Requested(AuditRequest),
    Answered(AuditAnswer),
    /// A call that was turned away before it could do anything, with how many like it before were
    /// not recorded, since there were too many of them.
    Refused {
        request: AuditRequest,
        answer: AuditAnswer,
        unrecorded: u64,
    },
    /// What the process did by itself: it started, stopped, made a key.
    Noted {
        ts: UnixNanos,
        action: String,
        detail: String,
    },
}

/// The bytes are no audit record: of a newer build, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit record does not decode: {0}")]
pub struct AuditDecodeError(postcard::Error);

impl AuditRecord {
    /// Returns the bytes that the audit's chain is over.
    pub fn encode(&self) -> Vec<u8> {
        // Serialising into a growing vector fails only for types that refuse to be serialised,
        // and none of ours does.
        postcard::to_extend(self, Vec::with_capacity(256)).expect("audit records serialise")
    }

    /// Reads what [`AuditRecord::encode`] wrote.
    ///
    /// Errors: [`AuditDecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<AuditRecord, AuditDecodeError> {
        postcard::from_bytes(bytes).map_err(AuditDecodeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_out_and_in_and_other_bytes_are_none() {
        let record = AuditRecord::Refused {
            request: AuditRequest {
                call: u64::MAX,
                ts: UnixNanos(7),
                action: "OrderService/SubmitOrder".to_owned(),
                origin: AuditOrigin::default(),
                request: vec![0, 255],
                is_cut: false,
            },
            answer: AuditAnswer {
                call: u64::MAX,
                ts: UnixNanos(8),
                code: 16,
                reason: "UNAUTHENTICATED".to_owned(),
                message: String::new(),
                before: Vec::new(),
                after: Vec::new(),
                is_cut: true,
            },
            unrecorded: 3,
        };
        let bytes = record.encode();
        assert_eq!(AuditRecord::decode(&bytes), Ok(record));
        assert!(AuditRecord::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(AuditRecord::decode(&[99]).is_err());
    }
}

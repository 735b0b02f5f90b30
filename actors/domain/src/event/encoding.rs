//! Events as bytes, and which of them this build can read.

use super::{Recorded, v1};
use thiserror::Error;

/// Version of the encoding that this build writes.
pub const SCHEMA: u16 = 3;

/// What most encoded events stay below, so that encoding one allocates once.
const TYPICAL_BYTES: usize = 256;

/// Why bytes are no event. `NewerSchema` asks for a newer build; the others are damage.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("event has schema {found}, this build reads up to {SCHEMA}")]
    NewerSchema { found: u16 },
    #[error("event bytes do not decode: {0}")]
    Bytes(postcard::Error),
}

impl Recorded {
    /// Returns the canonical bytes: what the journal keeps and the state hash rolls over.
    pub fn encode(&self) -> Vec<u8> {
        // Serialising into a growing vector fails only for types that refuse to be serialised,
        // and none of ours does.
        postcard::to_extend(self, Vec::with_capacity(TYPICAL_BYTES)).expect("events serialise")
    }

    /// Reads what [`Recorded::encode`] wrote under `schema`.
    ///
    /// Errors: [`DecodeError`].
    pub fn decode(schema: u16, bytes: &[u8]) -> Result<Recorded, DecodeError> {
        match schema {
            // Schema 0 was never written.
            0 | 1 => v1::decode(bytes).map_err(DecodeError::Bytes),
            // 3 only added variants at the end.
            2 | SCHEMA => postcard::from_bytes(bytes).map_err(DecodeError::Bytes),
            found => Err(DecodeError::NewerSchema { found }),
        }
    }
}

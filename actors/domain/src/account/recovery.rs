//! Back from the journal: folding recorded events, and snapshots.

use super::machine::Account;
use crate::event::{Event, Recorded};
use crate::id::OrderId;
use crate::number::NumberError;
use thiserror::Error;

/// Version of the snapshot encoding that this build writes and the only one it reads: a snapshot
/// can always be made again from the journal.
pub const SNAPSHOT_VERSION: u16 = 10;

/// Why recorded events are no account. Each is damage or a mix-up; the account must not trade.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoldError {
    #[error("event {found} follows, {expected} was expected")]
    Gap { expected: u64, found: u64 },
    #[error("the first event does not open the account")]
    NotOpen,
    #[error("event {sequence} is about unknown order \"{order_id}\"")]
    UnknownOrder { sequence: u64, order_id: OrderId },
    #[error("event {sequence} is about an unknown instrument")]
    UnknownInstrument { sequence: u64 },
    #[error("event {sequence} is no possible change of order \"{order_id}\"")]
    Transition { sequence: u64, order_id: OrderId },
    #[error("event {sequence} leads to a number that cannot be held")]
    Number {
        sequence: u64,
        #[source]
        source: NumberError,
    },
}

/// Why bytes are no snapshot. The journal from its beginning is the way out of each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    #[error("snapshot has version {found}, this build reads {SNAPSHOT_VERSION}")]
    Version { found: u16 },
    #[error("snapshot is too short to hold its version")]
    Short,
    #[error("snapshot bytes do not decode: {0}")]
    Bytes(postcard::Error),
}

impl Account {
    /// Folds one recorded event. Never decides.
    ///
    /// Errors: [`FoldError`]. The account is then not to be used any more.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let expected = self.sequence + 1;
        if recorded.sequence != expected {
            return Err(FoldError::Gap {
                expected,
                found: recorded.sequence,
            });
        }
        let opens = matches!(recorded.event, Event::AccountOpened { .. });
        if opens == self.is_open() {
            return Err(FoldError::NotOpen);
        }
        self.take(recorded)?;
        self.advance(recorded);
        Ok(())
    }

    /// Returns the whole state as bytes: a version and the encoding of that version. Equal
    /// accounts give equal bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let bytes = SNAPSHOT_VERSION.to_le_bytes().to_vec();
        // As for events: only types that refuse to be serialised fail, and none of ours does.
        postcard::to_extend(self, bytes).expect("accounts serialise")
    }

    /// Reads what [`Account::snapshot`] wrote. Bytes are trusted to be whole: the journal that
    /// keeps them has its own checksum.
    ///
    /// Errors: [`RestoreError`].
    pub fn restore(bytes: &[u8]) -> Result<Account, RestoreError> {
        let (version, body) = bytes.split_first_chunk::<2>().ok_or(RestoreError::Short)?;
        let found = u16::from_le_bytes(*version);
        if found != SNAPSHOT_VERSION {
            return Err(RestoreError::Version { found });
        }
        let mut account: Account = postcard::from_bytes(body).map_err(RestoreError::Bytes)?;
        account.orders.reindex();
        for position in 0..account.executions.len() {
            let record = &account.executions[position];
            let (execution, is_strange) = (record.execution.clone(), record.order_id.is_none());
            account.index_execution(&execution, position);
            if is_strange {
                account.strangers.traded(&execution.client_order_id);
            }
            account.count_base_fee(position, false);
        }
        Ok(account)
    }
}

//! How the runs of an account ended, so that one that breaks again and again at the same place
//! comes up halted instead of trading its way into the same fault.
//!
//! A broken invariant aborts the process, and start-up recovers. When what broke it comes back at
//! each start (a report of the venue, an order that is asked for), the journal's head is the same
//! each time, since nothing of the decision became durable. After the third such end the account
//! starts HALTED: nothing is skipped, and a person looks.
//!
//! Only a process that aborts by itself says so, with [`note_abort`]. A kill from outside or a power
//! cut is no sign of a fault in what the account holds, however often it comes.

use apex_domain::account::AccountInput;
use apex_domain::risk::TradingState;
use apex_storage::{Records, StorageError};

/// Table of the records store; one entry an account.
const TABLE: &str = "starts";

/// Ends of one place that halt an account.
const ABORTS: u32 = 3;

/// First byte of an entry; another one was written by another build.
const FORMAT: u8 = 1;

/// What a start has to heed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The account must be halted before it decides on anything.
    pub halt: bool,
    /// Runs in a row that aborted with the journal's head at `head`.
    pub aborts: u32,
    /// Sequence of the journal's last record at this start.
    pub head: u64,
}

impl Start {
    /// Returns the input that halts the account, to be decided on and made durable before
    /// anything else; `None` where it may go on as it was.
    pub fn input(&self) -> Option<AccountInput> {
        self.halt.then(|| AccountInput::SetTradingState {
            request_id: None,
            state: TradingState::Halted,
            by: "system".to_owned(),
            reason: format!(
                "{} runs in a row aborted behind journal sequence {}",
                self.aborts, self.head
            ),
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// The last run said that it aborts.
    aborted: bool,
    /// Aborts in a row at `head`, before that run.
    aborts: u32,
    head: u64,
}

impl Entry {
    fn encode(self) -> [u8; 14] {
        let mut bytes = [0; 14];
        bytes[0] = FORMAT;
        bytes[1] = u8::from(self.aborted);
        bytes[2..6].copy_from_slice(&self.aborts.to_le_bytes());
        bytes[6..].copy_from_slice(&self.head.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Entry> {
        let [FORMAT, aborted, rest @ ..] = bytes else {
            return None;
        };
        let (aborts, head) = rest.split_first_chunk()?;
        Some(Entry {
            aborted: *aborted != 0,
            aborts: u32::from_le_bytes(*aborts),
            head: u64::from_le_bytes(head.try_into().ok()?),
        })
    }
}

/// Notes that a run begins with the journal's last record at `head`, and returns what the ends of
/// the runs before it mean. Call it after the journal was opened and before anything is decided.
///
/// Errors: those of [`Records::get`] and [`Records::put`]. With `Full` nothing is noted and the
/// end of this run will not count; an account may start all the same.
pub fn begin(records: &dyn Records, account_id: &str, head: u64) -> Result<Start, StorageError> {
    let last = last_run(records, account_id)?;
    let aborts = match last.aborted {
        true if last.head == head => last.aborts.saturating_add(1),
        true => 1,
        false => 0,
    };
    let now = Entry {
        aborted: false,
        aborts,
        head,
    };
    records.put(TABLE, account_id, &now.encode())?;
    Ok(Start {
        halt: aborts >= ABORTS,
        aborts,
        head,
    })
}

/// Notes that this run is about to abort by itself.
///
/// Errors: those of [`Records::get`] and [`Records::put`]; the abort then does not count.
pub fn note_abort(records: &dyn Records, account_id: &str) -> Result<(), StorageError> {
    let aborted = Entry {
        aborted: true,
        ..last_run(records, account_id)?
    };
    records.put(TABLE, account_id, &aborted.encode())
}

fn last_run(records: &dyn Records, account_id: &str) -> Result<Entry, StorageError> {
    let Some(bytes) = records.get(TABLE, account_id)? else {
        return Ok(Entry::default());
    };
    Ok(Entry::decode(&bytes).unwrap_or_else(|| {
        tracing::warn!(account_id, "note of the last run cannot be read, ignored");
        Entry::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::MemoryRecords;

    fn begin_and_abort(records: &MemoryRecords, account_id: &str, head: u64) -> bool {
        let halt = begin(records, account_id, head).unwrap().halt;
        note_abort(records, account_id).unwrap();
        halt
    }

    /// Begins a run at each head, all of which abort, and returns which of them halts.
    fn aborted(heads: &[u64]) -> Vec<bool> {
        let records = MemoryRecords::new();
        heads
            .iter()
            .map(|head| begin_and_abort(&records, "paper", *head))
            .collect()
    }

    #[test]
    fn the_third_abort_at_one_place_halts() {
        assert_eq!(aborted(&[7, 7, 7, 7]), [false, false, false, true]);
    }

    #[test]
    fn kills_never_halt() {
        let records = MemoryRecords::new();
        for _ in 0..10 {
            assert!(!begin(&records, "paper", 7).unwrap().halt);
        }
    }

    #[test]
    fn aborts_at_different_heads_do_not_halt() {
        assert_eq!(aborted(&[7, 8, 9, 10, 11]), [false; 5]);
        assert_eq!(aborted(&[7, 8, 8, 9, 9, 7, 8]), [false; 7]);
    }

    #[test]
    fn a_run_that_moved_on_before_it_broke_counts_where_it_broke() {
        assert_eq!(aborted(&[3, 7, 7, 7]), [false, false, false, true]);
    }

    #[test]
    fn a_run_that_did_not_abort_begins_the_count_again() {
        let records = MemoryRecords::new();
        for _ in 0..2 {
            begin_and_abort(&records, "paper", 7);
        }
        // One that was killed, or ended well.
        begin(&records, "paper", 7).unwrap();
        for _ in 0..3 {
            assert!(!begin_and_abort(&records, "paper", 7));
        }
        assert!(begin(&records, "paper", 7).unwrap().halt);
    }

    #[test]
    fn accounts_count_for_themselves() {
        let records = MemoryRecords::new();
        for _ in 0..3 {
            begin_and_abort(&records, "paper", 7);
        }
        begin_and_abort(&records, "other", 7);
        assert!(begin(&records, "paper", 7).unwrap().halt);
        assert_eq!(begin(&records, "other", 7).unwrap().aborts, 1);
    }

    #[test]
    fn a_halting_start_says_who_and_why() {
        let start = Start {
            halt: true,
            aborts: 3,
            head: 41,
        };
        let Some(AccountInput::SetTradingState {
            state, by, reason, ..
        }) = start.input()
        else {
            panic!("a halting start has an input");
        };
        assert_eq!((state, by.as_str()), (TradingState::Halted, "system"));
        assert_eq!(reason, "3 runs in a row aborted behind journal sequence 41");
        assert_eq!(
            Start {
                halt: false,
                ..start
            }
            .input(),
            None
        );
    }

    #[test]
    fn a_note_of_another_build_counts_as_none() {
        let records = MemoryRecords::new();
        records.put(TABLE, "paper", &[9, 1, 2]).unwrap();
        let start = begin(&records, "paper", 7).unwrap();
        assert_eq!((start.halt, start.aborts), (false, 0));
    }

    #[test]
    fn every_entry_reads_back_and_a_cut_one_does_not() {
        let entry = Entry {
            aborted: true,
            aborts: 2,
            head: u64::MAX - 1,
        };
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        for length in 0..14 {
            assert_eq!(Entry::decode(&entry.encode()[..length]), None);
        }
    }
}

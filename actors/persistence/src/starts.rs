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
//!
//! The note also says how far the journal was durable when it was last written, at the end of a
//! start and of a run. It lies outside of the journal, so a journal that ends before it has lost its
//! end, which its own files cannot show: cut at a whole record it reads as a shorter one. What is in
//! the reserve of one data folder alone does not count: a start on another one cannot have it.

use apex_domain::account::AccountInput;
use apex_domain::risk::TradingState;
use apex_storage::{Records, StorageError};
use std::path::Path;

/// Table of the records store; one entry an account.
const TABLE: &str = "starts";

/// Ends of one place that halt an account.
const ABORTS: u32 = 3;

/// First byte of an entry; one that is not known here was written by another build.
const FORMAT: u8 = 2;

/// First byte of an entry without `durable`.
const FORMAT_WITHOUT_DURABLE: u8 = 1;

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
    /// The journal's last durable sequence when this was written.
    durable: u64,
}

impl Entry {
    fn encode(self) -> [u8; 22] {
        let mut bytes = [0; 22];
        bytes[0] = FORMAT;
        bytes[1] = u8::from(self.aborted);
        bytes[2..6].copy_from_slice(&self.aborts.to_le_bytes());
        bytes[6..14].copy_from_slice(&self.head.to_le_bytes());
        bytes[14..].copy_from_slice(&self.durable.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Entry> {
        let [format, aborted, rest @ ..] = bytes else {
            return None;
        };
        let (aborts, rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk()?;
        let head = u64::from_le_bytes(*head);
        let durable = match (*format, rest) {
            (FORMAT_WITHOUT_DURABLE, []) => head,
            (FORMAT, durable) => u64::from_le_bytes(durable.try_into().ok()?),
            _ => return None,
        };
        Some(Entry {
            aborted: *aborted != 0,
            aborts: u32::from_le_bytes(*aborts),
            head,
            durable,
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
        // Never back: whoever starts on a journal that lost its end is to hear of it again.
        durable: last.durable.max(head),
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

/// Notes that the journal is durable up to `sequence`, where every start finds it. Call it at the end
/// of a start, with what the start itself decided, and at the end of a run.
///
/// Errors: those of [`Records::get`] and [`Records::put`]; the note before then stands.
pub fn note_durable(
    records: &dyn Records,
    account_id: &str,
    sequence: u64,
) -> Result<(), StorageError> {
    let last = last_run(records, account_id)?;
    let noted = Entry {
        durable: last.durable.max(sequence),
        ..last
    };
    records.put(TABLE, account_id, &noted.encode())
}

/// Notes that the journal ends at `sequence`, also where more was durable before. Call it once what is
/// missing is accounted for, durably: until then each start is to hear of it.
///
/// Errors: those of [`Records::get`] and [`Records::put`]; the next start then hears of it again.
pub fn note_end(
    records: &dyn Records,
    account_id: &str,
    sequence: u64,
) -> Result<(), StorageError> {
    let noted = Entry {
        durable: sequence,
        ..last_run(records, account_id)?
    };
    records.put(TABLE, account_id, &noted.encode())
}

/// Returns the sequence up to which the journal was durable by the last note; 0 without one. A
/// journal that ends before it has lost its end. Ask before [`begin`].
///
/// Errors: those of [`Records::get`].
pub fn durable(records: &dyn Records, account_id: &str) -> Result<u64, StorageError> {
    Ok(last_run(records, account_id)?.durable)
}

/// Returns the accounts whose journals had something durable in them, by the notes. One of them that
/// has no journal any more has lost all of it.
///
/// Errors: those of [`Records::list`].
pub fn known(records: &dyn Records) -> Result<Vec<String>, StorageError> {
    let noted = records.list(TABLE)?.into_iter();
    let known = noted.filter(|(_, bytes)| Entry::decode(bytes).is_some_and(|it| it.durable > 0));
    Ok(known.map(|(account_id, _)| account_id).collect())
}

/// As [`durable`], from a data folder that another process may use: changes nothing and takes no
/// lock. Ask before the journal is read, which may be growing.
///
/// Errors: those of [`apex_storage::read_record`].
pub fn durable_in(data_dir: &Path, account_id: &str) -> Result<u64, StorageError> {
    let bytes = apex_storage::read_record(data_dir, TABLE, account_id)?;
    Ok(bytes
        .and_then(|bytes| Entry::decode(&bytes))
        .map_or(0, |entry| entry.durable))
}

/// Forgets an account whose journal is moved aside. Call it before the move, so that no journal
/// is missed when the move is cut short.
///
/// Errors: those of [`Records::delete`].
pub fn forget(records: &dyn Records, account_id: &str) -> Result<(), StorageError> {
    records.delete(TABLE, account_id).map(drop)
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
            durable: u64::MAX,
        };
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        for length in 0..22 {
            assert_eq!(Entry::decode(&entry.encode()[..length]), None);
        }
    }

    #[test]
    fn an_entry_of_the_first_format_was_durable_up_to_its_head() {
        let mut bytes = [0; 14];
        bytes[..2].copy_from_slice(&[1, 1]);
        bytes[2..6].copy_from_slice(&2_u32.to_le_bytes());
        bytes[6..].copy_from_slice(&7_u64.to_le_bytes());
        let entry = Entry {
            aborted: true,
            aborts: 2,
            head: 7,
            durable: 7,
        };
        assert_eq!(Entry::decode(&bytes), Some(entry));
    }

    #[test]
    fn what_was_durable_is_noted_and_never_goes_back() {
        let records = MemoryRecords::new();
        let noted = || durable(&records, "paper").unwrap();
        assert_eq!(noted(), 0);
        begin(&records, "paper", 7).unwrap();
        assert_eq!(noted(), 7);
        note_durable(&records, "paper", 9).unwrap();
        note_abort(&records, "paper").unwrap();
        begin(&records, "paper", 8).unwrap();
        note_durable(&records, "paper", 8).unwrap();
        assert_eq!(noted(), 9);
        // Unless what is missing is accounted for.
        note_end(&records, "paper", 8).unwrap();
        assert_eq!(noted(), 8);
        forget(&records, "paper").unwrap();
        assert_eq!(noted(), 0);
    }

    #[test]
    fn noting_what_is_durable_does_not_change_the_count_of_aborts() {
        let records = MemoryRecords::new();
        for _ in 0..3 {
            begin(&records, "paper", 7).unwrap();
            note_durable(&records, "paper", 9).unwrap();
            note_abort(&records, "paper").unwrap();
        }
        assert!(begin(&records, "paper", 7).unwrap().halt);
    }

    #[test]
    fn the_note_can_be_read_while_another_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(durable_in(folder.path(), "paper").unwrap(), 0);
        let dir = apex_storage::DataDir::open(folder.path()).unwrap();
        let records = apex_storage::EmbeddedRecords::open(&dir).unwrap();
        note_durable(&records, "paper", 9).unwrap();
        assert_eq!(durable_in(folder.path(), "paper").unwrap(), 9);
        assert_eq!(durable_in(folder.path(), "other").unwrap(), 0);
    }
}

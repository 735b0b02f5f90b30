//! The accounts of a database, as a store of journals.

use super::journal::PgJournals;
use super::read::{Frames, chain_of_row};
use crate::StorageError;
use crate::embedded::check_journal_name;
use crate::port::journal::{Head, Journal, RecordRef};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::verify::{FirstBad, VerifyReport};

impl Journals for PgJournals {
    fn open(&self, account_id: &str) -> Result<Box<dyn Journal>, StorageError> {
        Ok(Box::new(PgJournals::open(self, account_id)?))
    }

    fn accounts(&self) -> Result<Vec<String>, StorageError> {
        let on = self.server().clone();
        let rows = self.server().wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT account_id FROM journal_account WHERE account_id <> $1 \
                         ORDER BY account_id COLLATE \"C\"";
            on.query(&client, asked, &[&AUDIT_JOURNAL]).await
        })?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn verify(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<VerifyReport, StorageError> {
        let (head, snapshot) = self.ends_of(account_id)?;
        let closed = self.closed(account_id);
        let frames = Frames::open(self.server(), closed, account_id, 1, head);
        checked(frames, head, snapshot, each)
    }
}

/// Reads a journal to its end.
fn checked(
    mut frames: Frames,
    head: Head,
    snapshot: Option<u64>,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<VerifyReport, StorageError> {
    let mut report = VerifyReport {
        records: 0,
        frames: 0,
        // A batch is one row, which is there or is not.
        torn_tail_bytes: 0,
        head,
        first_bad: None,
    };
    loop {
        match frames.next_batch() {
            Ok(Some(records)) => {
                report.frames += 1;
                report.records += records.len() as u64;
                for record in &records {
                    each(record.borrowed());
                }
            }
            Ok(None) => break,
            Err(StorageError::Damaged { position, reason }) => {
                report.head = frames.read_to();
                report.first_bad = Some(FirstBad {
                    segment: position.segment,
                    offset: position.offset,
                    sequence: position.sequence,
                    reason: reason.to_string(),
                });
                return Ok(report);
            }
            Err(error) => return Err(error),
        }
    }
    report.first_bad = snapshot
        .filter(|snapshot| *snapshot > head.sequence)
        .map(|snapshot| FirstBad {
            segment: String::new(),
            offset: 0,
            sequence: head.sequence + 1,
            reason: crate::Damage::EndsBeforeSnapshot { snapshot }.to_string(),
        });
    Ok(report)
}

impl PgJournals {
    /// As [`Journals::verify`], of what is in the database alone, with its chain from there on. Returns the
    /// number of records that were moved away and not looked at.
    ///
    /// # Errors
    /// Those of [`Journals::verify`].
    pub fn verify_rows(
        &self,
        account_id: &str,
        each: &mut dyn FnMut(RecordRef<'_>),
    ) -> Result<(VerifyReport, u64), StorageError> {
        let (head, snapshot) = self.ends_of(account_id)?;
        let frames = Frames::of_rows(self.server(), account_id, head);
        let report = checked(frames, head, snapshot, each)?;
        let found = report.first_bad.is_none().then_some(report.records);
        Ok((report, head.sequence - found.unwrap_or(head.sequence)))
    }

    fn ends_of(&self, account_id: &str) -> Result<(Head, Option<u64>), StorageError> {
        check_journal_name(account_id)?;
        let ends = self.ends(account_id)?;
        ends.ok_or_else(|| StorageError::NotFound {
            path: format!("{}/{account_id}", self.server().name()).into(),
        })
    }

    /// Returns the durable end of an account and the sequence of its newest snapshot, as of one
    /// moment; `None` without such an account.
    fn ends(&self, account_id: &str) -> Result<Option<(Head, Option<u64>)>, StorageError> {
        let (on, id) = (self.server().clone(), account_id.to_owned());
        let row = self.server().wait(async move {
            let client = on.shared().await?;
            let asked = "SELECT sequence, chain, (SELECT max(sequence) FROM journal_snapshot \
                         WHERE account_id = $1) FROM journal_account WHERE account_id = $1";
            on.query_opt(&client, asked, &[&id]).await
        })?;
        let Some(row) = row else {
            return Ok(None);
        };
        let (sequence, chain): (i64, Vec<u8>) = (row.get(0), row.get(1));
        let snapshot: Option<i64> = row.get(2);
        let head = chain_of_row(account_id, sequence, &chain)?;
        Ok(Some((head, snapshot.map(|sequence| sequence as u64))))
    }
}

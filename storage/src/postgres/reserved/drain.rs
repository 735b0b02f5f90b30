//! From the reserve to the server, in order and once.

use super::super::group::Row;
use super::{PATIENCE, ReservedJournal, Sent, owners};
use crate::StorageError;
use crate::embedded::{Header, Kept, Left};
use crate::port::journal::{Head, Journal};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// What is sent to the server at once, and at least one frame.
const SENT_BYTES: usize = 1 << 20;

/// How long one look at a server that is back may take from the account's commits, besides the one
/// send that is the last.
pub(super) const DRAINING: Duration = Duration::from_millis(100);

/// For how long the last send is not waited for again, once it had no answer in time: a server that
/// takes longer than a commit may wait holds up a tenth of them at most.
const SLOW: Duration = Duration::from_secs(10);

impl ReservedJournal {
    /// Looks what the server has taken, and sends what follows. Waits `first` for what is under
    /// way, and up to `budget` in all once the server has answered. With what it then sends last it
    /// waits as long as a commit does: a slow server that takes commits would otherwise never have
    /// everything, since more comes between two looks.
    pub(super) fn drain(&mut self, first: Duration, budget: Duration) -> Result<(), StorageError> {
        let until = Instant::now() + budget;
        let (mut wait, mut has_answered) = (first, false);
        loop {
            if let Some(sent) = &self.sent {
                let is_last = has_answered && sent.frames == self.kept.len() && !self.was_slow();
                if is_last {
                    wait = wait.max(self.patience);
                }
                match sent.outcome.recv_timeout(wait) {
                    Ok(Ok(())) => self.taken(),
                    // It is sent again at the next look, with what came since. Of that the server may
                    // have the first frames, which are not stored again (`group.rs`).
                    Ok(Err(StorageError::Unavailable { .. }))
                    | Err(RecvTimeoutError::Disconnected) => {
                        self.sent = None;
                        return Ok(());
                    }
                    Ok(Err(error)) => return Err(error),
                    Err(RecvTimeoutError::Timeout) => {
                        if is_last {
                            self.slow_at = Some(Instant::now());
                        }
                        return Ok(());
                    }
                }
                has_answered = true;
                wait = until.saturating_duration_since(Instant::now());
            }
            if self.kept.is_empty() {
                return self.come_back();
            }
            if !self.send() {
                return Ok(());
            }
        }
    }

    fn was_slow(&self) -> bool {
        self.slow_at.is_some_and(|at| at.elapsed() < SLOW)
    }

    /// The server has what was sent.
    fn taken(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.kept.drain(..sent.frames.min(self.kept.len()));
            self.server.stored(sent.after);
        }
    }

    /// Sends the oldest frames. Returns false where nothing is under way: there is nothing to send,
    /// or too much waits for the writers. It is tried again at the next look.
    fn send(&mut self) -> bool {
        let mut bytes = 0;
        // The first goes however large it is.
        let fits = |kept: &&Kept| {
            let fits = bytes == 0 || bytes + kept.frame.len() <= SENT_BYTES;
            bytes += kept.frame.len();
            fits
        };
        let chunk: Vec<&Kept> = self.kept.iter().take_while(fits).collect();
        let Some(last) = chunk.last() else {
            return false;
        };
        let (after, frames) = (last.after, chunk.len());
        let handed_over = self.server.hand_over(after, rows(chunk)).ok();
        self.sent = handed_over.map(|outcome| Sent {
            frames,
            after,
            outcome,
        });
        self.sent.is_some()
    }

    /// The server has everything: what comes next goes there alone.
    fn come_back(&mut self) -> Result<(), StorageError> {
        self.reserve.clear()?;
        (self.exhausted, self.slow_at) = (false, None);
        if let Some(since) = self.away_since.take() {
            tracing::warn!(
                account_id = self.server.account_id(),
                seconds = since.elapsed().as_secs_f64(),
                sequence = self.head.sequence,
                "the journal's server is back and has everything: new orders are taken again"
            );
        }
        Ok(())
    }

    /// Brings what an earlier run has left to the server, before anything else.
    pub(super) fn merge(&mut self, left: Left) -> Result<(), StorageError> {
        let Some(last) = left.frames.last().map(|frame| frame.after) else {
            return self.reserve.clear();
        };
        let at = self.server.head();
        let ends = std::iter::once(left.before).chain(left.frames.iter().map(|kept| kept.after));
        let Some(stored) = ends.into_iter().position(|end| end == at) else {
            if self.server_has(last)? {
                // The last send was carried out without an answer, and another owner went on.
                return self.reserve.clear();
            }
            return Err(StorageError::ReserveConflict {
                path: self.reserve.folder().to_owned(),
                account_id: self.server.account_id().to_owned(),
                first: left.before.sequence + 1,
                last: last.sequence,
                server_at: at.sequence,
            });
        };
        tracing::warn!(
            account_id = self.server.account_id(),
            from = at.sequence + 1,
            to = last.sequence,
            "a reserve was left: it goes to the server first"
        );
        self.kept = left.frames.into_iter().skip(stored).collect();
        (self.head, self.staged_sequence) = (last, last.sequence);
        self.away_since = Some(Instant::now());
        let timeout = self.server.server().options().timeout;
        while self.away_since.is_some() {
            let before = self.kept.len();
            self.drain(timeout, timeout)?;
            if self.away_since.is_some() && self.kept.len() == before {
                let server = self.server.server();
                return Err(server.unavailable("it does not take the reserve in time"));
            }
        }
        Ok(())
    }
}

impl ReservedJournal {
    /// Returns true where the server's chain goes through a head, and so has all that led to it. Not
    /// for one whose batch was moved to the store of objects: that is for a person then.
    fn server_has(&self, head: Head) -> Result<bool, StorageError> {
        let (on, id) = (
            self.server.server().clone(),
            self.server.account_id().to_owned(),
        );
        let at = head.sequence as i64;
        let row = self.server.server().wait(async move {
            let client = on.shared().await?;
            let asked =
                "SELECT frame FROM journal_frame WHERE account_id = $1 AND last_sequence = $2";
            on.query_opt(&client, asked, &[&id, &at]).await
        })?;
        let header = row.map(|row| Header::parse(row.get(0)));
        Ok(matches!(header, Some(Ok(header)) if header.chain == head.chain))
    }
}

impl Drop for ReservedJournal {
    fn drop(&mut self) {
        if self.keeps_mark {
            return;
        }
        if self.away_since.is_some() && self.broken.is_none() {
            // A server that is slow, or just back, may have everything a moment later.
            let drained = self.drain(PATIENCE, PATIENCE);
            let _ = self.note(drained);
        }
        // What was acknowledged here alone is said to be here. Else any folder does for the next owner.
        if self.away_since.is_some() || self.broken.is_some() || !self.kept.is_empty() {
            return;
        }
        let (server, id) = (self.server.server(), self.server.account_id().to_owned());
        let is_empty = owners::is_empty(
            server.clone(),
            id,
            self.folder_id.clone(),
            self.server.epoch() as i64,
        );
        if let Err(error) = server.wait_for(PATIENCE, is_empty) {
            tracing::warn!(
                account_id = self.server.account_id(),
                %error,
                "the database could not be told that this folder's reserve is empty: the next start \
                 is expected on this folder"
            );
        }
    }
}

/// Returns the rows of frames.
pub(super) fn rows<'a>(frames: impl IntoIterator<Item = &'a Kept>) -> Vec<Row> {
    let row = |kept: &Kept| Row {
        first: kept.first,
        last: kept.after.sequence,
        frame: kept.frame.clone(),
    };
    frames.into_iter().map(row).collect()
}

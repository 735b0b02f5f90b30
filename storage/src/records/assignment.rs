//! Which node runs a feed, an account or a strategy.

use super::lease::{Lease, Refusal};
use super::{Changing, Found, Kept, Moment, check_name, encode, find, insert, key_of, replace};
use crate::StorageError;
use crate::port::records::{Change, Records};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Looks again at an assignment that its owner renewed at the same moment, to renew it or to give it
/// back. Renewals are seconds apart, so a second one in a row is rare.
const ATTEMPTS: u32 = 8;

/// What is run by one node at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assigned {
    /// A source of market data.
    Feed(String),
    /// An account.
    Account(String),
    /// A strategy within an account: `<account>:<strategy>`.
    Strategy(String),
    /// A role that one node has at a time: the scheduler.
    Role(String),
}

impl Assigned {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Assigned::Feed(id) => ("feed", id),
            Assigned::Account(id) => ("account", id),
            Assigned::Strategy(id) => ("strategy", id),
            Assigned::Role(id) => ("role", id),
        }
    }
}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = self.parts();
        write!(f, "{kind}/{id}")
    }
}

/// An assignment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// What.
    pub what: Assigned,
    /// Whose, and until when.
    pub lease: Lease,
}

impl Kept for Assignment {
    const TABLE: &'static str = "assignments";
    const PREFIX: &'static str = "";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.what.to_string()
    }

    fn check(&self) -> Result<(), StorageError> {
        if let Some(node) = &self.lease.node {
            check_name("node", node)?;
        }
        check_name("assignment", self.what.parts().1)
    }
}

impl Changing for Assignment {}

/// Why an owner's call was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// Another node has it. Try again when its time is up.
    #[error("{what} is held by node {node} until {until_ns}")]
    Held {
        /// What.
        what: Assigned,
        /// The holder.
        node: String,
        /// The end of its lease in nanoseconds since 1970, by the store's clock.
        until_ns: i64,
    },
    /// A newer epoch has it, or it was given back. Nothing was written: stop what is run for it.
    #[error("{what} has another owner: epoch {found} where this one has {epoch}")]
    Fenced {
        /// What.
        what: Assigned,
        /// The epoch of the one refused.
        epoch: u64,
        /// The newest epoch; 0 when the assignment is gone.
        found: u64,
    },
    /// The store refused or could not be reached.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What an owner holds: its proof in each write. It is no proof by itself that it still is the
/// owner; the store says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What.
    pub what: Assigned,
    /// The owner.
    pub node: String,
    /// The owner's epoch.
    pub epoch: u64,
    /// The lease as it was last known here.
    pub lease: Lease,
    /// Where its time ends by the clocks of this machine. It was begun before the store was asked for its
    /// time, so it is never later than the lease's end there.
    pub until: Moment,
}

/// Returns an assignment; `None` when nobody ever had it.
///
/// # Errors
/// Those of [`find`].
pub fn look(records: &dyn Records, what: &Assigned) -> Result<Option<Assignment>, StorageError> {
    let found = find::<Assignment>(records, &what.to_string())?;
    Ok(found.map(|found| found.value))
}

/// Makes a node the owner of what is free or whose lease has run out by the store's clock, in a new
/// epoch, for `length_ns` nanoseconds. From then on each write of the owner before it is refused.
///
/// # Errors
/// `Held`; `Storage`, of which a `Conflict` means that others claim it at the same time.
pub fn claim(
    records: &dyn Records,
    what: &Assigned,
    node: &str,
    length_ns: i64,
) -> Result<Hold, AssignmentError> {
    let key = what.to_string();
    let found = find::<Assignment>(records, &key)?;
    let begun = Moment::now();
    // Behind the look: what it found may have been renewed until then, and not since.
    let now_ns = records.now_ns()?;
    let current = found.as_ref().map(|found| &found.value.lease);
    let lease = Lease::claim(current, node, now_ns, length_ns)
        .map_err(|refusal| refused(what, 0, refusal))?;
    let next = Assignment {
        what: what.clone(),
        lease: lease.clone(),
    };
    match found {
        Some(found) => replace(records, &found, &next)?,
        None => insert(records, &next)?,
    };
    Ok(Hold {
        what: what.clone(),
        node: node.to_owned(),
        epoch: lease.epoch,
        lease,
        until: end_of(begun, length_ns),
    })
}

fn end_of(begun: Moment, length_ns: i64) -> Moment {
    let length = Duration::from_nanos(u64::try_from(length_ns).unwrap_or(0));
    begun.after(length).unwrap_or(begun)
}

impl Hold {
    /// Gets more time, `length_ns` from now on by the store's clock, and keeps what the lease is now.
    ///
    /// # Errors
    /// `Fenced`; `Storage`.
    pub fn renew(&mut self, records: &dyn Records, length_ns: i64) -> Result<(), AssignmentError> {
        let (node, epoch) = (self.node.clone(), self.epoch);
        let begun = Moment::now();
        let now_ns = records.now_ns()?;
        self.lease = self.update(records, |lease| {
            lease.renew(&node, epoch, now_ns, length_ns)
        })?;
        // As a pair: the other clock may have been set meanwhile.
        let until = end_of(begun, length_ns);
        if until.steady > self.until.steady {
            self.until = until;
        }
        Ok(())
    }

    /// Returns whether the owner may still do what no store can refuse at `now`: while the time left is
    /// more than `margin`, also behind a sleep of the machine. The store's clock, which may be set, has no
    /// part in it; this machine's own, set ahead, ends it early.
    pub fn is_safe(&self, now: Moment, margin: Duration) -> bool {
        now.after(margin)
            .is_some_and(|end| end.is_before(self.until))
    }

    /// Gives it back, so that another need not wait.
    ///
    /// # Errors
    /// `Fenced`; `Storage`, and it is free when its time is up.
    pub fn release(self, records: &dyn Records) -> Result<(), AssignmentError> {
        self.update(records, |lease| lease.release(&self.node, self.epoch))?;
        Ok(())
    }

    /// Stores a value as the owner.
    ///
    /// # Errors
    /// As [`Hold::change`].
    pub fn put(
        &self,
        records: &dyn Records,
        table: &str,
        key: &str,
        value: &[u8],
    ) -> Result<(), AssignmentError> {
        self.change(records, &[Change::put(table, key, value)])
    }

    /// Carries out changes as the owner: all of them in the same moment as it is the owner, or none.
    /// A lease whose time is up and that nobody took is still the owner's. Renewals at the same moment
    /// are in nobody's way: what has to stay is the epoch.
    ///
    /// # Errors
    /// `Fenced`, and nothing was written; `Storage`, of which a `Conflict` is of the changes
    /// themselves.
    pub fn change(&self, records: &dyn Records, changes: &[Change]) -> Result<(), AssignmentError> {
        let key = key_of::<Assignment>(&self.what.to_string());
        let mut all = vec![Change::begins(Assignment::TABLE, &key, self.epoch_bytes()?)];
        all.extend_from_slice(changes);
        match records.change(&all) {
            Err(StorageError::Conflict { table, key: at })
                if table == Assignment::TABLE && at == key =>
            {
                // Says who has it now.
                self.owned(records)?;
                Err(StorageError::Conflict { table, key: at }.into())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Returns what the stored assignment begins with in this epoch of this owner: all of it but the
    /// end of the lease, which is its last field.
    fn epoch_bytes(&self) -> Result<Vec<u8>, StorageError> {
        const LAST: &[u8] = b"\"until_ns\":";
        let mut bytes = encode(&Assignment {
            what: self.what.clone(),
            lease: Lease {
                epoch: self.epoch,
                node: Some(self.node.clone()),
                until_ns: 0,
            },
        })?;
        // No name can hold a quote, so it is found once.
        let at = bytes.windows(LAST.len()).position(|part| part == LAST);
        bytes.truncate(at.map_or(bytes.len(), |at| at + LAST.len()));
        Ok(bytes)
    }

    /// Returns the assignment while this is its owner.
    fn owned(&self, records: &dyn Records) -> Result<Found<Assignment>, AssignmentError> {
        let found = find::<Assignment>(records, &self.what.to_string())?;
        let found = found.ok_or_else(|| self.fenced(0))?;
        match found.value.lease.owned_by(&self.node, self.epoch) {
            Ok(()) => Ok(found),
            Err(refusal) => Err(refused(&self.what, self.epoch, refusal)),
        }
    }

    fn update(
        &self,
        records: &dyn Records,
        next: impl Fn(&Lease) -> Result<Lease, Refusal>,
    ) -> Result<Lease, AssignmentError> {
        let mut attempt = 1;
        loop {
            let found = self.owned(records)?;
            let lease = next(&found.value.lease)
                .map_err(|refusal| refused(&self.what, self.epoch, refusal))?;
            let value = Assignment {
                what: self.what.clone(),
                lease: lease.clone(),
            };
            match replace(records, &found, &value) {
                Ok(_) => return Ok(lease),
                Err(StorageError::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn fenced(&self, found: u64) -> AssignmentError {
        refused(&self.what, self.epoch, Refusal::Fenced { found })
    }
}

fn refused(what: &Assigned, epoch: u64, refusal: Refusal) -> AssignmentError {
    let what = what.clone();
    match refusal {
        Refusal::Held { node, until_ns } => AssignmentError::Held {
            what,
            node,
            until_ns,
        },
        Refusal::Fenced { found } => AssignmentError::Fenced { what, epoch, found },
    }
}

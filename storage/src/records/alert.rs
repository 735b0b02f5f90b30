//! Alerts: rules, what fired, what is muted, and what accounts are measured from.
//!
//! All of it is one table, and every change of it replaces its [`AlertHead`] too: of two who change
//! it one hears `Conflict`. An alert's record says what is still to be sent of it, so an alert and
//! what is to be sent are durable in one write.

use super::{
    Changing, Found, Kept, check_name, encode, found, inserting, key_of, replacing, sortable,
};
use crate::StorageError;
use crate::port::records::{Change, MAX_PAGE, Records};
use apex_domain::alert::{Alert, Baseline, Rule};
use serde::{Deserialize, Serialize};

const TABLE: &str = "alerts";

/// What the next change builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertHead {
    /// Made at random once: with a number it names an alert among those of all platforms.
    pub origin: String,
    /// The number that the last alert got.
    pub last_number: u64,
    /// Changes of alerts that were made.
    pub sequence: u64,
}

impl Kept for AlertHead {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "head/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        "only".to_owned()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("origin of alerts", &self.origin)
    }
}

impl Changing for AlertHead {}

impl Kept for Rule {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "rule/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.rule_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("alert rule", &self.rule_id)
    }
}

impl Changing for Rule {}

impl Kept for Alert {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "alert/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        number_key(self.number)
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("alert rule", &self.rule_id)
    }
}

impl Changing for Alert {}

/// A time in which nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertMute {
    /// Of which rule; `None` of all.
    pub rule_id: Option<String>,
    /// From here on it is over, in nanoseconds since 1970.
    pub until_ns: i64,
    /// Who muted it.
    pub by: String,
    /// Why, in the words of who did.
    pub reason: String,
    /// When, in nanoseconds since 1970.
    pub set_ns: i64,
}

impl Kept for AlertMute {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "mute/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        match &self.rule_id {
            Some(rule_id) => format!("rule/{rule_id}"),
            None => "all".to_owned(),
        }
    }

    fn check(&self) -> Result<(), StorageError> {
        let rule_id = self.rule_id.as_deref();
        rule_id.map_or(Ok(()), |rule_id| check_name("alert rule", rule_id))
    }
}

impl Changing for AlertMute {}

/// What an account's day and its fall are measured from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertBaseline {
    /// The account.
    pub account_id: String,
    /// Its equity at the start of the day, and the highest.
    pub baseline: Baseline,
}

impl Kept for AlertBaseline {
    const TABLE: &'static str = TABLE;
    const PREFIX: &'static str = "baseline/";
    const VERSION: u16 = 1;

    fn key(&self) -> String {
        self.account_id.clone()
    }

    fn check(&self) -> Result<(), StorageError> {
        check_name("account", &self.account_id)
    }
}

impl Changing for AlertBaseline {}

/// Returns all records of a kind, in order of key: of kinds that are bounded, as those of alerts are.
///
/// # Errors
/// `NewerVersion`, `Damaged`; those of [`Records::page`].
pub fn every<T: Kept>(records: &dyn Records) -> Result<Vec<Found<T>>, StorageError> {
    let mut found: Vec<Found<T>> = Vec::new();
    loop {
        let after = found.last().map(|last| last.value.key());
        let page = super::page(records, after.as_deref(), MAX_PAGE)?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// Returns the change that stores a record: the first of its key, or in place of the one that was
/// found.
///
/// # Errors
/// `BadName`.
pub fn storing<T: Changing>(known: Option<&Found<T>>, value: &T) -> Result<Change, StorageError> {
    match known {
        Some(known) => replacing(known, value),
        None => inserting(value),
    }
}

/// Makes changes of alerts together with the next head: all of them, or none where the head is not the
/// one that is known.
///
/// # Errors
/// `Conflict`: another changed alerts meanwhile, read everything again; `BadName`; those of
/// [`Records::change`].
pub fn change_alerts(
    records: &dyn Records,
    known: &Found<AlertHead>,
    next: &AlertHead,
    mut changes: Vec<Change>,
) -> Result<Found<AlertHead>, StorageError> {
    changes.push(replacing(known, next)?);
    records.change(&changes)?;
    found(next)
}

/// Returns the change that stores a record whatever was there: under a change of the head nobody else
/// has changed it.
///
/// # Errors
/// `BadName`.
pub fn putting<T: Kept>(value: &T) -> Result<Change, StorageError> {
    let key = key_of::<T>(&value.key());
    Ok(Change::put(T::TABLE, &key, encode(value)?))
}

/// Returns the change that takes a record away, whatever it says, under a change of the head.
pub fn dropping<T: Kept>(value: &T) -> Change {
    Change::delete(T::TABLE, &key_of::<T>(&value.key()))
}

/// Returns the change that forgets an alert. Under a change of the head nobody else has changed it.
pub fn forgetting_alert(number: u64) -> Change {
    Change::delete(TABLE, &format!("{}{}", Alert::PREFIX, number_key(number)))
}

fn number_key(number: u64) -> String {
    // Numbers count up from 1: more than `i64` holds are never reached.
    sortable(i64::try_from(number).unwrap_or(i64::MAX))
}

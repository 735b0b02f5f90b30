//! The engine: the machine with its records. Blocking, and owned by one actor.
//!
//! What the machine decided is in the book at once and durable a moment later: in one change with what
//! is to be sent of it. Only what is durable is shown, and only what is durable is sent. While the
//! store does not answer, the engine goes on deciding, and writes everything once it does.

mod changes;
mod outgoing;
#[cfg(test)]
mod tests;

pub use outgoing::{Errand, Outgoing};

use super::watcher::Seen;
use apex_bus::alerts::{AlertsView, Mute};
use apex_domain::alert::{
    Alert, AlertMachine, Baseline, ChannelLimits, Delivery, Effect, Notice, Parcel, Reading, Watch,
};
use apex_domain::time::NANOS_PER_DAY;
use apex_domain::{AccountId, InstrumentId, UnixNanos};
use apex_storage::records::{
    self, AlertBaseline, AlertHead, AlertMute, Found, change_alerts, every, forgetting_alert,
    putting,
};
use apex_storage::{Change, Records, StorageError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Alerts that are kept: some 10 MB, and months of a desk's. The oldest that are over go first.
const KEPT: usize = 10_000;

/// How long an alert that is over is kept.
const KEPT_NS: i64 = 90 * NANOS_PER_DAY;

/// Notices that wait for one channel: a day of a channel that is away. A further one is dropped, and
/// counted; the alert itself is kept and listed.
const WAITING: usize = 1_000;

/// Records of one write, with the head: within what a change of several keys may hold.
const AT_ONCE: usize = 50;

/// How often what accounts are measured from is written: what a kill takes of a new highest equity.
const BASELINES_NS: i64 = 10_000_000_000;

/// How often it is looked for alerts that need not be kept any longer.
const PRUNE_NS: i64 = 60_000_000_000;

/// Where the engine shows what is durable.
pub type Shown = watch::Sender<Arc<AlertsView>>;

/// See the module.
pub struct Engine {
    records: Arc<dyn Records>,
    head: Found<AlertHead>,
    machine: AlertMachine,
    book: BTreeMap<u64, Arc<Alert>>,
    /// The book as it is stored: what is shown.
    durable: BTreeMap<u64, Arc<Alert>>,
    mutes: BTreeMap<Option<String>, Mute>,
    baselines: BTreeMap<AccountId, (Baseline, bool)>,
    outgoing: Outgoing,
    /// Changed and not durable.
    dirty: BTreeSet<u64>,
    /// To be forgotten.
    gone: Vec<u64>,
    /// To be sent once they are durable.
    offers: Vec<(String, Parcel, UnixNanos)>,
    /// The store is read again before anything else: another wrote, or an outcome is not known.
    stale: bool,
    failing: Option<String>,
    next_prune: UnixNanos,
    next_baselines: UnixNanos,
    shown: Arc<Shown>,
}

impl Engine {
    /// Takes up where the last run was. `per_minute` messages of each channel.
    ///
    /// # Errors
    /// Records that cannot be read; no randomness for a first head.
    pub fn open(
        records: Arc<dyn Records>,
        kinds: Vec<(String, &'static str)>,
        per_minute: u32,
        shown: Arc<Shown>,
    ) -> Result<Engine, StorageError> {
        let head = match records::find::<AlertHead>(&*records, "only")? {
            Some(head) => head,
            None => first_head(&*records)?,
        };
        let limits = ChannelLimits {
            per_minute,
            waiting: WAITING,
        };
        let mut engine = Engine {
            records,
            head,
            machine: AlertMachine::default(),
            book: BTreeMap::new(),
            durable: BTreeMap::new(),
            mutes: BTreeMap::new(),
            baselines: BTreeMap::new(),
            outgoing: Outgoing::new(kinds, limits),
            dirty: BTreeSet::new(),
            gone: Vec::new(),
            offers: Vec::new(),
            stale: false,
            failing: None,
            next_prune: UnixNanos::MIN,
            next_baselines: UnixNanos::MIN,
            shown,
        };
        engine.load()?;
        engine.show();
        Ok(engine)
    }

    /// Finds out what holds after a write whose outcome is not known, or that another came before.
    fn settle(&mut self) -> Result<(), StorageError> {
        if !self.stale {
            return Ok(());
        }
        let found = records::find::<AlertHead>(&*self.records, "only")?;
        if found.as_ref() == Some(&self.head) {
            // Nothing was written: what is decided stands, and is written now.
            self.stale = false;
            return Ok(());
        }
        self.load()
    }

    /// Reads everything; what was decided since and is not durable is decided again.
    fn load(&mut self) -> Result<(), StorageError> {
        let records = &*self.records;
        if let Some(head) = records::find::<AlertHead>(records, "only")? {
            self.head = head;
        }
        let alerts = every::<Alert>(records)?.into_iter();
        self.book = alerts
            .map(|it| (it.value.number, Arc::new(it.value)))
            .collect();
        self.durable = self.book.clone();
        let rules = every(records)?.into_iter().map(|it| it.value);
        let last = self.head.value.last_number;
        let alerts = self.book.values().map(|alert| &**alert);
        self.machine = AlertMachine::restore(rules, alerts, last);
        let mutes = every::<AlertMute>(records)?.into_iter().map(|it| it.value);
        self.mutes = mutes.map(|it| (it.rule_id.clone(), mute(it))).collect();
        for found in every::<AlertBaseline>(records)? {
            if let Ok(account_id) = AccountId::new(&found.value.account_id) {
                self.baselines
                    .insert(account_id, (found.value.baseline, false));
            }
        }
        self.dirty.clear();
        self.gone.clear();
        self.offers.clear();
        self.outgoing.begin_anew(&self.book);
        self.stale = false;
        Ok(())
    }

    /// Returns the instruments whose prices are watched.
    pub fn priced(&self) -> BTreeSet<InstrumentId> {
        self.machine.priced()
    }

    /// Takes what was seen, and time; what is durable then may be sent.
    pub fn tick(&mut self, now: UnixNanos, seen: &Seen) {
        if let Err(error) = self.settle() {
            self.fail(&error);
            return;
        }
        let mut effects = Vec::new();
        self.machine.tick(now, &mut effects);
        for reading in &seen.readings {
            self.machine.apply(now, reading, &mut effects);
        }
        for account in &seen.accounts {
            let reading = self.measured(now, account);
            self.machine.apply(now, &reading, &mut effects);
        }
        if let Some(present) = &seen.present {
            type Meant = fn(&Watch) -> bool;
            let kinds: [(Meant, &BTreeSet<String>); 3] = [
                (
                    |it| matches!(it, Watch::Component { .. }),
                    &present.components,
                ),
                (|it| matches!(it, Watch::Disk { .. }), &present.disks),
                (
                    |it| matches!(it, Watch::Certificate { .. }),
                    &present.certificates,
                ),
            ];
            for (is_meant, subjects) in kinds {
                self.machine.gone(is_meant, subjects, &mut effects);
            }
        }
        self.take(now, effects);
        self.prune(now);
        self.flush();
        self.keep_baselines(now);
    }

    /// Returns the account as it is measured from its own baseline.
    fn measured(&mut self, now: UnixNanos, seen: &super::watcher::AccountSeen) -> Reading {
        let known = self.baselines.get(&seen.account_id).map(|known| known.0);
        let next = match known {
            Some(known) => known.next(now, seen.equity, seen.paid),
            None => Baseline::begin(now, seen.equity),
        };
        let same = |known: Baseline| {
            (known.day, known.day_start, known.highest) == (next.day, next.day_start, next.highest)
        };
        let changed = !known.is_some_and(same);
        let entry = self.baselines.entry(seen.account_id.clone());
        let entry = entry.or_insert((next, false));
        *entry = (next, entry.1 || changed);
        Reading::Account {
            account_id: seen.account_id.clone(),
            equity: seen.equity,
            realized: seen.realized,
            unrealized: seen.unrealized,
            baseline: next,
        }
    }

    fn take(&mut self, now: UnixNanos, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fired(alert) => {
                    let mut alert = *alert;
                    self.notify(now, &mut alert, Notice::Fired);
                    self.put(alert);
                }
                Effect::Resolved { number, why } => {
                    let Some(known) = self.book.get(&number) else {
                        continue;
                    };
                    let mut alert = Alert::clone(known);
                    alert.resolve(now, &why);
                    self.notify(now, &mut alert, Notice::Resolved);
                    self.put(alert);
                }
            }
        }
    }

    fn put(&mut self, alert: Alert) {
        self.dirty.insert(alert.number);
        self.book.insert(alert.number, Arc::new(alert));
    }

    fn is_muted(&self, now: UnixNanos, rule_id: &str) -> bool {
        let lasts = |key: Option<String>| self.mutes.get(&key).is_some_and(|it| it.until > now);
        lasts(None) || lasts(Some(rule_id.to_owned()))
    }

    /// Notes for each channel what is to become of a notice.
    fn notify(&mut self, now: UnixNanos, alert: &mut Alert, notice: Notice) {
        let Some(rule) = self.machine.rules().get(&alert.rule_id) else {
            return;
        };
        if notice == Notice::Resolved && !rule.notify_resolved {
            return;
        }
        let muted = self.is_muted(now, &alert.rule_id);
        for channel in self.outgoing.names() {
            if !rule.sends_to(&channel) {
                continue;
            }
            let begun = alert.delivery(Notice::Fired, &channel);
            let untold = [
                None,
                Some(Delivery::Muted),
                Some(Delivery::Dropped),
                Some(Delivery::Failed),
            ];
            if notice == Notice::Resolved && untold.contains(&begun) {
                // Who was not told that it began is not told that it is over.
                continue;
            }
            let offered = self.offers.iter().filter(|(of, ..)| *of == channel).count();
            let delivery = if muted {
                Delivery::Muted
            } else if self.outgoing.waiting(&channel) + offered >= WAITING {
                self.outgoing.dropped(&channel);
                Delivery::Dropped
            } else {
                let number = alert.number;
                let parcel = Parcel { number, notice };
                self.offers.push((channel.clone(), parcel, now));
                Delivery::Pending
            };
            alert.set_delivery(notice, &channel, delivery);
        }
    }

    /// Makes what changed durable, and shows it. Returns false where it is not.
    fn flush(&mut self) -> bool {
        let mut written = false;
        while !self.dirty.is_empty() || !self.gone.is_empty() {
            if let Err(error) = self.write_some() {
                self.fail(&error);
                if written {
                    self.show();
                }
                return false;
            }
            written = true;
        }
        let mended = self.failing.take().is_some();
        let changed = self.outgoing.take_changed();
        if written || mended || changed {
            self.show();
        }
        true
    }

    fn write_some(&mut self) -> Result<(), StorageError> {
        let numbers: Vec<u64> = self.dirty.iter().copied().take(AT_ONCE).collect();
        let room = AT_ONCE - numbers.len();
        let gone: Vec<u64> = self.gone.iter().copied().take(room).collect();
        let mut next = self.head.value.clone();
        let mut changes: Vec<Change> = gone.iter().map(|it| forgetting_alert(*it)).collect();
        let mut alerts = Vec::new();
        for number in &numbers {
            let Some(alert) = self.book.get(number) else {
                continue;
            };
            next.sequence += 1;
            next.last_number = next.last_number.max(*number);
            let mut alert = Alert::clone(alert);
            alert.sequence = next.sequence;
            changes.push(putting(&alert)?);
            alerts.push(alert);
        }
        self.head = change_alerts(&*self.records, &self.head, &next, changes)?;
        for alert in alerts {
            let alert = Arc::new(alert);
            self.book.insert(alert.number, alert.clone());
            self.durable.insert(alert.number, alert);
        }
        for number in &numbers {
            self.dirty.remove(number);
        }
        for number in gone {
            self.book.remove(&number);
            self.durable.remove(&number);
            self.gone.retain(|it| *it != number);
        }
        let (durable, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.offers)
            .into_iter()
            .partition(|(_, parcel, _)| !self.dirty.contains(&parcel.number));
        self.offers = later;
        for (channel, parcel, since) in durable {
            self.outgoing.offer(&channel, parcel, since);
        }
        Ok(())
    }

    fn fail(&mut self, error: &StorageError) {
        // Another wrote, or it is not known whether we did: the store says what holds.
        self.stale |= error.must_abort() || matches!(error, StorageError::Conflict { .. });
        let why = error.to_string();
        if self.failing.as_ref() != Some(&why) {
            tracing::error!(error = why, "alerts cannot be stored: it is tried again");
            self.failing = Some(why);
            self.show_failing();
        }
    }

    fn show_failing(&self) {
        let failing = self.failing.clone();
        self.shown.send_modify(|view| {
            Arc::make_mut(view).failing = failing;
        });
    }

    fn show(&self) {
        let rules = self.machine.rules().iter();
        self.shown.send_replace(Arc::new(AlertsView {
            origin: self.head.value.origin.clone(),
            sequence: self.head.value.sequence,
            alerts: self.durable.clone(),
            rules: rules
                .map(|(id, rule)| (id.clone(), Arc::new(rule.clone())))
                .collect(),
            mutes: self.mutes.values().cloned().collect(),
            channels: self.outgoing.states(),
            failing: self.failing.clone(),
            left_out: self.machine.left_out(),
        }));
    }

    /// Lets go of alerts that are over and need not be kept.
    fn prune(&mut self, now: UnixNanos) {
        if now < self.next_prune {
            return;
        }
        self.next_prune = now.plus(PRUNE_NS);
        // A mute that is over is not kept in mind; its record says so until the next one.
        self.mutes.retain(|_, mute| mute.until > now);
        let too_many = self.book.len().saturating_sub(KEPT);
        let is_told = |alert: &Alert| {
            let states = alert.deliveries.values().flat_map(BTreeMap::values);
            !states
                .into_iter()
                .any(|it| matches!(it, Delivery::Pending | Delivery::HeldBack))
        };
        let over = self
            .book
            .values()
            .filter(|alert| !alert.is_open() && is_told(alert));
        let goes = |(place, alert): &(usize, &Arc<Alert>)| {
            let ended = alert.ts_resolved.unwrap_or(alert.ts_fired);
            *place < too_many || now.since(ended) >= KEPT_NS
        };
        let gone = over.enumerate().filter(goes).map(|(_, alert)| alert.number);
        self.gone = gone.filter(|number| !self.dirty.contains(number)).collect();
    }

    fn keep_baselines(&mut self, now: UnixNanos) {
        if now < self.next_baselines {
            return;
        }
        self.next_baselines = now.plus(BASELINES_NS);
        for (account_id, (baseline, changed)) in &mut self.baselines {
            if !*changed {
                continue;
            }
            let record = AlertBaseline {
                account_id: account_id.to_string(),
                baseline: *baseline,
            };
            let stored = putting(&record).and_then(|change| self.records.change(&[change]));
            match stored {
                Ok(()) => *changed = false,
                // Tried again in a moment; it is measured all the same.
                Err(error) => {
                    tracing::warn!(%account_id, %error, "what losses are measured from is not stored");
                }
            }
        }
    }
}

fn mute(record: AlertMute) -> Mute {
    Mute {
        rule_id: record.rule_id,
        until: UnixNanos(record.until_ns),
        by: record.by,
        reason: record.reason,
    }
}

fn first_head(records: &dyn Records) -> Result<Found<AlertHead>, StorageError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| StorageError::Unavailable {
        server: "the system's randomness".to_owned(),
        variable: "",
        detail: error.to_string(),
    })?;
    let head = AlertHead {
        origin: format!("{:08x}", u32::from_be_bytes(bytes)),
        last_number: 0,
        sequence: 0,
    };
    records::insert(records, &head)
}

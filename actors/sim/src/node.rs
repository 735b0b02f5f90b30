//! The process under test: the account, its journal, and what waits for the disk.

use crate::check::{Before, Gate, Moments};
use crate::clients::Question;
use crate::coverage::Coverage;
use apex_domain::account::{AccountInput, Effects, Reply};
use apex_domain::event::{CloseOutcome, Event, Recorded, SCHEMA};
use apex_domain::number::Decimal;
use apex_domain::venue::{Execution, VenueCommand};
use apex_domain::{Account, ClientOrderId, Currency, OrderId, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What one input led to, held back until its events are durable.
#[derive(Debug)]
pub struct Batch {
    pub events: Vec<Recorded>,
    pub commands: Vec<VenueCommand>,
    pub reply: Option<Reply>,
    /// The client's question that the reply answers.
    pub question: Option<Question>,
}

/// A journal of encoded records, some with a snapshot of the state behind them.
#[derive(Debug, Default)]
pub struct Disk {
    records: Vec<Vec<u8>>,
    snapshot: Option<(u64, Vec<u8>)>,
}

impl Disk {
    /// Returns how many orders were handed to the venue more than once.
    pub fn resent(&self) -> usize {
        let mut submits = BTreeMap::<_, usize>::new();
        for recorded in self.read() {
            if let Event::OrderSubmitted { order_id } = recorded.event {
                *submits.entry(order_id).or_default() += 1;
            }
        }
        submits.values().map(|count| count - 1).sum()
    }

    /// Returns every order that has ever been on its way to the venue.
    pub fn sent(&self) -> BTreeSet<OrderId> {
        let submitted = self.read().filter_map(|recorded| match recorded.event {
            Event::OrderSubmitted { order_id } => Some(order_id),
            _ => None,
        });
        submitted.collect()
    }

    /// Returns how often an order was held in the account.
    pub fn held(&self) -> usize {
        let held = |recorded: &Recorded| {
            matches!(
                recorded.event,
                Event::OrderHeld { .. } | Event::OrderHeldUntil { .. }
            )
        };
        self.read().filter(held).count()
    }

    /// Returns what the account added to its cash without a trade: what was paid in or out, and
    /// what it took over from the venue's balances.
    pub fn adjustments(&self) -> BTreeMap<Currency, Decimal> {
        let mut sums = BTreeMap::<_, Decimal>::new();
        for recorded in self.read() {
            if let Event::CashAdjusted {
                currency, amount, ..
            }
            | Event::BalanceReconciled { currency, amount } = recorded.event
            {
                *sums.entry(currency).or_default() += amount.0;
            }
        }
        sums
    }

    /// Returns the executions that reconciliation made up, and by how much it moved balances
    /// together, without those that it moved back.
    pub fn made_up(&self) -> (Vec<Execution>, BTreeMap<Currency, Decimal>) {
        let mut executions = Vec::new();
        let mut moved = BTreeMap::<_, Decimal>::new();
        for recorded in self.read() {
            match recorded.event {
                Event::PositionReconciled { execution }
                | Event::SideReconciled { execution, .. } => executions.push(*execution),
                Event::BalanceReconciled { currency, amount } => {
                    *moved.entry(currency).or_default() += amount.0;
                }
                _ => {}
            }
        }
        moved.retain(|_, sum| !sum.is_zero());
        (executions, moved)
    }

    /// Returns true when an execution was taken back behind an event.
    pub fn has_busts_after(&self, sequence: u64) -> bool {
        let mut later = self.read().filter(|recorded| recorded.sequence > sequence);
        later.any(|recorded| matches!(recorded.event, Event::ExecutionBusted { .. }))
    }

    /// Returns by which event and how the closing of event `taken` ended; `None` while it has not.
    pub fn closed(&self, taken: u64) -> Option<(u64, CloseOutcome)> {
        self.read().find_map(|recorded| match recorded.event {
            Event::CloseEnded {
                taken: one,
                outcome,
            } if one == taken => Some((recorded.sequence, outcome)),
            _ => None,
        })
    }

    fn read(&self) -> impl Iterator<Item = Recorded> {
        let records = self.records.iter();
        records.map(|bytes| Recorded::decode(SCHEMA, bytes).expect("own records decode"))
    }

    /// Folds the journal, from its last snapshot if asked to.
    ///
    /// Errors: the text of what did not fit.
    pub fn recover(&self, from_snapshot: bool) -> Result<Account, String> {
        let (seen, mut account) = match (&self.snapshot, from_snapshot) {
            (Some((sequence, bytes)), true) => {
                let account = Account::restore(bytes).map_err(|error| error.to_string())?;
                (*sequence, account)
            }
            _ => (0, Account::new()),
        };
        for recorded in self.read().skip(seen as usize) {
            account.fold(&recorded).map_err(|error| error.to_string())?;
        }
        Ok(account)
    }
}

/// The process. What is in memory dies with it; the disk stays.
#[derive(Debug)]
pub struct Node {
    pub account: Account,
    pub disk: Disk,
    waiting: VecDeque<Batch>,
    effects: Effects,
    pub started: UnixNanos,
    /// The last report of the venue's stream that no crash can make unheard.
    pub durable_venue_sequence: u64,
    /// Why the account last stopped by itself, if it ever did.
    pub halted_itself: Option<String>,
    /// What was decided and may not be.
    pub forbidden: Option<String>,
    moments: Moments,
    pub coverage: Coverage,
}

impl Node {
    pub fn new(now: UnixNanos) -> Node {
        Node {
            account: Account::new(),
            disk: Disk::default(),
            waiting: VecDeque::new(),
            effects: Effects::default(),
            started: now,
            durable_venue_sequence: 0,
            halted_itself: None,
            forbidden: None,
            moments: Moments::default(),
            coverage: Coverage::default(),
        }
    }

    pub fn apply(&mut self, now: UnixNanos, input: AccountInput, question: Option<Question>) {
        self.coverage.take_input(&input);
        let before = Before::of(&self.account, &input);
        let reconciles = matches!(input, AccountInput::Reconcile { .. });
        let gate = Gate::of(&self.account);
        self.account.apply(now, input, &mut self.effects);
        self.coverage.take_effects(&self.effects);
        if let Some(Err(what)) = before.map(|before| before.allows(&self.effects)) {
            self.forbidden = Some(what);
        }
        if let Err(what) = self.moments.take(&self.effects, gate, &mut self.coverage) {
            self.forbidden = Some(what);
        }
        if let Some(told) = self.account.reconciler().report().filter(|_| reconciles) {
            self.coverage.take_reconciliation(told);
        }
        let effects = std::mem::take(&mut self.effects);
        for recorded in &effects.events {
            if let Event::TradingStateChanged { by, reason, .. } = &recorded.event
                && by == "system"
            {
                self.halted_itself = Some(reason.clone());
            }
        }
        if !effects.is_empty() {
            self.waiting.push_back(Batch {
                events: effects.events,
                commands: effects.commands,
                reply: effects.reply,
                question,
            });
        }
    }

    /// Returns what the last input led to while it waits for the disk, a line each.
    pub fn last_effects(&self) -> impl Iterator<Item = String> {
        let last = self.waiting.back();
        let events = last.into_iter().flat_map(|batch| &batch.events);
        let commands = last.into_iter().flat_map(|batch| &batch.commands);
        let events =
            events.map(|recorded| format!("    {} {:?}", recorded.sequence, recorded.event));
        events.chain(commands.map(|command| format!("    to the venue: {command:?}")))
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns true while a send of this order waits for its intent to become durable.
    pub fn is_sending(&self, id: &ClientOrderId) -> bool {
        let mut commands = self.waiting.iter().flat_map(|batch| &batch.commands);
        commands
            .any(|command| matches!(command, VenueCommand::New(new) if new.client_order_id == *id))
    }

    /// Makes everything durable and lets go of what waited for it, in order.
    pub fn flush(&mut self) -> Vec<Batch> {
        for batch in &self.waiting {
            let sequences = batch.events.iter().map(|recorded| recorded.venue_sequence);
            let last = sequences.max().unwrap_or_default();
            self.durable_venue_sequence = self.durable_venue_sequence.max(last);
            self.disk
                .records
                .extend(batch.events.iter().map(Recorded::encode));
        }
        self.waiting.drain(..).collect()
    }

    /// Keeps the state as of now, if all of it is durable.
    pub fn snapshot(&mut self) {
        if self.is_idle() {
            self.disk.snapshot = Some((self.account.sequence(), self.account.snapshot()));
        }
    }

    /// Dies in the middle of a commit: some of the batches that waited became durable, none of
    /// their commands and answers left. Starts again from the disk.
    ///
    /// Returns how many batches with events were lost. Errors: recovery failed.
    pub fn crash(&mut self, now: UnixNanos, rng: &mut ChaCha8Rng) -> Result<u32, String> {
        let kept = rng.random_range(0..=self.waiting.len());
        for batch in self.waiting.drain(..kept) {
            self.disk
                .records
                .extend(batch.events.iter().map(Recorded::encode));
        }
        let lost = self
            .waiting
            .iter()
            .filter(|batch| !batch.events.is_empty())
            .count();
        self.waiting.clear();
        let recovered = self.disk.recover(true)?;
        if recovered != self.disk.recover(false)? {
            return Err("snapshot and journal give different accounts".to_owned());
        }
        self.account = recovered;
        self.started = now;
        Ok(lost as u32)
    }
}

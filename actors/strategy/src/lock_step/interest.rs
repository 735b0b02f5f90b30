//! What the account has to be told besides orders and reports: markets and the passing of time.
//!
//! The account may be behind an actor, so this is folded from its events, as a ledger is. An
//! account that holds no orders and has no limit over values needs neither, and then costs
//! nothing.

use apex_domain::account::Account;
use apex_domain::event::{Command, Event, Hold, Recorded};
use apex_domain::order::{Order, OrderStatus};
use apex_domain::risk::Limits;
use apex_domain::{ClientOrderId, Instrument, InstrumentId, OrderId, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub struct Interest {
    /// Instruments whose market the account is shown. Once one is, it stays so: what the account
    /// was shown last must never be old.
    shown: BTreeSet<InstrumentId>,
    /// The account is shown all markets.
    everything: bool,
    /// Members of the newest list, whose orders follow at once.
    joining: BTreeSet<ClientOrderId>,
    /// Conditional orders that have not left, and whether they wait for their price.
    conditional: BTreeMap<OrderId, (InstrumentId, bool)>,
    /// How many of them wait for a price, by instrument; never zero.
    waiting: BTreeMap<InstrumentId, usize>,
    /// When orders end by themselves, or leave for the opening or the close. One of an order that
    /// has ended is a tick too much.
    deadlines: BTreeSet<UnixNanos>,
}

impl Interest {
    /// Takes up an account in the middle of its life.
    pub fn restore(&mut self, account: &Account) {
        self.everything |= measures_by_marks(account.limits());
        let positions = account.positions().filter(|position| !position.is_flat());
        let held = positions.map(|position| position.instrument_id.clone());
        self.shown.extend(held);
        for order in account.working_orders() {
            self.restore_order(account, order);
        }
        for instrument in account.instruments().values() {
            self.note_end(instrument);
        }
        let leave = account.release_times().map(|(at, _)| at);
        self.deadlines.extend(leave);
    }

    fn restore_order(&mut self, account: &Account, order: &Order) {
        let id = &order.request.instrument_id;
        self.shown.insert(id.clone());
        self.deadlines.extend(order.expires_at);
        let home = order.status == OrderStatus::PendingNew;
        if home && order.request.order_type.is_conditional() {
            let order_id = order.order_id.clone();
            self.conditional
                .insert(order_id.clone(), (id.clone(), false));
            if account.watches(id) {
                self.hold(&order_id);
            }
        }
    }

    /// What is held of a contract is settled at its end, at the last price before it.
    fn note_end(&mut self, instrument: &Instrument) {
        if let Some(end) = instrument.rules.expires_at {
            self.deadlines.insert(end);
            self.shown.insert(instrument.instrument_id.clone());
        }
    }

    /// Returns true when the account is shown every market event of the instrument.
    pub fn wants(&self, id: &InstrumentId) -> bool {
        self.everything || self.shown.contains(id)
    }

    /// Returns true while an order waits for a price of the instrument.
    pub fn watches(&self, id: &InstrumentId) -> bool {
        self.waiting.contains_key(id)
    }

    /// From now on the account is shown the market of the instrument. Returns true when it was
    /// not before.
    pub fn show(&mut self, id: &InstrumentId) -> bool {
        !self.wants(id) && self.shown.insert(id.clone())
    }

    /// From now on the account is shown all markets.
    pub fn show_everything(&mut self) {
        self.everything = true;
    }

    /// Returns the next time at which an order ends by itself or leaves.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        self.deadlines.first().copied()
    }

    /// The account was told that it is `now`.
    pub fn told(&mut self, now: UnixNanos) {
        while self.deadlines.first().is_some_and(|at| *at <= now) {
            self.deadlines.pop_first();
        }
    }

    /// Takes an event of the account.
    pub fn note(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::InstrumentDefined { instrument } => self.note_end(instrument),
            Event::LimitsSet { limits, .. } => self.everything |= measures_by_marks(limits),
            Event::ListInitialized { list } => {
                self.joining = list.members.iter().cloned().collect();
            }
            Event::OrderInitialized {
                order_id,
                request,
                expires_at,
                ..
            } => {
                self.deadlines.extend(*expires_at);
                let conditional = request.order_type.is_conditional();
                // One for the opening or the close is measured by the market of that moment.
                let later = conditional || request.time_in_force.is_auction();
                if later || self.joining.contains(&request.client_order_id) {
                    self.shown.insert(request.instrument_id.clone());
                }
                if conditional {
                    let waits = (request.instrument_id.clone(), false);
                    self.conditional.insert(order_id.clone(), waits);
                }
            }
            Event::OrderHeld {
                order_id,
                hold: Hold::Emulated,
            } => self.hold(order_id),
            Event::OrderHeldUntil { at, until, .. } => self.deadlines.extend([*at, *until]),
            Event::OrderSubmitted { order_id }
            | Event::OrderDenied { order_id, .. }
            | Event::OrderCanceled { order_id, .. }
            | Event::OrderExpired { order_id, .. } => self.let_go(order_id),
            Event::CommandTaken { command, .. } => match &**command {
                Command::Close(scope) => match &scope.instrument_id {
                    Some(id) => drop(self.shown.insert(id.clone())),
                    None => self.everything = true,
                },
                Command::Halt { flatten, .. } => self.everything |= flatten,
                Command::Cancel(_)
                | Command::CancelOrders(_)
                | Command::CancelForeign(_)
                | Command::Resolve(_) => {}
            },
            _ => {}
        }
    }

    fn hold(&mut self, order_id: &OrderId) {
        if let Some((id, waits)) = self.conditional.get_mut(order_id)
            && !*waits
        {
            *waits = true;
            *self.waiting.entry(id.clone()).or_default() += 1;
        }
    }

    fn let_go(&mut self, order_id: &OrderId) {
        let Some((id, true)) = self.conditional.remove(order_id) else {
            return;
        };
        if let Some(count) = self.waiting.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&id);
            }
        }
    }
}

/// Returns true when a limit is measured by what positions are worth.
fn measures_by_marks(limits: &Limits) -> bool {
    let wide = &limits.wide;
    wide.max_strategy_exposure.is_some()
        || wide.max_account_exposure.is_some()
        || wide.max_concentration.is_some()
        || !wide.strategy_exposure.is_empty()
        || wide.max_daily_loss.is_some()
        || wide.max_drawdown.is_some()
}

//! One strategy with its ledger, kept apart from everything else.
//!
//! The runner is what a lock-step engine and a strategy host have in common: it delivers what
//! was subscribed to, gathers commands, and turns a panic or a flood into a quarantine.

use crate::command::StrategyCommand;
use crate::context::Context;
use crate::error::StrategyError;
use crate::ledger::Ledger;
use crate::strategy::{BookUpdate, Strategy};
use crate::subscription::Subscriptions;
use apex_domain::account::Refusal;
use apex_domain::event::Recorded;
use apex_domain::instrument::Instrument;
use apex_domain::market::MarketEvent;
use apex_domain::{AccountId, ClientOrderId, StrategyId, UnixNanos};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a strategy may use up before it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Commands of one handler call. A grid over many instruments needs hundreds; more in one
    /// call is a loop that has run away.
    pub commands_per_call: usize,
    /// Timers that fire between two market events. More is a timer that keeps arming itself.
    pub timers_between_events: usize,
    /// Timers that wait at the same time.
    pub waiting_timers: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            commands_per_call: 1_000,
            timers_between_events: 1_000,
            waiting_timers: 10_000,
        }
    }
}

/// Where a strategy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerStatus {
    New,
    Running,
    Stopped,
    /// Stopped for good, and why.
    Quarantined {
        reason: String,
    },
}

/// See the module.
pub struct Runner {
    strategy: Box<dyn Strategy>,
    subscriptions: Subscriptions,
    ledger: Ledger,
    status: RunnerStatus,
    budget: Budget,
    commands: Vec<StrategyCommand>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("strategy_id", self.ledger.strategy_id())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Runner {
    pub fn new(
        account_id: AccountId,
        strategy_id: StrategyId,
        strategy: Box<dyn Strategy>,
        instruments: &[Arc<Instrument>],
    ) -> Runner {
        Runner {
            subscriptions: strategy.subscriptions(),
            strategy,
            ledger: Ledger::new(account_id, strategy_id, instruments),
            status: RunnerStatus::New,
            budget: Budget::default(),
            commands: Vec::new(),
        }
    }

    /// Replaces the default budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Runner {
        self.budget = budget;
        self
    }

    pub fn strategy_id(&self) -> &StrategyId {
        self.ledger.strategy_id()
    }

    pub fn status(&self) -> &RunnerStatus {
        &self.status
    }

    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Brings the ledger up to what a journal or a saved state says, before the start. The
    /// strategy hears nothing of it.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Takes the recorded commands out, in the order in which they were made.
    pub fn take_commands(&mut self) -> Vec<StrategyCommand> {
        std::mem::take(&mut self.commands)
    }

    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Starts the strategy, once.
    pub fn start(&mut self, now: UnixNanos) {
        if self.status == RunnerStatus::New {
            self.status = RunnerStatus::Running;
            self.call(now, |strategy, ctx| strategy.on_start(ctx));
        }
    }

    /// Stops the strategy, once.
    pub fn stop(&mut self, now: UnixNanos) {
        if self.status == RunnerStatus::Running {
            self.call(now, |strategy, ctx| strategy.on_stop(ctx));
            if self.status == RunnerStatus::Running {
                self.status = RunnerStatus::Stopped;
            }
        }
    }

    /// Delivers a market event if the strategy subscribed to it.
    ///
    /// Errors: `LookAhead` when the event is later than `now`; it was not delivered.
    pub fn market(&mut self, now: UnixNanos, event: &MarketEvent) -> Result<(), StrategyError> {
        if event.ts_init() > now {
            return Err(StrategyError::LookAhead {
                ts: event.ts_init(),
                now,
            });
        }
        if self.status != RunnerStatus::Running || !self.subscriptions.wants(event) {
            return Ok(());
        }
        self.ledger.observe(event);
        self.call(now, |strategy, ctx| match event {
            MarketEvent::Bar(bar) => strategy.on_bar(ctx, bar),
            MarketEvent::Quote(quote) => strategy.on_quote(ctx, quote),
            MarketEvent::Trade(trade) => strategy.on_trade(ctx, trade),
            MarketEvent::Book(delta) => strategy.on_book(ctx, BookUpdate::Delta(delta)),
            MarketEvent::Snapshot(book) => strategy.on_book(ctx, BookUpdate::Snapshot(book)),
            MarketEvent::FeedState(state) => strategy.on_feed_state(ctx, state),
        });
        Ok(())
    }

    /// Folds an event of the account and tells the strategy if it is about an own order. The
    /// ledger is kept up to date even in quarantine.
    pub fn recorded(&mut self, now: UnixNanos, recorded: &Recorded) {
        let Some(order_id) = self.ledger.fold(recorded) else {
            return;
        };
        if self.status != RunnerStatus::Running {
            return;
        }
        // A copy, so that the handler may use the ledger meanwhile.
        let Some(order) = self.ledger.tracked(&order_id).cloned() else {
            return;
        };
        self.call(now, |strategy, ctx| {
            strategy.on_order(ctx, &order, recorded)
        });
    }

    /// Tells the strategy that a command was not taken.
    pub fn refused(&mut self, now: UnixNanos, id: &ClientOrderId, refusal: &Refusal) {
        self.ledger.forget_asked(id);
        if self.status == RunnerStatus::Running {
            self.call(now, |strategy, ctx| strategy.on_refused(ctx, id, refusal));
        }
    }

    /// Calls `on_timer`.
    pub fn timer(&mut self, now: UnixNanos, tag: &str) {
        if self.status == RunnerStatus::Running {
            self.call(now, |strategy, ctx| strategy.on_timer(ctx, tag));
        }
    }

    /// Hands over parameters that were changed while it runs.
    pub fn parameters(&mut self, now: UnixNanos, parameters: &[(String, String)]) {
        if self.status != RunnerStatus::Running {
            return;
        }
        let mut refused = None;
        self.call(now, |strategy, ctx| {
            refused = strategy.on_parameters(ctx, parameters).err();
        });
        if let Some(error) = refused {
            self.quarantine(format!("new parameters cannot be taken: {error}"));
        }
    }

    /// Stops the strategy for good.
    pub fn quarantine(&mut self, reason: String) {
        self.status = RunnerStatus::Quarantined { reason };
    }

    fn call(&mut self, now: UnixNanos, handler: impl FnOnce(&mut dyn Strategy, &mut Context<'_>)) {
        let before = self.commands.len();
        let strategy = &mut *self.strategy;
        let mut ctx = Context {
            now,
            ledger: &mut self.ledger,
            commands: &mut self.commands,
        };
        // Unwind safety: after a panic the strategy is never called again, and what the ledger
        // and the commands were given before it are whole values.
        let outcome = catch_unwind(AssertUnwindSafe(|| handler(strategy, &mut ctx)));
        let made = self.commands.len() - before;
        let reason = match outcome {
            Err(payload) => format!("panicked: {}", panic_text(payload.as_ref())),
            Ok(()) if made > self.budget.commands_per_call => {
                let limit = self.budget.commands_per_call;
                format!("gave {made} commands in one call, the limit is {limit}")
            }
            Ok(()) => return,
        };
        // A handler that did not end well decided nothing.
        for command in self.commands.drain(before..) {
            for request in command.new_orders() {
                self.ledger.forget_asked(&request.client_order_id);
            }
        }
        self.quarantine(reason);
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

//! What the shell does about the account's share of the platform's exposure limit: commands that
//! need a larger share wait while one is asked for, so that none is denied for want of asking.

use super::{Asked, Held, Shell};
use crate::input;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::{AccountInput, Reply};
use apex_domain::order::OrderKey;
use apex_domain::risk::platform::{Ask, Growth, ShareOffer};
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{ClientOrderId, Money, UnixNanos};
use ractor::RpcReplyPort;
use std::collections::VecDeque;

/// Commands that may wait at once. An ask takes two messages, and two more where another account
/// has to give back: milliseconds, in which a fast client sends some hundred. Full: `Overloaded`.
const WAITING: usize = 1_024;

/// How long a command waits. The platform answers in milliseconds while every account runs; one
/// that is away is not waited for, and the caller gives up after ten seconds. The command is then
/// decided with the share that there is. Looked at once a tick.
const PATIENCE_NS: i64 = 2 * NANOS_PER_SECOND;

/// A command that waits, with who wants its answer.
struct Parked {
    asked_for: Asked,
    reply: RpcReplyPort<Result<Reply, CommandError>>,
    since: UnixNanos,
    /// What it adds at most, as it was when it came.
    added: Money,
    /// Number of the ask that it is part of; 0 while it waits for the answer to an earlier one.
    asked: u64,
}

/// Commands that wait, in the order in which they came.
pub(super) struct Waiting {
    parked: VecDeque<Parked>,
    /// What was asked for them and has no answer. One at a time: what comes meanwhile is asked
    /// for together, so that a flood of orders is no flood of asks.
    ask: Option<Ask>,
    /// Number of the last ask. It begins with the time of the start, so that none of an earlier
    /// run is taken for one of this.
    number: u64,
}

impl Waiting {
    pub fn new(now: UnixNanos) -> Waiting {
        Waiting {
            parked: VecDeque::new(),
            ask: None,
            number: now.0.unsigned_abs(),
        }
    }

    /// Returns whether an order of this id waits to be taken.
    fn has(&self, client_order_id: &ClientOrderId) -> bool {
        let mut parked = self.parked.iter();
        parked.any(|parked| brings(&parked.asked_for.command, client_order_id))
    }
}

impl Shell {
    /// Takes what the platform says, goes on with what waited for it, and says how it stands: a
    /// report that was lost is asked for by the same offer again.
    pub(super) fn take_share(&mut self, now: UnixNanos, offer: ShareOffer) {
        let answers = offer.answers;
        let answered = self.shares.ask.take_if(|ask| ask.number == answers);
        let known = self.args.account.share_term();
        self.react(now, AccountInput::OfferShare(offer));
        if answered.is_some() || self.args.account.share_term() != known {
            self.retry(now, |parked| {
                answered.is_some_and(|ask| ask.number == parked.asked)
            });
        }
        if self.shares.ask.is_none() {
            self.ask(now);
        }
        self.report_share(now);
    }

    /// Asks for orders of lists that came to lack a larger share by what was just decided.
    pub(super) fn ask_for_children(&mut self, now: UnixNanos) {
        let waits = self.args.account.has_unasked() && self.shares.ask.is_none();
        if waits && self.args.keeper.is_some() {
            self.ask(now);
            if self.shares.ask.is_some() {
                self.report_share(now);
            }
        }
    }

    /// Gives up on what has waited for too long, and tells the platform how the worst case is now.
    pub(super) fn tick_shares(&mut self, now: UnixNanos) {
        self.retry(now, |parked| now.since(parked.since) >= PATIENCE_NS);
        let share = self.args.account.platform_share();
        if share.is_some_and(|share| share.share.is_some()) {
            self.report_share(now);
        }
    }

    /// Returns whether a command has to wait: it needs more than the share, or it changes an order
    /// that waits itself.
    pub(super) fn must_wait(&mut self, now: UnixNanos, command: &AccountCommand) -> bool {
        if self.args.keeper.is_none() || !input::adds_exposure(command) {
            return false;
        }
        if let AccountCommand::Amend(request) = command
            && let OrderKey::ClientOrderId(id) = &request.key
            && self.shares.has(id)
        {
            return true;
        }
        // One that could not be decided now is not asked for either.
        self.admit(command).is_ok() && self.lacks_share(now, command)
    }

    fn lacks_share(&mut self, now: UnixNanos, command: &AccountCommand) -> bool {
        let share = self.args.account.platform_share();
        let Some(share) = share.and_then(|share| share.share) else {
            return false;
        };
        let after = self.growth(now, command).and_then(wanted);
        after.is_some_and(|after| after > share)
    }

    fn growth(&mut self, now: UnixNanos, command: &AccountCommand) -> Option<Growth> {
        let account = &mut self.args.account;
        let input = input::input_of(account, &self.args.market, command.clone());
        account.share_growth(now, &input)
    }

    /// Keeps a command until there is a larger share for it, and asks for that.
    pub(super) fn keep_waiting(
        &mut self,
        now: UnixNanos,
        asked_for: Asked,
        reply: RpcReplyPort<Result<Reply, CommandError>>,
    ) {
        if self.shares.parked.len() >= WAITING {
            let _ = reply.send(Err(CommandError::Overloaded { limit: WAITING }));
            return;
        }
        let growth = self.growth(now, &asked_for.command);
        self.shares.parked.push_back(Parked {
            asked_for,
            reply,
            since: now,
            added: growth.map(|growth| growth.added).unwrap_or_default(),
            asked: 0,
        });
        if self.shares.ask.is_none() {
            self.ask(now);
            self.report_share(now);
        }
    }

    /// Asks for what everything that waits needs together, by the next report.
    fn ask(&mut self, now: UnixNanos) {
        let report = self.args.account.share_report(now, None);
        let worst = report.and_then(|report| report.exposure);
        let children = self.args.account.share_lacking(now);
        let children = children.map(|growth| growth.added).unwrap_or_default();
        let mut parked = self.shares.parked.iter();
        let together = parked.try_fold(children, |sum, parked| sum.checked_add(parked.added).ok());
        let together = together.filter(|added| *added > Money::ZERO);
        let Some((worst, added)) = worst.zip(together) else {
            return;
        };
        let Some(wanted) = wanted(Growth { worst, added }) else {
            return;
        };
        self.shares.number += 1;
        let number = self.shares.number;
        self.shares.ask = Some(Ask { number, wanted });
        self.args.account.share_asked(number);
        for parked in &mut self.shares.parked {
            parked.asked = number;
        }
    }

    /// Decides on what waited and has to wait no more.
    fn retry(&mut self, now: UnixNanos, is_over: impl Fn(&Parked) -> bool) {
        for parked in std::mem::take(&mut self.shares.parked) {
            if !is_over(&parked) && self.must_wait(now, &parked.asked_for.command) {
                self.shares.parked.push_back(parked);
            } else {
                self.carry_out(now, parked.asked_for, None, parked.reply);
            }
        }
        let children = self.args.account.share_lacking(now);
        if self.shares.parked.is_empty() && children.is_none() {
            self.shares.ask = None;
        }
    }

    /// Decides at once, with the share that there is, on what waits and is chosen.
    pub(super) fn end_waits(
        &mut self,
        now: UnixNanos,
        is_chosen: impl Fn(&AccountCommand) -> bool,
    ) {
        if !self.shares.parked.is_empty() {
            self.retry(now, |parked| is_chosen(&parked.asked_for.command));
        }
    }

    /// A cancel ends the wait of what it means to cancel: it is decided before the cancel, in the
    /// order in which they came, and no cancel ever waits.
    pub(super) fn end_waits_before(&mut self, now: UnixNanos, command: &AccountCommand) {
        match command {
            AccountCommand::Cancel { key, .. } => {
                self.end_waits(now, |parked| is_about(parked, key));
            }
            AccountCommand::CancelOrders { keys, .. } => {
                self.end_waits(now, |parked| keys.iter().any(|key| is_about(parked, key)))
            }
            AccountCommand::CancelAll { .. } | AccountCommand::Close { .. } => {
                self.end_waits(now, |_| true);
            }
            _ => {}
        }
    }

    /// Says how the account stands, once that is durable.
    fn report_share(&mut self, now: UnixNanos) {
        if self.args.keeper.is_none() {
            return;
        }
        let report = self.args.account.share_report(now, self.shares.ask);
        self.hold(Held {
            report: report.map(Box::new),
            ..Held::default()
        });
    }
}

/// Returns the share that an account needs for it; `None` where no number holds that.
fn wanted(growth: Growth) -> Option<Money> {
    growth.worst.checked_add(growth.added).ok()
}

/// Returns whether a command takes or changes the order of a key. Only a client's own id can name
/// an order that is not there yet.
fn is_about(command: &AccountCommand, key: &OrderKey) -> bool {
    match (command, key) {
        (AccountCommand::Amend(request), key) => request.key == *key,
        (command, OrderKey::ClientOrderId(id)) => brings(command, id),
        _ => false,
    }
}

fn brings(command: &AccountCommand, client_order_id: &ClientOrderId) -> bool {
    match command {
        AccountCommand::Submit(request) => request.client_order_id == *client_order_id,
        AccountCommand::SubmitList(list) => list
            .orders
            .iter()
            .any(|order| order.client_order_id == *client_order_id),
        _ => false,
    }
}

//! Starting a paper account over: its cash goes back to what it was opened with.
//!
//! Nothing is taken back. The journal stays the truth of all that was traded, ids stay used, and
//! realised profit, fees and executions stay as they are: a reset is payments in or out, in one
//! unit with a record of who asked for it. An account that holds or works something is not reset,
//! since what would become of it is not for a reset to decide.

use super::machine::{Account, Step};
use super::requests::Subject;
use super::types::{Refusal, Reply};
use crate::event::{AccountMode, Event};
use crate::id::{Currency, RequestId};
use crate::money::Money;
use crate::risk::ReasonCode;
use std::collections::{BTreeMap, BTreeSet};

/// What the events of a reset say of themselves.
const RESET: &str = "paper account reset";

/// A wish to start a paper account over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperReset {
    pub request_id: Option<RequestId>,
    /// What the account was opened with. Other currencies go to zero.
    pub cash: BTreeMap<Currency, Money>,
    pub by: String,
}

impl Account {
    pub(super) fn reset_paper(&mut self, step: &mut Step<'_>, reset: PaperReset) {
        if let Some(answered) = self.requests.get(reset.request_id.as_ref()) {
            let known = matches!(&answered.subject, Subject::TradingState(_, why) if why == RESET);
            if !known {
                return step.refuse(super::commands::request_id_taken(reset.request_id.as_ref()));
            }
            step.effects.reply = Some(Reply::Done {
                sequence: answered.sequence,
            });
            return;
        }
        if self.mode != Some(AccountMode::Paper) {
            return step.refuse(Refusal::Rule {
                code: ReasonCode::Unsupported,
                detail: "only a paper account can be reset".to_owned(),
            });
        }
        if !self.is_idle() {
            let held = self.positions().filter(|position| !position.is_flat());
            return step.refuse(Refusal::NotIdle {
                positions: held.count(),
                working_orders: self.working_orders().count(),
            });
        }
        let Some(payments) = self.payments_to(&reset.cash) else {
            return step.refuse(Refusal::Invalid {
                field: "cash",
                detail: "is out of range".to_owned(),
            });
        };
        let Some(equity) = self.equity_of(step, &reset.cash) else {
            return step.refuse(Refusal::Rule {
                code: ReasonCode::NoConversionRate,
                detail: "losses are measured from an equity that cannot be known now, since a \
                         conversion rate is missing: try again once there is a price, or take the \
                         loss limits away, halt the account and resume it first"
                    .to_owned(),
            });
        };
        // First, and in any case: the id must be remembered even where no cash has to move.
        self.record(
            step,
            Event::TradingStateChanged {
                request_id: reset.request_id,
                state: self.trading_state,
                by: reset.by,
                reason: RESET.to_owned(),
            },
        );
        let sequence = self.sequence;
        for (currency, amount) in payments {
            self.record(
                step,
                Event::CashAdjusted {
                    request_id: None,
                    currency,
                    amount,
                    reason: RESET.to_owned(),
                },
            );
        }
        if self.baseline.is_some() {
            self.restart_baseline(step, equity);
        }
        step.effects.reply = Some(Reply::Done { sequence });
    }

    /// Returns what has to be paid in or out of each currency; `None` where a sum has no place.
    fn payments_to(&self, cash: &BTreeMap<Currency, Money>) -> Option<Vec<(Currency, Money)>> {
        let currencies: BTreeSet<&Currency> = self.cash().keys().chain(cash.keys()).collect();
        let mut payments = Vec::new();
        for currency in currencies {
            let wanted = cash.get(currency).copied().unwrap_or_default();
            let has = self.cash().get(currency).copied().unwrap_or_default();
            let amount = wanted.checked_sub(has).ok()?;
            self.portfolio.cash_after(currency, amount).ok()?;
            if !amount.is_zero() {
                payments.push((currency.clone(), amount));
            }
        }
        Some(payments)
    }

    /// Returns what an account with this cash and nothing else is worth, for the baseline of its
    /// losses; zero where nothing is measured from it. `None` while a rate is missing.
    fn equity_of(&self, step: &Step<'_>, cash: &BTreeMap<Currency, Money>) -> Option<Money> {
        if self.baseline.is_none() {
            return Some(Money::ZERO);
        }
        let valuation = self.own_valuation(step.now)?;
        cash.iter()
            .try_fold(Money::ZERO, |sum, (currency, amount)| {
                sum.checked_add(valuation.convert(*amount, currency)?).ok()
            })
    }
}

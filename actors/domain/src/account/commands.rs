//! Commands about the account itself: opening, cash, limits, instruments, trading state.

use super::machine::{Account, Step};
use super::requests::Subject;
use super::types::{Refusal, Reply};
use crate::calendar::Calendar;
use crate::event::{AccountMode, Event};
use crate::id::{AccountId, Currency, RequestId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::Decimal;
use crate::risk::{Limits, ReasonCode, TradingState};

impl Account {
    pub(super) fn open(
        &mut self,
        step: &mut Step<'_>,
        account_id: AccountId,
        base_currency: Currency,
        mode: AccountMode,
    ) {
        if !self.is_open() {
            self.record(
                step,
                Event::AccountOpened {
                    account_id,
                    base_currency,
                    mode,
                },
            );
            return self.done(step);
        }
        let same = self.account_id.as_ref() == Some(&account_id)
            && self.base_currency.as_ref() == Some(&base_currency)
            && self.mode == Some(mode);
        if same {
            step.effects.reply = Some(Reply::Done { sequence: 1 });
        } else {
            step.refuse(Refusal::Invalid {
                field: "account_id",
                detail: "is already open with another content".to_owned(),
            });
        }
    }

    pub(super) fn adjust_cash(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        currency: Currency,
        amount: Money,
        reason: String,
    ) {
        let subject = Subject::Cash(currency.clone(), amount, reason.clone());
        if self.answer_again(step, request_id.as_ref(), &subject) {
            return;
        }
        let invalid = |detail: &str| Refusal::Invalid {
            field: "amount",
            detail: detail.to_owned(),
        };
        if amount.is_zero() {
            return step.refuse(invalid("must not be zero"));
        }
        if self.portfolio.cash_after(&currency, amount).is_err() {
            return step.refuse(invalid("is out of range"));
        }
        if amount.0 < Decimal::ZERO && self.limits.check_buying_power {
            let Ok(free) = self.holdings().free(&currency, None) else {
                return step.refuse(invalid("cannot be measured: what is held is out of range"));
            };
            if free
                .checked_add(amount.0)
                .is_none_or(|left| left < Decimal::ZERO)
            {
                let free = Money(free);
                return step.refuse(Refusal::Rule {
                    code: ReasonCode::InsufficientBuyingPower,
                    detail: format!(
                        "{free} {currency} is free: cash and what was bought of it, less what was \
                         sold and what orders and contracts hold; take out less, or cancel orders \
                         and close positions first"
                    ),
                });
            }
        }
        self.record(
            step,
            Event::CashAdjusted {
                request_id,
                currency,
                amount,
                reason,
            },
        );
        self.shift_baseline(step);
        self.done(step);
    }

    pub(super) fn set_limits(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        limits: Box<Limits>,
        expected_sequence: Option<u64>,
    ) {
        let subject = Subject::Limits(limits.clone());
        if self.answer_again(step, request_id.as_ref(), &subject) {
            return;
        }
        match expected_sequence {
            Some(expected) if expected != self.limits_sequence => {
                step.refuse(Refusal::StaleSequence {
                    expected,
                    actual: self.limits_sequence,
                });
            }
            // Nothing would change, and nobody can ask for it again: there is nothing to keep. With
            // a request id it is kept: repeated after a later change, it must not undo that.
            _ if limits == self.limits && request_id.is_none() => {
                step.effects.reply = Some(Reply::Done {
                    sequence: self.limits_sequence,
                });
            }
            _ => {
                self.record(step, Event::LimitsSet { request_id, limits });
                self.done(step);
            }
        }
    }

    pub(super) fn define(&mut self, step: &mut Step<'_>, instrument: Box<Instrument>) {
        if let Err(error) = instrument.validate() {
            return step.refuse(Refusal::Invalid {
                field: error.field(),
                detail: format!("is not acceptable: {error}"),
            });
        }
        let calendar = &instrument.rules.calendar;
        if !calendar.is_empty() && Calendar::shared(calendar).is_none() {
            return step.refuse(Refusal::Invalid {
                field: "calendar",
                detail: format!("is not acceptable: there is no calendar \"{calendar}\""),
            });
        }
        if let Some(known) = self.instruments.get(&instrument.instrument_id) {
            if *known == *instrument {
                return self.done(step);
            }
            if let Some(field) = known.changed_unit(&instrument) {
                return step.refuse(Refusal::Invalid {
                    field,
                    detail: "cannot change: what is booked is counted by it".to_owned(),
                });
            }
        }
        self.record(step, Event::InstrumentDefined { instrument });
        self.done(step);
    }

    pub(super) fn set_trading_state(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        state: TradingState,
        by: String,
        reason: String,
    ) {
        let subject = Subject::TradingState(state, reason.clone());
        if self.answer_again(step, request_id.as_ref(), &subject) {
            return;
        }
        // One that changes nothing is remembered too: repeated after a later change, it must not
        // undo that.
        if state != self.trading_state || request_id.is_some() {
            self.record(
                step,
                Event::TradingStateChanged {
                    request_id,
                    state,
                    by,
                    reason,
                },
            );
        }
        if state == TradingState::Active {
            self.end_closings_of_halt(step);
        }
        self.done(step);
        // What waited for this leaves now.
        if self.may_send() {
            self.drive_waiting(step, None);
        }
    }

    /// Stops new orders because of something that a person has to look at.
    pub(super) fn halt(&mut self, step: &mut Step<'_>, reason: String) {
        if self.trading_state == TradingState::Halted {
            return;
        }
        self.record(
            step,
            Event::TradingStateChanged {
                request_id: None,
                state: TradingState::Halted,
                by: "system".to_owned(),
                reason,
            },
        );
    }

    pub(super) fn done(&self, step: &mut Step<'_>) {
        step.effects.reply = Some(Reply::Done {
            sequence: self.sequence,
        });
    }

    /// Answers a repeated request as the first time and returns true; also when the id was used
    /// for something else, which is refused.
    pub(super) fn answer_again(
        &self,
        step: &mut Step<'_>,
        request_id: Option<&RequestId>,
        subject: &Subject,
    ) -> bool {
        let Some(answered) = self.requests.get(request_id) else {
            return false;
        };
        if answered.subject == *subject {
            step.effects.reply = Some(Reply::Done {
                sequence: answered.sequence,
            });
        } else {
            step.refuse(request_id_taken(request_id));
        }
        true
    }
}

/// Refuses an id that was used for another content. Only a request with an id gets here.
pub(super) fn request_id_taken(request_id: Option<&RequestId>) -> Refusal {
    match request_id {
        Some(request_id) => Refusal::RequestExists(request_id.clone()),
        None => Refusal::Invalid {
            field: "request_id",
            detail: "is missing".to_owned(),
        },
    }
}

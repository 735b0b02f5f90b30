//! Loss limits: they move the trading state by themselves.
//!
//! Once a tick the account is valued at the marks that were shown last. The day's loss counts from
//! the equity at the day's first valuation (days end at 00:00 UTC), the drawdown from the highest
//! equity. Paying in or out moves both by as much; resuming begins anew. An equity of which a part
//! is not known decides nothing.

use super::machine::{Account, Step};
use crate::event::Event;
use crate::id::Currency;
use crate::money::Money;
use crate::number::Decimal;
use crate::order::store::OrderIndex;
use crate::portfolio::Valuation;
use crate::risk::{LossAction, ReasonCode, TradingState};
use crate::time::{NANOS_PER_DAY, UnixNanos};
use serde::{Deserialize, Serialize};

/// What losses are measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baseline {
    pub day_start: Money,
    pub highest: Money,
    pub day: UnixNanos,
}

impl Account {
    /// Returns the prices that this account was shown last, to value it by.
    pub(super) fn own_valuation(&self, now: UnixNanos) -> Option<Valuation<'_>> {
        self.valuation(now, self.marks.marks(), self.marks.rates())
    }

    /// Values the account and acts when it lost too much.
    pub(super) fn check_losses(&mut self, step: &mut Step<'_>) {
        let wide = &self.limits.wide;
        if wide.max_daily_loss.is_none() && wide.max_drawdown.is_none() {
            return;
        }
        let Some(valuation) = self.own_valuation(step.now) else {
            return;
        };
        let equity = self.equity_by(&valuation);
        if equity.partial {
            return;
        }
        let equity = equity.equity;
        self.mark_equity(step, equity);
        if let Some((reason_code, reason)) = self.loss_reached(equity) {
            self.stop_losing(step, reason_code, reason);
        }
    }

    fn mark_equity(&mut self, step: &mut Step<'_>, equity: Money) {
        let day = UnixNanos(step.now.0.div_euclid(NANOS_PER_DAY) * NANOS_PER_DAY);
        let known = self.baseline;
        let same_day = known.filter(|baseline| baseline.day == day);
        let next = Baseline {
            day_start: same_day.map_or(equity, |baseline| baseline.day_start),
            highest: known.map_or(equity, |baseline| baseline.highest.max(equity)),
            day,
        };
        // The highest equity is of use for the drawdown only.
        let counts = self.limits.wide.max_drawdown.is_some();
        let rose = known.is_none_or(|baseline| next.highest > baseline.highest);
        if same_day.is_none() || (counts && rose) {
            self.record_baseline(step, next);
        }
    }

    fn record_baseline(&mut self, step: &mut Step<'_>, baseline: Baseline) {
        let Baseline {
            day_start,
            highest,
            day,
        } = baseline;
        self.record(
            step,
            Event::EquityMarked {
                day_start,
                highest,
                day,
            },
        );
    }

    /// Paying in is no profit, and paying out no loss.
    pub(super) fn shift_baseline(
        &mut self,
        step: &mut Step<'_>,
        currency: &Currency,
        amount: Money,
    ) {
        let Some(baseline) = self.baseline else {
            return;
        };
        let valuation = self.own_valuation(step.now);
        let shifted = valuation.and_then(|valuation| {
            let amount = valuation.convert(amount, currency)?;
            Some(Baseline {
                day_start: baseline.day_start.checked_add(amount).ok()?,
                highest: baseline.highest.checked_add(amount).ok()?,
                ..baseline
            })
        });
        if let Some(shifted) = shifted {
            self.record_baseline(step, shifted);
        }
    }

    /// Returns the limit that `equity` has reached, if one.
    fn loss_reached(&self, equity: Money) -> Option<(ReasonCode, String)> {
        let baseline = self.baseline?;
        let wide = &self.limits.wide;
        let lost = baseline.day_start.checked_sub(equity).ok()?;
        if let Some(max) = wide.max_daily_loss.filter(|max| lost >= *max) {
            let reason = format!("the day's loss is {lost}, {max} is the limit");
            return Some((ReasonCode::LossLimit, reason));
        }
        let max = wide.max_drawdown?;
        let fallen = baseline.highest.checked_sub(equity).ok()?;
        let allowed = baseline.highest.0.checked_mul(max.0)?;
        let reached = fallen.0 >= allowed && fallen.0 > Decimal::ZERO;
        reached.then(|| {
            let highest = baseline.highest;
            let reason =
                format!("equity fell by {fallen} from {highest}, {max} of it is the limit");
            (ReasonCode::DrawdownLimit, reason)
        })
    }

    /// Moves the trading state, once, and cancels what could still lose more.
    fn stop_losing(&mut self, step: &mut Step<'_>, reason_code: ReasonCode, reason: String) {
        let state = match self.limits.wide.loss_action {
            LossAction::Halt => TradingState::Halted,
            LossAction::Reduce => TradingState::Reducing,
        };
        if self.trading_state >= state {
            return;
        }
        self.record(
            step,
            Event::TradingStateChanged {
                request_id: None,
                state,
                by: "system".to_owned(),
                reason: format!("{}: {reason}", reason_code.as_str()),
            },
        );
        let working: Vec<OrderIndex> = self.orders.working().iter().copied().collect();
        for index in working {
            if state == TradingState::Halted || !self.reduces(index) {
                self.cancel_working(step, index, None, reason_code);
            }
        }
    }

    /// Returns true for an order against the position of its instrument.
    fn reduces(&self, index: OrderIndex) -> bool {
        let request = &self.orders.get(index).order.request;
        let net = self.portfolio.net(&request.instrument_id).quantity;
        net.signum() * request.side.sign() < 0
    }
}

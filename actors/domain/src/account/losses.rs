//! Loss limits: they move the trading state by themselves.
//!
//! Once a tick the account is valued at the marks that were shown last. The day's loss counts from
//! the equity at the day's first valuation (days end at 00:00 UTC), the drawdown from the highest
//! equity. Paying in or out moves both by as much, at the first rate that there is for it; resuming
//! begins anew.
//!
//! An equity of which a part is not known decides nothing: what is left out may be the loss, or
//! what makes up for it. That the limits see nothing is an event, and an account that cannot be
//! measured for [`UNMEASURED_NS`] goes to REDUCING, since limits that see nothing protect
//! nothing. It goes on by itself once all is known again, with the baseline of before, so that a
//! loss of the time between counts at once.

use super::machine::{Account, Step};
use crate::event::Event;
use crate::id::{Currency, InstrumentId};
use crate::money::Money;
use crate::number::Decimal;
use crate::order::PositionSide;
use crate::order::store::OrderIndex;
use crate::portfolio::Valuation;
use crate::risk::{LossAction, ReasonCode, TradingState};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What losses are measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baseline {
    pub day_start: Money,
    pub highest: Money,
    pub day: UnixNanos,
}

/// How long the equity may be unknown until only what reduces is taken: as long as a conversion
/// rate counts where no limit says otherwise, so that one late quote stops nobody.
const UNMEASURED_NS: i64 = 60 * NANOS_PER_SECOND;

/// Who moves the trading state where no person does.
pub(super) const SYSTEM: &str = "system";

/// A time in which losses cannot be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unmeasured {
    /// When it began, or a person let the account go on in spite of it.
    since: UnixNanos,
    /// It moved the trading state.
    reduced: bool,
}

impl Unmeasured {
    pub fn since(since: UnixNanos) -> Unmeasured {
        Unmeasured {
            since,
            reduced: false,
        }
    }
}

/// What the orders that stay take of each position.
type Kept = BTreeMap<(InstrumentId, PositionSide), i128>;

impl Account {
    /// Returns true while loss limits are set and see nothing, since a part of the equity is not
    /// known.
    pub fn are_losses_unmeasured(&self) -> bool {
        self.unmeasured.is_some()
    }

    /// Takes over what a change of the trading state means for measuring. `own` of the account.
    pub(super) fn take_state_of_losses(&mut self, state: TradingState, own: bool, ts: UnixNanos) {
        // Resuming begins to measure anew; going on by itself does not.
        if state == TradingState::Active && self.trading_state != state && !own {
            self.baseline = None;
            self.unshifted.clear();
        }
        if let Some(unmeasured) = &mut self.unmeasured {
            unmeasured.reduced = own && state == TradingState::Reducing;
            if state == TradingState::Active {
                unmeasured.since = ts;
            }
        }
    }

    /// Returns the prices that this account was shown last, to value it by.
    pub(super) fn own_valuation(&self, now: UnixNanos) -> Option<Valuation<'_>> {
        self.valuation(now, self.marks.marks(), self.marks.rates())
    }

    /// Values the account and acts when it lost too much.
    pub(super) fn check_losses(&mut self, step: &mut Step<'_>) {
        let wide = &self.limits.wide;
        if wide.max_daily_loss.is_none() && wide.max_drawdown.is_none() {
            let before = self.measured(step);
            return self.go_on(step, before);
        }
        let Some(valuation) = self.own_valuation(step.now) else {
            return;
        };
        let equity = self.equity_by(&valuation);
        if equity.partial {
            return self.not_measured(step);
        }
        if !self.shift_baseline(step) {
            return self.not_measured(step);
        }
        let equity = equity.equity;
        let before = self.measured(step);
        self.mark_equity(step, equity);
        if let Some((reason_code, reason)) = self.loss_reached(equity) {
            let state = match self.limits.wide.loss_action {
                LossAction::Halt => TradingState::Halted,
                LossAction::Reduce => TradingState::Reducing,
            };
            let reduced = before.is_some_and(|unmeasured| unmeasured.reduced);
            if self.trading_state < state || reduced {
                self.stop(step, state.max(self.trading_state), reason_code, reason);
            } else if !self.asked.losses {
                // Whoever made the state so strict may have left working what still loses more.
                self.cancel_what_loses(step, state, reason_code);
            }
            self.asked.losses = true;
        } else {
            self.asked.losses = false;
            self.go_on(step, before);
        }
    }

    /// Says that nothing can be measured, and stops what could lose more when that lasts.
    fn not_measured(&mut self, step: &mut Step<'_>) {
        let Some(unmeasured) = self.unmeasured else {
            return self.record(step, Event::LossesUnmeasured);
        };
        let lasts = step.now.since(unmeasured.since) >= UNMEASURED_NS;
        if lasts && self.trading_state == TradingState::Active {
            let reason = "a part of the equity has had no fresh price or rate for 60 s, so that \
                          loss limits see nothing; goes on by itself once there is one";
            let (state, code) = (TradingState::Reducing, ReasonCode::NoConversionRate);
            self.stop(step, state, code, reason.to_owned());
        }
    }

    /// Says that all can be measured again; returns what was before.
    fn measured(&mut self, step: &mut Step<'_>) -> Option<Unmeasured> {
        let before = self.unmeasured?;
        self.record(step, Event::LossesMeasured);
        Some(before)
    }

    /// Lets the account go on that was only stopped because nothing could be measured.
    fn go_on(&mut self, step: &mut Step<'_>, before: Option<Unmeasured>) {
        let reduced = before.is_some_and(|unmeasured| unmeasured.reduced);
        if reduced && self.trading_state == TradingState::Reducing {
            let reason = "all of the equity is known again".to_owned();
            let state = TradingState::Active;
            self.change_state(step, state, ReasonCode::NoConversionRate, &reason);
        }
    }

    /// Measures losses from `equity` on, whatever it was before.
    pub(super) fn restart_baseline(&mut self, step: &mut Step<'_>, equity: Money) {
        let baseline = Baseline {
            day_start: equity,
            highest: equity,
            day: UnixNanos(step.now.0.div_euclid(NANOS_PER_DAY) * NANOS_PER_DAY),
        };
        self.record_baseline(step, baseline);
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
        let counts = self.limits.wide.max_drawdown.is_some() && !self.asked.sparing;
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

    /// Moves the baseline by what was paid in and out: paying in is no profit, and paying out no
    /// loss. Returns false while a rate for it is missing: then nothing can be measured.
    pub(super) fn shift_baseline(&mut self, step: &mut Step<'_>) -> bool {
        if self.unshifted.is_empty() {
            return true;
        }
        let Some(shifted) = self.shifted_baseline(step.now) else {
            return false;
        };
        self.record_baseline(step, shifted);
        true
    }

    fn shifted_baseline(&self, now: UnixNanos) -> Option<Baseline> {
        let valuation = self.own_valuation(now)?;
        let mut shifted = self.baseline?;
        for (currency, amount) in &self.unshifted {
            let amount = valuation.convert(*amount, currency)?;
            shifted.day_start = shifted.day_start.checked_add(amount).ok()?;
            shifted.highest = shifted.highest.checked_add(amount).ok()?;
        }
        Some(shifted)
    }

    /// Takes over what was paid in or out, as asked for or as the venue's balance shows.
    pub(super) fn take_paid(&mut self, currency: &Currency, amount: Money) {
        if self.baseline.is_none() {
            return;
        }
        let sum = self.unshifted.entry(currency.clone()).or_default();
        // It is what a balance has moved by, and both ends of that fit.
        *sum = sum.checked_add(amount).unwrap_or(*sum);
        if sum.is_zero() {
            self.unshifted.remove(currency);
        }
    }

    /// Takes over a new baseline: it holds all that was paid until then.
    pub(super) fn take_baseline(&mut self, baseline: Baseline) {
        self.baseline = Some(baseline);
        self.unshifted.clear();
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

    /// Moves the trading state, and cancels what could still lose more.
    fn stop(
        &mut self,
        step: &mut Step<'_>,
        state: TradingState,
        reason_code: ReasonCode,
        reason: String,
    ) {
        self.change_state(step, state, reason_code, &reason);
        self.cancel_what_loses(step, state, reason_code);
    }

    /// Cancels all that works, or of a state that lets positions be reduced what does not do that.
    /// What a person lets close positions goes on.
    fn cancel_what_loses(
        &mut self,
        step: &mut Step<'_>,
        state: TradingState,
        reason_code: ReasonCode,
    ) {
        let working: Vec<OrderIndex> = self.orders.working().iter().copied().collect();
        let mut kept = Kept::new();
        for index in working {
            if self.is_closing_order(self.orders.get(index)) {
                continue;
            }
            if state == TradingState::Halted || !self.reduces(index, &mut kept) {
                self.cancel_working(step, index, None, reason_code);
            }
        }
    }

    fn change_state(
        &mut self,
        step: &mut Step<'_>,
        state: TradingState,
        reason_code: ReasonCode,
        reason: &str,
    ) {
        self.record(
            step,
            Event::TradingStateChanged {
                request_id: None,
                state,
                by: SYSTEM.to_owned(),
                reason: format!("{}: {reason}", reason_code.as_str()),
            },
        );
    }

    /// Returns true for an order that, with those of its side that were `kept` before it, brings
    /// the position that it means nearer to zero and not beyond: of a hedging account the long or
    /// the short one. Of orders that end or shrink when one of them trades each may cover all of it.
    fn reduces(&self, index: OrderIndex, kept: &mut Kept) -> bool {
        let entry = self.orders.get(index);
        let request = &entry.order.request;
        let net = self.position_meant(request).quantity;
        if net.signum() * request.side.sign() >= 0 {
            return false;
        }
        let position_side = request.terms.position_side;
        let kept = kept.entry((request.instrument_id.clone(), position_side));
        let kept = kept.or_default();
        let open = i128::from(entry.reserved_open().0);
        let alone = *kept + open - self.alternatives(entry);
        let reduces = alone.max(open) <= i128::from(net).abs();
        if reduces {
            *kept += open;
        }
        reduces
    }
}

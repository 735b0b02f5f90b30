//! Changes of working orders: amend and cancel.

use super::{Event, OrderIndex, Quantity, Question, ReasonCode, Refusal};
use crate::account::commands::request_id_taken;
use crate::account::machine::{Account, Step};
use crate::account::requests::Subject;
use crate::event::Hold;
use crate::id::RequestId;
use crate::number::Price;
use crate::order::{AmendOrder, OrderKey, OrderStatus, OrderType};
use crate::risk::checks::{self, Before, Denial};
use crate::risk::{MarketRef, TradingState};
use crate::time::{NANOS_PER_SECOND, UnixNanos};

/// How long after a refused cancel the account asks again: a venue that refuses every one is not
/// asked as fast as it answers.
const CANCEL_AGAIN_NS: i64 = NANOS_PER_SECOND;

/// New values of a working order, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::account) struct Change {
    /// The new total quantity, filled part included.
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
}

impl Account {
    pub(in crate::account) fn amend(
        &mut self,
        step: &mut Step<'_>,
        request: AmendOrder,
        market: MarketRef,
    ) {
        let Some(index) = self.orders.find(&request.key) else {
            return step.refuse(Refusal::OrderNotFound);
        };
        let is_same = |subject: &Subject| matches!(subject, Subject::Amend(known, amended) if *known == index && amended.is_as(&request));
        if self.answer_order_again(step, Some(&request.request_id), index, is_same) {
            return;
        }
        let entry = self.orders.get(index);
        let order = &entry.order;
        let quantity = request.quantity.unwrap_or(order.quantity);
        let limit_price = request.limit_price.or(order.limit_price);
        let stop_price = request.stop_price.or(order.stop_price);
        if let Some(refusal) = self.amend_refusal(index, &request, quantity) {
            return step.refuse(refusal);
        }
        if let Some(refusal) = self.outgrows_list(index, quantity) {
            return step.refuse(refusal);
        }
        let same_prices = limit_price == order.limit_price && stop_price == order.stop_price;
        let change = Change {
            quantity,
            limit_price,
            stop_price,
        };
        if quantity == order.quantity && same_prices {
            // Kept all the same: repeated after a later amend, it must not undo that.
            self.amend_here(step, index, Some(request.request_id), change);
            return self.reply_order(step, index);
        }
        if let Err(denial) = self.amend_verdict(step.now, index, change, market) {
            return step.refuse(Refusal::Rule {
                code: denial.reason_code,
                detail: denial.reason,
            });
        }
        self.amend_working(step, index, Some(request.request_id), change);
        self.reply_order(step, index);
    }

    /// Returns whether a working order passes its checks with other values. A child that waits
    /// for its parent is looked at by itself only: it passes the rest when it leaves.
    ///
    /// Errors: the first refusal.
    pub(in crate::account) fn amend_verdict(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        change: Change,
        market: MarketRef,
    ) -> Result<(), Denial> {
        self.amend_check(now, index, change, market, checks::check)
    }

    /// As [`Account::amend_verdict`], by other checks than all of them.
    ///
    /// Errors: the first refusal.
    pub(in crate::account) fn amend_check(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        change: Change,
        market: MarketRef,
        check: fn(&Question<'_>) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        let entry = self.orders.get(index);
        let order = &entry.order;
        let Some(instrument) = self.instruments.get(&order.request.instrument_id) else {
            // The definition of an instrument comes before its first order and never goes.
            return Ok(());
        };
        let funds = self.funds(instrument);
        let mut question = self.question(now, &order.request, market, &funds);
        // An amend changes no side, and the order was taken with the one it has.
        question.position_mode = None;
        question.quantity = change.quantity;
        question.limit_price = change.limit_price;
        question.stop_price = change.stop_price;
        question.open = change.quantity.saturating_sub(order.filled_quantity);
        question.exposure = question.exposure.without(entry);
        question.alternatives = self.alternatives(entry);
        question.closable = self.closable(&order.request, Some(entry), &[]);
        question.locked = self.locked(question.exposure, entry, instrument);
        question.open_orders = question.open_orders.saturating_sub(1);
        question.before = Some(Before {
            open: order.leaves_quantity,
            limit_price: order.limit_price,
            stop_price: order.stop_price,
        });
        let (before, after) = (order.leaves_quantity, question.open);
        question.wide = self.wide(now, Some(entry), &order.request, before, after);
        if entry.is_home() && entry.hold == Some(Hold::Parent) {
            checks::check_form(&question)
        } else {
            check(&question)
        }
    }

    /// Asks for other values of a working order; one that is held here has them at once.
    pub(in crate::account) fn amend_working(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        request_id: Option<RequestId>,
        change: Change,
    ) {
        let entry = self.orders.get(index);
        if entry.is_home() || self.is_amended_here(index, &change) {
            return self.amend_here(step, index, request_id, change);
        }
        self.record_amend(step, index, request_id, change);
        self.send_amend(step, index);
    }

    /// Amends an order without a word to its venue.
    fn amend_here(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        request_id: Option<RequestId>,
        change: Change,
    ) {
        let entry = self.orders.get(index);
        // What the venue does not hear of is no newer than what it says.
        let ts_event = if entry.sent {
            entry.venue_ts.max(UnixNanos(0))
        } else {
            step.now
        };
        let order_id = entry.order.order_id.clone();
        self.record_amend(step, index, request_id, change);
        let amended = Event::OrderAmended {
            order_id,
            quantity: change.quantity,
            limit_price: change.limit_price,
            stop_price: change.stop_price,
            ts_event,
        };
        self.record(step, amended);
    }

    fn record_amend(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        request_id: Option<RequestId>,
        change: Change,
    ) {
        let order_id = self.orders.get(index).order.order_id.clone();
        let amend = Event::OrderPendingAmend {
            order_id,
            request_id,
            quantity: change.quantity,
            limit_price: change.limit_price,
            stop_price: change.stop_price,
        };
        self.record(step, amend);
    }

    /// Returns why an order cannot be amended at all, whatever its instrument and the market say.
    fn amend_refusal(
        &self,
        index: OrderIndex,
        request: &AmendOrder,
        quantity: Quantity,
    ) -> Option<Refusal> {
        let entry = self.orders.get(index);
        let order = &entry.order;
        if !entry.is_working() {
            return Some(Refusal::OrderClosed(order.status.as_str()));
        }
        match request.expected_sequence {
            Some(expected) if expected != order.sequence => {
                return Some(Refusal::StaleSequence {
                    expected,
                    actual: order.sequence,
                });
            }
            _ => {}
        }
        let unsettled = entry.amend.is_some() || entry.cancel.is_some() || entry.held.is_some();
        if unsettled || entry.base == OrderStatus::Unknown {
            return Some(Refusal::ChangePending);
        }
        let invalid = |field, detail: &str| {
            Some(Refusal::Invalid {
                field,
                detail: detail.to_owned(),
            })
        };
        if request.limit_price.is_some() && order.limit_price.is_none() {
            return invalid("limit_price", "is not for an order without a limit");
        }
        if request.stop_price.is_some() && order.request.order_type == OrderType::TrailingStop {
            let detail = "follows the market at a trailing stop: cancel the order and send one with \
                          the offset that you mean";
            return invalid("stop_price", detail);
        }
        let stops = order.request.terms.stop_price.is_some();
        if request.stop_price.is_some() && !(stops && entry.is_untriggered()) {
            return invalid("stop_price", "is not for an order without a stop price");
        }
        if quantity <= order.filled_quantity {
            return invalid("quantity", "is not above what is already filled");
        }
        // An iceberg that is cut here is cut anew; a venue shows what it was told to.
        let shown = order.request.terms.display_quantity;
        if entry.slice.is_none() && shown.is_some_and(|shown| quantity < shown) {
            let detail = "is below display_quantity, which stays: cancel the order and send a \
                          smaller one";
            return invalid("quantity", detail);
        }
        None
    }

    pub(in crate::account) fn cancel(
        &mut self,
        step: &mut Step<'_>,
        key: &OrderKey,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        let Some(index) = self.orders.find(key) else {
            return step.refuse(Refusal::OrderNotFound);
        };
        let is_same = |subject: &Subject| *subject == Subject::Cancel(index);
        if self.answer_order_again(step, request_id.as_ref(), index, is_same) {
            return;
        }
        let entry = self.orders.get(index);
        if !entry.is_working() {
            return step.refuse(Refusal::OrderClosed(entry.order.status.as_str()));
        }
        self.cancel_working(step, index, request_id, reason_code);
        self.reply_order(step, index);
    }

    /// Asks for the cancel of a working order, unless it is under way or the order has ended at
    /// the venue and only waits for its fills. One that is held here ends at once.
    pub(in crate::account) fn cancel_working(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        let entry = self.orders.get(index);
        if !entry.is_working() || entry.cancel.is_some() || entry.held.is_some() {
            return;
        }
        let home = entry.is_home() || entry.is_between_slices();
        let command = entry.cancel_command();
        let order_id = entry.order.order_id.clone();
        self.record(
            step,
            Event::OrderPendingCancel {
                order_id: order_id.clone(),
                request_id,
                reason_code,
            },
        );
        if home {
            let ts_event = step.now;
            let canceled = Event::OrderCanceled {
                order_id,
                reason_code,
                ts_event,
            };
            return self.record(step, canceled);
        }
        step.effects.commands.push(command);
    }

    /// As [`Account::cancel_working`], for what the account itself wants of an order until it is
    /// so: a cancel that the venue refused is asked for again a moment later, at a tick.
    pub(in crate::account) fn cancel_until_ended(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        reason_code: ReasonCode,
    ) {
        let refused = self.orders.get(index).refused_cancel.as_ref();
        if refused.is_none_or(|refused| step.now.since(refused.since) >= CANCEL_AGAIN_NS) {
            self.cancel_working(step, index, None, reason_code);
        }
    }

    /// Asks again for the cancels that were refused and are still wanted: those of a halt, since
    /// the venue may not have had the order yet, and those of a list.
    pub(in crate::account) fn repeat_refused_cancels(&mut self, step: &mut Step<'_>) {
        let working = self.orders.working().iter().copied();
        let refused: Vec<(OrderIndex, ReasonCode)> = working
            .filter_map(|index| {
                let refused = self.orders.get(index).refused_cancel.as_ref()?;
                Some((index, refused.reason_code))
            })
            .collect();
        let state = self.trading_state;
        for (index, reason_code) in refused {
            match reason_code {
                ReasonCode::CanceledByRisk if state == TradingState::Halted => {
                    self.cancel_until_ended(step, index, reason_code);
                }
                // They may have moved the account to reducing only.
                ReasonCode::LossLimit
                | ReasonCode::DrawdownLimit
                | ReasonCode::NoConversionRate
                    if state != TradingState::Active =>
                {
                    self.cancel_until_ended(step, index, reason_code);
                }
                ReasonCode::Contingency => {
                    if let Some(list_id) = self.orders.get(index).order.list_id.clone() {
                        self.drive_list(step, &list_id);
                    }
                }
                _ => {}
            }
        }
    }

    /// As for the account's own commands: the same request again gives the order as it stands.
    fn answer_order_again(
        &self,
        step: &mut Step<'_>,
        request_id: Option<&RequestId>,
        index: OrderIndex,
        is_same: impl Fn(&Subject) -> bool,
    ) -> bool {
        let Some(answered) = self.requests.get(request_id) else {
            return false;
        };
        if is_same(&answered.subject) {
            self.reply_order(step, index);
        } else {
            step.refuse(request_id_taken(request_id));
        }
        true
    }
}

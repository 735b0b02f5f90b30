//! Commands about orders: submit, amend, cancel.

use super::commands::request_id_taken;
use super::machine::{Account, Step};
use super::requests::Subject;
use super::types::{CancelFilter, Refusal, Reply};
use crate::event::Event;
use crate::id::{OrderId, RequestId};
use crate::instrument::Instrument;
use crate::number::Quantity;
use crate::order::store::OrderIndex;
use crate::order::{AmendOrder, Order, OrderKey, OrderStatus, OrderType, SubmitOrder};
use crate::risk::checks::{self, Before, Denial, Question, RATE_WINDOW_NS};
use crate::risk::funds::AccountFunds;
use crate::risk::{MarketRef, ReasonCode};
use crate::time::UnixNanos;

impl Account {
    pub(super) fn submit(
        &mut self,
        step: &mut Step<'_>,
        request: Box<SubmitOrder>,
        market: MarketRef,
    ) {
        if let Some(index) = self.orders.find_client(&request.client_order_id) {
            if self.orders.get(index).order.request == *request {
                return self.reply_order(step, index);
            }
            return step.refuse(Refusal::AlreadyExists(request.client_order_id.clone()));
        }
        let Some(instrument) = self.instruments.get(&request.instrument_id) else {
            return step.refuse(Refusal::UnknownInstrument(request.instrument_id.clone()));
        };
        if let Some(refusal) = malformed(&request) {
            return step.refuse(refusal);
        }
        let funds = self.funds(instrument);
        let verdict = checks::check(&self.question(step.now, &request, market, &funds));
        let order_id = self.next_order_id();
        let id = order_id.clone();
        let client_order_id = request.client_order_id.clone();
        self.record(
            step,
            Event::OrderInitialized {
                order_id,
                quantity: request.quantity,
                request,
                market,
                expires_at: None,
            },
        );
        match verdict {
            Ok(()) => self.record(step, Event::OrderSubmitted { order_id: id }),
            Err(Denial {
                reason_code,
                reason,
            }) => self.record(
                step,
                Event::OrderDenied {
                    order_id: id,
                    reason_code,
                    reason,
                },
            ),
        }
        if let Some(index) = self.orders.find_client(&client_order_id) {
            let entry = self.orders.get(index);
            if entry.base == OrderStatus::Submitted {
                step.effects.commands.push(entry.new_command());
            }
            self.reply_order(step, index);
        }
    }

    /// Returns each check that a new order would fail now, by name; empty when it would be taken.
    /// Decides nothing.
    ///
    /// Errors: what `Submit` refuses without an event.
    pub fn preview(
        &self,
        now: UnixNanos,
        request: &SubmitOrder,
        market: MarketRef,
    ) -> Result<Vec<(&'static str, Denial)>, Refusal> {
        let instrument = self
            .instruments
            .get(&request.instrument_id)
            .ok_or_else(|| Refusal::UnknownInstrument(request.instrument_id.clone()))?;
        if let Some(refusal) = malformed(request) {
            return Err(refusal);
        }
        let funds = self.funds(instrument);
        let question = self.question(now, request, market, &funds);
        Ok(checks::failures(&question))
    }

    pub(super) fn amend(&mut self, step: &mut Step<'_>, request: AmendOrder, market: MarketRef) {
        let Some(index) = self.orders.find(&request.key) else {
            return step.refuse(Refusal::OrderNotFound);
        };
        if self.answer_order_again(
            step,
            Some(&request.request_id),
            index,
            Subject::Amend(index),
        ) {
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
        let same_prices = limit_price == order.limit_price && stop_price == order.stop_price;
        if quantity == order.quantity && same_prices {
            return self.reply_order(step, index);
        }
        let changed = SubmitOrder {
            quantity,
            limit_price,
            ..order.request.clone()
        };
        let Some(instrument) = self.instruments.get(&changed.instrument_id) else {
            return step.refuse(Refusal::UnknownInstrument(changed.instrument_id.clone()));
        };
        let funds = self.funds(instrument);
        let mut question = self.question(step.now, &changed, market, &funds);
        question.open = quantity.saturating_sub(order.filled_quantity);
        question.exposure = question.exposure.without(entry);
        question.open_orders = question.open_orders.saturating_sub(1);
        question.before = Some(Before {
            open: order.leaves_quantity,
            limit_price: order.limit_price,
        });
        if let Err(denial) = checks::check(&question) {
            return step.refuse(Refusal::Rule {
                code: denial.reason_code,
                detail: denial.reason,
            });
        }
        let order_id = order.order_id.clone();
        self.record(
            step,
            Event::OrderPendingAmend {
                order_id,
                request_id: Some(request.request_id),
                quantity,
                limit_price,
                stop_price,
            },
        );
        let command = self.orders.get(index).amend_command();
        step.effects.commands.extend(command);
        self.reply_order(step, index);
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
        if request.limit_price.is_some() && order.limit_price.is_none() {
            return Some(Refusal::Invalid {
                field: "limit_price",
                detail: "is not for a market order".to_owned(),
            });
        }
        if quantity <= order.filled_quantity {
            return Some(Refusal::Invalid {
                field: "quantity",
                detail: "is not above what is already filled".to_owned(),
            });
        }
        None
    }

    pub(super) fn cancel(
        &mut self,
        step: &mut Step<'_>,
        key: &OrderKey,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        let Some(index) = self.orders.find(key) else {
            return step.refuse(Refusal::OrderNotFound);
        };
        if self.answer_order_again(step, request_id.as_ref(), index, Subject::Cancel(index)) {
            return;
        }
        let entry = self.orders.get(index);
        if !entry.is_working() {
            return step.refuse(Refusal::OrderClosed(entry.order.status.as_str()));
        }
        self.cancel_working(step, index, request_id, reason_code);
        self.reply_order(step, index);
    }

    pub(super) fn cancel_all(
        &mut self,
        step: &mut Step<'_>,
        filter: &CancelFilter,
        reason_code: ReasonCode,
    ) {
        let meant: Vec<OrderIndex> = self
            .orders
            .working()
            .iter()
            .copied()
            .filter(|index| is_meant(filter, &self.orders.get(*index).order))
            .collect();
        for index in &meant {
            self.cancel_working(step, *index, None, reason_code);
        }
        let orders = meant
            .iter()
            .map(|index| self.orders.get(*index).order.clone())
            .collect();
        step.effects.reply = Some(Reply::Orders(orders));
    }

    /// Asks for the cancel of a working order, unless it is under way or the order has ended at
    /// the venue and only waits for its fills.
    fn cancel_working(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        let entry = self.orders.get(index);
        if entry.cancel.is_some() || entry.held.is_some() {
            return;
        }
        let command = entry.cancel_command();
        let order_id = entry.order.order_id.clone();
        self.record(
            step,
            Event::OrderPendingCancel {
                order_id,
                request_id,
                reason_code,
            },
        );
        step.effects.commands.push(command);
    }

    /// As for the account's own commands: the same request again gives the order as it stands.
    fn answer_order_again(
        &self,
        step: &mut Step<'_>,
        request_id: Option<&RequestId>,
        index: OrderIndex,
        subject: Subject,
    ) -> bool {
        let Some(answered) = self.requests.get(request_id) else {
            return false;
        };
        if answered.subject == subject {
            self.reply_order(step, index);
        } else {
            step.refuse(request_id_taken());
        }
        true
    }

    fn reply_order(&self, step: &mut Step<'_>, index: OrderIndex) {
        let order = self.orders.get(index).order.clone();
        step.effects.reply = Some(Reply::Order(Box::new(order)));
    }

    /// Returns the id that an order initialized by the next event gets.
    fn next_order_id(&self) -> OrderId {
        let account = self.account_id.as_ref().map_or("", |id| id.as_str());
        // An account id has at most 64 characters of the same alphabet, and a sequence 20 digits.
        OrderId::new(&format!("{account}-{}", self.sequence + 1)).expect("order id is well formed")
    }

    fn funds<'a>(&'a self, instrument: &'a Instrument) -> AccountFunds<'a> {
        AccountFunds {
            instrument,
            instruments: &self.instruments,
            portfolio: &self.portfolio,
            exposures: self.orders.exposures(),
        }
    }

    fn question<'a>(
        &'a self,
        now: UnixNanos,
        request: &'a SubmitOrder,
        market: MarketRef,
        funds: &'a AccountFunds<'a>,
    ) -> Question<'a> {
        let window_start = now.plus(-RATE_WINDOW_NS);
        let old = self.recent.partition_point(|ts| *ts <= window_start);
        Question {
            now,
            instrument: funds.instrument,
            limits: &self.limits,
            trading_state: self.trading_state,
            market,
            side: request.side,
            order_type: request.order_type,
            quantity: request.quantity,
            open: request.quantity,
            limit_price: request.limit_price,
            reduce_only: request.reduce_only,
            misfit: request.misfit.as_ref(),
            before: None,
            net: self.portfolio.net(&request.instrument_id),
            exposure: self.orders.exposures().of(&request.instrument_id),
            open_orders: self.orders.working().len(),
            recent_orders: self.recent.len() - old,
            funds,
        }
    }
}

/// What the edge should have refused. Looked at again here, since strategies in process do not
/// pass that edge.
fn malformed(request: &SubmitOrder) -> Option<Refusal> {
    let invalid = |field, detail: &str| {
        Some(Refusal::Invalid {
            field,
            detail: detail.to_owned(),
        })
    };
    // A quantity finer than the instrument's may be cut to zero; it is denied, and kept.
    let smallest = i64::from(request.misfit.is_none());
    if request.quantity.0 < smallest {
        return invalid("quantity", "must be above zero");
    }
    match (request.order_type, request.limit_price) {
        (OrderType::Limit, None) => invalid("limit_price", "is required for a limit order"),
        (OrderType::Market, Some(_)) => invalid("limit_price", "is not for a market order"),
        (OrderType::Market, None) if request.post_only => {
            invalid("post_only", "is not for a market order")
        }
        _ => None,
    }
}

fn is_meant(filter: &CancelFilter, order: &Order) -> bool {
    let request = &order.request;
    filter
        .instrument_id
        .as_ref()
        .is_none_or(|id| *id == request.instrument_id)
        && filter
            .strategy_id
            .as_ref()
            .is_none_or(|id| *id == request.strategy_id)
        && filter.side.is_none_or(|side| side == request.side)
}

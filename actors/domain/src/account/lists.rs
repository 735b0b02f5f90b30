//! Lists and batches of orders: taken as one, and driven by what their orders do.
//!
//! What a list wants of each of its orders follows from its definition and from what its orders
//! have come to. [`Account::drive_lists`] looks at every list that an input touched and asks for
//! whatever is not so yet; looking again asks for nothing twice. So a crash between two events
//! loses nothing: they are one atomic unit of the journal, or the next event looks again.

use super::machine::{Account, Step};
use super::orders::{Change, Company};
use super::types::{Outcome, Refusal, Reply};
use crate::event::{Event, Hold};
use crate::id::{InstrumentId, OrderListId};
use crate::number::Quantity;
use crate::order::entry::OrderEntry;
use crate::order::lists::{MemberEvent, OrderList, Role};
use crate::order::store::OrderIndex;
use crate::order::{
    Contingency, ListDefinition, OrderKey, OrderStatus, ReleaseRule, SubmitList, SubmitOrder,
};
use crate::risk::checks::Denial;
use crate::risk::{MarketRef, ReasonCode};
use std::collections::{BTreeMap, BTreeSet};

mod bought;
mod outgrown;
mod survivor;

/// The most orders of one list, and of one batch.
pub const MAX_LIST: usize = 16;
pub const MAX_BATCH: usize = 100;

type Markets = BTreeMap<InstrumentId, MarketRef>;

impl Account {
    pub(super) fn submit_list(
        &mut self,
        step: &mut Step<'_>,
        list: Box<SubmitList>,
        markets: &Markets,
    ) {
        if list.contingency == Contingency::None {
            return match self.batch_refusal(&list) {
                Some(refusal) => step.refuse(refusal),
                None => self.submit_batch(step, list.orders, markets),
            };
        }
        if self.answer_list_again(step, &list) {
            return;
        }
        if let Err(refusal) = self.list_acceptable(step, &list) {
            return step.refuse(refusal);
        }
        for (instrument_id, market) in markets {
            self.show_reference(instrument_id, market);
        }
        let definition = ListDefinition {
            list_id: list.list_id.clone(),
            contingency: list.contingency,
            release: list.release,
            cascade: list.cascade,
            members: list
                .orders
                .iter()
                .map(|o| o.client_order_id.clone())
                .collect(),
            quantities: list.orders.iter().map(|order| order.quantity).collect(),
        };
        let definition = Box::new(definition);
        self.record(step, Event::ListInitialized { list: definition });
        let indexes: Vec<OrderIndex> = list
            .orders
            .into_iter()
            .map(|request| {
                let market = market_of(markets, &request.instrument_id);
                self.initialize(step, Box::new(request), market)
            })
            .collect();
        self.decide_list(step, &list.list_id, &indexes, markets);
        self.reply_outcomes(step, &indexes);
    }

    /// Takes each order for itself.
    fn submit_batch(&mut self, step: &mut Step<'_>, orders: Vec<SubmitOrder>, markets: &Markets) {
        let mut outcomes = Vec::with_capacity(orders.len());
        for request in orders {
            let key = OrderKey::ClientOrderId(request.client_order_id.clone());
            let market = market_of(markets, &request.instrument_id);
            let taken = self.take_order(step, Box::new(request), market);
            let result = taken.map(|index| Box::new(self.orders.get(index).order.clone()));
            outcomes.push(Outcome { key, result });
        }
        step.effects.reply = Some(Reply::Outcomes(outcomes));
    }

    /// The same list again gives its orders as they stand.
    fn answer_list_again(&self, step: &mut Step<'_>, list: &SubmitList) -> bool {
        let Some(known) = self.lists.get(&list.list_id) else {
            return false;
        };
        let definition = &known.definition;
        let same_rules = definition.contingency == list.contingency
            && definition.release == list.release
            && definition.cascade == list.cascade
            && definition.members.len() == list.orders.len();
        let indexes: Vec<OrderIndex> = self.members(known);
        let same_orders = indexes.len() == list.orders.len()
            && indexes
                .iter()
                .zip(&list.orders)
                .all(|(index, request)| self.orders.get(*index).order.request == *request);
        if same_rules && same_orders {
            self.reply_outcomes(step, &indexes);
        } else {
            step.refuse(Refusal::ListExists(list.list_id.clone()));
        }
        true
    }

    fn batch_refusal(&self, list: &SubmitList) -> Option<Refusal> {
        let size = list.orders.len();
        (size == 0 || size > MAX_BATCH).then(|| invalid("orders", "must be 1 to 100"))
    }

    /// Errors: why a list leaves no event; nothing of it does then.
    fn list_acceptable(&self, step: &Step<'_>, list: &SubmitList) -> Result<(), Refusal> {
        if !(2..=MAX_LIST).contains(&list.orders.len()) {
            return Err(invalid("orders", "must be 2 to 16 of one list"));
        }
        let mut ids = BTreeSet::new();
        for (place, request) in list.orders.iter().enumerate() {
            self.acceptable(step.now, request)
                .map_err(|refusal| of_order(place, refusal))?;
            let id = &request.client_order_id;
            if self.orders.find_client(id).is_some() || !ids.insert(id) {
                return Err(Refusal::AlreadyExists(id.clone()));
            }
        }
        let first = &list.orders[0];
        for (place, order) in list.orders.iter().enumerate() {
            let other = order.instrument_id != first.instrument_id;
            let leaves = place == 0 || order.side != first.side;
            let (field, detail) = if other && list.contingency != Contingency::Oto {
                let detail = "must be that of the first order: only an OTO list may trade several";
                ("instrument_id", detail)
            } else if list.contingency == Contingency::Bracket && !leaves {
                let detail = "must be the other one than that of the entry, orders[0]: an exit \
                              leaves the position that it enters";
                ("side", detail)
            } else if order.terms.notional.is_some() {
                ("notional", "is not for orders of a list: name a quantity")
            } else {
                continue;
            };
            return Err(of_order(place, invalid(field, detail)));
        }
        Ok(())
    }

    /// Denies the whole list when one order fails its checks; else holds and sends.
    fn decide_list(
        &mut self,
        step: &mut Step<'_>,
        list_id: &OrderListId,
        indexes: &[OrderIndex],
        markets: &Markets,
    ) {
        let is_child = |index: &OrderIndex| self.role_of(list_id, *index) == Role::Child;
        let children: Vec<OrderIndex> = indexes.iter().copied().filter(is_child).collect();
        let verdicts: Vec<Result<(), Denial>> = indexes
            .iter()
            .enumerate()
            .map(|(before, index)| {
                let market = market_of(markets, &self.instrument_of(*index));
                let company = Company {
                    before,
                    children: &children,
                };
                self.verdict_in_list(step.now, *index, market, company)
            })
            .collect();
        if verdicts.iter().any(Result::is_err) {
            for (index, verdict) in indexes.iter().zip(verdicts) {
                let denial = verdict.err().unwrap_or_else(|| Denial {
                    reason_code: ReasonCode::ListDenied,
                    reason: "another order of the list was denied".to_owned(),
                });
                self.deny(step, *index, denial);
            }
            return;
        }
        for index in indexes {
            if self.role_of(list_id, *index) == Role::Child {
                let order_id = self.orders.get(*index).order.order_id.clone();
                let hold = Hold::Parent;
                self.record(step, Event::OrderHeld { order_id, hold });
            }
        }
        for index in indexes {
            let entry = self.orders.get(*index);
            if entry.is_home() && entry.hold.is_none() {
                self.place(step, *index);
            }
        }
    }

    fn reply_outcomes(&self, step: &mut Step<'_>, indexes: &[OrderIndex]) {
        let outcome = |index: &OrderIndex| {
            let order = self.orders.get(*index).order.clone();
            Outcome {
                key: OrderKey::ClientOrderId(order.request.client_order_id.clone()),
                result: Ok(Box::new(order)),
            }
        };
        let outcomes = indexes.iter().map(outcome).collect();
        step.effects.reply = Some(Reply::Outcomes(outcomes));
    }

    fn role_of(&self, list_id: &OrderListId, index: OrderIndex) -> Role {
        let client_order_id = &self.orders.get(index).order.request.client_order_id;
        let list = self.lists.get(list_id);
        list.map_or(Role::Peer, |list| list.role(client_order_id))
    }

    pub(super) fn instrument_of(&self, index: OrderIndex) -> InstrumentId {
        self.orders.get(index).order.request.instrument_id.clone()
    }

    pub(super) fn members(&self, list: &OrderList) -> Vec<OrderIndex> {
        let members = list.definition.members.iter();
        members
            .filter_map(|id| self.orders.find_client(id))
            .collect()
    }

    /// Brings every list that an event of this step touched to what it wants. Each request is an
    /// event that may touch a list again; every one brings an order nearer to its end, so this
    /// ends.
    pub(super) fn drive_lists(&mut self, step: &mut Step<'_>) {
        // Most accounts have none, and this stands in the way of every input.
        if self.lists.is_empty() {
            return;
        }
        let mut seen = 0;
        while seen < step.effects.events.len() {
            let touched: BTreeSet<OrderListId> = step.effects.events[seen..]
                .iter()
                .filter_map(|recorded| recorded.event.order_id())
                .filter_map(|order_id| self.orders.find_order_id(order_id))
                .filter_map(|index| self.orders.get(index).order.list_id.clone())
                .collect();
            seen = step.effects.events.len();
            for list_id in touched {
                self.drive_list(step, &list_id);
            }
        }
    }

    pub(super) fn drive_list(&mut self, step: &mut Step<'_>, list_id: &OrderListId) {
        let Some(list) = self.lists.get(list_id).cloned() else {
            return;
        };
        let members = self.members(&list);
        if let Some(ending) = &list.ending {
            for index in &members {
                let id = &self.orders.get(*index).order.request.client_order_id;
                if ending.survivor.as_ref() != Some(id) {
                    self.cancel_until_ended(step, *index, ReasonCode::Contingency);
                }
            }
            let survivor = ending.survivor.as_ref();
            if let Some(index) = survivor.and_then(|id| self.orders.find_client(id)) {
                self.leave(step, index, self.reference_of(&self.instrument_of(index)));
            }
            return;
        }
        for (position, index) in members.iter().enumerate() {
            match self.wanted(&list, &members, position) {
                Wanted::Wait => {}
                Wanted::End => self.cancel_until_ended(step, *index, ReasonCode::Contingency),
                Wanted::Work(quantity) => {
                    let partial = list.definition.release == ReleaseRule::Partial;
                    let grows = partial || quantity > list.definition.quantities[position];
                    // What its list took from an order comes back with a bust, and what the
                    // venue took when its parent trades more. What its owner took does not.
                    let entry = self.orders.get(*index);
                    let most = entry.most.filter(|_| !grows);
                    let most = [most, entry.owner_most].into_iter().flatten();
                    let quantity = most.fold(quantity, Quantity::min);
                    self.size(step, *index, quantity);
                }
            }
        }
    }

    /// Returns what the list wants of one of its orders.
    fn wanted(&self, list: &OrderList, members: &[OrderIndex], position: usize) -> Wanted {
        let entry = self.orders.get(members[position]);
        if !entry.is_working() {
            return Wanted::Wait;
        }
        let asked = list.definition.quantities[position];
        let role = list.role(&entry.order.request.client_order_id);
        let base = match role {
            Role::Parent if self.is_left(list, members) => return Wanted::End,
            Role::Parent => return Wanted::Wait,
            Role::Peer => asked,
            Role::Child => match self.released(list, members[0], entry, asked) {
                Some(quantity) if quantity.is_zero() => return Wanted::End,
                Some(quantity) => quantity,
                None => return Wanted::Wait,
            },
        };
        if !list.shares_quantity() && role == Role::Peer {
            return Wanted::Wait;
        }
        let others = members
            .iter()
            .enumerate()
            .filter(|_| list.shares_quantity())
            .filter(|(other, _)| *other != position && !(role == Role::Child && *other == 0))
            .fold(Quantity::ZERO, |sum, (_, index)| {
                sum.saturating_add(self.orders.get(*index).order.filled_quantity)
            });
        let total = base.saturating_sub(others);
        if total <= entry.order.filled_quantity {
            Wanted::End
        } else {
            Wanted::Work(total)
        }
    }

    /// Returns how much of a child's quantity its parent has released; `None` while it waits. A
    /// child is to its order what its parent came to is to the parent's, amended or not: an exit of
    /// an entry that was made smaller must not sell more than there is.
    fn released(
        &self,
        list: &OrderList,
        parent: OrderIndex,
        child: &OrderEntry,
        asked: Quantity,
    ) -> Option<Quantity> {
        let bought = self.left_to(parent, &child.order.request);
        let parent = self.orders.get(parent);
        let whole = list.definition.quantities[0];
        let filled = parent.order.filled_quantity;
        // More than the parent trades is meant for what the account holds besides.
        let covered = |quantity: Quantity| match quantity <= filled {
            true => quantity.min(bought),
            false => quantity,
        };
        let ended = !parent.is_working();
        if !ended && (list.definition.release == ReleaseRule::Full || filled.is_zero()) {
            return None;
        }
        if filled == whole {
            return Some(covered(asked));
        }
        let instrument = self.instruments.get(&child.order.request.instrument_id);
        let step = instrument.map_or(1, |instrument| i128::from(instrument.quantity_increment.0));
        let share = i128::from(asked.0) * i128::from(filled.0) / i128::from(whole.0.max(1));
        let share = Quantity(i64::try_from(share / step * step).unwrap_or(i64::MAX));
        let share = covered(share);
        if instrument.is_some_and(|instrument| share < instrument.min_quantity) {
            // Too little to order yet; for good once the parent has ended.
            return ended.then_some(Quantity::ZERO);
        }
        Some(share)
    }

    /// Brings an order to a total quantity: a child that waits leaves with it, a working one is
    /// amended once nothing else is under way.
    fn size(&mut self, step: &mut Step<'_>, index: OrderIndex, quantity: Quantity) {
        let entry = self.orders.get(index);
        let (order, waits) = (
            &entry.order,
            entry.is_home() && entry.hold == Some(Hold::Parent),
        );
        let under_way = entry.amend.is_some() || entry.cancel.is_some() || entry.held.is_some();
        let unknown = matches!(entry.base, OrderStatus::Submitted | OrderStatus::Unknown);
        let smaller = quantity < order.quantity;
        let differs = quantity != order.quantity;
        // The venue has its reasons; it is asked again once something about the order changes.
        let refused = entry.refused_quantity == Some(quantity);
        if differs && !refused && !under_way && (!unknown || entry.is_home()) {
            let change = Change {
                quantity,
                limit_price: order.limit_price,
                stop_price: order.stop_price,
            };
            // What a parent released may be more than the limits leave by now.
            let market = self.reference_of(&order.request.instrument_id);
            let allowed = smaller || self.may_grow(step.now, index, change, market);
            if allowed {
                self.amend_working(step, index, None, change);
            }
        }
        if waits {
            self.release_child(step, index);
        }
    }

    /// Lets a child leave. It passes every check now, against the position that its parent made.
    /// While nothing may leave, and while a market order has no price to be measured by, it waits
    /// on: a leg that were denied then would protect nothing.
    fn release_child(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        if !self.may_send() {
            return;
        }
        let market = self.reference_of(&self.instrument_of(index));
        match self.verdict(step.now, index, market) {
            Ok(()) => self.place(step, index),
            Err(denial) if denial.reason_code == ReasonCode::NoReferencePrice => {}
            Err(_) if self.child_waits(step.now, index, market) => {}
            Err(denial) => self.deny(step, index, denial),
        }
    }

    /// Looks again at every list with an order that waits: trading goes on, or there is a price
    /// of `instrument_id` now.
    pub(super) fn drive_waiting(
        &mut self,
        step: &mut Step<'_>,
        instrument_id: Option<&InstrumentId>,
    ) {
        let waiting = self.orders.waiting();
        let lists: BTreeSet<OrderListId> = waiting
            .map(|index| &self.orders.get(index).order)
            .filter(|order| instrument_id.is_none_or(|id| *id == order.request.instrument_id))
            .filter_map(|order| order.list_id.clone())
            .collect();
        for list_id in lists {
            self.drive_list(step, &list_id);
        }
    }

    /// Takes over what an event of an order means for its list.
    pub(super) fn take_member_event(&mut self, event: &Event, index: OrderIndex) {
        let order = &self.orders.get(index).order;
        if order.list_id.is_none() {
            return;
        }
        let event = match event {
            Event::OrderFilled { .. } if order.leaves_quantity.is_zero() => {
                MemberEvent::FilledWhole
            }
            Event::OrderFilled { .. } => MemberEvent::FilledPart,
            Event::OrderTriggered { .. } => MemberEvent::Triggered,
            Event::OrderCanceled { .. } | Event::OrderExpired { .. } => MemberEvent::Ended,
            Event::OrderDenied { .. } | Event::OrderRejected { .. } => MemberEvent::Refused,
            _ => return,
        };
        let client_order_id = order.request.client_order_id.clone();
        self.lists.take(&client_order_id, event);
    }
}

/// What a list wants of one of its orders now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Nothing, for the moment or for good.
    Wait,
    /// Working, or leaving now, with this total quantity.
    Work(Quantity),
    End,
}

fn invalid(field: &'static str, detail: &str) -> Refusal {
    Refusal::Invalid {
        field,
        detail: detail.to_owned(),
    }
}

/// Says which order of a list a refusal is about.
fn of_order(place: usize, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid { field, detail } => Refusal::InvalidOrder {
            place,
            field,
            detail,
        },
        refusal => refusal,
    }
}

fn market_of(markets: &Markets, instrument_id: &InstrumentId) -> MarketRef {
    markets.get(instrument_id).copied().unwrap_or_default()
}

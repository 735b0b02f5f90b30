//! What a strategy holds and what its orders may still add: the ground on which targets stand.

use apex_bus::message::{AccountEvent, AccountSummary};
use apex_domain::event::{Event, Hold};
use apex_domain::order::{
    Contingency, ListDefinition, Order, OrderStatus, SubmitList, SubmitOrder,
};
use apex_domain::venue::Execution;
use apex_domain::{ClientOrderId, Instrument, InstrumentId, OrderListId, StrategyId};
use apex_strategy::ledger::{lists, order_number, order_prefix};
use std::collections::{BTreeMap, BTreeSet};

/// Ids of orders have so many digits behind the strategy's name at the most, by counting.
const MAX_COUNTED: u64 = 999_999_999;

/// One strategy's share of an account, kept up to date from the account's events.
///
/// Each event of an order comes with the order as it stood after it, so working orders are taken
/// over whole and never counted.
#[derive(Debug)]
pub struct Holdings {
    strategy_id: StrategyId,
    /// The last journal sequence that is in it.
    sequence: u64,
    /// Signed, at the instrument's quantity decimals; without the flat ones.
    positions: BTreeMap<InstrumentId, i64>,
    orders: BTreeMap<ClientOrderId, Order>,
    /// Orders that wait for their parent: they add nothing yet.
    waiting: BTreeSet<ClientOrderId>,
    /// The account's newest list; its orders follow at once.
    newest_list: Option<ListDefinition>,
    /// How the working orders of a list depend on each other, and which is the first.
    lists: BTreeMap<OrderListId, (Contingency, ClientOrderId)>,
    /// Orders that were asked for and have no event yet: instrument and signed quantity.
    under_way: BTreeMap<ClientOrderId, (InstrumentId, i64)>,
    /// The largest number of an order id of the strategy.
    last_number: u64,
}

impl Holdings {
    /// Begins with an account as it stood, its working orders and its newest ones.
    pub fn new(
        strategy_id: StrategyId,
        summary: &AccountSummary,
        orders: impl IntoIterator<Item = Order>,
    ) -> Holdings {
        let own = summary
            .positions
            .iter()
            .filter(|position| position.strategy_id == strategy_id && !position.is_flat());
        // Both sides of a hedging account are one position here.
        let mut positions: BTreeMap<InstrumentId, i64> = BTreeMap::new();
        for position in own {
            let sum = positions.entry(position.instrument_id.clone()).or_default();
            *sum = sum.saturating_add(position.quantity);
        }
        positions.retain(|_, sum| *sum != 0);
        let mut holdings = Holdings {
            sequence: summary.sequence,
            positions,
            ..Holdings::empty(strategy_id)
        };
        for order in orders {
            // Which one waits for its price instead is not told.
            if order.status == OrderStatus::PendingNew && order.list_id.is_some() {
                let id = order.request.client_order_id.clone();
                holdings.waiting.insert(id);
            }
            holdings.take(order);
        }
        holdings
    }

    /// Holds nothing; for a session that does not know its account yet.
    pub fn empty(strategy_id: StrategyId) -> Holdings {
        Holdings {
            strategy_id,
            sequence: 0,
            positions: BTreeMap::new(),
            orders: BTreeMap::new(),
            waiting: BTreeSet::new(),
            newest_list: None,
            lists: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last_number: 0,
        }
    }

    /// Takes an order as it stands now.
    fn take(&mut self, order: Order) {
        let id = order.request.client_order_id.clone();
        self.note_number(&id);
        self.under_way.remove(&id);
        let newer = self
            .orders
            .get(&id)
            .is_none_or(|known| known.sequence <= order.sequence);
        if !newer {
            return;
        }
        if order.status.is_terminal() {
            self.orders.remove(&id);
            self.waiting.remove(&id);
            if let Some(list_id) = &order.list_id {
                self.drop_ended_list(list_id);
            }
        } else {
            self.orders.insert(id, order);
        }
    }

    fn drop_ended_list(&mut self, list_id: &OrderListId) {
        let mut orders = self.orders.values();
        if !orders.any(|order| order.list_id.as_ref() == Some(list_id)) {
            self.lists.remove(list_id);
        }
    }

    /// Takes what an event says about an order's place in its list.
    fn take_place(&mut self, event: &Event, order: &Order) {
        let id = &order.request.client_order_id;
        match event {
            Event::OrderInitialized { .. } => {
                let newest = self.newest_list.as_ref();
                let list = newest.filter(|list| Some(&list.list_id) == order.list_id.as_ref());
                let Some((list, first)) = list.and_then(|l| Some((l, l.members.first()?))) else {
                    return;
                };
                let has_parent =
                    matches!(list.contingency, Contingency::Oto | Contingency::Bracket);
                if has_parent && id != first {
                    self.waiting.insert(id.clone());
                }
                let place = (list.contingency, first.clone());
                self.lists.insert(list.list_id.clone(), place);
            }
            Event::OrderSubmitted { .. }
            | Event::OrderHeld {
                hold: Hold::Emulated,
                ..
            }
            | Event::OrderHeldUntil { .. } => drop(self.waiting.remove(id)),
            _ => {}
        }
    }

    /// Takes an event of the account; the definition is that of the instrument that it trades.
    /// Returns true when it is news about an own order.
    pub fn fold(
        &mut self,
        event: &AccountEvent,
        definition: impl FnOnce(&InstrumentId) -> Option<Instrument>,
    ) -> bool {
        let recorded = &event.recorded;
        if recorded.sequence <= self.sequence {
            return false;
        }
        self.sequence = recorded.sequence;
        if let Event::ListInitialized { list } = &recorded.event {
            self.newest_list = Some((**list).clone());
        }
        if let Event::InstrumentSplit {
            instrument_id,
            numerator,
            denominator,
            ..
        } = &recorded.event
        {
            self.split(instrument_id, *numerator, *denominator);
        }
        if let Event::PositionSettled {
            strategy_id,
            execution,
            ..
        } = &recorded.event
            && *strategy_id == self.strategy_id
        {
            self.move_position(execution, execution.side.sign() * execution.last_quantity.0);
        }
        if let Event::ExternalFilled { execution } = &recorded.event {
            self.note_stranger(&execution.client_order_id);
        }
        let own = |order: &&std::sync::Arc<Order>| order.request.strategy_id == self.strategy_id;
        let Some(order) = event.order.as_ref().filter(own) else {
            return false;
        };
        let traded = match &recorded.event {
            Event::OrderFilled { execution, .. } => Some((execution, 1)),
            Event::ExecutionBusted {
                execution: Some(execution),
                booked: true,
                ..
            } => Some((execution, -1)),
            _ => None,
        };
        if let Some((execution, direction)) = traded {
            let id = &execution.instrument_id;
            // A strategy trades only what was defined before; without it no fee is in the asset.
            let change = match definition(id) {
                Some(instrument) => execution.position_change(&instrument).unwrap_or(0),
                None => execution.side.sign() * execution.last_quantity.0,
            };
            self.move_position(execution, change.saturating_mul(direction));
        }
        self.take_place(&recorded.event, order);
        self.take(order.as_ref().clone());
        true
    }

    fn move_position(&mut self, execution: &Execution, signed: i64) {
        let id = &execution.instrument_id;
        let position = self.positions.entry(id.clone()).or_default();
        *position = position.saturating_add(signed);
        if *position == 0 {
            self.positions.remove(id);
        }
    }

    /// Makes the units of a position as many as the account counts after a split: a fraction of
    /// one is cut off. Working orders stay as they are, at the venue too.
    fn split(&mut self, instrument_id: &InstrumentId, numerator: u32, denominator: u32) {
        let Some(position) = self.positions.get_mut(instrument_id) else {
            return;
        };
        let units = i128::from(*position) * i128::from(numerator) / i128::from(denominator.max(1));
        *position = units.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        if *position == 0 {
            self.positions.remove(instrument_id);
        }
    }

    /// Counts an order from the moment in which it is asked for.
    pub fn asked(&mut self, request: &SubmitOrder) {
        self.ask(request, request.side.sign() * request.quantity.0);
    }

    /// As [`Holdings::asked`], for the orders of a list: children wait, and of legs one trades.
    pub fn asked_list(&mut self, list: &SubmitList) {
        for (request, share) in list.orders.iter().zip(lists::shares(list)) {
            self.ask(request, share);
        }
    }

    fn ask(&mut self, request: &SubmitOrder, signed: i64) {
        self.note_number(&request.client_order_id);
        self.under_way.insert(
            request.client_order_id.clone(),
            (request.instrument_id.clone(), signed),
        );
    }

    /// The order never came to be.
    pub fn forget(&mut self, id: &ClientOrderId) {
        self.under_way.remove(id);
    }

    /// Returns the position that there would be if all working orders filled, as far as one does
    /// not end another.
    pub fn expected(&self, id: &InstrumentId) -> i64 {
        let mut expected = self.position(id);
        let mut legs: BTreeMap<&OrderListId, Vec<(bool, i64)>> = BTreeMap::new();
        let orders = self.orders.values();
        for order in orders.filter(|order| order.request.instrument_id == *id) {
            let own_id = &order.request.client_order_id;
            let waits = self.waiting.contains(own_id);
            let leaves = if waits { 0 } else { order.leaves_quantity.0 };
            let open = order.request.side.sign() * leaves;
            match &order.list_id {
                Some(list_id) => {
                    let list = self.lists.get(list_id);
                    let first = list.is_some_and(|(_, first)| first == own_id);
                    legs.entry(list_id).or_default().push((first, open));
                }
                None => expected = expected.saturating_add(open),
            }
        }
        for (list_id, orders) in legs {
            let contingency = self.lists.get(list_id).map(|(contingency, _)| *contingency);
            expected = expected.saturating_add(lists::count(contingency, orders.into_iter()));
        }
        let under_way = self.under_way.values();
        under_way
            .filter(|(instrument_id, _)| instrument_id == id)
            .map(|(_, signed)| *signed)
            .fold(expected, i64::saturating_add)
    }

    pub fn position(&self, id: &InstrumentId) -> i64 {
        self.positions.get(id).copied().unwrap_or(0)
    }

    /// Returns the positions that are not flat, in order of instrument.
    pub fn positions(&self) -> impl Iterator<Item = (&InstrumentId, i64)> {
        self.positions.iter().map(|(id, position)| (id, *position))
    }

    /// Returns the orders that have not ended, in order of id.
    pub fn working_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// Returns the instrument of an own order that has not ended.
    pub fn instrument_of(&self, id: &ClientOrderId) -> Option<&InstrumentId> {
        match self.orders.get(id) {
            Some(order) => Some(&order.request.instrument_id),
            None => self
                .under_way
                .get(id)
                .map(|(instrument_id, _)| instrument_id),
        }
    }

    /// Returns the last journal sequence that is in it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Makes the next client order id of the strategy.
    pub fn next_order_id(&mut self) -> ClientOrderId {
        self.last_number += 1;
        let prefix = order_prefix(&self.strategy_id);
        ClientOrderId::new(&format!("{prefix}-{}", self.last_number))
            // At most 25 characters, a dash and, up to ten thousand million orders, 10 digits.
            .expect("prefix and number are an id")
    }

    /// Counts from behind an id that the venue has from an order that the account does not know: with
    /// each one in the way an order of the strategy would be refused. Numbers that nobody comes to by
    /// counting are passed over.
    pub fn note_stranger(&mut self, id: &ClientOrderId) {
        let number = order_number(&self.strategy_id, id);
        if number.is_some_and(|number| number <= MAX_COUNTED) {
            self.note_number(id);
        }
    }

    fn note_number(&mut self, id: &ClientOrderId) {
        if let Some(number) = order_number(&self.strategy_id, id) {
            self.last_number = self.last_number.max(number);
        }
    }
}

//! What one strategy knows: its position, its working orders, the prices it was shown.
//!
//! A strategy may run in a process of its own, far from the account. So it keeps its own small
//! copy, folded from the account's recorded events, and never asks the account. Folding a
//! journal from its start gives the same ledger as having been there.

use crate::account_view::AccountView;
use crate::mark::Mark;
use apex_domain::event::{Event, Recorded};
use apex_domain::instrument::Instrument;
use apex_domain::market::MarketEvent;
use apex_domain::order::{Order, SubmitList, SubmitOrder, TrackedOrder};
use apex_domain::venue::Execution;
use apex_domain::{
    AccountId, ClientOrderId, InstrumentId, OrderId, OrderListId, RequestId, StrategyId,
};
use ids::number_behind;
pub use ids::{order_number, order_prefix};
use lists::Lists;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

mod ids;
pub mod lists;

/// Ended orders that are kept whole, so that a late fill still finds its order. Late fills come
/// within seconds, so a thousand orders reach far enough back; a later one still counts in the
/// position by its client order id.
const ENDED_ORDERS_KEPT: usize = 1_024;

/// Icebergs that are known by their id alone. An execution of one that went to its venue part by
/// part names the part, so that the order's own id does not tell whose it is. A busy day has
/// thousands; each is two short texts here.
const ICEBERGS_KNOWN: usize = 65_536;

/// What a strategy knows of one instrument.
#[derive(Debug)]
struct Holding {
    instrument: Arc<Instrument>,
    mark: Mark,
    /// Own position in units of the quantity's last decimal; positive is long.
    position: i64,
    /// Signed sum of what own working orders may still fill, orders under way included.
    working: i64,
}

/// An own order and how much of it is in its holding's sum.
#[derive(Debug)]
struct Kept {
    /// Boxed, since a map moves its entries about.
    tracked: Box<TrackedOrder>,
    /// Signed.
    open: i64,
}

impl Holding {
    /// Books an execution as the account does; one that nothing can book changes nothing.
    fn trade(&mut self, execution: &Execution, sign: i64) {
        let change = execution.position_change(&self.instrument).unwrap_or(0);
        let change = change.saturating_mul(sign);
        self.position = self.position.saturating_add(change);
    }

    /// As many units as the account counts after a split: a fraction of one is cut off.
    fn split(&mut self, numerator: u32, denominator: u32) {
        let units = i128::from(self.position) * i128::from(numerator);
        let units = units.checked_div(i128::from(denominator));
        if let Some(units) = units.and_then(|units| i64::try_from(units).ok()) {
            self.position = units;
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    account_id: AccountId,
    strategy_id: StrategyId,
    prefix: String,
    counter: u64,
    holdings: BTreeMap<InstrumentId, Holding>,
    orders: BTreeMap<OrderId, Kept>,
    order_ids: BTreeMap<ClientOrderId, OrderId>,
    /// Ended orders, oldest first; see [`ENDED_ORDERS_KEPT`].
    ended: VecDeque<OrderId>,
    /// Own icebergs that are kept no longer, oldest first; see [`ICEBERGS_KNOWN`].
    icebergs: VecDeque<OrderId>,
    iceberg_ids: BTreeSet<OrderId>,
    /// Orders that were asked for and that the account has not yet taken: instrument and signed
    /// quantity.
    under_way: BTreeMap<ClientOrderId, (InstrumentId, i64)>,
    lists: Lists,
    saved_state: Option<Vec<u8>>,
    account: Option<AccountView>,
}

impl Ledger {
    pub fn new(
        account_id: AccountId,
        strategy_id: StrategyId,
        instruments: &[Arc<Instrument>],
    ) -> Ledger {
        let mut ledger = Ledger {
            account_id,
            prefix: order_prefix(&strategy_id),
            strategy_id,
            counter: 0,
            holdings: BTreeMap::new(),
            orders: BTreeMap::new(),
            order_ids: BTreeMap::new(),
            ended: VecDeque::new(),
            icebergs: VecDeque::new(),
            iceberg_ids: BTreeSet::new(),
            under_way: BTreeMap::new(),
            lists: Lists::default(),
            saved_state: None,
            account: None,
        };
        for instrument in instruments {
            ledger.define(instrument);
        }
        ledger
    }

    /// Makes an instrument known, or takes its new definition.
    pub fn define(&mut self, instrument: &Arc<Instrument>) {
        self.holdings
            .entry(instrument.instrument_id.clone())
            .and_modify(|holding| holding.instrument = Arc::clone(instrument))
            .or_insert_with(|| Holding {
                instrument: Arc::clone(instrument),
                mark: Mark::default(),
                position: 0,
                working: 0,
            });
    }

    pub fn strategy_id(&self) -> &StrategyId {
        &self.strategy_id
    }

    pub fn instrument(&self, id: &InstrumentId) -> Option<&Instrument> {
        self.holdings.get(id).map(|holding| &*holding.instrument)
    }

    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.holdings.values().map(|holding| &*holding.instrument)
    }

    pub fn position(&self, id: &InstrumentId) -> i64 {
        self.holdings.get(id).map_or(0, |holding| holding.position)
    }

    pub fn working(&self, id: &InstrumentId) -> i64 {
        self.holdings.get(id).map_or(0, |holding| holding.working)
    }

    pub fn mark(&self, id: &InstrumentId) -> Option<&Mark> {
        self.holdings.get(id).map(|holding| &holding.mark)
    }

    pub fn order(&self, client_order_id: &ClientOrderId) -> Option<&Order> {
        let order_id = self.order_ids.get(client_order_id)?;
        self.tracked(order_id)
    }

    /// Returns the own orders that have not ended, in order of id.
    pub fn working_orders(&self) -> impl Iterator<Item = &Order> {
        self.orders
            .values()
            .map(|kept| kept.tracked.order())
            .filter(|order| !order.status.is_terminal())
    }

    pub fn saved_state(&self) -> Option<&[u8]> {
        self.saved_state.as_deref()
    }

    pub fn save_state(&mut self, bytes: Vec<u8>) {
        self.saved_state = Some(bytes);
    }

    /// Returns the whole account as it was told last.
    pub fn account(&self) -> Option<&AccountView> {
        self.account.as_ref()
    }

    /// Takes the whole account as it stands.
    pub fn set_account(&mut self, account: AccountView) {
        self.account = Some(account);
    }

    /// Takes the own position over as the account has it, in the units of [`Ledger::position`].
    /// For a ledger that begins in the middle of an account's life.
    pub fn restore_position(&mut self, id: &InstrumentId, position: i64) {
        if let Some(holding) = self.holdings.get_mut(id) {
            holding.position = position;
        }
    }

    /// Takes an own order over as the account has it, for a ledger that begins in the middle of
    /// an account's life. Events up to the order's sequence are in it already. How the orders of
    /// its list depend on each other is not known: they are taken as legs of which one trades.
    pub fn adopt(&mut self, order: Order) {
        if let Some(number) = self.number_of(&order.request.client_order_id) {
            self.resume_counter(number);
        }
        self.keep(TrackedOrder::adopt(order));
    }

    /// Returns the number of the last id that was made, which goes on after a restart.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Goes on counting ids behind `counter`.
    pub fn resume_counter(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
    }

    /// Makes the next client order id, `<strategy_id>-<counter>`.
    pub fn next_order_id(&mut self) -> ClientOrderId {
        self.counter += 1;
        ClientOrderId::new(&format!("{}-{}", self.prefix, self.counter))
            // 25 characters, a dash and, up to ten thousand million orders, 10 digits of the
            // allowed alphabet.
            .expect("prefix and counter are an id")
    }

    /// Makes the next id of a list of orders.
    pub fn next_list_id(&mut self) -> OrderListId {
        self.counter += 1;
        OrderListId::new(&format!("{}-{}", self.prefix, self.counter))
            // The grammar is that of client order ids.
            .expect("prefix and counter are an id")
    }

    /// Makes the next id of an amend or a closing.
    pub fn next_request_id(&mut self) -> RequestId {
        self.counter += 1;
        RequestId::new(&format!("{}-{}", self.prefix, self.counter))
            // As above; request ids may even be longer.
            .expect("prefix and counter are an id")
    }

    /// Takes an event of the market that the strategy is allowed to see.
    pub fn observe(&mut self, event: &MarketEvent) {
        if let Some(holding) = self.holdings.get_mut(event.instrument_id()) {
            holding.mark.observe(event);
        }
    }

    /// Counts an order as working from the moment in which it is asked for. One by notional
    /// counts from the moment in which the account has made a quantity of it.
    pub fn asked_for(&mut self, request: &SubmitOrder) {
        self.ask(request, request.side.sign() * request.quantity.0);
    }

    /// As [`Ledger::asked_for`], for the orders of a list: children wait, and of legs one trades.
    pub fn asked_for_list(&mut self, list: &SubmitList) {
        self.lists.expect(list);
        for (request, share) in list.orders.iter().zip(lists::shares(list)) {
            self.ask(request, share);
        }
    }

    fn ask(&mut self, request: &SubmitOrder, signed: i64) {
        self.add_working(&request.instrument_id, signed);
        self.under_way.insert(
            request.client_order_id.clone(),
            (request.instrument_id.clone(), signed),
        );
    }

    /// The order never came to be.
    pub fn forget_asked(&mut self, client_order_id: &ClientOrderId) {
        self.lists.forget(client_order_id);
        if let Some((instrument_id, signed)) = self.under_way.remove(client_order_id) {
            self.add_working(&instrument_id, -signed);
        }
    }

    fn add_working(&mut self, id: &InstrumentId, signed: i64) {
        if let Some(holding) = self.holdings.get_mut(id) {
            holding.working = holding.working.saturating_add(signed);
        }
    }

    /// Folds one recorded event. Returns the own order that it is about, if it is about one.
    pub fn fold(&mut self, recorded: &Recorded) -> Option<OrderId> {
        match &recorded.event {
            Event::OrderInitialized {
                order_id, request, ..
            } => {
                if request.strategy_id != self.strategy_id {
                    return None;
                }
                self.begin(request, recorded);
                Some(order_id.clone())
            }
            Event::ListInitialized { list } => {
                self.lists.define(list);
                None
            }
            Event::InstrumentDefined { instrument } => {
                if let Some(holding) = self.holdings.get_mut(&instrument.instrument_id)
                    && *holding.instrument != **instrument
                {
                    holding.instrument = Arc::new((**instrument).clone());
                }
                None
            }
            Event::PositionSettled {
                strategy_id,
                execution,
                ..
            } => {
                if *strategy_id == self.strategy_id
                    && let Some(holding) = self.holdings.get_mut(&execution.instrument_id)
                {
                    holding.trade(execution, 1);
                }
                None
            }
            Event::InstrumentSplit {
                instrument_id,
                numerator,
                denominator,
                ..
            } => {
                if let Some(holding) = self.holdings.get_mut(instrument_id) {
                    holding.split(*numerator, *denominator);
                }
                None
            }
            event => {
                let order_id = event.order_id()?;
                if self.advance(order_id, recorded) {
                    return Some(order_id.clone());
                }
                self.forgotten_fill(event);
                None
            }
        }
    }

    fn begin(&mut self, request: &SubmitOrder, recorded: &Recorded) {
        let list_id = self.lists.join(&request.client_order_id);
        self.forget_asked(&request.client_order_id);
        if let Some(number) = self.number_of(&request.client_order_id) {
            self.resume_counter(number);
        }
        if let Some(tracked) = TrackedOrder::begin(self.account_id.clone(), list_id, recorded) {
            self.keep(tracked);
        }
    }

    fn keep(&mut self, tracked: TrackedOrder) {
        let order_id = tracked.order().order_id.clone();
        let client_order_id = tracked.order().request.client_order_id.clone();
        self.order_ids.insert(client_order_id, order_id.clone());
        let tracked = Box::new(tracked);
        let kept = Kept { tracked, open: 0 };
        self.orders.insert(order_id.clone(), kept);
        self.count(&order_id);
    }

    /// Brings the sum of working orders in line with one order.
    fn count(&mut self, order_id: &OrderId) {
        let Some(kept) = self.orders.get_mut(order_id) else {
            return;
        };
        let order = kept.tracked.order();
        // Between its first event and the one that holds it a child waits already.
        let waits = kept.tracked.is_undecided() && self.lists.is_child(order);
        let open = if waits {
            0
        } else {
            order.request.side.sign() * kept.tracked.open_quantity().0
        };
        let change = match &order.list_id {
            Some(list_id) => self.lists.change(list_id, order, open),
            None => open.saturating_sub(kept.open),
        };
        if let Some(holding) = self.holdings.get_mut(&order.request.instrument_id) {
            holding.working = holding.working.saturating_add(change);
        }
        kept.open = open;
    }

    /// Folds an event into its order. Returns false when the order is not kept here.
    fn advance(&mut self, order_id: &OrderId, recorded: &Recorded) -> bool {
        let Some(kept) = self.orders.get_mut(order_id) else {
            return false;
        };
        let order = kept.tracked.order();
        let Some(holding) = self.holdings.get_mut(&order.request.instrument_id) else {
            return false;
        };
        let was_ended = order.status.is_terminal();
        // An event that does not fit comes of a journal with a hole. The account has decided it
        // all the same, so a trade in it counts below.
        let _ = kept.tracked.fold(recorded, &holding.instrument);
        let is_ended = kept.tracked.order().status.is_terminal();
        if let Some((execution, sign)) = traded(&recorded.event) {
            holding.trade(execution, sign);
        }
        self.count(order_id);
        if is_ended && !was_ended {
            self.ended.push_back(order_id.clone());
            self.drop_oldest_ended();
        }
        true
    }

    fn drop_oldest_ended(&mut self) {
        while self.ended.len() > ENDED_ORDERS_KEPT {
            let Some(oldest) = self.ended.pop_front() else {
                return;
            };
            if let Some(kept) = self.orders.remove(&oldest) {
                let request = &kept.tracked.order().request;
                self.order_ids.remove(&request.client_order_id);
                if request.terms.display_quantity.is_some() {
                    self.know_iceberg(oldest);
                }
            }
        }
    }

    /// Remembers that an iceberg is an own one, where it is not kept: what is still executed of it
    /// counts in the position. For one that ended before the ledger began.
    pub fn know_iceberg(&mut self, order_id: OrderId) {
        if self.orders.contains_key(&order_id) || !self.iceberg_ids.insert(order_id.clone()) {
            return;
        }
        self.icebergs.push_back(order_id);
        if self.icebergs.len() > ICEBERGS_KNOWN
            && let Some(oldest) = self.icebergs.pop_front()
        {
            self.iceberg_ids.remove(&oldest);
        }
    }

    /// Counts a fill of an own order that is no longer kept.
    fn forgotten_fill(&mut self, event: &Event) {
        if let Some((execution, sign)) = traded(event)
            && (self.number_of(&execution.client_order_id).is_some()
                || event
                    .order_id()
                    .is_some_and(|id| self.iceberg_ids.contains(id)))
            && let Some(holding) = self.holdings.get_mut(&execution.instrument_id)
        {
            holding.trade(execution, sign);
        }
    }

    /// Returns the counter in an id that this ledger made.
    fn number_of(&self, client_order_id: &ClientOrderId) -> Option<u64> {
        number_behind(&self.prefix, client_order_id)
    }

    pub(crate) fn tracked(&self, order_id: &OrderId) -> Option<&Order> {
        self.orders.get(order_id).map(|kept| kept.tracked.order())
    }
}

/// Returns an execution that an event books, with 1, or takes back, with -1.
fn traded(event: &Event) -> Option<(&Execution, i64)> {
    match event {
        Event::OrderFilled { execution, .. } => Some((execution, 1)),
        Event::ExecutionBusted {
            execution: Some(execution),
            booked: true,
            ..
        } => Some((execution, -1)),
        _ => None,
    }
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;

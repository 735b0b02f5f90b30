//! Commands about orders: submit, preview, amend, cancel.

use super::machine::{Account, Step};
use super::types::{Refusal, Reply};
use crate::event::{Event, Hold};
use crate::id::{InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::number::{Decimal, Price, Quantity};
use crate::order::entry::OrderEntry;
use crate::order::placement::{Placement, placement};
use crate::order::store::OrderIndex;
use crate::order::validate::validate;
use crate::order::{OrderStatus, PositionSide, SubmitOrder, TimeInForce};
use crate::portfolio::NetPosition;
use crate::risk::checks::{self, Denial, Question, RATE_WINDOW_NS};
use crate::risk::funds::{AccountFunds, Holdings};
use crate::risk::{MarketRef, ReasonCode, TradingState};
use crate::time::UnixNanos;

mod change;
mod list;
mod preview;
mod sides;
mod terms;
mod wide;

pub(super) use change::Change;
pub(super) use list::Company;
pub use preview::Preview;

impl Account {
    pub(super) fn submit(
        &mut self,
        step: &mut Step<'_>,
        request: Box<SubmitOrder>,
        market: MarketRef,
    ) {
        match self.take_order(step, request, market) {
            Ok(index) => self.reply_order(step, index),
            Err(refusal) => step.refuse(refusal),
        }
    }

    /// Takes one order for itself: initialised, then denied, held or sent.
    ///
    /// Errors: why it leaves no event.
    pub(super) fn take_order(
        &mut self,
        step: &mut Step<'_>,
        request: Box<SubmitOrder>,
        market: MarketRef,
    ) -> Result<OrderIndex, Refusal> {
        if let Some(index) = self.known_order(&request)? {
            return Ok(index);
        }
        self.acceptable(step.now, &request)?;
        Ok(self.take_acceptable(step, request, market))
    }

    /// Takes a new order that is known to be acceptable.
    pub(super) fn take_acceptable(
        &mut self,
        step: &mut Step<'_>,
        request: Box<SubmitOrder>,
        market: MarketRef,
    ) -> OrderIndex {
        self.show_reference(&request.instrument_id, &market);
        let index = self.initialize(step, request, market);
        match self.verdict(step.now, index, market) {
            Ok(()) => self.place(step, index),
            Err(denial) => self.deny(step, index, denial),
        }
        index
    }

    /// Returns the order that this very request made before.
    ///
    /// Errors: its id is already used for another one.
    pub(super) fn known_order(&self, request: &SubmitOrder) -> Result<Option<OrderIndex>, Refusal> {
        let client_order_id = &request.client_order_id;
        match self.orders.find_client(client_order_id) {
            Some(index) if self.orders.get(index).order.request == *request => Ok(Some(index)),
            Some(_) => Err(Refusal::AlreadyExists(client_order_id.clone())),
            None => Ok(None),
        }
    }

    /// Checks what an order has to fulfil to be taken at all, even as a denied one.
    ///
    /// Errors: the refusal.
    pub(super) fn acceptable(&self, now: UnixNanos, request: &SubmitOrder) -> Result<(), Refusal> {
        if !self.instruments.contains_key(&request.instrument_id) {
            return Err(Refusal::UnknownInstrument(request.instrument_id.clone()));
        }
        if self.is_closing_id(&request.client_order_id) {
            return Err(Refusal::AlreadyExists(request.client_order_id.clone()));
        }
        if Account::is_slice_id(&request.client_order_id) {
            return Err(slice_id_taken());
        }
        if self.is_strangers_id(&request.client_order_id) {
            return Err(Refusal::UsedAtVenue(request.client_order_id.clone()));
        }
        well_formed(now, request)
    }

    /// Makes an acceptable order known. Its instrument is known.
    pub(super) fn initialize(
        &mut self,
        step: &mut Step<'_>,
        request: Box<SubmitOrder>,
        market: MarketRef,
    ) -> OrderIndex {
        let instrument = self.instruments.get(&request.instrument_id);
        let quantity = instrument.map_or(request.quantity, |instrument| {
            terms::quantity(instrument, &request, &market)
        });
        let expires_at =
            instrument.and_then(|instrument| terms::expires_at(instrument, &request, step.now));
        let order_id = self.next_order_id();
        let index = self.orders.entries().len() as OrderIndex;
        self.record(
            step,
            Event::OrderInitialized {
                order_id,
                request,
                market,
                quantity,
                expires_at,
            },
        );
        index
    }

    /// Returns whether an order passes every check now, as one that would leave at `market`.
    pub(super) fn verdict(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        market: MarketRef,
    ) -> Result<(), Denial> {
        self.ask(now, index, market, checks::check)
    }

    pub(in crate::account) fn ask(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        market: MarketRef,
        check: fn(&Question<'_>) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        self.ask_in_list(now, index, market, Company::default(), check)
    }

    fn ask_in_list(
        &self,
        now: UnixNanos,
        index: OrderIndex,
        market: MarketRef,
        company: Company<'_>,
        check: fn(&Question<'_>) -> Result<(), Denial>,
    ) -> Result<(), Denial> {
        let entry = self.orders.get(index);
        let order = &entry.order;
        let Some(instrument) = self.instruments.get(&order.request.instrument_id) else {
            return Ok(());
        };
        let funds = self.funds(instrument);
        let mut question = self.question(now, &order.request, market, &funds);
        question.quantity = order.quantity;
        question.open = order.leaves_quantity;
        question.limit_price = order.limit_price;
        question.stop_price = order.stop_price;
        if entry.base == OrderStatus::Triggered {
            question.order_type = order.request.order_type.triggered();
        }
        let waiting = self.waiting_for(entry, company);
        let here = waiting
            .iter()
            .filter(|child| child.order.request.instrument_id == order.request.instrument_id);
        question.exposure = here.fold(question.exposure.without(entry), |sum, child| {
            sum.without(child)
        });
        question.recent_orders = question.recent_orders.saturating_add(company.before);
        question.alternatives = self.alternatives(entry);
        question.closable = self.closable(&order.request, Some(entry), company.children);
        question.locked = self.locked(question.exposure, entry, instrument);
        question.open_orders = question.open_orders.saturating_sub(1);
        if entry.hold.is_some() {
            // It counted when it was taken, and what protects a position does not wait for it.
            question.recent_orders = 0;
            question.waited = entry.is_home();
        }
        if entry.has_waited_here() {
            // Nobody is asked when it leaves: the venue lets the other order give way, as for one
            // that triggers there.
            question.opposite = None;
        }
        question.closing = self.is_closing_order(entry);
        if question.closing || entry.hold.is_some() {
            // What closes takes the side that is there, and what was taken once fits for good.
            question.position_mode = None;
        }
        let (before, after) = (Quantity::ZERO, question.open);
        question.wide = self.wide(now, Some(entry), &order.request, before, after);
        if entry.is_home() && entry.hold == Some(Hold::Emulated) {
            // The worst case has it since it came: leaving adds nothing, and what prices have done
            // since then is no reason to drop a stop order.
            question.wide = question.wide.map(|wide| wide.without_platform());
        }
        check(&question)
    }

    /// Returns true where the trading state keeps an order that the venue does not have from going
    /// out again: any while halted, one that does not reduce while reducing.
    pub(super) fn is_stopped(&self, now: UnixNanos, index: OrderIndex) -> bool {
        let no_market = MarketRef::default();
        match self.trading_state {
            TradingState::Active => false,
            TradingState::Halted => true,
            TradingState::Reducing => {
                let check = checks::check_trading_state;
                self.ask(now, index, no_market, check).is_err()
            }
        }
    }

    /// Sends an order that passed its checks, or holds it until its price or its time comes.
    pub(super) fn place(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let order = &self.orders.get(index).order;
        let order_id = order.order_id.clone();
        let instrument_id = order.request.instrument_id.clone();
        let auction = order.request.time_in_force.is_auction();
        let home = self
            .instruments
            .get(&instrument_id)
            .is_some_and(|instrument| placement(instrument, &order.request) == Placement::Home);
        if !home {
            return self.submit_to_venue(step, index, order_id);
        }
        if auction {
            return self.hold_until(step, index);
        }
        let hold = Hold::Emulated;
        self.record(step, Event::OrderHeld { order_id, hold });
        if let Some(view) = self.marks.get(&instrument_id).copied() {
            self.look(step, index, &view);
        }
    }

    pub(super) fn submit_to_venue(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        order_id: OrderId,
    ) {
        self.record(step, Event::OrderSubmitted { order_id });
        self.begin_slices(step, index);
        self.send(step, index);
    }

    /// Hands an order to the venue, for the first time or again.
    pub(super) fn send(&self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        // The definition of an instrument comes before its first order and never goes.
        if let Some(instrument) = self.instruments.get(&entry.order.request.instrument_id) {
            let prevents = self.limits.wide.prevent_self_trade;
            let command = entry.new_command(instrument, prevents);
            step.effects.commands.push(command);
        }
    }

    pub(super) fn deny(&mut self, step: &mut Step<'_>, index: OrderIndex, denial: Denial) {
        let order_id = self.orders.get(index).order.order_id.clone();
        self.record(
            step,
            Event::OrderDenied {
                order_id,
                reason_code: denial.reason_code,
                reason: denial.reason,
            },
        );
    }

    pub(super) fn reply_order(&self, step: &mut Step<'_>, index: OrderIndex) {
        let order = self.orders.get(index).order.clone();
        step.effects.reply = Some(Reply::Order(Box::new(order)));
    }

    /// Returns the id that an order initialized by the next event gets.
    fn next_order_id(&self) -> OrderId {
        let account = self.account_id.as_ref().map_or("", |id| id.as_str());
        // An account id has at most 64 characters of the same alphabet, and a sequence 20 digits.
        OrderId::new(&format!("{account}-{}", self.sequence + 1)).expect("order id is well formed")
    }

    pub(super) fn funds<'a>(&'a self, instrument: &'a Instrument) -> AccountFunds<'a> {
        AccountFunds {
            instrument,
            holdings: self.holdings(),
        }
    }

    /// Returns what the account has, and what binds it.
    pub(super) fn holdings(&self) -> Holdings<'_> {
        Holdings {
            instruments: &self.instruments,
            portfolio: &self.portfolio,
            exposures: self.orders.exposures(),
            marks: self.marks.marks(),
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
        let unsupported = match placement(funds.instrument, request) {
            Placement::Nowhere(why) => Some(why),
            Placement::Venue | Placement::Home => None,
        };
        Question {
            now,
            instrument: funds.instrument,
            limits: &self.limits,
            trading_state: self.trading_state,
            market,
            strategy_id: &request.strategy_id,
            side: request.side,
            order_type: request.order_type,
            quantity: request.quantity,
            open: request.quantity,
            limit_price: request.limit_price,
            stop_price: request.terms.stop_price,
            terms: &request.terms,
            reduce_only: request.reduce_only,
            misfit: request.misfit.as_ref(),
            unsupported,
            position_mode: Some(self.position_mode()),
            closing: false,
            waited: false,
            before: None,
            net: self.position_meant(request),
            exposure: self.orders.exposures().of(&request.instrument_id),
            alternatives: 0,
            closable: None,
            locked: self.orders.exposures().of(&request.instrument_id),
            opposite: self.best_opposite(request),
            open_orders: self.orders.working().len(),
            wide: None,
            recent_orders: self.recent.len() - old,
            funds,
        }
    }

    /// Returns the position that an order adds to or reduces: the one of its side where it names
    /// one, else that of the instrument.
    pub(super) fn position_meant(&self, request: &SubmitOrder) -> NetPosition {
        self.position_of(&request.instrument_id, request.terms.position_side)
    }

    /// Returns the position of an instrument, or of one side of it.
    pub(super) fn position_of(&self, id: &InstrumentId, side: PositionSide) -> NetPosition {
        match side {
            PositionSide::Net => self.portfolio.net(id),
            // Sums of positions that are held fit, as each of them was booked into their total.
            side => self.portfolio.net_of_side(id, side).unwrap_or_default(),
        }
    }

    /// Returns the best price of the account's own working orders that an order could trade
    /// with, those that an amend may give them included; looked for only where that matters.
    fn best_opposite(&self, request: &SubmitOrder) -> Option<Price> {
        if !self.limits.wide.prevent_self_trade {
            return None;
        }
        let working = self.orders.working_of(&request.instrument_id);
        let prices = working
            .map(|index| self.orders.get(index))
            .filter(|entry| entry.order.request.side != request.side)
            .filter(|entry| entry.sent && !entry.awaits_trigger())
            .flat_map(|entry| {
                let amended = entry.amend.as_ref().and_then(|amend| amend.limit_price);
                [entry.order.limit_price, amended]
            })
            .flatten();
        match request.side {
            crate::market::Side::Buy => prices.min(),
            crate::market::Side::Sell => prices.max(),
        }
    }
}

/// Refuses an id that is, or may become, the name of a part of an iceberg.
pub(super) fn slice_id_taken() -> Refusal {
    Refusal::Invalid {
        field: "client_order_id",
        detail: "must not be ICE, a number, '-' and a number: the parts of icebergs are named so; \
                 choose another id"
            .to_owned(),
    }
}

/// Checks that the parts of an order fit each other, and that its time is not over.
///
/// Errors: the first field that does not fit.
fn well_formed(now: UnixNanos, request: &SubmitOrder) -> Result<(), Refusal> {
    let invalid = |field, detail: &str| Refusal::Invalid {
        field,
        detail: detail.to_owned(),
    };
    validate(request).map_err(|(field, detail)| invalid(field, detail))?;
    match request.terms.expire_at {
        Some(expire_at) if expire_at <= now => Err(invalid("expire_at", "is in the past")),
        _ => Ok(()),
    }
}

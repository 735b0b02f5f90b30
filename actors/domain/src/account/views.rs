//! What can be read from an account.

use super::machine::Account;
use super::types::ExecutionRecord;
use crate::event::AccountMode;
use crate::id::{AccountId, ClientOrderId, Currency, InstrumentId, OrderListId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::order::trigger::Watch;
use crate::order::{ListDefinition, Order, OrderKey, PositionSide};
use crate::portfolio::{Holder, Portfolio, Position};
use crate::risk::exposure::Exposure;
use crate::risk::{Limits, TradingState};
use crate::time::UnixNanos;
use crate::venue::NewOrder;
use std::collections::BTreeMap;

impl Account {
    /// Returns the sequence of the last event; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns the hash rolled over every event.
    pub fn state_hash(&self) -> u64 {
        self.rolled
    }

    /// Returns the largest venue sequence that an event carries: a session resumes behind it.
    pub fn venue_sequence(&self) -> u64 {
        self.venue_sequence
    }

    pub fn account_id(&self) -> Option<&AccountId> {
        self.account_id.as_ref()
    }

    pub fn base_currency(&self) -> Option<&Currency> {
        self.base_currency.as_ref()
    }

    pub fn mode(&self) -> Option<AccountMode> {
        self.mode
    }

    pub fn is_open(&self) -> bool {
        self.account_id.is_some()
    }

    /// Returns the time of the last event.
    pub fn last_ts(&self) -> Option<UnixNanos> {
        self.last_ts
    }

    pub fn order(&self, key: &OrderKey) -> Option<&Order> {
        let index = self.orders.find(key)?;
        Some(&self.orders.get(index).order)
    }

    /// Returns the order that the venue knows by this id: its own, or that of a part which it was
    /// shown of it.
    pub fn order_at_venue(&self, client_order_id: &ClientOrderId) -> Option<&Order> {
        let index = self.orders.find_reported(client_order_id)?;
        Some(&self.orders.get(index).order)
    }

    /// Returns a list of orders as it was taken.
    pub fn list(&self, list_id: &OrderListId) -> Option<&ListDefinition> {
        self.lists.get(list_id).map(|list| &list.definition)
    }

    /// Returns all orders by creation.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> + ExactSizeIterator {
        self.orders.entries().iter().map(|entry| &entry.order)
    }

    /// Returns the orders that were created before the event of `sequence`, newest first, each
    /// with the sequence of its own first event: the cursor of a list that is read in pages.
    pub fn orders_before(&self, sequence: u64) -> impl Iterator<Item = (u64, &Order)> {
        let entries = self.orders.entries();
        let end = entries.partition_point(|entry| entry.created < sequence);
        entries[..end]
            .iter()
            .rev()
            .map(|entry| (entry.created, &entry.order))
    }

    /// Returns the executions that were booked after the event of `sequence`, oldest first.
    pub fn executions_after(&self, sequence: u64) -> &[ExecutionRecord] {
        let start = self
            .executions
            .partition_point(|execution| execution.sequence <= sequence);
        &self.executions[start..]
    }

    /// Returns true for an account that holds no position and has nothing under way: nothing of it
    /// can come to be exposed any more.
    pub fn is_idle(&self) -> bool {
        let flat = self.positions().all(|position| position.is_flat());
        let working = self.orders.working().is_empty();
        flat && working && self.closings.is_empty() && self.foreign.is_empty()
    }

    /// Returns the orders that can still trade, by creation.
    pub fn working_orders(&self) -> impl Iterator<Item = &Order> {
        let working = self.orders.working().iter();
        working.map(|index| &self.orders.get(*index).order)
    }

    /// Returns the working orders as their venue has them, oldest first, each with what it waits
    /// for; those of which the venue may not know are among them, those that are held here not.
    pub fn orders_at_venue(&self) -> impl Iterator<Item = (&Order, NewOrder, Option<&Watch>)> {
        let working = self.orders.working().iter();
        let sent = working
            .map(|index| self.orders.get(*index))
            .filter(|entry| entry.sent && !entry.is_between_slices());
        sent.filter_map(|entry| {
            let instrument = self.instruments.get(&entry.order.request.instrument_id)?;
            Some((
                &entry.order,
                entry.at_venue(instrument),
                entry.watch.as_ref(),
            ))
        })
    }

    /// Returns every booked execution in the order of booking.
    pub fn executions(&self) -> &[ExecutionRecord] {
        &self.executions
    }

    /// Returns every position by instrument, then strategy; flat ones too.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.portfolio.positions()
    }

    /// Returns the signed position of all strategies together.
    pub fn net_position(&self, instrument_id: &InstrumentId) -> i64 {
        self.portfolio.net(instrument_id).quantity
    }

    /// Returns the signed position of one side of a hedging account, of all strategies together;
    /// saturates at the range of `i64`.
    pub fn side_position(&self, instrument_id: &InstrumentId, side: PositionSide) -> i64 {
        let positions = self.portfolio.positions_of(instrument_id);
        positions
            .filter(|position| position.side == side)
            .fold(0, |sum: i64, position| {
                sum.saturating_add(position.quantity)
            })
    }

    /// Returns the side that an order names, by the id that the venue knows it by; `Net` where
    /// there is no such order.
    pub(crate) fn position_side_of(&self, client_order_id: &ClientOrderId) -> PositionSide {
        let index = self.orders.find_reported(client_order_id);
        index.map_or(PositionSide::Net, |index| {
            self.orders.get(index).order.request.terms.position_side
        })
    }

    /// Returns the signed position of one strategy, both sides of a hedging account together;
    /// saturates at the range of `i64`.
    pub fn strategy_position(&self, strategy: &StrategyId, instrument: &InstrumentId) -> i64 {
        let sides = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
        sides.into_iter().fold(0, |sum: i64, side| {
            let strategy_id = strategy.clone();
            let holder = Holder { strategy_id, side };
            let position = self.portfolio.position_of(&holder, instrument);
            sum.saturating_add(position.map_or(0, |position| position.quantity))
        })
    }

    /// Returns open buys less open sells of one strategy.
    pub fn working_quantity(&self, strategy: &StrategyId, instrument: &InstrumentId) -> i64 {
        self.orders
            .exposures()
            .working_quantity(strategy, instrument)
    }

    pub(crate) fn order_store(&self) -> &crate::order::store::OrderStore {
        &self.orders
    }

    /// Returns what the working orders of an instrument could still do at worst.
    pub fn exposure(&self, instrument_id: &InstrumentId) -> Exposure {
        self.orders.exposures().of(instrument_id)
    }

    pub fn portfolio(&self) -> &Portfolio {
        &self.portfolio
    }

    pub fn cash(&self) -> &BTreeMap<Currency, Money> {
        self.portfolio.cash()
    }

    /// Returns fees paid by currency; negative is a rebate.
    pub fn fees(&self) -> &BTreeMap<Currency, Money> {
        self.portfolio.fees()
    }

    /// Returns realised profit by currency, before fees.
    pub fn realized_pnl(&self) -> &BTreeMap<Currency, Money> {
        self.portfolio.realized_pnl()
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the sequence of the event that set the limits, for `expected_sequence`; 0 before.
    pub fn limits_sequence(&self) -> u64 {
        self.limits_sequence
    }

    pub fn trading_state(&self) -> TradingState {
        self.trading_state
    }

    pub fn instruments(&self) -> &BTreeMap<InstrumentId, Instrument> {
        &self.instruments
    }
}

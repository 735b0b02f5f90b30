//! What the venue has of one account.

use super::Trades;
use super::strangers::far_price;
use crate::instruments::Instruments;
use crate::setting::{Funds, Setting};
use apex_domain::account::FundingPayment;
use apex_domain::market::Side;
use apex_domain::number::Decimal;
use apex_domain::order::PositionSide;
use apex_domain::venue::{
    EndReason, Execution, NewOrder, VenueCommand, VenueEnd, VenueReport, VenueStatus,
};
use apex_domain::{
    ClientOrderId, Currency, ExecId, InstrumentId, Money, Price, Quantity, UnixNanos, VenueOrderId,
};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub struct VenueOrder {
    pub new: NewOrder,
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub status: VenueStatus,
    pub executions: Vec<Execution>,
    /// A conditional order trades only once it is.
    pub(super) triggered: bool,
    /// Somebody changed it, overfilled it or made it work again: both sides must come to the same
    /// fills, and may call its end by different names.
    pub by_hand: bool,
}

impl VenueOrder {
    pub fn filled(&self) -> i64 {
        self.executions.iter().map(|e| e.last_quantity.0).sum()
    }

    pub(super) fn leaves(&self) -> i64 {
        self.quantity.0 - self.filled()
    }

    /// Returns true for an order that somebody moved away from the market.
    pub(super) fn is_far(&self) -> bool {
        self.by_hand && self.limit_price == Some(far_price(self.new.side))
    }

    pub fn is_working(&self) -> bool {
        self.status == VenueStatus::Working
    }
}

/// One account at the venue.
#[derive(Debug)]
pub struct Ledger {
    pub(super) account: usize,
    pub instruments: Arc<Instruments>,
    pub(super) funds: Funds,
    pub orders: BTreeMap<ClientOrderId, VenueOrder>,
    /// Orders that were not placed by the account, by the venue's number.
    pub(super) foreign_orders: BTreeMap<u64, VenueOrder>,
    /// Executions that the venue's lists lack while faults go on.
    pub(super) hidden: BTreeSet<ExecId>,
    /// Positions that came or went without an execution, by contract and side.
    pub moved: BTreeMap<(InstrumentId, PositionSide), i64>,
    /// The sides that such a one may be of: long and short where a snapshot tells them apart.
    pub(super) movable: &'static [PositionSide],
    /// What was there at first, and paid in or out at the venue since.
    pub paid: BTreeMap<Currency, Money>,
    pub funding: Vec<FundingPayment>,
    /// Every report in order: the stream of a venue that numbers its reports from 1.
    pub log: Vec<VenueReport>,
    pub(super) unique_ids: bool,
    /// The order of which a second one was made.
    pub doubled: Option<ClientOrderId>,
    /// Executions that were taken back.
    pub busts: u32,
}

fn movable(setting: &Setting) -> &'static [PositionSide] {
    let by_side = setting
        .snapshots
        .as_ref()
        .is_some_and(|given| given.by_side);
    if setting.hedging && by_side {
        &[PositionSide::Net, PositionSide::Long, PositionSide::Short]
    } else {
        &[PositionSide::Net]
    }
}

impl Ledger {
    pub(super) fn new(
        account: usize,
        setting: &Setting,
        instruments: Arc<Instruments>,
        unique_ids: bool,
    ) -> Ledger {
        let opening = setting.opening_cash();
        let opening = opening.map(|(unit, amount)| (crate::instruments::currency(unit), amount));
        Ledger {
            account,
            instruments,
            funds: setting.funds,
            orders: BTreeMap::new(),
            foreign_orders: BTreeMap::new(),
            hidden: BTreeSet::new(),
            moved: BTreeMap::new(),
            movable: movable(setting),
            paid: BTreeMap::from(opening),
            funding: Vec::new(),
            log: Vec::new(),
            unique_ids,
            doubled: None,
            busts: 0,
        }
    }

    /// Takes a command. Reports go to the log; the answer to a query comes back.
    pub(super) fn take(
        &mut self,
        now: UnixNanos,
        command: VenueCommand,
        refused: bool,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) -> Option<VenueReport> {
        match command {
            VenueCommand::New(new) => self.new_order(now, new, trades, rng),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => self.amend(now, client_order_id, quantity, limit_price, stop_price),
            VenueCommand::CancelForeign { venue_order_id, .. } if !refused => {
                self.cancel_foreign(&venue_order_id);
            }
            VenueCommand::CancelForeign { .. } => {}
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.cancel(now, client_order_id, refused),
            VenueCommand::Query {
                client_order_id, ..
            } => return Some(self.answer(now, client_order_id)),
        }
        None
    }

    /// Returns every execution of the account, of orders of its own and of strangers.
    pub fn executions(&self) -> impl Iterator<Item = &Execution> {
        let orders = self.orders.values().chain(self.foreign_orders.values());
        orders.flat_map(|order| &order.executions)
    }

    /// Returns the signed position of each contract by the side that its orders meant; what came
    /// without an order counts with [`PositionSide::Net`].
    pub fn positions(&self) -> BTreeMap<(InstrumentId, PositionSide), i64> {
        let mut positions = BTreeMap::new();
        for order in self.orders.values().chain(self.foreign_orders.values()) {
            let id = &order.new.instrument_id;
            if order.executions.is_empty() || !self.instruments[id].settles_profit() {
                continue;
            }
            let key = (id.clone(), order.new.terms.position_side);
            *positions.entry(key).or_default() += order.filled() * order.new.side.sign();
        }
        for (key, moved) in &self.moved {
            *positions.entry(key.clone()).or_default() += moved;
        }
        positions
    }

    /// Returns the position of an instrument and side with every working order of each direction
    /// filled: the longest and the shortest that it could become.
    pub fn worst_positions(
        &self,
        instrument_id: &InstrumentId,
        position_side: PositionSide,
    ) -> (i64, i64) {
        let orders = self.orders.values();
        let own = orders.filter(|order| {
            order.new.instrument_id == *instrument_id
                && order.new.terms.position_side == position_side
        });
        own.fold((0, 0), |(long, short), order| {
            let sign = order.new.side.sign();
            let filled = order.filled() * sign;
            let open = if order.is_working() {
                order.leaves() * sign
            } else {
                0
            };
            (long + filled + open.max(0), short + filled + open.min(0))
        })
    }

    /// Ends what has an end and has passed it.
    pub fn expire(&mut self, now: UnixNanos) {
        let over: Vec<ClientOrderId> = self
            .orders
            .iter()
            .filter(|(_, order)| order.new.terms.expire_at.is_some_and(|at| now > at))
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            self.end(now, &id, VenueEnd::Expired, EndReason::TimeOver);
        }
    }

    pub(super) fn end(
        &mut self,
        ts_event: UnixNanos,
        id: &ClientOrderId,
        end: VenueEnd,
        reason: EndReason,
    ) -> bool {
        let Some(order) = self.orders.get_mut(id).filter(|order| order.is_working()) else {
            return false;
        };
        order.status = match end {
            VenueEnd::Canceled => VenueStatus::Canceled,
            VenueEnd::Expired => VenueStatus::Expired,
        };
        self.log.push(VenueReport::Ended {
            client_order_id: id.clone(),
            end,
            reason,
            cumulative_quantity: Quantity(order.filled()),
            ts_event,
        });
        true
    }

    pub(super) fn venue_order_id(&self, client_order_id: &ClientOrderId) -> VenueOrderId {
        VenueOrderId::new(&format!("v{}-{client_order_id}", self.account))
            .expect("venue order id is well formed")
    }
}

/// Returns what an execution does to the units of its instrument, signed.
pub(super) fn units(instruments: &Instruments, execution: &Execution) -> Decimal {
    let instrument = &instruments[&execution.instrument_id];
    let quantity = instrument.quantity_decimal(execution.last_quantity);
    match execution.side {
        Side::Buy => quantity,
        Side::Sell => -quantity,
    }
}

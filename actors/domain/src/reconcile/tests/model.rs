//! A venue of a few lines, the truth that an account is healed to.

use super::*;
use crate::id::{ExecId, InstrumentId};
use crate::number::Decimal;
use crate::order::{OrderType, PositionSide, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{
    EndReason, Execution, NewOrder, RejectReason, VenueCommand, VenueEnd, VenueReport, VenueStatus,
};
use std::collections::BTreeMap;

/// An order as the venue has it.
pub struct Taken {
    pub row: VenueOpenOrder,
    pub status: VenueStatus,
    pub executions: Vec<Execution>,
}

/// Its clock moves with everything that happens, so that no two moments are alike.
#[derive(Default)]
pub struct Venue {
    pub now: UnixNanos,
    pub orders: BTreeMap<String, Taken>,
    /// Orders that were placed by other means.
    pub manual_orders: Vec<VenueOpenOrder>,
    pub executions: Vec<Execution>,
    pub positions: BTreeMap<InstrumentId, i64>,
    pub balance: Decimal,
    /// Said and not delivered yet.
    pub reports: Vec<VenueReport>,
    pub count: u64,
}

impl Venue {
    fn tick(&mut self) -> UnixNanos {
        self.now = self.now.plus(1);
        self.now
    }

    pub fn command(&mut self, command: &VenueCommand) {
        let ts_event = self.tick();
        let Some(client_order_id) = command.client_order_id().cloned() else {
            return;
        };
        let id = client_order_id.as_str().to_owned();
        let report = match command {
            VenueCommand::New(order) => self.take(order, ts_event),
            // Left above.
            VenueCommand::CancelForeign { .. } => return,
            VenueCommand::Query { .. } => self.answer(&id, ts_event),
            VenueCommand::Cancel { .. } => match self.end(&id) {
                Some(ended) => ended,
                None => VenueReport::CancelRejected {
                    client_order_id,
                    text: "not open".to_owned(),
                    ts_event,
                },
            },
            VenueCommand::Amend {
                quantity,
                limit_price,
                ..
            } => match self.working(&id) {
                Some(order) if *quantity > order.row.filled_quantity => {
                    order.row.quantity = *quantity;
                    order.row.limit_price = limit_price.or(order.row.limit_price);
                    VenueReport::Amended {
                        client_order_id,
                        quantity: *quantity,
                        limit_price: order.row.limit_price,
                        stop_price: None,
                        ts_event,
                    }
                }
                _ => VenueReport::AmendRejected {
                    client_order_id,
                    text: "not possible".to_owned(),
                    ts_event,
                },
            },
        };
        self.reports.push(report);
    }

    fn take(&mut self, order: &NewOrder, ts_event: UnixNanos) -> VenueReport {
        let client_order_id = order.client_order_id.clone();
        let id = client_order_id.as_str().to_owned();
        if self.orders.contains_key(&id) {
            return VenueReport::Rejected {
                client_order_id,
                reason: RejectReason::DuplicateClientOrderId,
                text: String::new(),
                ts_event,
            };
        }
        assert_eq!(order.order_type, OrderType::Limit);
        assert_eq!(order.time_in_force, TimeInForce::Gtc);
        let venue_order_id = VenueOrderId::new(&format!("v-{id}")).unwrap();
        let row = VenueOpenOrder {
            client_order_id: Some(client_order_id.clone()),
            venue_order_id: venue_order_id.clone(),
            instrument_id: order.instrument_id.clone(),
            side: order.side,
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: None,
            filled_quantity: Quantity::ZERO,
        };
        let taken = Taken {
            row,
            status: VenueStatus::Working,
            executions: vec![],
        };
        self.orders.insert(id, taken);
        VenueReport::Accepted {
            client_order_id,
            venue_order_id,
            ts_event,
        }
    }

    /// Commands arrive at once or never, so "not found" is a proof.
    fn answer(&self, id: &str, ts_event: UnixNanos) -> VenueReport {
        let client_order_id = cid(id);
        match self.orders.get(id) {
            Some(order) => VenueReport::Status {
                client_order_id,
                venue_order_id: order.row.venue_order_id.clone(),
                status: order.status,
                quantity: order.row.quantity,
                limit_price: order.row.limit_price,
                executions: order.executions.clone(),
                ts_event,
                stop_price: None,
            },
            None => VenueReport::NotFound {
                client_order_id,
                proof: true,
                ts_event,
            },
        }
    }

    fn working(&mut self, id: &str) -> Option<&mut Taken> {
        let order = self.orders.get_mut(id)?;
        (order.status == VenueStatus::Working).then_some(order)
    }

    fn end(&mut self, id: &str) -> Option<VenueReport> {
        let ts_event = self.now;
        let order = self.working(id)?;
        order.status = VenueStatus::Canceled;
        Some(VenueReport::Ended {
            client_order_id: cid(id),
            end: VenueEnd::Canceled,
            reason: EndReason::Requested,
            cumulative_quantity: order.row.filled_quantity,
            ts_event,
        })
    }

    /// Ends an order without being asked.
    pub fn expire(&mut self, id: &str) {
        self.tick();
        let report = self.end(id);
        self.reports.extend(report);
    }

    /// Trades a part of a working order at its price.
    pub fn fill(&mut self, id: &str, quantity: i64) {
        self.tick();
        let Some(order) = self.working(id) else {
            return;
        };
        let open = order.row.quantity.0 - order.row.filled_quantity.0;
        let quantity = quantity.min(open);
        let (instrument_id, side) = (order.row.instrument_id.clone(), order.row.side);
        let price = order.row.limit_price.unwrap_or_default();
        let execution = self.trade(id, &instrument_id, side, quantity, price);
        let Some(order) = self.working(id) else {
            return;
        };
        order.row.filled_quantity = Quantity(order.row.filled_quantity.0 + quantity);
        if order.row.filled_quantity == order.row.quantity {
            order.status = VenueStatus::Filled;
        }
        order.executions.push(execution);
    }

    /// A trade that somebody made at the venue's own page.
    pub fn manual_trade(&mut self, quantity: i64, side: Side) {
        self.tick();
        let id = format!("manual-{}", self.count);
        let instrument_id = crate::id::InstrumentId::new(PERP).unwrap();
        self.trade(&id, &instrument_id, side, quantity, Price(10_000));
    }

    pub fn manual_order(&mut self) {
        self.tick();
        let number = self.manual_orders.len();
        self.manual_orders.push(VenueOpenOrder {
            client_order_id: None,
            venue_order_id: VenueOrderId::new(&format!("page-{number}")).unwrap(),
            instrument_id: id(PERP),
            side: Side::Buy,
            quantity: Quantity(5),
            limit_price: Some(Price(9_000)),
            stop_price: None,
            filled_quantity: Quantity::ZERO,
        });
    }

    pub fn deposit(&mut self, amount: i64) {
        self.tick();
        self.balance += Decimal::from(amount);
    }

    fn trade(
        &mut self,
        client: &str,
        instrument_id: &InstrumentId,
        side: Side,
        quantity: i64,
        price: Price,
    ) -> Execution {
        self.count += 1;
        let mut execution = execution(client, "x", instrument_id.as_str(), side, quantity, price.0);
        execution.exec_id = ExecId::new(&format!("x-{}", self.count)).unwrap();
        execution.ts_event = self.now;
        *self.positions.entry(instrument_id.clone()).or_default() += side.sign() * quantity;
        self.balance -= execution.fee.0;
        if instrument_id.as_str() == SPOT {
            let paid = instrument(SPOT)
                .notional(price, Quantity(quantity))
                .unwrap();
            self.balance -= paid.0 * Decimal::from(side.sign());
        }
        self.executions.push(execution.clone());
        let report = VenueReport::Filled(execution.clone());
        self.reports.push(report);
        execution
    }

    /// Everything that it has, with or without the list of executions.
    pub fn snapshot(&mut self, requested_at: UnixNanos, has_executions: bool) -> VenueSnapshot {
        let ts = self.tick();
        let working = self.orders.values();
        let working = working.filter(|order| order.status == VenueStatus::Working);
        let rows = working.map(|order| order.row.clone());
        let orders = rows.chain(self.manual_orders.iter().cloned()).collect();
        let open = self
            .positions
            .iter()
            .filter(|(_, quantity)| **quantity != 0);
        let positions = open.map(|(instrument_id, quantity)| VenuePosition {
            instrument_id: instrument_id.clone(),
            position_side: PositionSide::Net,
            side: if *quantity < 0 { Side::Sell } else { Side::Buy },
            quantity: Quantity(quantity.abs()),
            average_price: Some(Price(10_000)),
        });
        let spot = self.positions.get(&id(SPOT)).copied().unwrap_or_default();
        let balances = [("USDT", self.balance), ("BTC", Decimal::new(spot, 3))];
        let balances = balances.map(|(unit, amount)| VenueBalance {
            currency: currency(unit),
            amount: crate::money::Money(amount),
        });
        VenueSnapshot {
            requested_at,
            open_orders: Some(Part { ts, rows: orders }),
            executions: has_executions.then(|| ExecutionPart {
                since: UnixNanos(0),
                ts,
                rows: self.executions.clone(),
            }),
            positions_by_side: false,
            positions: Some(Part {
                ts,
                rows: positions.collect(),
            }),
            balances: Some(Part {
                ts,
                rows: balances.to_vec(),
            }),
        }
    }
}

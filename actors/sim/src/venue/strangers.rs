//! What happens in an account by other hands than its own process: by the venue's own page, or by
//! the venue.

use super::market::Fill;
use super::{Ledger, Mood, Trades, VenueOrder};
use crate::instruments::{self, HIGHEST_PRICE, LOWEST_PRICE};
use crate::setting::Funds;
use apex_domain::market::Side;
use apex_domain::number::Decimal;
use apex_domain::order::{OrderTerms, OrderType, TimeInForce};
use apex_domain::venue::{Execution, NewOrder, VenueReport, VenueStatus};
use apex_domain::{ClientOrderId, ExecId, Money, Price, Quantity, UnixNanos, VenueOrderId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Ledger {
    /// Somebody places, fills or cancels an order that the account knows nothing of, or moves a
    /// position or cash.
    pub(super) fn act_by_hand(
        &mut self,
        now: UnixNanos,
        mood: Mood,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) {
        let open: Vec<u64> = self
            .foreign_orders
            .iter()
            .filter(|(_, order)| order.is_working())
            .map(|(number, _)| *number)
            .collect();
        let chosen = (!open.is_empty()).then(|| open[rng.random_range(0..open.len())]);
        match (rng.random_range(0..10), chosen) {
            (0..=1, Some(number)) => self.fill_foreign(now, number, trades, rng),
            (2, Some(number)) => {
                if let Some(order) = self.foreign_orders.get_mut(&number) {
                    order.status = VenueStatus::Canceled;
                }
            }
            (3, _) => self.move_holdings(rng),
            (4 | 9, _) => self.amend_by_hand(rng),
            (5, _) => self.reinstate(rng),
            (6, _) if !mood.second_thoughts => self.hide(rng),
            (7, _) => self.tell_nonsense(now, rng),
            (8, _) if rng.random_bool(0.3) => self.overfill(now, trades, rng),
            _ => self.place_foreign(rng),
        }
    }

    /// Nobody is told: the order is missing from the next list.
    pub(super) fn cancel_foreign(&mut self, id: &VenueOrderId) {
        let names: Vec<(u64, ClientOrderId)> = self
            .foreign_orders
            .iter()
            .filter(|(_, order)| order.is_working())
            .map(|(number, order)| (*number, order.new.client_order_id.clone()))
            .collect();
        let mut names = names.into_iter();
        let named = names.find(|(_, name)| self.venue_order_id(name) == *id);
        if let Some(order) = named.and_then(|(number, _)| self.foreign_orders.get_mut(&number)) {
            order.status = VenueStatus::Canceled;
        }
    }

    fn place_foreign(&mut self, rng: &mut ChaCha8Rng) {
        let number = self.foreign_orders.len() as u64;
        let ids = match self.funds {
            Funds::Cash => [instruments::SPOT, instruments::COARSE],
            _ => [instruments::PERP, instruments::INVERSE],
        };
        let client_order_id = ClientOrderId::new(&format!("web-{number}"));
        let quantity = Quantity(rng.random_range(1..200));
        let new = NewOrder {
            client_order_id: client_order_id.expect("client order id is well formed"),
            instrument_id: instruments::id(ids[rng.random_range(0..2)]),
            side: if rng.random_bool(0.5) {
                Side::Buy
            } else {
                Side::Sell
            },
            order_type: OrderType::Limit,
            quantity,
            limit_price: Some(Price(rng.random_range(9_000..11_000))),
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            terms: OrderTerms::default(),
        };
        let order = VenueOrder {
            quantity,
            limit_price: new.limit_price,
            status: VenueStatus::Working,
            executions: Vec::new(),
            triggered: true,
            by_hand: false,
            new,
        };
        self.foreign_orders.insert(number, order);
    }

    /// The account is told of the fill, as of every other one.
    fn fill_foreign(
        &mut self,
        ts_event: UnixNanos,
        number: u64,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) {
        let Some(order) = self.foreign_orders.get_mut(&number) else {
            return;
        };
        let quantity = Quantity(rng.random_range(1..=order.leaves()));
        let price = order.limit_price.unwrap_or(Price(10_000));
        let instrument = &self.instruments[&order.new.instrument_id];
        let fee = instrument.fee_of(order.new.side, price, quantity, true);
        let fee = fee.expect("small numbers have a fee");
        trades.0 += 1;
        let execution = Execution {
            exec_id: ExecId::new(&format!("x{}", trades.0)).expect("exec id is well formed"),
            client_order_id: order.new.client_order_id.clone(),
            instrument_id: order.new.instrument_id.clone(),
            side: order.new.side,
            last_quantity: quantity,
            last_price: price,
            fee: fee.amount,
            fee_currency: fee.currency,
            maker: true,
            ts_event,
        };
        order.executions.push(execution.clone());
        if order.leaves() == 0 {
            order.status = VenueStatus::Filled;
        }
        self.log.push(VenueReport::Filled(execution));
    }

    /// A position or cash comes or goes without any report: only a snapshot shows it.
    fn move_holdings(&mut self, rng: &mut ChaCha8Rng) {
        if self.funds == Funds::Cash {
            let unit = instruments::currency(["USDT", "BTC", "ETH"][rng.random_range(0..3)]);
            let sum = self.paid.entry(unit).or_default();
            sum.0 += Decimal::new(rng.random_range(-1_000..10_000), 3);
            return;
        }
        let id = instruments::id(instruments::PERP);
        let moved: i64 = rng.random_range(-300..300);
        let side = self.movable[moved.unsigned_abs() as usize % self.movable.len()];
        *self.moved.entry((id, side)).or_default() += moved;
    }

    /// Returns one of the account's own orders that `wanted` lets pass.
    fn one_of(
        &self,
        wanted: impl Fn(&VenueOrder) -> bool,
        rng: &mut ChaCha8Rng,
    ) -> Option<ClientOrderId> {
        let orders = self.orders.iter().filter(|(_, order)| wanted(order));
        let ids: Vec<&ClientOrderId> = orders.map(|(id, _)| id).collect();
        (!ids.is_empty()).then(|| ids[rng.random_range(0..ids.len())].clone())
    }

    /// Somebody moves an order of the account to where it does not trade, which is not told.
    fn amend_by_hand(&mut self, rng: &mut ChaCha8Rng) {
        let id = self.one_of(
            |order| order.is_working() && order.limit_price.is_some(),
            rng,
        );
        if let Some(order) = id.and_then(|id| self.orders.get_mut(&id)) {
            order.quantity.0 += 5 * rng.random_range(0..20);
            order.limit_price = Some(far_price(order.new.side));
            order.by_hand = true;
        }
    }

    /// A canceled order works again.
    fn reinstate(&mut self, rng: &mut ChaCha8Rng) {
        let canceled = |order: &VenueOrder| {
            order.status == VenueStatus::Canceled
                && order.leaves() > 0
                && order.new.time_in_force == TimeInForce::Gtc
        };
        let id = self.one_of(canceled, rng);
        if let Some(order) = id.and_then(|id| self.orders.get_mut(&id)) {
            order.status = VenueStatus::Working;
            order.by_hand = true;
        }
    }

    /// The venue's list of executions lacks one for a while.
    fn hide(&mut self, rng: &mut ChaCha8Rng) {
        let ids: Vec<ExecId> = self.executions().map(|one| one.exec_id.clone()).collect();
        if !ids.is_empty() {
            self.hidden
                .insert(ids[rng.random_range(0..ids.len())].clone());
        }
    }

    /// More is filled than was ordered.
    fn overfill(&mut self, now: UnixNanos, trades: &mut Trades, rng: &mut ChaCha8Rng) {
        if let Some(id) = self.one_of(VenueOrder::is_working, rng) {
            let mut fill = Fill::draw(self, &id, trades, rng);
            fill.quantity = self.leaves_of(&id) + 5;
            self.fill(now, &id, fill);
            if let Some(order) = self.orders.get_mut(&id) {
                order.by_hand = true;
            }
        }
    }

    /// A report that is of nothing, or that cannot be.
    fn tell_nonsense(&mut self, ts_event: UnixNanos, rng: &mut ChaCha8Rng) {
        let refused = |order: &VenueOrder| order.status == VenueStatus::Rejected;
        let nobody = ClientOrderId::new("nobody").expect("client order id is well formed");
        let known = self.one_of(refused, rng);
        self.log.push(match (rng.random_range(0..3), known) {
            (0, Some(client_order_id)) => VenueReport::Triggered {
                client_order_id,
                ts_event,
            },
            (1, _) => VenueReport::Filled(nothing(nobody, ts_event)),
            _ => VenueReport::CancelRejected {
                client_order_id: nobody,
                text: "what?".to_owned(),
                ts_event,
            },
        });
    }
}

/// Where no order trades: as far from the market as prices of the simulator go.
pub(super) fn far_price(side: Side) -> Price {
    match side {
        Side::Buy => LOWEST_PRICE,
        Side::Sell => HIGHEST_PRICE,
    }
}

/// An execution of no quantity.
fn nothing(client_order_id: ClientOrderId, ts_event: UnixNanos) -> Execution {
    Execution {
        exec_id: ExecId::new("x0").expect("exec id is well formed"),
        client_order_id,
        instrument_id: instruments::id(instruments::SPOT),
        side: Side::Buy,
        last_quantity: Quantity(0),
        last_price: Price(10_000),
        fee: Money::ZERO,
        fee_currency: instruments::currency("USDT"),
        maker: false,
        ts_event,
    }
}

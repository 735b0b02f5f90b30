//! What the market does to an account's orders: it triggers, fills, ends and takes back.

use super::{Ledger, Mood, Trades, VenueOrder};
use crate::instruments::LOWEST_PRICE;
use crate::setting::Funds;
use apex_domain::market::Side;
use apex_domain::order::OrderType;
use apex_domain::venue::{EndReason, Execution, VenueEnd, VenueReport, VenueStatus};
use apex_domain::{ClientOrderId, ExecId, Price, Quantity, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// One side of a trade.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub trade: u64,
    pub quantity: i64,
    pub price: Price,
}

impl Fill {
    /// Draws a fill of a part or all of an order that has something open.
    pub fn draw(
        ledger: &Ledger,
        id: &ClientOrderId,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) -> Fill {
        let leaves = ledger.leaves_of(id);
        let quantity = if rng.random_bool(0.4) {
            leaves
        } else {
            rng.random_range(1..=leaves)
        };
        trades.0 += 1;
        Fill {
            trade: trades.0,
            quantity,
            price: ledger.price_of(id, rng),
        }
    }
}

impl Ledger {
    /// The market moves: a working order triggers, trades or, now and then, ends.
    pub(super) fn act(
        &mut self,
        now: UnixNanos,
        mood: Mood,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) {
        if rng.random_bool(0.03) {
            self.pay_funding(now, rng);
        }
        if mood.foreign && rng.random_bool(0.06) {
            return self.act_by_hand(now, mood, trades, rng);
        }
        if mood.second_thoughts && rng.random_bool(0.04) {
            return self.bust(now, mood.heard, rng);
        }
        if mood.second_thoughts && rng.random_bool(0.02) {
            return self.contradict(rng);
        }
        let late = mood.second_thoughts && rng.random_bool(0.02);
        let wanted = if late {
            VenueStatus::Canceled
        } else {
            VenueStatus::Working
        };
        let candidates: Vec<ClientOrderId> = self
            .orders
            .iter()
            .filter(|(_, order)| order.status == wanted && order.leaves() > 0)
            .filter(|(_, order)| !order.is_far())
            .map(|(id, _)| id.clone())
            .collect();
        if candidates.is_empty() {
            return;
        }
        let chosen = &candidates[rng.random_range(0..candidates.len())];
        let triggered = self.orders[chosen].triggered;
        if !late && rng.random_bool(0.05) {
            self.end_by_itself(now, chosen, rng);
        } else if triggered {
            let fill = Fill::draw(self, chosen, trades, rng);
            self.fill(now, chosen, fill);
        } else if !late {
            self.trigger(now, chosen);
        }
    }

    fn end_by_itself(&mut self, now: UnixNanos, id: &ClientOrderId, rng: &mut ChaCha8Rng) {
        let end = if rng.random_bool(0.5) {
            VenueEnd::Expired
        } else {
            VenueEnd::Canceled
        };
        let reasons = [
            EndReason::Other,
            EndReason::SelfTrade,
            EndReason::Liquidation,
            EndReason::NoLiquidity,
        ];
        self.end(now, id, end, reasons[rng.random_range(0..reasons.len())]);
    }

    fn trigger(&mut self, ts_event: UnixNanos, id: &ClientOrderId) {
        if let Some(order) = self.orders.get_mut(id) {
            order.triggered = true;
            self.log.push(VenueReport::Triggered {
                client_order_id: id.clone(),
                ts_event,
            });
        }
    }

    /// Takes an execution back. A working order may trade its quantity again, an ended one stays
    /// ended.
    ///
    /// Only what the account has durably heard of is taken back: a trade is reported long before
    /// anyone disputes it.
    fn bust(&mut self, ts_event: UnixNanos, heard: u64, rng: &mut ChaCha8Rng) {
        let heard = self.log.iter().take(heard as usize);
        let known: Vec<&Execution> = heard
            .filter_map(|report| match report {
                VenueReport::Filled(execution) => Some(execution),
                _ => None,
            })
            .filter(|e| {
                let order = self.orders.get(&e.client_order_id);
                order.is_some_and(|order| order.executions.contains(e))
            })
            .collect();
        if known.is_empty() {
            return;
        }
        let busted = known[rng.random_range(0..known.len())].clone();
        let id = &busted.client_order_id;
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        order.executions.retain(|execution| *execution != busted);
        if order.status == VenueStatus::Filled {
            order.status = VenueStatus::Canceled;
        }
        self.busts += 1;
        self.log.push(VenueReport::Busted {
            client_order_id: id.clone(),
            exec_id: busted.exec_id,
            instrument_id: busted.instrument_id,
            ts_event,
        });
    }

    /// Tells an execution once more, with another quantity.
    fn contradict(&mut self, rng: &mut ChaCha8Rng) {
        let mut executions = self.orders.values().flat_map(|order| &order.executions);
        if let Some(first) = executions.next() {
            let chosen = executions.next_back().filter(|_| rng.random_bool(0.5));
            let mut other = chosen.unwrap_or(first).clone();
            other.last_quantity.0 += 1;
            self.log.push(VenueReport::Filled(other));
        }
    }

    /// Returns an order of each side of one instrument that could trade with each other.
    pub(super) fn meeting(
        &self,
        other: &Ledger,
        rng: &mut ChaCha8Rng,
    ) -> Option<(ClientOrderId, ClientOrderId)> {
        let open = |ledger: &Ledger| -> Vec<ClientOrderId> {
            let trades = |order: &VenueOrder| order.is_working() && order.triggered;
            let orders = ledger.orders.iter().filter(|(_, order)| trades(order));
            orders.map(|(id, _)| id.clone()).collect()
        };
        let (ours, theirs) = (open(self), open(other));
        let first = (!ours.is_empty()).then(|| &ours[rng.random_range(0..ours.len())])?;
        let first_order = &self.orders[first];
        let second = theirs.iter().find(|id| {
            let order = &other.orders[*id];
            order.new.instrument_id == first_order.new.instrument_id
                && order.new.side != first_order.new.side
        })?;
        // The price is the first one's; a buyer with cover for less than that has no share in it.
        let covered = self.funds != Funds::Cash;
        covered.then(|| (first.clone(), second.clone()))
    }

    pub(super) fn leaves_of(&self, id: &ClientOrderId) -> i64 {
        self.orders[id].leaves()
    }

    /// Returns a price for an order to trade at: its limit, or one near the market. A buy without
    /// a limit that has to be covered trades where it never costs more than was counted.
    pub(super) fn price_of(&self, id: &ClientOrderId, rng: &mut ChaCha8Rng) -> Price {
        let order = &self.orders[id];
        let near = Price(rng.random_range(9_950..=10_001));
        let counted = self.funds == Funds::Cash && order.new.side == Side::Buy;
        order
            .limit_price
            .unwrap_or(if counted { LOWEST_PRICE } else { near })
    }

    pub(super) fn fill(&mut self, ts_event: UnixNanos, id: &ClientOrderId, fill: Fill) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        let Fill {
            trade,
            quantity,
            price,
        } = fill;
        // The rest of a market-to-limit order rests at the price of its first fill.
        let becomes_limit =
            order.new.order_type == OrderType::MarketToLimit && order.limit_price.is_none();
        let quantity_now = order.quantity;
        let maker = !order.new.time_in_force.is_immediate();
        let instrument = &self.instruments[&order.new.instrument_id];
        let fee = instrument
            .fee_of(order.new.side, price, Quantity(quantity), maker)
            .expect("small numbers have a fee");
        let execution = Execution {
            exec_id: ExecId::new(&format!("x{trade}")).expect("exec id is well formed"),
            client_order_id: id.clone(),
            instrument_id: order.new.instrument_id.clone(),
            side: order.new.side,
            last_quantity: Quantity(quantity),
            last_price: price,
            fee: fee.amount,
            fee_currency: fee.currency,
            maker,
            ts_event,
        };
        order.executions.push(execution.clone());
        if order.leaves() <= 0 && order.is_working() {
            order.status = VenueStatus::Filled;
        }
        let rests = becomes_limit && order.is_working();
        if rests {
            order.limit_price = Some(price);
        }
        self.log.push(VenueReport::Filled(execution));
        if rests {
            self.log.push(VenueReport::Amended {
                client_order_id: id.clone(),
                quantity: quantity_now,
                limit_price: Some(price),
                stop_price: None,
                ts_event,
            });
        }
    }
}

//! The venue: the truth about orders and fills, which the account must come to agree with.

use apex_domain::market::Side;
use apex_domain::order::OrderType;
use apex_domain::venue::{
    EndReason, Execution, NewOrder, RejectReason, VenueCommand, VenueEnd, VenueReport, VenueStatus,
};
use apex_domain::{
    ClientOrderId, Currency, ExecId, Instrument, InstrumentId, Price, Quantity, UnixNanos,
    VenueOrderId,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// An order as the venue has it.
#[derive(Clone, Debug)]
pub struct VenueOrder {
    pub new: NewOrder,
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub status: VenueStatus,
    pub executions: Vec<Execution>,
    /// A conditional order trades only once it is.
    triggered: bool,
}

impl VenueOrder {
    pub fn filled(&self) -> i64 {
        self.executions.iter().map(|e| e.last_quantity.0).sum()
    }

    fn leaves(&self) -> i64 {
        self.quantity.0 - self.filled()
    }
}

/// One venue with one account.
#[derive(Debug)]
pub struct Venue {
    instruments: BTreeMap<InstrumentId, Instrument>,
    pub orders: BTreeMap<ClientOrderId, VenueOrder>,
    /// Every report in order: the stream of a venue that numbers its reports from 1.
    pub log: Vec<VenueReport>,
    unique_ids: bool,
    /// The order of which a second one was made.
    pub doubled: Option<ClientOrderId>,
    executions: u64,
    /// Executions that were taken back.
    pub busts: u32,
}

impl Venue {
    pub fn new(instruments: BTreeMap<InstrumentId, Instrument>, unique_ids: bool) -> Venue {
        Venue {
            instruments,
            orders: BTreeMap::new(),
            log: Vec::new(),
            unique_ids,
            doubled: None,
            executions: 0,
            busts: 0,
        }
    }

    /// Takes a command. Reports go to the log; the answer to a query comes back.
    pub fn take(
        &mut self,
        now: UnixNanos,
        command: VenueCommand,
        refused_cancels: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<VenueReport> {
        match command {
            VenueCommand::New(new) => self.new_order(now, new, rng),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => self.amend(now, client_order_id, quantity, limit_price, stop_price),
            VenueCommand::Cancel {
                client_order_id, ..
            } => {
                let refused = rng.random_bool(refused_cancels);
                self.cancel(now, client_order_id, refused);
            }
            // Every order there is ours.
            VenueCommand::CancelForeign { .. } => {}
            VenueCommand::Query {
                client_order_id, ..
            } => {
                return Some(self.answer(now, client_order_id));
            }
        }
        None
    }

    fn new_order(&mut self, ts_event: UnixNanos, new: NewOrder, rng: &mut ChaCha8Rng) {
        let client_order_id = new.client_order_id.clone();
        let reject = |reason| VenueReport::Rejected {
            client_order_id: client_order_id.clone(),
            reason,
            text: "refused".to_owned(),
            ts_event,
        };
        if self.orders.contains_key(&client_order_id) {
            if self.unique_ids {
                self.log.push(reject(RejectReason::DuplicateClientOrderId));
            } else {
                self.doubled = Some(client_order_id);
            }
            return;
        }
        let refused = rng.random_bool(0.05);
        self.log.push(if refused {
            reject(RejectReason::Other)
        } else {
            VenueReport::Accepted {
                client_order_id: client_order_id.clone(),
                venue_order_id: venue_order_id(&client_order_id),
                ts_event,
            }
        });
        let order = VenueOrder {
            quantity: new.quantity,
            limit_price: new.limit_price,
            status: if refused {
                VenueStatus::Rejected
            } else {
                VenueStatus::Working
            },
            executions: Vec::new(),
            triggered: !new.order_type.is_conditional(),
            new,
        };
        let immediate = order.new.time_in_force.is_immediate();
        self.orders.insert(client_order_id.clone(), order);
        if immediate && !refused {
            if rng.random_bool(0.7) {
                self.fill(ts_event, &client_order_id, rng);
            }
            self.end(
                ts_event,
                &client_order_id,
                VenueEnd::Canceled,
                EndReason::NoLiquidity,
            );
        }
    }

    fn amend(
        &mut self,
        ts_event: UnixNanos,
        client_order_id: ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
    ) {
        let order = self.orders.get_mut(&client_order_id);
        let report = match order {
            Some(order) if order.status == VenueStatus::Working && quantity.0 > order.filled() => {
                order.quantity = quantity;
                order.limit_price = limit_price.or(order.limit_price);
                order.new.terms.stop_price = stop_price.or(order.new.terms.stop_price);
                VenueReport::Amended {
                    client_order_id,
                    quantity,
                    limit_price: order.limit_price,
                    stop_price: order.new.terms.stop_price,
                    ts_event,
                }
            }
            _ => VenueReport::AmendRejected {
                client_order_id,
                text: "not possible".to_owned(),
                ts_event,
            },
        };
        self.log.push(report);
    }

    fn cancel(&mut self, ts_event: UnixNanos, client_order_id: ClientOrderId, refused: bool) {
        if refused
            || !self.end(
                ts_event,
                &client_order_id,
                VenueEnd::Canceled,
                EndReason::Requested,
            )
        {
            self.log.push(VenueReport::CancelRejected {
                client_order_id,
                text: "not working".to_owned(),
                ts_event,
            });
        }
    }

    fn answer(&self, ts_event: UnixNanos, client_order_id: ClientOrderId) -> VenueReport {
        match self.orders.get(&client_order_id) {
            Some(order) => VenueReport::Status {
                venue_order_id: venue_order_id(&client_order_id),
                client_order_id,
                status: order.status,
                quantity: order.quantity,
                limit_price: order.limit_price,
                stop_price: order.new.terms.stop_price,
                executions: order.executions.clone(),
                ts_event,
            },
            // Whether this proves anything is for the session to say.
            None => VenueReport::NotFound {
                client_order_id,
                proof: false,
                ts_event,
            },
        }
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

    /// The market moves: a working order triggers, trades or, now and then, expires. With second
    /// thoughts a canceled one may trade once more, an execution may be taken back, and one may be
    /// told again with another content.
    ///
    /// Only what the account has durably heard of is taken back (`heard` reports of the log): a
    /// trade is reported long before anyone disputes it.
    pub fn act(&mut self, now: UnixNanos, second_thoughts: bool, heard: u64, rng: &mut ChaCha8Rng) {
        if second_thoughts && rng.random_bool(0.04) {
            return self.bust(now, heard, rng);
        }
        if second_thoughts && rng.random_bool(0.02) {
            return self.contradict(rng);
        }
        let late = second_thoughts && rng.random_bool(0.02);
        let wanted = if late {
            VenueStatus::Canceled
        } else {
            VenueStatus::Working
        };
        let candidates: Vec<ClientOrderId> = self
            .orders
            .iter()
            .filter(|(_, order)| order.status == wanted && order.leaves() > 0)
            .map(|(id, _)| id.clone())
            .collect();
        if candidates.is_empty() {
            return;
        }
        let chosen = &candidates[rng.random_range(0..candidates.len())];
        let triggered = self.orders[chosen].triggered;
        if !late && rng.random_bool(0.05) {
            self.end(now, chosen, VenueEnd::Expired, EndReason::Other);
        } else if triggered {
            self.fill(now, chosen, rng);
        } else if !late {
            self.trigger(now, chosen);
        }
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
    fn bust(&mut self, ts_event: UnixNanos, heard: u64, rng: &mut ChaCha8Rng) {
        let heard = self.log.iter().take(heard as usize);
        let known: Vec<&Execution> = heard
            .filter_map(|report| match report {
                VenueReport::Filled(execution) => Some(execution),
                _ => None,
            })
            .filter(|e| self.orders[&e.client_order_id].executions.contains(e))
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

    /// Returns the position of an instrument with every working order of each side filled: the
    /// longest and the shortest that it could become.
    pub fn worst_positions(&self, instrument_id: &InstrumentId) -> (i64, i64) {
        let orders = self.orders.values();
        let own = orders.filter(|order| order.new.instrument_id == *instrument_id);
        own.fold((0, 0), |(long, short), order| {
            let sign = order.new.side.sign();
            let filled = order.filled() * sign;
            let open = if order.status == VenueStatus::Working {
                order.leaves() * sign
            } else {
                0
            };
            (long + filled + open.max(0), short + filled + open.min(0))
        })
    }

    fn fill(&mut self, ts_event: UnixNanos, id: &ClientOrderId, rng: &mut ChaCha8Rng) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        let leaves = order.leaves();
        let quantity = if rng.random_bool(0.4) {
            leaves
        } else {
            rng.random_range(1..=leaves)
        };
        let price = order.limit_price.unwrap_or(Price(10_000));
        // The rest of a market-to-limit order rests at the price of its first fill.
        let becomes_limit =
            order.new.order_type == OrderType::MarketToLimit && order.limit_price.is_none();
        let quantity_now = order.quantity;
        self.executions += 1;
        let maker = !order.new.time_in_force.is_immediate();
        let instrument = &self.instruments[&order.new.instrument_id];
        let execution = Execution {
            exec_id: ExecId::new(&format!("x{}", self.executions)).expect("exec id is well formed"),
            client_order_id: id.clone(),
            instrument_id: order.new.instrument_id.clone(),
            side: order.new.side,
            last_quantity: Quantity(quantity),
            last_price: price,
            fee: instrument
                .fee(price, Quantity(quantity), maker)
                .expect("small numbers have a fee"),
            fee_currency: fee_currency(instrument, order.new.side),
            maker,
            ts_event,
        };
        order.executions.push(execution.clone());
        if order.leaves() == 0 && order.status == VenueStatus::Working {
            order.status = VenueStatus::Filled;
        }
        let rests = becomes_limit && order.status == VenueStatus::Working;
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

    fn end(
        &mut self,
        ts_event: UnixNanos,
        id: &ClientOrderId,
        end: VenueEnd,
        reason: EndReason,
    ) -> bool {
        let working = |order: &&mut VenueOrder| order.status == VenueStatus::Working;
        let Some(order) = self.orders.get_mut(id).filter(working) else {
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
}

/// Spot buys pay their fee in the asset that was bought, as many venues have it.
fn fee_currency(instrument: &Instrument, side: Side) -> Currency {
    let in_base =
        instrument.kind == apex_domain::instrument::InstrumentKind::Spot && side == Side::Buy;
    if in_base {
        instrument.base_currency.clone()
    } else {
        instrument.quote_currency.clone()
    }
}

fn venue_order_id(client_order_id: &ClientOrderId) -> VenueOrderId {
    VenueOrderId::new(&format!("v-{client_order_id}")).expect("venue order id is well formed")
}

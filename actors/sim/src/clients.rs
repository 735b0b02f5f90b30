//! Clients: they ask, ask again when no answer comes, and remember what they were told.

use apex_domain::account::{AccountInput, CancelFilter, Reply};
use apex_domain::event::CloseScope;
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, OrderKey, SubmitList, SubmitOrder};
use apex_domain::risk::{MarketRef, MarketView, ReasonCode, TradingState};
use apex_domain::{InstrumentId, Price, Quantity, RequestId, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

mod orders;

/// The orders that an answer is awaited for, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    One(usize),
    Many(Vec<usize>),
}

/// Every order that was asked for, and whether it was answered.
#[derive(Debug, Default)]
pub struct Clients {
    pub asked: Vec<SubmitOrder>,
    answered: Vec<bool>,
    /// Every list, and the numbers of its orders.
    pub lists: Vec<(SubmitList, Vec<usize>)>,
    requests: u64,
    /// What was halted and is to be resumed.
    halted: bool,
    /// The price that the market stands at, a mantissa.
    price: Option<i64>,
    /// Operators close positions. Strategies that hold against each other are closed one by one,
    /// so that the account may pass through more than a limit of its orders allows.
    closes: bool,
}

impl Clients {
    /// Returns clients of which the operators close positions, or never do.
    pub fn new(closes: bool) -> Clients {
        Clients {
            closes,
            ..Clients::default()
        }
    }

    /// Returns the next thing that a client does, with the orders that it waits for.
    pub fn next(
        &mut self,
        now: UnixNanos,
        instruments: &[InstrumentId],
        rng: &mut ChaCha8Rng,
    ) -> (AccountInput, Option<Question>) {
        let old = (!self.asked.is_empty()).then(|| rng.random_range(0..self.asked.len()));
        match (rng.random_range(0..24), old) {
            (0..=3, Some(old)) => self.ask_again(old, instruments, now),
            (4..=7, Some(old)) => (self.amend(old, now, rng), None),
            (8..=10, Some(old)) => (self.cancel(old), None),
            (11, Some(_)) if rng.random_bool(0.2) => (cancel_side(side(rng)), None),
            (12, _) if rng.random_bool(0.15) => (self.operate(instruments, rng), None),
            (13..=15, _) => self.list(now, instruments, rng),
            _ => {
                let order = self.new_order(instruments, rng);
                let new = self.remember(order);
                (self.submit(new, now), Some(Question::One(new)))
            }
        }
    }

    /// Asks once more for an order, with its list where it belongs to one.
    fn ask_again(
        &self,
        old: usize,
        instruments: &[InstrumentId],
        now: UnixNanos,
    ) -> (AccountInput, Option<Question>) {
        let list = self
            .lists
            .iter()
            .find(|(_, numbers)| numbers.contains(&old));
        match list {
            Some((list, numbers)) => {
                let question = Question::Many(numbers.clone());
                (submit_list(list.clone(), instruments, now), Some(question))
            }
            None => (self.submit(old, now), Some(Question::One(old))),
        }
    }

    fn remember(&mut self, order: SubmitOrder) -> usize {
        self.asked.push(order);
        self.answered.push(false);
        self.asked.len() - 1
    }

    /// Takes an answer. Errors: an answer that no client may get.
    pub fn answer(&mut self, question: &Question, reply: &Reply) -> Result<(), String> {
        match (question, reply) {
            (Question::One(number), Reply::Order(order))
                if order.request == self.asked[*number] =>
            {
                self.answered[*number] = true;
                Ok(())
            }
            (Question::Many(numbers), Reply::Outcomes(outcomes))
                if outcomes.len() == numbers.len() =>
            {
                for (number, outcome) in numbers.iter().zip(outcomes) {
                    match &outcome.result {
                        Ok(order) if order.request == self.asked[*number] => {
                            self.answered[*number] = true;
                        }
                        other => return Err(format!("order {number} was answered by {other:?}")),
                    }
                }
                Ok(())
            }
            (question, other) => Err(format!("{question:?} was answered by {other:?}")),
        }
    }

    pub fn answered(&self) -> impl Iterator<Item = &SubmitOrder> {
        let pairs = self.asked.iter().zip(&self.answered);
        pairs.filter_map(|(order, answered)| answered.then_some(order))
    }

    /// Returns the market a moment later: a walk between the prices that clients use.
    pub fn market_view(&mut self, now: UnixNanos, rng: &mut ChaCha8Rng) -> MarketView {
        let price = self.price.unwrap_or(10_000) + rng.random_range(-300..=300);
        let price = price.clamp(9_002, 10_998);
        self.price = Some(price);
        MarketView {
            bid: Some(Price(price - 1)),
            ask: Some(Price(price + 1)),
            last: Some(Price(price)),
            mark: None,
            ts: now,
        }
    }

    fn key(&self, index: usize) -> OrderKey {
        OrderKey::ClientOrderId(self.asked[index].client_order_id.clone())
    }

    fn cancel(&self, index: usize) -> AccountInput {
        AccountInput::Cancel {
            key: self.key(index),
            request_id: None,
            reason_code: ReasonCode::CanceledByUser,
        }
    }

    fn submit(&self, index: usize, now: UnixNanos) -> AccountInput {
        AccountInput::Submit {
            request: Box::new(self.asked[index].clone()),
            market: market(now),
        }
    }

    fn list(
        &mut self,
        now: UnixNanos,
        instruments: &[InstrumentId],
        rng: &mut ChaCha8Rng,
    ) -> (AccountInput, Option<Question>) {
        let list = self.new_list(instruments, rng);
        let orders = list.orders.iter().cloned();
        let numbers: Vec<usize> = orders.map(|order| self.remember(order)).collect();
        self.lists.push((list.clone(), numbers.clone()));
        let question = Question::Many(numbers);
        (submit_list(list, instruments, now), Some(question))
    }

    /// What an operator does: the kill switch, resuming, closing positions.
    fn operate(&mut self, instruments: &[InstrumentId], rng: &mut ChaCha8Rng) -> AccountInput {
        let by = "ops".to_owned();
        let reason = "drill".to_owned();
        if self.halted {
            self.halted = false;
            return AccountInput::SetTradingState {
                request_id: None,
                state: TradingState::Active,
                by,
                reason,
            };
        }
        if !self.closes || rng.random_bool(0.5) {
            self.halted = true;
            return AccountInput::Halt {
                request_id: Some(self.next_request()),
                cancel: rng.random_bool(0.7),
                flatten: self.closes && rng.random_bool(0.3),
                by,
                reason,
            };
        }
        let chosen = rng.random_range(0..instruments.len());
        AccountInput::Close {
            scope: CloseScope {
                instrument_id: rng.random_bool(0.7).then(|| instruments[chosen].clone()),
                ..CloseScope::default()
            },
            request_id: Some(self.next_request()),
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(&format!("r{}", self.requests)).expect("request id is well formed")
    }

    fn amend(&mut self, index: usize, now: UnixNanos, rng: &mut ChaCha8Rng) -> AccountInput {
        let request_id = self.next_request();
        let stops = self.asked[index].terms.stop_price.is_some();
        AccountInput::Amend {
            request: AmendOrder {
                key: self.key(index),
                request_id,
                quantity: Some(Quantity(rng.random_range(1..2_000))),
                limit_price: rng
                    .random_bool(0.5)
                    .then(|| Price(rng.random_range(9_000..11_000))),
                stop_price: (stops && rng.random_bool(0.5))
                    .then(|| Price(rng.random_range(9_000..11_000))),
                expected_sequence: None,
            },
            market: market(now),
        }
    }
}

fn cancel_side(side: Side) -> AccountInput {
    AccountInput::CancelAll {
        filter: CancelFilter {
            side: Some(side),
            ..CancelFilter::default()
        },
        request_id: None,
        reason_code: ReasonCode::CanceledByUser,
    }
}

fn submit_list(list: SubmitList, instruments: &[InstrumentId], now: UnixNanos) -> AccountInput {
    let markets = instruments.iter().map(|id| (id.clone(), market(now)));
    AccountInput::SubmitList {
        list: Box::new(list),
        markets: BTreeMap::from_iter(markets),
    }
}

fn side(rng: &mut ChaCha8Rng) -> Side {
    if rng.random_bool(0.5) {
        Side::Buy
    } else {
        Side::Sell
    }
}

fn market(now: UnixNanos) -> MarketRef {
    MarketRef {
        bid: Some(Price(9_999)),
        ask: Some(Price(10_001)),
        ts: now,
    }
}

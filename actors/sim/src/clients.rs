//! Clients: they ask, ask again when no answer comes, and remember what they were told.

use apex_domain::account::{AccountInput, CancelFilter, Reply};
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, OrderKey, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::{MarketRef, ReasonCode};
use apex_domain::{ClientOrderId, InstrumentId, Price, Quantity, RequestId, StrategyId, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Every order that was asked for, and whether it was answered.
#[derive(Debug, Default)]
pub struct Clients {
    pub asked: Vec<SubmitOrder>,
    answered: Vec<bool>,
    requests: u64,
}

impl Clients {
    /// Returns the next thing that a client does, with the number of the order it waits for.
    pub fn next(
        &mut self,
        now: UnixNanos,
        instruments: &[InstrumentId],
        rng: &mut ChaCha8Rng,
    ) -> (AccountInput, Option<usize>) {
        let old = (!self.asked.is_empty()).then(|| rng.random_range(0..self.asked.len()));
        match (rng.random_range(0..20), old) {
            (0..=3, Some(old)) => (self.submit(old, now), Some(old)),
            (4..=7, Some(old)) => (self.amend(old, now, rng), None),
            (8..=10, Some(old)) => {
                let input = AccountInput::Cancel {
                    key: self.key(old),
                    request_id: None,
                    reason_code: ReasonCode::CanceledByUser,
                };
                (input, None)
            }
            (11, Some(_)) if rng.random_bool(0.2) => {
                let filter = CancelFilter {
                    side: Some(side(rng)),
                    ..CancelFilter::default()
                };
                let reason_code = ReasonCode::CanceledByUser;
                (
                    AccountInput::CancelAll {
                        filter,
                        reason_code,
                        request_id: None,
                    },
                    None,
                )
            }
            _ => {
                let order = self.new_order(instruments, rng);
                self.asked.push(order);
                self.answered.push(false);
                let new = self.asked.len() - 1;
                (self.submit(new, now), Some(new))
            }
        }
    }

    /// Takes an answer. Errors: an answer that no client may get.
    pub fn answer(&mut self, question: usize, reply: &Reply) -> Result<(), String> {
        match reply {
            Reply::Order(order) if order.request == self.asked[question] => {
                self.answered[question] = true;
                Ok(())
            }
            other => Err(format!("submit {question} was answered by {other:?}")),
        }
    }

    pub fn answered(&self) -> impl Iterator<Item = &SubmitOrder> {
        let pairs = self.asked.iter().zip(&self.answered);
        pairs.filter_map(|(order, answered)| answered.then_some(order))
    }

    fn key(&self, index: usize) -> OrderKey {
        OrderKey::ClientOrderId(self.asked[index].client_order_id.clone())
    }

    fn submit(&self, index: usize, now: UnixNanos) -> AccountInput {
        AccountInput::Submit {
            request: Box::new(self.asked[index].clone()),
            market: market(now),
        }
    }

    fn amend(&mut self, index: usize, now: UnixNanos, rng: &mut ChaCha8Rng) -> AccountInput {
        self.requests += 1;
        let request_id = RequestId::new(&format!("r{}", self.requests));
        AccountInput::Amend {
            request: AmendOrder {
                key: self.key(index),
                request_id: request_id.expect("request id is well formed"),
                quantity: Some(Quantity(rng.random_range(1..2_000))),
                limit_price: rng
                    .random_bool(0.5)
                    .then(|| Price(rng.random_range(9_000..11_000))),
                stop_price: None,
                expected_sequence: None,
            },
            market: market(now),
        }
    }

    fn new_order(&self, instruments: &[InstrumentId], rng: &mut ChaCha8Rng) -> SubmitOrder {
        let id = ClientOrderId::new(&format!("c{}", self.asked.len()));
        SubmitOrder {
            client_order_id: id.expect("client order id is well formed"),
            strategy_id: StrategyId::manual(),
            instrument_id: instruments[rng.random_range(0..instruments.len())].clone(),
            side: side(rng),
            order_type: OrderType::Limit,
            quantity: Quantity(rng.random_range(1..1_000)),
            limit_price: Some(Price(rng.random_range(9_000..11_000))),
            time_in_force: if rng.random_bool(0.2) {
                TimeInForce::Ioc
            } else {
                TimeInForce::Gtc
            },
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        }
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

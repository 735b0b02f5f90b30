//! Clients: they ask, ask again when no answer comes, and remember what they were told.

use crate::setting::{Funds, Setting};
use apex_domain::Account;
use apex_domain::account::{AccountInput, CancelFilter, Refusal, Reply};
use apex_domain::market::Side;
use apex_domain::order::{AmendOrder, OrderKey, SubmitList, SubmitOrder};
use apex_domain::risk::{Limits, MarketRef, MarketView, ReasonCode, TradingState};
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{InstrumentId, Price, RequestId, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

mod changes;
mod flaws;
mod operators;
mod orders;
mod sessions;

/// The orders that an answer is awaited for, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    One(usize),
    Many(Vec<usize>),
}

/// Every order that was asked for, and whether it was answered.
#[derive(Debug)]
pub struct Clients {
    setting: Setting,
    instruments: Vec<InstrumentId>,
    pub asked: Vec<SubmitOrder>,
    answered: Vec<bool>,
    /// Orders that are not well formed or unfit for their list: they may be refused.
    flawed: BTreeSet<usize>,
    /// Every list, and the numbers of its orders.
    pub lists: Vec<(SubmitList, Vec<usize>)>,
    amends: Vec<AmendOrder>,
    requests: u64,
    /// Limits that were asked for, with their request, to be asked for again.
    limits: Vec<(RequestId, Limits)>,
    /// The price that the market stands at, a mantissa.
    price: Option<i64>,
    sessions: sessions::Sessions,
}

impl Clients {
    pub fn new(setting: Setting, instruments: Vec<InstrumentId>) -> Clients {
        Clients {
            setting,
            instruments,
            asked: Vec::new(),
            answered: Vec::new(),
            flawed: BTreeSet::new(),
            lists: Vec::new(),
            amends: Vec::new(),
            requests: 0,
            limits: Vec::new(),
            price: None,
            sessions: sessions::Sessions::default(),
        }
    }

    /// Returns the next thing that a client does, with the orders that it waits for.
    pub fn next(
        &mut self,
        now: UnixNanos,
        account: &Account,
        rng: &mut ChaCha8Rng,
    ) -> (AccountInput, Option<Question>) {
        if let Some(word) = self.of_sessions(now, account, rng) {
            return (word, None);
        }
        let (input, question) = self.next_command(now, account, rng);
        (self.within(input, rng), question)
    }

    fn next_command(
        &mut self,
        now: UnixNanos,
        account: &Account,
        rng: &mut ChaCha8Rng,
    ) -> (AccountInput, Option<Question>) {
        if account.trading_state() != TradingState::Active && rng.random_bool(0.08) {
            // What is stopped soon trades again, so that the rest of the run sees orders.
            return (self.set_state(TradingState::Active, rng), None);
        }
        let old = (!self.asked.is_empty()).then(|| rng.random_range(0..self.asked.len()));
        match (rng.random_range(0..28), old) {
            (0, Some(old)) if rng.random_bool(0.1) => (self.impersonate(old, now), None),
            (0..=3, Some(old)) => self.ask_again(old, now),
            (4..=7, Some(old)) => (self.amend(old, now, account, rng), None),
            (8..=10, Some(old)) => (self.cancel(old, rng), None),
            (11, Some(_)) if rng.random_bool(0.3) => (self.cancel_all(rng), None),
            (12, Some(_)) if rng.random_bool(0.5) => (self.cancel_several(rng), None),
            (13..=15, _) => self.list(now, rng),
            (16..=17, _) if rng.random_bool(0.3) => (self.operate(account, rng), None),
            _ => {
                let mut order = self.new_order(rng);
                let flawed = rng.random_bool(0.1);
                if flawed {
                    self.spoil(&mut order, rng);
                }
                let new = self.remember(order);
                if flawed {
                    self.flawed.insert(new);
                }
                (self.submit(new, market(now, rng)), Some(Question::One(new)))
            }
        }
    }

    /// Asks once more for an order, with its list where it belongs to one.
    fn ask_again(&self, old: usize, now: UnixNanos) -> (AccountInput, Option<Question>) {
        let market = fresh_market(now);
        let mut lists = self.lists.iter();
        match lists.find(|(_, numbers)| numbers.contains(&old)) {
            Some((list, numbers)) => {
                let question = Question::Many(numbers.clone());
                (self.submit_list(list.clone(), market), Some(question))
            }
            None => (self.submit(old, market), Some(Question::One(old))),
        }
    }

    fn remember(&mut self, order: SubmitOrder) -> usize {
        self.asked.push(order);
        self.answered.push(false);
        self.asked.len() - 1
    }

    /// Takes an answer. Errors: an answer that no client may get.
    pub fn answer(&mut self, question: &Question, reply: &Reply) -> Result<(), String> {
        let numbers = match question {
            Question::One(number) => std::slice::from_ref(number),
            Question::Many(numbers) => numbers,
        };
        match reply {
            // Until the account agrees with a venue that gives snapshots.
            Reply::Refused(Refusal::NotOpen) if self.setting.snapshots.is_some() => Ok(()),
            Reply::Refused(Refusal::SessionOver) if self.setting.guarded => Ok(()),
            Reply::Refused(_) if numbers.iter().any(|number| self.flawed.contains(number)) => {
                Ok(())
            }
            Reply::Order(order)
                if numbers.len() == 1 && order.request == self.asked[numbers[0]] =>
            {
                self.answered[numbers[0]] = true;
                Ok(())
            }
            Reply::Outcomes(outcomes) if outcomes.len() == numbers.len() => {
                for (number, outcome) in numbers.iter().zip(outcomes) {
                    match &outcome.result {
                        Ok(order) if order.request == self.asked[*number] => {
                            self.answered[*number] = true;
                        }
                        Err(_) if self.flawed.contains(number) => {}
                        other => return Err(format!("order {number} was answered by {other:?}")),
                    }
                }
                Ok(())
            }
            other => Err(format!("{question:?} was answered by {other:?}")),
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
            last_ts: now,
            mark: None,
            ts: now,
        }
    }

    fn key(&self, index: usize) -> OrderKey {
        OrderKey::ClientOrderId(self.asked[index].client_order_id.clone())
    }

    fn cancel(&mut self, index: usize, rng: &mut ChaCha8Rng) -> AccountInput {
        AccountInput::Cancel {
            key: self.key(index),
            request_id: rng.random_bool(0.3).then(|| self.some_request(rng)),
            reason_code: ReasonCode::CanceledByUser,
        }
    }

    fn cancel_all(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        AccountInput::CancelAll {
            filter: CancelFilter {
                side: Some(side(rng)),
                ..CancelFilter::default()
            },
            request_id: rng.random_bool(0.5).then(|| self.some_request(rng)),
            reason_code: ReasonCode::CanceledByUser,
        }
    }

    fn cancel_several(&mut self, rng: &mut ChaCha8Rng) -> AccountInput {
        let count = rng.random_range(1..5);
        let keys = (0..count).map(|_| self.key(rng.random_range(0..self.asked.len())));
        AccountInput::CancelOrders {
            keys: keys.collect(),
            request_id: rng.random_bool(0.5).then(|| self.some_request(rng)),
            reason_code: ReasonCode::CanceledByUser,
        }
    }

    fn submit(&self, index: usize, market: MarketRef) -> AccountInput {
        AccountInput::Submit {
            request: Box::new(self.asked[index].clone()),
            market,
        }
    }

    fn list(&mut self, now: UnixNanos, rng: &mut ChaCha8Rng) -> (AccountInput, Option<Question>) {
        let mut list = self.new_list(rng);
        let spoiled = rng
            .random_bool(0.05)
            .then(|| rng.random_range(0..list.orders.len()));
        if let Some(spoiled) = spoiled {
            self.spoil(&mut list.orders[spoiled], rng);
        }
        let orders = list.orders.iter().cloned();
        let numbers: Vec<usize> = orders.map(|order| self.remember(order)).collect();
        if let Some(spoiled) = spoiled {
            self.flawed.insert(numbers[spoiled]);
        }
        self.lists.push((list.clone(), numbers.clone()));
        let question = Question::Many(numbers);
        (self.submit_list(list, market(now, rng)), Some(question))
    }

    fn submit_list(&self, list: SubmitList, market: MarketRef) -> AccountInput {
        let markets = self.instruments.iter().map(|id| (id.clone(), market));
        AccountInput::SubmitList {
            list: Box::new(list),
            markets: BTreeMap::from_iter(markets),
        }
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        request(self.requests)
    }

    /// Returns a new request id, or now and then one that was used for something.
    fn some_request(&mut self, rng: &mut ChaCha8Rng) -> RequestId {
        if self.requests > 0 && rng.random_bool(0.1) {
            return request(rng.random_range(1..=self.requests));
        }
        self.next_request()
    }

    /// Returns true where operators close positions. Strategies that hold against each other are
    /// closed one by one, so that the account may pass through more than its bounds allow.
    pub fn closes(&self) -> bool {
        self.setting.position_limit.is_none() && self.setting.funds != Funds::Cash
    }
}

fn request(number: u64) -> RequestId {
    RequestId::new(&format!("r{number}")).expect("request id is well formed")
}

fn side(rng: &mut ChaCha8Rng) -> Side {
    if rng.random_bool(0.5) {
        Side::Buy
    } else {
        Side::Sell
    }
}

/// The market as a client's edge sees it: fresh most of the time, else old, or not there.
fn market(now: UnixNanos, rng: &mut ChaCha8Rng) -> MarketRef {
    match rng.random_range(0..40) {
        0 => MarketRef::default(),
        1 => fresh_market(now.plus(-5 * NANOS_PER_SECOND)),
        _ => fresh_market(now),
    }
}

fn fresh_market(now: UnixNanos) -> MarketRef {
    MarketRef {
        bid: Some(Price(9_999)),
        ask: Some(Price(10_001)),
        ts: now,
    }
}

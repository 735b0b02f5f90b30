//! Amends: of each value alone and together, repeated, and by a sequence that may be stale.

use super::{Clients, fresh_market};
use crate::instruments::{HIGHEST_PRICE, LOWEST_PRICE};
use apex_domain::account::AccountInput;
use apex_domain::order::AmendOrder;
use apex_domain::{Account, Price, Quantity, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Clients {
    pub(super) fn amend(
        &mut self,
        index: usize,
        now: UnixNanos,
        account: &Account,
        rng: &mut ChaCha8Rng,
    ) -> AccountInput {
        let request = if !self.amends.is_empty() && rng.random_bool(0.1) {
            // Once more, as a client does that got no answer.
            self.amends[rng.random_range(0..self.amends.len())].clone()
        } else {
            self.new_amend(index, account, rng)
        };
        AccountInput::Amend {
            request,
            market: fresh_market(now),
        }
    }

    fn new_amend(&mut self, index: usize, account: &Account, rng: &mut ChaCha8Rng) -> AmendOrder {
        let key = self.key(index);
        let order = account.order(&key);
        let (limits, stops) = order.map_or((false, false), |order| {
            let stops = order.request.terms.stop_price.is_some();
            (order.limit_price.is_some(), stops)
        });
        // Now and then a value that the order does not have.
        let odd = rng.random_bool(0.05);
        let price = |rng: &mut ChaCha8Rng| {
            let fives = rng.random_range(LOWEST_PRICE.0 / 5..HIGHEST_PRICE.0 / 5);
            Price(fives * 5)
        };
        let limit_price = ((limits || odd) && rng.random_bool(0.5)).then(|| price(rng));
        let stop_price = ((stops || odd) && rng.random_bool(0.5)).then(|| price(rng));
        let quantity = rng
            .random_bool(0.6)
            .then(|| Quantity(rng.random_range(1..400) * 5));
        let expected_sequence = rng.random_bool(0.2).then(|| {
            let stale = u64::from(rng.random_bool(0.3));
            order.map_or(1, |order| order.sequence + stale)
        });
        let request = AmendOrder {
            key,
            request_id: self.some_request(rng),
            quantity,
            limit_price,
            stop_price,
            expected_sequence,
        };
        self.amends.push(request.clone());
        request
    }
}

//! Orders that break a rule of their instrument, of their venue, or of reason.

use super::{Clients, fresh_market};
use crate::instruments;
use apex_domain::account::AccountInput;
use apex_domain::number::Decimal;
use apex_domain::order::{Misfit, SubmitOrder, TimeInForce};
use apex_domain::{InstrumentId, Money, Price, Quantity, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Clients {
    /// Breaks one rule, or says something that only few orders say.
    pub(super) fn spoil(&self, order: &mut SubmitOrder, rng: &mut ChaCha8Rng) {
        let limits = order.limit_price.is_some();
        match rng.random_range(0..14) {
            // Larger than a venue takes; where it takes all, larger than a number can be.
            0 if limits => {
                order.quantity = Quantity(i64::MAX / 2);
                order.limit_price = Some(Price(i64::MAX / 10 * 5));
            }
            1 => order.quantity = Quantity(1),
            2 => order.quantity.0 += 1,
            3 => order.limit_price = order.limit_price.map(|price| Price(price.0 + 1)),
            4 => order.misfit = Some(Misfit::Quantity("1.23456".to_owned())),
            5 if limits => order.misfit = Some(Misfit::Price("100.123".to_owned())),
            6 => order.time_in_force = TimeInForce::Fok,
            7 => order.time_in_force = TimeInForce::AtOpen,
            8 => order.time_in_force = TimeInForce::AtClose,
            9 => order.post_only = true,
            10 => order.terms.display_quantity = Some(Quantity(5)),
            11 => {
                order.quantity = Quantity(0);
                order.terms.notional = Some(Money(Decimal::from(rng.random_range(1..60))));
            }
            12 => order.instrument_id = nowhere(),
            // Far from the market, on the side that it costs.
            _ => {
                let far = Price(10_000 + order.side.sign() * 1_000);
                order.limit_price = order.limit_price.map(|_| far);
            }
        }
    }

    /// Asks for other content by an id that is used. Where the first one got lost this one is
    /// taken, and the first is refused from then on.
    pub(super) fn impersonate(&mut self, old: usize, now: UnixNanos) -> AccountInput {
        let market = fresh_market(now);
        let mut lists = self.lists.iter();
        if let Some((list, numbers)) = lists.find(|(_, numbers)| numbers.contains(&old)) {
            self.flawed.extend(numbers.iter().copied());
            let mut other = list.clone();
            other.cascade = !other.cascade;
            for order in &mut other.orders {
                order.quantity.0 += 5;
            }
            return self.submit_list(other, market);
        }
        self.flawed.insert(old);
        let mut other = self.asked[old].clone();
        other.quantity.0 += 5;
        AccountInput::Submit {
            request: Box::new(other),
            market,
        }
    }
}

fn nowhere() -> InstrumentId {
    instruments::id("NOWHERE.SIM")
}

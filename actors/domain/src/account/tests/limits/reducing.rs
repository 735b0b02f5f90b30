//! Amends of orders that add exposure while only reducing is allowed.

use crate::account::tests::support::*;
use crate::account::{AccountInput, Refusal, Reply};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::AmendOrder;
use crate::risk::{ReasonCode, TradingState};

#[test]
fn while_reducing_an_order_that_adds_can_only_become_less() {
    let cases: [(Side, Option<i64>, Option<i64>, bool); 8] = [
        (Side::Buy, Some(5), None, true),
        (Side::Buy, None, Some(8_900), true),
        (Side::Buy, Some(5), Some(8_900), true),
        (Side::Buy, Some(11), None, false),
        (Side::Buy, Some(5), Some(9_100), false),
        (Side::Sell, Some(5), None, true),
        (Side::Sell, None, Some(9_100), true),
        (Side::Sell, Some(5), Some(8_900), false),
    ];
    for (side, quantity, price, passes) in cases {
        let mut world = World::small();
        world.working(limit("a", PERP, side, 10, 9_000));
        world.apply(AccountInput::SetTradingState {
            request_id: None,
            state: TradingState::Reducing,
            by: "ops".to_owned(),
            reason: String::new(),
        });
        let market = market(9_999, 10_001, world.now);
        let request = AmendOrder {
            key: key("a"),
            request_id: request_id("r"),
            quantity: quantity.map(Quantity),
            limit_price: price.map(Price),
            stop_price: None,
            expected_sequence: None,
        };
        world.apply(AccountInput::Amend { request, market });
        let code = match &world.effects.reply {
            Some(Reply::Refused(Refusal::Rule { code, .. })) => Some(*code),
            _ => None,
        };
        let expected = (!passes).then_some(ReasonCode::TradingReducing);
        assert_eq!(code, expected, "{side:?} to {quantity:?} at {price:?}");
    }
}

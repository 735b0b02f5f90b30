//! An order of a list that ends since the position that it reduces is gone.

use super::*;
use crate::order::OrderStatus;

/// A position of 10, with a limit order at the venue and a stop that waits here and may only
/// reduce.
fn protected(contingency: Contingency, cascade: bool) -> World {
    let mut world = bare();
    world.working(limit("p", PERP, Side::Buy, 10, 10_000));
    world.fill("p", "xp", 10, 10_000);
    let reducing = SubmitOrder {
        reduce_only: true,
        ..stop("s", 9_500)
    };
    world.submit_list(SubmitList {
        cascade,
        ..list(contingency, vec![exit("t", 11_000), reducing])
    });
    world.accept("t");
    world
}

#[test]
fn the_others_hear_of_it_in_the_same_step() {
    for (contingency, cascade, sent) in [
        (Contingency::Oco, true, "cancel t"),
        (Contingency::Ouo, true, "cancel t"),
        (Contingency::Oco, false, ""),
        (Contingency::Ouo, false, ""),
    ] {
        let mut world = protected(contingency, cascade);
        world.working(limit("close", PERP, Side::Sell, 10, 10_000));
        world.fill("close", "xc", 10, 10_000);
        assert_eq!(world.state("s"), OrderStatus::Canceled);
        assert_eq!(world.order("s").reason_code, Some(ReasonCode::ReduceOnly));
        assert_eq!(world.sent(), sent, "{contingency:?} {cascade}");
        world.assert_recovers();
    }
}

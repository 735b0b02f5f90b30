//! What an account can pay with: every way in which it is bound already.

use super::*;
use crate::order::{OrderTerms, PositionSide};

const SHORT_OF: Option<ReasonCode> = Some(ReasonCode::InsufficientBuyingPower);

fn on_side(position_side: PositionSide, order: SubmitOrder) -> SubmitOrder {
    SubmitOrder {
        terms: OrderTerms {
            position_side,
            ..order.terms
        },
        ..order
    }
}

/// 10,000 USDT carry contracts of 100,000 at a margin of 10 %, less fees of 0.1 %.
#[test]
fn sides_of_a_hedging_account_need_the_margin_of_both() {
    let (long, short) = (PositionSide::Long, PositionSide::Short);
    for filled in [true, false] {
        let mut world = World::small();
        let order = |client, meant, side, quantity| {
            on_side(meant, limit(client, PERP, side, quantity, 10_000))
        };
        world.working(order("a", long, Side::Buy, 600_000));
        if filled {
            world.fill("a", "x1", 600_000, 10_000);
        }
        // 6,000 and the fees of what is open are held.
        let over = order("b", short, Side::Sell, 400_000);
        assert_eq!(denial(&mut world, over), SHORT_OF, "{filled}");
        let fits = order("c", short, Side::Sell, 380_000);
        assert_eq!(denial(&mut world, fits), None, "{filled}");
        // Both are held from another instrument as well.
        assert_eq!(denial(&mut world, buy("d", 2_000, 10_000)), SHORT_OF);
        world.accept("c");
        world.fill("c", "x2", 380_000, 10_000);
        if filled {
            // What closes one side passes, whatever works on the other one.
            let out = order("e", long, Side::Sell, 600_000);
            assert_eq!(denial(&mut world, out), None);
            let out = SubmitOrder {
                reduce_only: true,
                ..order("f", short, Side::Buy, 380_000)
            };
            assert_eq!(denial(&mut world, out), None);
        }
        world.assert_recovers();
    }
}

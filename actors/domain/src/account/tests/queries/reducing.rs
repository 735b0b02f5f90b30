//! What goes out again in an account that only reduces.

use super::*;

#[test]
fn while_reducing_only_what_reduces_goes_out_again() {
    let check = |side, quantity, sent: bool| {
        let mut world = World::small();
        world.working(limit("in", PERP, Side::Buy, 1_000, 10_000));
        world.fill("in", "x1", 1_000, 10_000);
        world.submit(limit("a", PERP, side, quantity, 10_000));
        world.apply(AccountInput::SetTradingState {
            request_id: None,
            state: TradingState::Reducing,
            by: "ops".to_owned(),
            reason: String::new(),
        });
        world.not_found("a", true);
        assert_eq!(world.commands().len(), usize::from(sent), "{quantity}");
        let reason_code = (!sent).then_some(ReasonCode::CanceledByRisk);
        assert_eq!(world.order("a").reason_code, reason_code, "{quantity}");
        world.assert_recovers();
    };
    check(Side::Sell, 1_000, true);
    check(Side::Sell, 1_001, false);
    check(Side::Buy, 1, false);
}

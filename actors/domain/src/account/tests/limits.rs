//! Limits over more than one instrument, and those that stop an account that loses.

use super::support::*;
use crate::account::{Account, AccountInput};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Rate;
use crate::number::Price;
use crate::order::{
    Contingency, OrderStatus, OrderTerms, OrderType, ReleaseRule, SubmitList, SubmitOrder,
};
use crate::risk::platform::{ShareChange, ShareOffer, ShareTerm};
use crate::risk::{Limits, LossAction, MarketView, ReasonCode, TradingState, WideLimits};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND};
use crate::venue::VenueReport;
use crate::{OrderListId, StrategyId, UnixNanos};

mod self_trade;

mod hedged;
mod lists;
mod losses;
mod lowered;
mod reducing;

/// 10,000 USDT, no other limits than these, and a market of both instruments at 100.
fn world(wide: WideLimits) -> World {
    let mut world = World::small();
    world.limits(Limits {
        wide,
        ..Limits::default()
    });
    for instrument in [SPOT, PERP] {
        world.price(instrument, 10_000);
    }
    world
}

impl World {
    fn price(&mut self, instrument: &str, price: i64) {
        let view = MarketView {
            bid: Some(Price(price)),
            ask: Some(Price(price)),
            last: Some(Price(price)),
            last_ts: self.now,
            mark: None,
            ts: self.now,
        };
        let instrument_id = id(instrument);
        self.apply(AccountInput::Market {
            instrument_id,
            view,
        });
    }

    fn tick(&mut self) {
        self.apply(AccountInput::Tick);
    }

    fn list(&mut self, contingency: Contingency, orders: Vec<SubmitOrder>) {
        let market = market(10_000, 10_000, self.now);
        let list = Box::new(SubmitList {
            list_id: OrderListId::new("L").unwrap(),
            contingency,
            release: ReleaseRule::Full,
            cascade: true,
            orders,
        });
        let markets = [(id(PERP), market), (id(SPOT), market)].into();
        self.apply(AccountInput::SubmitList { list, markets });
    }

    /// Has this share of the platform's limit.
    fn share(&mut self, share: &str) {
        self.apply(AccountInput::OfferShare(ShareOffer {
            term: ShareTerm {
                epoch: 1,
                version: 1,
            },
            currency: currency("USDT"),
            change: ShareChange::Set(money(share)),
            answers: 0,
        }));
    }

    /// Buys at the market and has it filled.
    fn hold(&mut self, client: &str, instrument: &str, quantity: i64) {
        self.working(limit(client, instrument, Side::Buy, quantity, 10_000));
        self.fill(client, &format!("x-{client}"), quantity, 10_000);
    }

    fn code(&self, client: &str) -> Option<ReasonCode> {
        self.order(client).reason_code
    }
}

fn of(strategy: &str, order: SubmitOrder) -> SubmitOrder {
    SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        ..order
    }
}

fn buy(client: &str, instrument: &str, quantity: i64) -> SubmitOrder {
    limit(client, instrument, Side::Buy, quantity, 10_000)
}

#[test]
fn a_strategy_stays_within_its_exposure_over_all_its_instruments() {
    let mut world = world(WideLimits {
        max_strategy_exposure: Some(money("100")),
        strategy_exposure: [(StrategyId::new("small").unwrap(), money("10"))].into(),
        ..WideLimits::default()
    });
    world.submit(of("a", buy("a1", SPOT, 600)));
    world.submit(of("a", buy("a2", PERP, 400)));
    assert_eq!((world.code("a1"), world.code("a2")), (None, None));
    world.submit(of("a", buy("a3", PERP, 1)));
    assert_eq!(world.code("a3"), Some(ReasonCode::ExposureLimit));
    // Another strategy has its own, and one may have a tighter one.
    world.submit(of("b", buy("b1", PERP, 1_000)));
    world.submit(of("small", buy("s1", PERP, 101)));
    assert_eq!(
        (world.code("b1"), world.code("s1")),
        (None, Some(ReasonCode::ExposureLimit))
    );
    // The other side of a position does not add to the worst case.
    world.submit(of("a", limit("a4", SPOT, Side::Sell, 500, 10_000)));
    assert_eq!(world.code("a4"), None);
    // An amend is measured by what it adds.
    world.accept("a1");
    world.amend("a1", Some(601), None);
    assert!(matches!(
        world.refusal(),
        crate::account::Refusal::Rule {
            code: ReasonCode::ExposureLimit,
            ..
        }
    ));
    world.amend("a1", Some(599), None);
    assert_eq!(world.state("a1"), OrderStatus::PendingAmend);
    world.assert_recovers();
}

#[test]
fn an_account_stays_within_its_exposure_and_its_concentration() {
    let mut account = world(WideLimits {
        max_account_exposure: Some(money("100")),
        ..WideLimits::default()
    });
    account.submit(buy("a", SPOT, 600));
    account.submit(buy("b", PERP, 401));
    account.submit(buy("c", PERP, 400));
    assert_eq!(account.code("b"), Some(ReasonCode::ExposureLimit));
    assert_eq!(account.code("c"), None);

    // A twentieth of 10,000 is 500, five units at 100.
    let mut share = world(WideLimits {
        max_concentration: Some(Rate::parse("0.05").unwrap()),
        ..WideLimits::default()
    });
    share.submit(buy("a", PERP, 5_001));
    share.submit(buy("b", PERP, 5_000));
    share.submit(buy("c", SPOT, 5_000));
    assert_eq!(share.code("a"), Some(ReasonCode::Concentration));
    assert_eq!((share.code("b"), share.code("c")), (None, None));
}

#[test]
fn a_single_instrument_may_have_a_tighter_bound() {
    let mut world = world(WideLimits {
        instrument_exposure: [(id(PERP), money("10"))].into(),
        ..WideLimits::default()
    });
    world.submit(buy("a", PERP, 101));
    world.submit(buy("b", PERP, 99));
    world.submit(buy("c", SPOT, 5_000));
    assert_eq!(world.code("a"), Some(ReasonCode::ExposureLimit));
    assert_eq!((world.code("b"), world.code("c")), (None, None));
}

#[test]
fn what_cannot_be_converted_adds_no_exposure() {
    let mut world = world(WideLimits {
        max_account_exposure: Some(money("1000000")),
        ..WideLimits::default()
    });
    let euro = Instrument {
        instrument_id: id("STOCK.SIM"),
        quote_currency: currency("EUR"),
        base_currency: currency("STOCK"),
        min_notional: money("0"),
        ..instrument(SPOT)
    };
    let rate = Instrument {
        instrument_id: id("EURUSDT.SIM"),
        quote_currency: currency("USDT"),
        base_currency: currency("EUR"),
        ..instrument(SPOT)
    };
    for definition in [euro, rate] {
        world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    }
    world.submit(buy("none", "STOCK.SIM", 10));
    assert_eq!(world.code("none"), Some(ReasonCode::NoConversionRate));
    world.price("EURUSDT.SIM", 110);
    world.working(buy("fresh", "STOCK.SIM", 10));
    assert_eq!(world.code("fresh"), None);
    world.fill("fresh", "x", 10, 10_000);
    world.now = world.now.plus(61 * NANOS_PER_SECOND);
    world.submit(buy("stale", "STOCK.SIM", 10));
    assert_eq!(world.code("stale"), Some(ReasonCode::NoConversionRate));
    // What only reduces passes, whatever is not known.
    world.submit(limit("out", "STOCK.SIM", Side::Sell, 10, 10_000));
    assert_eq!(world.code("out"), None);
}

#[test]
fn the_loss_of_a_day_halts_and_cancels() {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("50")),
        ..WideLimits::default()
    });
    world.hold("a", PERP, 10_000);
    world.working(limit("rest", PERP, Side::Buy, 1, 9_000));
    world.tick();
    world.price(PERP, 9_501);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.price(PERP, 9_500);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    assert_eq!(world.state("rest"), OrderStatus::PendingCancel);
    // Once; and a restart knows it.
    world.tick();
    assert!(world.events().is_empty());
    world.assert_recovers();
    let restored = Account::restore(&world.account.snapshot()).unwrap();
    assert_eq!(restored.trading_state(), TradingState::Halted);
    // Resuming begins anew: the same loss does not halt again, another one does.
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Active,
        by: "ops".to_owned(),
        reason: "seen".to_owned(),
    });
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.price(PERP, 9_000);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Halted);
}

#[test]
fn each_day_measures_its_own_loss() {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("50")),
        ..WideLimits::default()
    });
    world.hold("a", PERP, 10_000);
    for price in [10_000, 9_600, 9_200, 8_800] {
        world.price(PERP, price);
        world.tick();
        assert_eq!(
            world.account.trading_state(),
            TradingState::Active,
            "{price}"
        );
        world.now = UnixNanos((world.now.0 / NANOS_PER_DAY + 1) * NANOS_PER_DAY);
        world.price(PERP, price);
        world.tick();
    }
    world.assert_recovers();
}

#[test]
fn paying_out_is_no_loss() {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("50")),
        max_drawdown: Some(Rate::parse("0.01").unwrap()),
        ..WideLimits::default()
    });
    world.tick();
    world.cash("USDT", "-5000");
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.hold("a", PERP, 10_000);
    world.price(PERP, 9_400);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
}

/// 10,000 USDT and then 1,000 EUR, of which no price is known yet.
#[test]
fn what_is_paid_in_before_its_rate_is_known_is_no_profit() {
    for lost in [false, true] {
        let mut world = world(WideLimits {
            max_daily_loss: Some(money("50")),
            ..WideLimits::default()
        });
        let rate = Instrument {
            instrument_id: id("EURUSDT.SIM"),
            base_currency: currency("EUR"),
            ..instrument(SPOT)
        };
        world.apply(AccountInput::DefineInstrument(Box::new(rate)));
        world.hold("a", PERP, 10_000);
        world.tick();
        world.cash("EUR", "1000");
        world.tick();
        assert!(world.account.are_losses_unmeasured());
        world.price("EURUSDT.SIM", 110);
        world.tick();
        assert!(!world.account.are_losses_unmeasured());
        world.price(PERP, if lost { 9_500 } else { 9_501 });
        world.tick();
        let state = if lost {
            TradingState::Halted
        } else {
            TradingState::Active
        };
        assert_eq!(world.account.trading_state(), state);
        world.assert_recovers();
    }
}

#[test]
fn a_drawdown_may_leave_what_reduces() {
    let mut world = world(WideLimits {
        max_drawdown: Some(Rate::parse("0.01").unwrap()),
        loss_action: LossAction::Reduce,
        ..WideLimits::default()
    });
    world.hold("a", PERP, 10_000);
    world.price(PERP, 11_000);
    world.tick();
    world.working(limit("more", PERP, Side::Buy, 1, 9_000));
    world.working(limit("out", PERP, Side::Sell, 1, 12_000));
    // One percent of the highest equity of about 10,099 has been lost.
    world.price(PERP, 9_980);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Reducing);
    assert_eq!(world.state("more"), OrderStatus::PendingCancel);
    assert_eq!(world.state("out"), OrderStatus::Accepted);
    world.assert_recovers();
}

#[test]
fn with_little_room_the_highest_equity_is_not_moved_up() {
    let mut world = world(WideLimits {
        max_drawdown: Some(Rate::parse("0.01").unwrap()),
        ..WideLimits::default()
    });
    world.hold("a", PERP, 10_000);
    world.tick();
    world.account.set_sparing(true);
    world.price(PERP, 11_000);
    world.tick();
    assert!(world.events().is_empty(), "{:?}", world.events());
    world.account.set_sparing(false);
    world.tick();
    assert_eq!(world.events(), ["EquityMarked"]);
    world.assert_recovers();
}

#[test]
fn an_equity_that_is_not_wholly_known_decides_nothing() {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("1")),
        ..WideLimits::default()
    });
    world.tick();
    world.cash("EUR", "5");
    world.hold("a", PERP, 10_000);
    world.price(PERP, 5_000);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Active);
}

/// A position whose price is as old as it may be at most, a loss limit, and orders of both sides.
fn unmeasured(action: LossAction) -> World {
    let mut world = world(WideLimits {
        max_daily_loss: Some(money("100")),
        loss_action: action,
        ..WideLimits::default()
    });
    world.limits(Limits {
        max_reference_age_ns: Some(NANOS_PER_SECOND),
        ..world.account.limits().clone()
    });
    world.hold("in", PERP, 1_000);
    world.working(buy("adds", PERP, 10));
    world.working(limit("flips", PERP, Side::Sell, 1_001, 11_000));
    world.working(limit("reduces", PERP, Side::Sell, 600, 11_000));
    world.working(limit("more", PERP, Side::Sell, 401, 11_000));
    world.price(PERP, 10_000);
    world.tick();
    world.now = world.now.plus(2 * NANOS_PER_SECOND);
    world.tick();
    assert_eq!(world.events(), ["LossesUnmeasured"]);
    assert!(world.account.are_losses_unmeasured());
    world.now = world.now.plus(59 * NANOS_PER_SECOND);
    world.tick();
    assert!(world.events().is_empty());
    world.now = world.now.plus(NANOS_PER_SECOND);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Reducing);
    world
}

#[test]
fn an_account_that_cannot_be_measured_for_a_minute_only_reduces_and_then_goes_on() {
    let mut world = unmeasured(LossAction::Halt);
    let states = ["adds", "flips", "reduces", "more"].map(|client| world.state(client));
    let (ends, stays) = (OrderStatus::PendingCancel, OrderStatus::Accepted);
    assert_eq!(states, [ends, ends, stays, ends]);
    world.assert_recovers();
    let baseline = world.account.baseline;
    world.price(PERP, 10_000);
    world.tick();
    assert_eq!(world.events(), ["LossesMeasured", "TradingStateChanged"]);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    assert_eq!(world.account.baseline, baseline, "a loss in between counts");
    assert!(!world.account.are_losses_unmeasured());
    world.assert_recovers();
}

#[test]
fn a_loss_made_while_nothing_could_be_measured_counts_as_soon_as_it_is_known() {
    for (action, state) in [
        (LossAction::Halt, TradingState::Halted),
        (LossAction::Reduce, TradingState::Reducing),
    ] {
        let mut world = unmeasured(action);
        world.limits(Limits {
            wide: WideLimits {
                max_daily_loss: Some(money("0.5")),
                loss_action: action,
                ..WideLimits::default()
            },
            ..world.account.limits().clone()
        });
        world.price(PERP, 9_900);
        world.tick();
        assert_eq!(world.account.trading_state(), state);
        let changed = world.effects.events.iter().any(|recorded| {
            let text = format!("{:?}", recorded.event);
            text.starts_with("TradingStateChanged") && text.contains("LOSS_LIMIT")
        });
        assert!(changed, "{:?}", world.effects.events);
        world.price(PERP, 9_900);
        world.tick();
        assert!(world.events().is_empty(), "told once");
        world.assert_recovers();
    }
}

#[test]
fn a_person_who_resumes_in_spite_of_it_has_another_minute() {
    let mut world = unmeasured(LossAction::Halt);
    world.apply(AccountInput::SetTradingState {
        request_id: Some(request_id("resume")),
        state: TradingState::Active,
        by: "ops".to_owned(),
        reason: "the market is closed".to_owned(),
    });
    world.now = world.now.plus(59 * NANOS_PER_SECOND);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.now = world.now.plus(NANOS_PER_SECOND);
    world.tick();
    assert_eq!(world.account.trading_state(), TradingState::Reducing);
    world.assert_recovers();
}

#[test]
fn a_refused_cancel_of_a_loss_limit_is_asked_for_again_while_reducing() {
    let mut world = unmeasured(LossAction::Reduce);
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("adds"),
        text: "busy".to_owned(),
        ts_event: world.now,
    });
    assert_eq!(world.state("adds"), OrderStatus::Accepted);
    world.now = world.now.plus(NANOS_PER_SECOND);
    world.tick();
    assert_eq!(world.state("adds"), OrderStatus::PendingCancel);
}

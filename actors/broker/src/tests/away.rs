//! What an account sends by itself while its journal's server is away, and who else may send it.

use super::support::*;
use super::watch::{bare, define_bare, quote, stop, view};
use apex_bus::message::JournalHealth::{Away, Full, Ready};
use apex_bus::message::{AccountCommand, AccountMessage};
use apex_domain::market::Side;
use apex_domain::order::OrderStatus;
use apex_domain::venue::{Execution, VenueReport};
use apex_domain::{ExecId, Money, RequestId, UnixNanos};

const SECOND: i64 = 1_000_000_000;

/// An account whose stop waits here for its price.
fn with_a_stop() -> Desk {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    drop(desk.command(submit_command(stop("s"))));
    desk.durable_all();
    desk
}

fn trigger(desk: &mut Desk) {
    desk.shell_take(AccountMessage::Market {
        instrument_id: bare().instrument_id,
        view: view(instrument().start_price.0 + 100),
    });
}

fn tick(desk: &mut Desk, seconds: i64) {
    let now = desk.clock.now();
    desk.clock.advance(UnixNanos(now.0 + seconds * SECOND));
    desk.shell_take(AccountMessage::Tick);
    desk.durable_all();
}

/// The venue proves that it has no such order.
fn not_found(desk: &mut Desk, client: &str) {
    desk.report(
        0,
        VenueReport::NotFound {
            client_order_id: cid(client),
            proof: true,
            ts_event: desk.clock.now(),
        },
    );
    desk.durable_all();
}

#[test]
fn of_two_owners_at_most_one_sends_the_stop_whoever_sees_its_price_first() {
    for knows in [true, false] {
        // The first is cut off from its journal's server alone, and the second has taken over.
        let (mut first, mut second) = (with_a_stop(), with_a_stop());
        if knows {
            first.health(Away);
        }
        trigger(&mut first);
        // One that was idle finds out by this very decision: it has no answer in time.
        first.health(Away);
        first.durable_all();
        trigger(&mut second);
        second.durable_all();
        trigger(&mut first);
        tick(&mut first, 6);
        not_found(&mut first, "s");
        let sent = [&first, &second].map(|desk| desk.venue.news().len());
        assert_eq!(sent, [0, 1], "it knows that the server is away: {knows}");
    }
}

#[test]
fn a_stop_that_waited_leaves_by_the_market_of_now_once_the_server_is_back() {
    let mut desk = with_a_stop();
    desk.health(Away);
    trigger(&mut desk);
    desk.durable_all();
    // A reserve that ran full is away all the same.
    desk.health(Full);
    desk.health(Away);
    trigger(&mut desk);
    desk.durable_all();
    assert_eq!(desk.venue.sent(), [""; 0]);
    let quote = quote(instrument().start_price.0 + 500, 2_000);
    desk.market
        .update(&bare().instrument_id, |view| view.quote = Some(quote));
    desk.health(Ready);
    desk.durable_all();
    assert_eq!(desk.venue.sent(), ["new s"]);
}

#[test]
fn one_that_was_kept_back_leaves_once_when_the_venue_never_had_it() {
    let mut desk = with_a_stop();
    trigger(&mut desk);
    desk.health(Away);
    desk.durable_all();
    assert_eq!(desk.venue.sent(), [""; 0]);
    assert_eq!(desk.status("s"), OrderStatus::Submitted);
    tick(&mut desk, 6);
    not_found(&mut desk, "s");
    assert_eq!(desk.venue.sent(), ["query s"]);
    desk.health(Ready);
    tick(&mut desk, 6);
    not_found(&mut desk, "s");
    assert_eq!(desk.venue.sent(), ["query s", "query s", "new s"]);
    not_found(&mut desk, "s");
    assert_eq!(desk.venue.news().len(), 1);
}

/// An account that holds something.
fn long() -> Desk {
    let mut desk = Desk::connected();
    desk.show_start_price();
    desk.working("a");
    let sim = instrument();
    let filled = VenueReport::Filled(Execution {
        exec_id: ExecId::new("x").unwrap(),
        client_order_id: cid("a"),
        instrument_id: sim.instrument.instrument_id.clone(),
        side: Side::Buy,
        last_quantity: sim.lot,
        last_price: sim.start_price,
        fee: Money::ZERO,
        fee_currency: apex_domain::Currency::new("USDT").unwrap(),
        maker: false,
        ts_event: UnixNanos(2_000),
    });
    desk.report(9, filled);
    desk.durable_all();
    desk
}

fn flatten() -> AccountCommand {
    AccountCommand::Halt {
        request_id: Some(RequestId::new("k").unwrap()),
        cancel: true,
        flatten: true,
        by: "operator".to_owned(),
        reason: "test".to_owned(),
    }
}

#[test]
fn the_kill_switch_closes_while_the_server_is_away_with_orders_that_cannot_be_doubled() {
    let mut desk = long();
    desk.health(Away);
    let answer = desk.command(flatten());
    desk.durable_all();
    assert!(answer.take().is_ok());
    let news = desk.venue.news();
    assert_eq!(news.len(), 2, "the entry, and what closes it");
    assert!(news[1].reduce_only && news[1].side == Side::Sell);
}

#[test]
fn a_closing_that_was_decided_before_it_was_noticed_is_decided_again() {
    let mut desk = long();
    let answer = desk.command(flatten());
    desk.health(Away);
    desk.durable_all();
    assert!(answer.take().is_ok());
    assert_eq!(
        desk.venue.news().len(),
        1,
        "the first was not made for that"
    );
    tick(&mut desk, 2);
    let news = desk.venue.news();
    assert_eq!(news.len(), 2);
    assert!(news[1].reduce_only && news[1].quantity == news[0].quantity);
}

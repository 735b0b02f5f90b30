//! Orders that wait for a price here, lists, closing and previews, through the shell.

use super::support::*;
use crate::watch::Watched;
use crate::{AccountActor, AccountArgs};
use apex_bus::clock::Clock;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountAnswer, AccountCommand, AccountMessage, AccountQuery, VenueLink};
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::CloseScope;
use apex_domain::market::{Level, Quote, Trade};
use apex_domain::order::{
    Contingency, OrderStatus, OrderType, ReleaseRule, SubmitList, SubmitOrder,
};
use apex_domain::risk::MarketView;
use apex_domain::{AccountId, Instrument, Price, Quantity, RequestId, UnixNanos};
use ractor::Actor;
use std::sync::Arc;

/// The desk's instrument at a venue that has no stops.
pub(super) fn bare() -> Instrument {
    let mut bare = instrument().instrument;
    bare.rules.lacks.order_types = vec![OrderType::Stop];
    bare
}

pub(super) fn define_bare(desk: &mut Desk) {
    desk.market.define(bare()).unwrap();
    let define = AccountCommand::DefineInstrument(Box::new(bare()));
    drop(desk.command(define));
    desk.durable_all();
}

/// A buy stop a little over the start price.
pub(super) fn stop(client: &str) -> SubmitOrder {
    let mut stop = order(client, 1);
    stop.order_type = OrderType::Stop;
    stop.limit_price = None;
    stop.terms.stop_price = Some(Price(instrument().start_price.0 + 100));
    stop
}

fn level(price: i64) -> Option<Level> {
    Some(Level {
        price: Price(price),
        quantity: Quantity(1_000_000),
    })
}

pub(super) fn quote(price: i64, ts: i64) -> Quote {
    Quote {
        instrument_id: bare().instrument_id,
        bid: level(price - 1),
        ask: level(price),
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    }
}

pub(super) fn view(last: i64) -> MarketView {
    MarketView {
        bid: Some(Price(last - 1)),
        ask: Some(Price(last)),
        last: Some(Price(last)),
        last_ts: UnixNanos(2_000),
        mark: None,
        ts: UnixNanos(2_000),
    }
}

#[test]
fn one_that_waits_here_is_taken_back_with_the_rest_unless_it_was_on_the_server() {
    use apex_bus::message::{CommandError, JournalHealth};
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    drop(desk.command(submit_command(stop("old"))));
    desk.durable_all();
    let new = desk.command(submit_command(stop("new")));
    let again = desk.command(submit_command(stop("new")));
    let known = desk.command(submit_command(stop("old")));
    desk.health(JournalHealth::Away);
    desk.durable_all();
    for answer in [new, again] {
        assert_eq!(answer.take(), Err(CommandError::NotSent));
    }
    assert!(known.take().is_ok());
    assert_eq!(desk.status("new"), OrderStatus::Canceled);
    // What was promised before is kept, and waits.
    for sent in [&[""; 0][..], &["new old"]] {
        desk.shell_take(AccountMessage::Market {
            instrument_id: bare().instrument_id,
            view: view(instrument().start_price.0 + 100),
        });
        desk.durable_all();
        assert_eq!(desk.venue.sent(), sent);
        desk.health(JournalHealth::Ready);
    }
}

#[test]
fn an_order_that_the_venue_lacks_waits_here_and_leaves_at_its_price() {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    let start = instrument().start_price.0;
    drop(desk.command(submit_command(stop("s"))));
    desk.durable_all();
    assert_eq!(desk.venue.sent(), [""; 0]);
    assert!(desk.watched().contains(&bare().instrument_id));
    for (price, sent) in [(start, 0), (start + 99, 0), (start + 100, 1)] {
        desk.shell_take(AccountMessage::Market {
            instrument_id: bare().instrument_id,
            view: view(price),
        });
        desk.durable_all();
        assert_eq!(desk.venue.sent().len(), sent, "at {price}");
    }
    assert!(!desk.watched().contains(&bare().instrument_id));
}

#[test]
fn the_market_of_now_is_shown_to_an_order_at_once() {
    let mut desk = Desk::connected();
    define_bare(&mut desk);
    let quote = quote(instrument().start_price.0 + 500, 2_000);
    desk.market
        .update(&bare().instrument_id, |view| view.quote = Some(quote));
    drop(desk.command(submit_command(stop("s"))));
    desk.durable_all();
    assert_eq!(desk.venue.sent(), ["new s"]);
}

#[test]
fn what_an_account_waits_for_is_known_after_a_restart() {
    let (journal, venue) = (Arc::default(), Arc::default());
    let mut args = args(&journal, &venue);
    let mut account: Account = account();
    for input in [
        AccountInput::DefineInstrument(Box::new(bare())),
        AccountInput::Submit {
            request: Box::new(stop("s")),
            market: Default::default(),
        },
    ] {
        account.apply(UnixNanos(2_000), input, &mut Effects::default());
    }
    args.account = account;
    let shell = crate::shell::Shell::new(args).unwrap();
    assert!(shell.watched().contains(&bare().instrument_id));
}

#[test]
fn watching_tells_only_what_is_new() {
    let (watched, id) = (Watched::default(), bare().instrument_id);
    assert!(!watched.note(&id, false));
    assert!(watched.note(&id, true));
    assert!(!watched.note(&id, true));
    assert!(!watched.note(&id, false));
    assert!(!watched.contains(&id));
}

/// Live, the feeder carries a print of the market to the account.
#[tokio::test(start_paused = true)]
async fn a_print_that_touches_a_stop_sends_it() {
    let (journal, venue): (Arc<HandJournal>, Arc<HandVenue>) = (Arc::default(), Arc::default());
    let args = AccountArgs {
        clock: Clock::Wall,
        ..args(&journal, &venue)
    };
    let market = args.market.clone();
    market.define(bare()).unwrap();
    let (actor, running) = Actor::spawn(None, AccountActor, args).await.unwrap();
    actor.cast(AccountMessage::Link(VenueLink::Ready)).unwrap();
    let durable = AccountMessage::Durable { sequence: 1_000 };
    actor.cast(durable).unwrap();
    let handle = AccountHandle::new(AccountId::new("paper").unwrap(), actor.clone());
    let define = AccountCommand::DefineInstrument(Box::new(bare()));
    handle.command(define).await.unwrap();
    handle.command(submit_command(stop("s"))).await.unwrap();
    let price = Price(instrument().start_price.0 + 100);
    let trade = Trade {
        instrument_id: bare().instrument_id,
        price,
        quantity: Quantity(1),
        aggressor: None,
        trade_id: 1,
        ts_event: UnixNanos(3_000),
        // One of before the stop would be none of its business.
        ts_init: Clock::Wall.now(),
    };
    market.update(&bare().instrument_id, |view| {
        view.quote = Some(quote(price.0 - 50, 3_000));
    });
    market.trades.try_publish(trade).unwrap();
    // The feeder runs before the paused clock moves on.
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    let order = handle.order(key("s")).await.unwrap().unwrap();
    assert_eq!(order.status, OrderStatus::Submitted, "{order:?}");
    assert_eq!(venue.sent(), ["new s"]);
    actor.stop(None);
    running.await.unwrap();
}

fn pair(list_id: &str) -> AccountCommand {
    AccountCommand::SubmitList(Box::new(SubmitList {
        list_id: apex_domain::id::OrderListId::new(list_id).unwrap(),
        contingency: Contingency::Oco,
        release: ReleaseRule::Full,
        cascade: true,
        orders: vec![order("a", 1), order("b", 2)],
    }))
}

#[test]
fn a_list_goes_through_as_one_and_is_answered_again_without_a_venue() {
    let mut desk = Desk::connected();
    let answer = desk.command(pair("l"));
    desk.durable_all();
    let Ok(Reply::Outcomes(outcomes)) = answer.take() else {
        panic!("no outcomes");
    };
    assert_eq!(outcomes.len(), 2);
    assert_eq!(desk.venue.sent(), ["new a", "new b"]);
    desk.shell_take(AccountMessage::Link(VenueLink::Lost {
        reason: "test".to_owned(),
    }));
    desk.durable_all();
    assert!(matches!(
        desk.command(pair("l")).take(),
        Ok(Reply::Outcomes(again)) if again.len() == 2
    ));
    let answer = desk.command(pair("other")).take();
    assert_eq!(answer, Err(apex_bus::message::CommandError::VenueDown));
}

#[test]
fn a_close_cancels_what_is_in_the_way_even_without_a_venue() {
    let mut desk = Desk::connected();
    desk.working("a");
    let close = || AccountCommand::Close {
        scope: CloseScope::default(),
        request_id: Some(RequestId::new("r-1").unwrap()),
    };
    let answer = desk.command(close());
    desk.durable_all();
    let Ok(Reply::Done { .. }) = answer.take() else {
        panic!("no answer");
    };
    assert_eq!(desk.venue.sent(), ["new a", "cancel a"]);
    let before = desk.journal.sequences().len();
    assert!(desk.command(close()).take().is_ok());
    assert_eq!(desk.journal.sequences().len(), before);
}

#[test]
fn a_preview_leaves_no_record() {
    let mut desk = Desk::connected();
    let before = desk.journal.sequences();
    let AccountAnswer::Preview(preview) = desk
        .query(AccountQuery::Preview(Box::new(order("a", 3))))
        .take()
    else {
        panic!("no preview");
    };
    let preview = preview.unwrap();
    let expected = order("a", 3);
    assert_eq!(preview.quantity, expected.quantity);
    assert_eq!(preview.price, expected.limit_price);
    assert_eq!(preview.failures, []);
    assert_eq!(desk.journal.sequences(), before);
    let AccountAnswer::Order(None) = desk.query(AccountQuery::Order(key("a"))).take() else {
        panic!("the order is known");
    };
}

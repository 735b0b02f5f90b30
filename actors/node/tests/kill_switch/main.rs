//! The kill switch under a flood of new orders: with its answer nothing new reaches the venue any
//! more, every working order has got its cancel, and a restart does not forget it.

mod rig;

use apex_domain::ClientOrderId;
use apex_domain::order::{OrderStatus, OrderType, TimeInForce};
use apex_domain::risk::{ReasonCode, TradingState};
use apex_domain::venue::VenueCommand;
use rig::{Answered, Desk, Flood, Taken, halt, order, submit};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

const TASKS: usize = 4;

/// Orders of the flood that are answered before the halt, and again behind it: enough that each
/// task has its whole window under way when the halt comes.
const BEFORE: usize = 5_000;
const BEHIND: usize = 2_000;

/// Orders by what the venue was told of them: how many times new, how many times to cancel.
fn told(taken: &[Taken]) -> BTreeMap<&ClientOrderId, (usize, usize)> {
    let mut told: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for one in taken {
        let id = one.command.client_order_id();
        let counts = told.entry(id.expect("an own order")).or_default();
        match one.command {
            VenueCommand::New(_) => counts.0 += 1,
            VenueCommand::Cancel { .. } => counts.1 += 1,
            ref other => panic!("nobody asked for {other:?}"),
        }
    }
    told
}

/// The market orders are the buys that made the position and the sells that close it again.
fn is_market(one: &Taken) -> bool {
    matches!(&one.command, VenueCommand::New(order) if order.order_type == OrderType::Market)
}

fn is_limit(one: &Taken) -> bool {
    matches!(&one.command, VenueCommand::New(order) if order.order_type == OrderType::Limit)
}

/// Floods, halts in the middle, floods on, and returns how many commands the venue had taken when
/// the halt was answered, with what the flood was answered.
async fn flood_and_halt(desk: &Desk, flatten: bool) -> (usize, Answered) {
    let flood = Flood::start(desk, TASKS, TimeInForce::Gtc);
    desk.until("orders before the halt", async |_| {
        flood.answered().taken >= BEFORE
    })
    .await;
    let per_second = flood.per_second();
    let begun = Instant::now();
    desk.handle().command(halt(flatten)).await.unwrap();
    let answer = begun.elapsed();
    let at_the_answer = desk.venue.with_taken(<[Taken]>::len);
    let last_cancel = desk.venue.last_cancel().unwrap() - begun;
    desk.until("orders behind the halt", async |_| {
        flood.answered().halted >= BEHIND
    })
    .await;
    let answered = flood.stop().await;
    println!(
        "{per_second:.0} orders a second before the halt; last cancel after {last_cancel:?}, \
         answer after {answer:?}; {} taken, {} denied",
        answered.taken, answered.halted
    );
    (at_the_answer, answered)
}

/// Nothing but the cancels of the halt, and the orders that close, comes behind its first cancel.
fn check_the_venue(desk: &Desk, at_the_answer: usize, answered: Answered) {
    desk.venue.with_taken(|taken| {
        let first = taken.iter().position(Taken::is_cancel).unwrap();
        assert!(first < at_the_answer, "the answer came before the cancels");
        for (number, one) in taken.iter().enumerate().skip(first) {
            assert!(!is_limit(one), "number {number}: {:?}", one.command);
            let is_late_cancel = one.is_cancel() && number >= at_the_answer;
            assert!(!is_late_cancel, "number {number}: {:?}", one.command);
        }
        let limits = taken.iter().filter(|one| is_limit(one));
        assert_eq!(
            limits.count(),
            answered.taken,
            "each taken order is sent once"
        );
        for (id, counts) in told(taken) {
            let is_a_market_order = !id.as_str().starts_with("flood");
            assert_eq!(counts, (1, usize::from(!is_a_market_order)), "{id}");
        }
    });
}

/// Starts the account again in the folder: it is halted, and takes nothing.
async fn check_a_restart(folder: &Path) {
    let desk = Desk::start(folder).await;
    let summary = desk.handle().summary().await.unwrap();
    assert_eq!(summary.trading_state, TradingState::Halted);
    assert_eq!(summary.working_orders, 0);
    let refused = order("after", OrderType::Limit, TimeInForce::Gtc);
    let refused = submit(desk.handle(), refused).await.unwrap();
    assert_eq!(refused.status, OrderStatus::Denied);
    assert_eq!(refused.reason_code, Some(ReasonCode::TradingHalted));
    assert_eq!(desk.venue.count(|_| true), 0);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_the_answer_to_a_halt_nothing_new_reaches_the_venue() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path()).await;
    desk.lift_limits().await;
    let (at_the_answer, answered) = flood_and_halt(&desk, false).await;
    desk.until("the end of all orders", async |desk| {
        desk.handle().summary().await.unwrap().working_orders == 0
    })
    .await;
    check_the_venue(&desk, at_the_answer, answered);
    assert_eq!(desk.venue.count(is_market), 0);
    desk.stop().await;
    check_a_restart(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_that_flattens_sends_its_closing_orders_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path()).await;
    desk.lift_limits().await;
    let entry = order("entry", OrderType::Market, TimeInForce::Ioc);
    submit(desk.handle(), entry).await.unwrap();
    desk.until("a position", async |desk| {
        !desk.handle().summary().await.unwrap().positions.is_empty()
    })
    .await;
    let (at_the_answer, answered) = flood_and_halt(&desk, true).await;
    desk.until("a flat account", async |desk| {
        let summary = desk.handle().summary().await.unwrap();
        summary.working_orders == 0 && summary.positions.iter().all(|one| one.is_flat())
    })
    .await;
    check_the_venue(&desk, at_the_answer, answered);
    assert_eq!(
        desk.venue.count(is_market),
        2,
        "one that opened, one that closed"
    );
    desk.stop().await;
    check_a_restart(folder.path()).await;
}

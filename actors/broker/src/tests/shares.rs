//! Commands that wait for a larger share of the platform's limit.

use super::support::*;
use apex_bus::exposure::ShareKeeper;
use apex_bus::message::{AccountCommand, AccountMessage, CommandError};
use apex_domain::account::{CancelFilter, Refusal};
use apex_domain::order::{Contingency, OrderStatus, ReleaseRule, SubmitList};
use apex_domain::risk::ReasonCode;
use apex_domain::risk::platform::{ShareChange, ShareOffer, ShareReport, ShareTerm};
use apex_domain::venue::{Execution, VenueReport};
use apex_domain::{Money, UnixNanos};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct HandKeeper(Mutex<Vec<ShareReport>>);

impl ShareKeeper for HandKeeper {
    fn report(&self, report: ShareReport) {
        self.0.lock().unwrap().push(report);
    }
}

/// A desk whose share is worth so many orders of one lot.
struct Bench {
    desk: Desk,
    keeper: Arc<HandKeeper>,
    version: u64,
}

/// What one lot is worth at the start price.
fn lot() -> Money {
    let sim = instrument();
    sim.instrument.notional(sim.start_price, sim.lot).unwrap()
}

fn lots(count: i64) -> Money {
    Money(lot().0 * apex_domain::Decimal::from(count))
}

impl Bench {
    fn with(count: i64) -> Bench {
        let keeper: Arc<HandKeeper> = Arc::default();
        let mut desk = Desk::kept(keeper.clone());
        desk.show_start_price();
        let mut bench = Bench {
            desk,
            keeper,
            version: 0,
        };
        bench.offer(ShareChange::Confirm, 0);
        bench.offer(ShareChange::Set(lots(count)), 0);
        bench
    }

    fn offer(&mut self, change: ShareChange, answers: u64) {
        self.version += 1;
        self.desk.shell_take(AccountMessage::Share(ShareOffer {
            term: ShareTerm {
                epoch: 1,
                version: self.version,
            },
            currency: apex_domain::Currency::new("USDT").unwrap(),
            change,
            answers,
        }));
        self.desk.durable_all();
    }

    /// The platform's last word on the newest ask, with so many lots.
    fn answer(&mut self, count: i64) {
        let number = self.ask().0;
        self.offer(ShareChange::Set(lots(count)), number);
    }

    /// Number and wish of the newest ask that left.
    fn ask(&self) -> (u64, Money) {
        let reports = self.keeper.0.lock().unwrap();
        let ask = reports.iter().rev().find_map(|report| report.ask);
        ask.map(|ask| (ask.number, ask.wanted)).expect("an ask")
    }

    fn submit(&mut self, client: &str, count: i64) -> CommandAnswer {
        let answer = self.desk.command(submit_command(order(client, count)));
        self.desk.durable_all();
        answer
    }

    fn command(&mut self, command: AccountCommand) -> CommandAnswer {
        let answer = self.desk.command(command);
        self.desk.durable_all();
        answer
    }
}

fn status(answer: CommandAnswer) -> OrderStatus {
    order_of(answer.take()).status
}

#[test]
fn an_order_that_fits_the_share_does_not_wait() {
    let mut bench = Bench::with(3);
    assert_eq!(status(bench.submit("a", 3)), OrderStatus::Submitted);
}

#[test]
fn an_order_beyond_the_share_waits_while_others_go_on_and_leaves_with_a_larger_one() {
    let mut bench = Bench::with(3);
    let mut large = bench.submit("large", 5);
    assert!(!large.is_there());
    assert_eq!(bench.ask().1, lots(5));
    assert_eq!(status(bench.submit("small", 2)), OrderStatus::Submitted);
    bench.answer(8);
    assert_eq!(status(large), OrderStatus::Submitted);
    assert_eq!(bench.desk.venue.sent(), ["new small", "new large"]);
}

#[test]
fn the_last_word_without_enough_denies() {
    let mut bench = Bench::with(3);
    let large = bench.submit("large", 5);
    bench.answer(4);
    let denied = order_of(large.take());
    assert_eq!(denied.reason_code, Some(ReasonCode::ExposureLimit));
    assert!(denied.reason.contains("platform"), "{}", denied.reason);
}

#[test]
fn a_share_that_grows_without_the_last_word_lets_go_what_fits_only() {
    let mut bench = Bench::with(1);
    let (mut a, b) = (bench.submit("a", 9), bench.submit("b", 3));
    bench.offer(ShareChange::Set(lots(4)), 0);
    assert_eq!(status(b), OrderStatus::Submitted);
    assert!(!a.is_there());
}

/// What came behind an ask was not counted in it, and is asked for together.
#[test]
fn what_comes_behind_an_ask_is_asked_for_by_the_next_one() {
    let mut bench = Bench::with(1);
    let a = bench.submit("a", 2);
    let first = bench.ask();
    let (mut b, mut c) = (bench.submit("b", 3), bench.submit("c", 4));
    assert_eq!(bench.ask(), first);
    bench.answer(2);
    assert_eq!(status(a), OrderStatus::Submitted);
    assert!(!b.is_there() && !c.is_there());
    assert_eq!(bench.ask(), (first.0 + 1, lots(9)));
    bench.answer(9);
    assert_eq!(
        (status(b), status(c)),
        (OrderStatus::Submitted, OrderStatus::Submitted)
    );
}

#[test]
fn a_word_on_an_earlier_ask_is_not_the_last_one() {
    let mut bench = Bench::with(1);
    let mut a = bench.submit("a", 2);
    let number = bench.ask().0;
    bench.offer(ShareChange::Set(lots(1)), number - 1);
    assert!(!a.is_there());
}

#[test]
fn without_an_answer_an_order_is_denied_after_a_while() {
    let mut bench = Bench::with(1);
    let mut a = bench.submit("a", 2);
    for (seconds, is_there) in [(1, false), (2, true)] {
        bench
            .desk
            .clock
            .advance(UnixNanos(2_000 + seconds * 1_000_000_000));
        bench.desk.shell_take(AccountMessage::Tick);
        bench.desk.durable_all();
        assert_eq!(a.is_there(), is_there, "{seconds} s");
    }
    assert_eq!(status(a), OrderStatus::Denied);
}

#[test]
fn a_cancel_ends_the_wait_of_its_order_and_comes_behind_it() {
    let mut bench = Bench::with(1);
    let (a, mut b) = (bench.submit("a", 2), bench.submit("b", 2));
    let cancel = bench.command(cancel_command("a", None));
    assert_eq!(status(a), OrderStatus::Denied);
    let closed = CommandError::Refused(Refusal::OrderClosed("DENIED"));
    assert_eq!(cancel.take(), Err(closed));
    assert!(!b.is_there());
    drop(bench.command(AccountCommand::CancelAll {
        filter: CancelFilter::default(),
        request_id: None,
        reason_code: ReasonCode::CanceledByUser,
    }));
    assert_eq!(status(b), OrderStatus::Denied);
}

#[test]
fn an_amend_waits_behind_its_order_and_for_its_own_growth() {
    let mut bench = Bench::with(1);
    let a = bench.submit("a", 2);
    let mut amend = bench.command(amend_command("a", "r1", 4));
    assert!(!amend.is_there());
    bench.answer(2);
    assert_eq!(status(a), OrderStatus::Submitted);
    // Not yet accepted by the venue, it cannot grow in place; the account says so itself.
    bench.offer(ShareChange::Set(lots(4)), 0);
    assert!(amend.is_there());
}

#[test]
fn the_kill_switch_does_not_wait_and_what_waits_is_behind_it() {
    let mut bench = Bench::with(1);
    let a = bench.submit("a", 2);
    let halted = bench.command(halt(true));
    assert!(halted.take().is_ok());
    assert_eq!(
        order_of(a.take()).reason_code,
        Some(ReasonCode::TradingHalted)
    );
}

#[test]
fn a_report_leaves_once_what_it_says_is_durable() {
    let mut bench = Bench::with(9);
    let count = |bench: &Bench| bench.keeper.0.lock().unwrap().len();
    let before = count(&bench);
    drop(bench.desk.submit("a"));
    bench.desk.shell_take(AccountMessage::Tick);
    assert_eq!(count(&bench), before);
    bench.desk.durable_all();
    assert_eq!(count(&bench), before + 1);
    let reports = bench.keeper.0.lock().unwrap();
    assert_eq!(reports.last().unwrap().exposure, Some(lots(1)));
}

#[test]
fn an_account_without_a_share_says_nothing_and_waits_for_nothing() {
    let keeper: Arc<HandKeeper> = Arc::default();
    let mut desk = Desk::kept(keeper.clone());
    desk.show_start_price();
    let answer = desk.submit("a");
    desk.shell_take(AccountMessage::Tick);
    desk.durable_all();
    assert_eq!(status(answer), OrderStatus::Submitted);
    assert!(keeper.0.lock().unwrap().is_empty());
}

/// A list whose child buys three lots once its parent has bought one.
fn buy_in_two_steps(bench: &mut Bench) {
    let list = SubmitList {
        list_id: apex_domain::OrderListId::new("l").unwrap(),
        contingency: Contingency::Oto,
        release: ReleaseRule::Full,
        cascade: true,
        orders: vec![order("parent", 1), order("child", 3)],
    };
    drop(bench.command(AccountCommand::SubmitList(Box::new(list))));
    let parent = order("parent", 1);
    let filled = VenueReport::Filled(Execution {
        exec_id: apex_domain::ExecId::new("x").unwrap(),
        client_order_id: parent.client_order_id,
        instrument_id: parent.instrument_id,
        side: parent.side,
        last_quantity: parent.quantity,
        last_price: parent.limit_price.unwrap(),
        fee: Money::ZERO,
        fee_currency: apex_domain::Currency::new("USDT").unwrap(),
        maker: false,
        ts_event: UnixNanos(2_000),
    });
    for (number, report) in [(1, accepted("parent")), (2, filled)] {
        bench.desk.report(number, report);
        bench.desk.durable_all();
    }
}

#[test]
fn a_child_that_leaves_asks_for_its_share_and_is_not_denied_meanwhile() {
    let mut bench = Bench::with(2);
    buy_in_two_steps(&mut bench);
    assert_eq!(bench.ask().1, lots(4));
    assert_eq!(bench.desk.status("child"), OrderStatus::PendingNew);
    bench.answer(4);
    assert_eq!(bench.desk.status("child"), OrderStatus::Submitted);
}

#[test]
fn the_last_word_on_a_child_is_final_and_is_not_asked_for_again() {
    let mut bench = Bench::with(2);
    buy_in_two_steps(&mut bench);
    let asked = bench.ask();
    bench.answer(2);
    assert_eq!(bench.desk.status("child"), OrderStatus::Denied);
    bench.desk.shell_take(AccountMessage::Tick);
    bench.desk.durable_all();
    assert_eq!(bench.ask(), asked);
}

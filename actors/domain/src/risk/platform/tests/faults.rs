//! Real accounts and the platform's side, through a network that loses, doubles and reorders, with
//! both sides crashing: never above the limit, and no order denied that would have fitted.
//!
//! Prices stand still here, since what prices do to positions is no new exposure.

use super::super::{
    Ask, Outbound, PlatformChange, PlatformEffects, PlatformExposure, PlatformInput, PlatformLimit,
    ShareOffer, ShareReport,
};
use super::seat::{Seat, show_market};
use crate::account::tests::support::*;
use crate::account::{Account, AccountInput};
use crate::event::Event;
use crate::id::AccountId;
use crate::market::Side;
use crate::matching::random::Random;
use crate::money::Money;
use crate::number::Quantity;
use crate::order::{AmendOrder, OrderKey, OrderStatus};
use crate::risk::ReasonCode;
use crate::time::{NANOS_PER_MILLI, UnixNanos};
use crate::venue::VenueReport;
use std::collections::BTreeMap;

const LIMIT: &str = "1000";
const ACCOUNTS: usize = 4;
/// Steps of one seed; some dozen of them are crashes.
const STEPS: u64 = 1_500;
const SEEDS: u64 = 12;
/// Commands that one account keeps waiting.
const WAITING: usize = 4;

enum Message {
    Offer(Outbound),
    Report(ShareReport),
}

/// What happened, so that a run that tries nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    taken: u64,
    asked: u64,
    served: u64,
    denied: u64,
    crashes: u64,
}

struct World {
    random: Random,
    now: UnixNanos,
    seats: BTreeMap<AccountId, Seat>,
    machine: PlatformExposure,
    /// What the machine made durable.
    record: Vec<u8>,
    network: Vec<Message>,
    number: u64,
    tally: Tally,
}

fn name(number: usize) -> AccountId {
    AccountId::new(&format!("account-{number}")).unwrap()
}

impl World {
    fn new(seed: u64) -> World {
        let mut machine = PlatformExposure::begin(None).unwrap();
        let now = UnixNanos(1_700_000_000 * crate::time::NANOS_PER_SECOND);
        let mut seats = BTreeMap::new();
        let mut effects = PlatformEffects::default();
        for number in 0..ACCOUNTS {
            seats.insert(name(number), Seat::new(&name(number), now));
            machine.apply(PlatformInput::Join(name(number)), &mut effects);
        }
        let mut world = World {
            random: Random::new(seed),
            now,
            seats,
            record: machine.record(),
            machine,
            network: Vec::new(),
            number: 0,
            tally: Tally::default(),
        };
        let limit = Some(PlatformLimit {
            currency: currency("USDT"),
            max_exposure: money(LIMIT),
        });
        world.platform(PlatformInput::Change(PlatformChange {
            request_id: request_id("limit"),
            limit,
            expected_sequence: None,
        }));
        world.settle();
        assert!(world.machine.is_in_force());
        world
    }

    fn platform(&mut self, input: PlatformInput) {
        let mut effects = PlatformEffects::default();
        self.machine.apply(input, &mut effects);
        if effects.save {
            self.record = self.machine.record();
        }
        self.network
            .extend(effects.offers.into_iter().map(Message::Offer));
    }

    fn any_account(&mut self) -> AccountId {
        name(self.random.below(ACCOUNTS as u64) as usize)
    }

    fn step(&mut self) {
        self.now = self.now.plus(NANOS_PER_MILLI);
        let account_id = self.any_account();
        match self.random.below(100) {
            0..25 => self.order(&account_id),
            25..30 => self.amend(&account_id),
            30..45 => self.trade(&account_id),
            45..75 => self.deliver(),
            75..90 => self.write(&account_id),
            90..93 => self.platform(PlatformInput::Tick),
            93..96 => self.tell(&account_id),
            96..97 => self.give_up(&account_id),
            97..98 => self.crash(&account_id),
            98 => {
                self.tally.crashes += 1;
                self.machine = PlatformExposure::begin(Some(&self.record)).unwrap();
                self.record = self.machine.record();
            }
            _ => self.network.clear(),
        }
    }

    fn order(&mut self, account_id: &AccountId) {
        self.number += 1;
        let side = if self.random.chance(1, 2) {
            Side::Buy
        } else {
            Side::Sell
        };
        let text = if self.random.chance(1, 2) { SPOT } else { PERP };
        let quantity = self.random.between(50, 2_500);
        let client = format!("o{}", self.number);
        let request = Box::new(limit(&client, text, side, quantity, 10_000));
        let market = market(9_999, 10_001, self.now);
        self.command(account_id, AccountInput::Submit { request, market });
    }

    fn amend(&mut self, account_id: &AccountId) {
        self.number += 1;
        let Some(client_order_id) = self.working(account_id) else {
            return;
        };
        let request = AmendOrder {
            key: OrderKey::ClientOrderId(client_order_id),
            request_id: request_id(&format!("a{}", self.number)),
            quantity: Some(Quantity(self.random.between(50, 2_500))),
            limit_price: None,
            expected_sequence: None,
            stop_price: None,
        };
        let market = market(9_999, 10_001, self.now);
        self.command(account_id, AccountInput::Amend { request, market });
    }

    /// As the shell does: what needs a larger share waits for it.
    fn command(&mut self, account_id: &AccountId, input: AccountInput) {
        let now = self.now;
        let seat = self.seats.get_mut(account_id).unwrap();
        if seat.wanted(now, &input).is_none() || seat.waiting.len() >= WAITING {
            return self.decide(account_id, input);
        }
        seat.waiting.push(input);
        self.tally.asked += 1;
        self.ask(account_id);
    }

    fn ask(&mut self, account_id: &AccountId) {
        self.number += 1;
        let seat = self.seats.get_mut(account_id).unwrap();
        let account = &mut seat.account;
        let growths = seat.waiting.iter();
        let growths = growths.filter_map(|input| account.share_growth(self.now, input));
        let added = growths.fold(Money::ZERO, |sum, growth| {
            sum.checked_add(growth.added).unwrap()
        });
        seat.ask = Some(Ask {
            number: self.number,
            wanted: seat.worst(self.now).checked_add(added).unwrap(),
        });
        self.tell(account_id);
    }

    fn decide(&mut self, account_id: &AccountId, input: AccountInput) {
        let seat = self.seats.get_mut(account_id).unwrap();
        let effects = seat.apply(self.now, input);
        for recorded in &effects.events {
            self.tally.taken += u64::from(matches!(recorded.event, Event::OrderSubmitted { .. }));
            if let Event::OrderDenied { reason_code, .. } = recorded.event {
                assert_eq!(reason_code, ReasonCode::ExposureLimit);
                self.tally.denied += 1;
            }
        }
    }

    fn working(&mut self, account_id: &AccountId) -> Option<crate::ClientOrderId> {
        let seat = &self.seats[account_id];
        let working = seat.account.working_orders().count() as u64;
        let nth = self.random.below(working) as usize;
        let order = seat.account.working_orders().nth(nth)?;
        Some(order.request.client_order_id.clone())
    }

    /// The venue accepts, fills or ends an order.
    fn trade(&mut self, account_id: &AccountId) {
        self.number += 1;
        let Some(client_order_id) = self.working(account_id) else {
            return;
        };
        let key = OrderKey::ClientOrderId(client_order_id.clone());
        let seat = self.seats.get_mut(account_id).unwrap();
        let order = seat.account.order(&key).unwrap().clone();
        let part = self.random.between(1, order.leaves_quantity.0);
        let report = match (order.status, self.random.below(3)) {
            (OrderStatus::PendingAmend, 0) => VenueReport::Amended {
                client_order_id,
                quantity: seat.pending_quantity(&order.order_id),
                limit_price: order.limit_price,
                stop_price: None,
                ts_event: self.now,
            },
            (OrderStatus::PendingAmend, _) => VenueReport::AmendRejected {
                client_order_id,
                text: "busy".to_owned(),
                ts_event: self.now,
            },
            (_, 0) => ended(client_order_id.as_str(), order.filled_quantity.0, self.now),
            _ => VenueReport::Filled(execution(
                client_order_id.as_str(),
                &format!("x{}", self.number),
                order.request.instrument_id.as_str(),
                order.request.side,
                part,
                10_000,
            )),
        };
        let venue_sequence = 0;
        self.decide(
            account_id,
            AccountInput::Report {
                venue_sequence,
                report,
            },
        );
    }

    /// Holds what the account says of itself until it is durable.
    fn tell(&mut self, account_id: &AccountId) {
        let seat = self.seats.get_mut(account_id).unwrap();
        let report = seat.account.share_report(self.now, seat.ask).unwrap();
        seat.held.push((seat.journal.len(), report));
    }

    fn write(&mut self, account_id: &AccountId) {
        let seat = self.seats.get_mut(account_id).unwrap();
        let whole = seat.ends.partition_point(|end| *end <= seat.durable);
        let open = &seat.ends[whole..];
        let written = self.random.below(open.len() as u64 + 1) as usize;
        if let Some(last) = written.checked_sub(1) {
            seat.durable = open[last];
        }
        let durable = seat.durable;
        let ready = seat.held.extract_if(.., |(needs, _)| *needs <= durable);
        self.network
            .extend(ready.map(|(_, report)| Message::Report(report)));
    }

    /// Delivers any message, whatever was sent before it; some come twice, some never.
    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let place = self.random.below(self.network.len() as u64) as usize;
        let message = self.network.swap_remove(place);
        match self.random.below(10) {
            0 => {}
            1 => {
                let again = match &message {
                    Message::Offer(out) => Message::Offer(out.clone()),
                    Message::Report(report) => Message::Report(report.clone()),
                };
                self.take(message);
                self.network.push(again);
            }
            _ => self.take(message),
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Report(report) => self.platform(PlatformInput::Report(report)),
            Message::Offer(out) => self.take_offer(&out.account_id, out.offer),
        }
    }

    fn take_offer(&mut self, account_id: &AccountId, offer: ShareOffer) {
        let now = self.now;
        let seat = self.seats.get_mut(account_id).unwrap();
        let answers = offer.answers;
        seat.apply(now, AccountInput::OfferShare(offer));
        let is_last_word = seat.ask.is_some_and(|ask| ask.number == answers);
        for input in std::mem::take(&mut seat.waiting) {
            let seat = self.seats.get_mut(account_id).unwrap();
            if seat.wanted(now, &input).is_none() {
                self.tally.served += 1;
                self.decide(account_id, input);
            } else if is_last_word {
                self.decide(account_id, input);
            } else {
                seat.waiting.push(input);
            }
        }
        let seat = self.seats.get_mut(account_id).unwrap();
        if seat.waiting.is_empty() {
            seat.ask = None;
        }
        self.tell(account_id);
    }

    /// Nothing came in time.
    fn give_up(&mut self, account_id: &AccountId) {
        let seat = self.seats.get_mut(account_id).unwrap();
        seat.ask = None;
        for input in std::mem::take(&mut seat.waiting) {
            self.decide(account_id, input);
        }
    }

    fn crash(&mut self, account_id: &AccountId) {
        self.tally.crashes += 1;
        let seat = self.seats.get_mut(account_id).unwrap();
        seat.journal.truncate(seat.durable);
        seat.ends.retain(|end| *end <= seat.durable);
        seat.waiting.clear();
        seat.held.clear();
        seat.ask = None;
        seat.account = Account::new();
        for recorded in &seat.journal {
            seat.account.fold(recorded).unwrap();
        }
        show_market(&mut seat.account, self.now);
    }

    fn check(&self, seed: u64, step: u64) {
        let sum = |of: &dyn Fn(&Seat) -> Money| {
            let each = self.seats.values().map(of);
            each.fold(Money::ZERO, |sum, money| sum.checked_add(money).unwrap())
        };
        let shares = sum(&|seat| seat.share());
        let worst = sum(&|seat| seat.worst(self.now));
        assert!(
            shares <= money(LIMIT),
            "seed {seed} step {step}: {shares} is handed out"
        );
        assert!(
            worst <= shares,
            "seed {seed} step {step}: {worst} may come of {shares}"
        );
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        for _ in 0..50 {
            for number in 0..ACCOUNTS {
                let seat = self.seats.get_mut(&name(number)).unwrap();
                seat.durable = seat.journal.len();
                self.tell(&name(number));
                self.write(&name(number));
            }
            self.platform(PlatformInput::Tick);
            for message in std::mem::take(&mut self.network) {
                self.take(message);
            }
        }
    }
}

#[test]
fn with_losses_and_crashes_on_both_sides_the_limit_holds_at_every_step() {
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for step in 0..STEPS {
            world.step();
            world.check(seed, step);
        }
        no_order_that_fits_is_denied(&mut world, seed);
        let tally = &world.tally;
        total.taken += tally.taken;
        total.asked += tally.asked;
        total.served += tally.served;
        total.denied += tally.denied;
        total.crashes += tally.crashes;
    }
    let counts = [
        total.taken,
        total.asked,
        total.served,
        total.denied,
        total.crashes,
    ];
    assert!(
        counts.iter().all(|count| *count > 20 * SEEDS / 2),
        "{total:?}"
    );
}

/// Once the network is well, an order for all that no account uses is taken, wherever it comes.
fn no_order_that_fits_is_denied(world: &mut World, seed: u64) {
    world.settle();
    let now = world.now;
    let used = world.seats.values().fold(Money::ZERO, |sum, seat| {
        assert!(
            seat.waiting.is_empty(),
            "seed {seed}: something waits for ever"
        );
        sum.checked_add(seat.worst(now)).unwrap()
    });
    let free = money(LIMIT).checked_sub(used).unwrap();
    // At 100.00 a thousandth is worth a tenth.
    let quantity = (free.0 * crate::Decimal::from(10)).trunc();
    let quantity = i64::try_from(quantity).unwrap();
    if quantity < 1 {
        return;
    }
    let account_id = world.any_account();
    // On the side on which it adds in full.
    let net = world.seats[&account_id]
        .account
        .net_position(&id("BTCUSDT-PERP.SIM"));
    let exposure = world.seats[&account_id].account.exposure(&id(PERP));
    let long = i128::from(net) + exposure.buy.quantity;
    let short = i128::from(-net) + exposure.sell.quantity;
    let side = if long >= short { Side::Buy } else { Side::Sell };
    let request = Box::new(limit("last", PERP, side, quantity, 10_000));
    let market = market(9_999, 10_001, now);
    world.command(&account_id, AccountInput::Submit { request, market });
    world.settle();
    let order = world.seats[&account_id].account.order(&key("last"));
    let status = order.map(|order| order.status);
    assert_eq!(
        status,
        Some(OrderStatus::Submitted),
        "seed {seed}: {free} was free"
    );
    let worst = world.seats.values().map(|seat| seat.worst(now));
    let used = worst.fold(Money::ZERO, |sum, money| sum.checked_add(money).unwrap());
    assert!(used <= money(LIMIT));
}

#[test]
fn a_share_is_decided_once_and_folds_to_the_same_account() {
    let mut world = World::new(7);
    for _ in 0..200 {
        world.step();
    }
    for seat in world.seats.values() {
        let mut folded = Account::new();
        for recorded in &seat.journal {
            folded.fold(recorded).unwrap();
        }
        assert!(folded == seat.account);
        assert_eq!(folded.state_hash(), seat.account.state_hash());
        let restored = Account::restore(&seat.account.snapshot()).unwrap();
        assert_eq!(restored.platform_share(), seat.account.platform_share());
    }
}

//! Icebergs at a venue that has none: one order here, one part after the other there.

use super::support::*;
use crate::account::{Account, AccountInput};
use crate::id::{ClientOrderId, ExecId, VenueOrderId};
use crate::instrument::{Instrument, InstrumentRules, Lacks};
use crate::invariant;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, SubmitOrder};
use crate::risk::{ReasonCode, TradingState};
use crate::venue::{EndReason, RejectReason, VenueCommand, VenueEnd, VenueReport, VenueStatus};

/// A contract whose venue has no icebergs and takes orders of `smallest` or more.
fn world(smallest: i64) -> World {
    let mut world = World::small();
    let definition = Instrument {
        rules: InstrumentRules {
            lacks: Lacks {
                iceberg: true,
                ..Lacks::default()
            },
            ..InstrumentRules::default()
        },
        min_notional: money("0"),
        min_quantity: Quantity(smallest),
        ..instrument(PERP)
    };
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

fn iceberg(client: &str, quantity: i64, shown: i64) -> SubmitOrder {
    SubmitOrder {
        terms: OrderTerms {
            display_quantity: Some(Quantity(shown)),
            ..OrderTerms::default()
        },
        ..limit(client, PERP, Side::Buy, quantity, 10_000)
    }
}

mod amends;
mod life;

impl World {
    /// The venue's id of slice `number` of an order.
    fn slice(&self, client: &str, number: &str) -> String {
        let order = self.order(client);
        let (_, created) = order.order_id.as_str().rsplit_once('-').unwrap();
        format!("ICE{created}-{number}")
    }

    /// What left with the last input, the ids as `client/number`.
    fn left(&self) -> String {
        let name = |id: &ClientOrderId| {
            let (created, number) = id
                .as_str()
                .strip_prefix("ICE")
                .unwrap()
                .split_once('-')
                .unwrap();
            let behind = format!("-{created}");
            let mut orders = self.account.orders();
            let order = orders
                .find(|it| it.order_id.as_str().ends_with(&behind))
                .unwrap();
            format!("{}/{number}", order.request.client_order_id)
        };
        let commands = self.commands().iter().map(|command| match command {
            VenueCommand::New(new) => {
                assert_eq!(new.terms.display_quantity, None);
                let price = new.limit_price.unwrap().0;
                format!(
                    "new {} {}@{price}",
                    name(&new.client_order_id),
                    new.quantity.0
                )
            }
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                ..
            } => {
                let price = limit_price.unwrap().0;
                format!("amend {} {}@{price}", name(client_order_id), quantity.0)
            }
            VenueCommand::Cancel {
                client_order_id, ..
            } => format!("cancel {}", name(client_order_id)),
            VenueCommand::Query {
                client_order_id, ..
            } => format!("query {}", name(client_order_id)),
            VenueCommand::CancelForeign { .. } => unreachable!("no order here is foreign"),
        });
        commands.collect::<Vec<_>>().join(", ")
    }

    /// One step of a script about order `o`, or the one that its first word names. Parts are
    /// told by their number.
    fn play(&mut self, text: &str) {
        let (client, text) = match text.split_once(": ") {
            Some((client, text)) => (client, text),
            None => ("o", text),
        };
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        let wire = words.get(1).map(|word| self.slice(client, word));
        let wire = wire.unwrap_or_default();
        let ts_event = self.now.plus(1);
        let fill = |exec: &str, quantity| execution(&wire, exec, PERP, Side::Buy, quantity, 10_000);
        match words[0] {
            "accept" => drop(self.accept(&wire)),
            "fill" => {
                let execution = fill(words[2], number(3));
                self.report(VenueReport::Filled(execution));
            }
            "bust" => {
                self.report(VenueReport::Busted {
                    client_order_id: cid(&wire),
                    exec_id: ExecId::new(words[2]).unwrap(),
                    instrument_id: id(PERP),
                    ts_event,
                });
            }
            "ended" => drop(self.ended(&wire, number(2))),
            "expired" => {
                self.report(VenueReport::Ended {
                    client_order_id: cid(&wire),
                    end: VenueEnd::Expired,
                    reason: EndReason::TimeOver,
                    cumulative_quantity: Quantity(number(2)),
                    ts_event,
                });
            }
            "amended" => {
                self.report(VenueReport::Amended {
                    client_order_id: cid(&wire),
                    quantity: Quantity(number(2)),
                    limit_price: words.get(3).map(|_| Price(number(3))),
                    stop_price: None,
                    ts_event,
                });
            }
            "refused-amend" => {
                self.report(VenueReport::AmendRejected {
                    client_order_id: cid(&wire),
                    text: "gone".to_owned(),
                    ts_event,
                });
            }
            "refused-cancel" => {
                self.report(VenueReport::CancelRejected {
                    client_order_id: cid(&wire),
                    text: "gone".to_owned(),
                    ts_event,
                });
            }
            "rejected" => {
                self.report(VenueReport::Rejected {
                    client_order_id: cid(&wire),
                    reason: RejectReason::InsufficientFunds,
                    text: "margin".to_owned(),
                    ts_event,
                });
            }
            "status" => {
                let fills = words[4..].chunks(2);
                let executions = fills.map(|pair| fill(pair[0], pair[1].parse().unwrap()));
                self.report(VenueReport::Status {
                    client_order_id: cid(&wire),
                    venue_order_id: VenueOrderId::new(&format!("v-{wire}")).unwrap(),
                    status: match words[2] {
                        "working" => VenueStatus::Working,
                        "filled" => VenueStatus::Filled,
                        "canceled" => VenueStatus::Canceled,
                        other => panic!("unknown status {other}"),
                    },
                    quantity: Quantity(number(3)),
                    limit_price: None,
                    stop_price: None,
                    executions: executions.collect(),
                    ts_event,
                });
            }
            "missing" => drop(self.not_found(&wire, true)),
            _ => self.play_own(client, &words),
        }
    }

    /// What does not come from the venue.
    fn play_own(&mut self, client: &str, words: &[&str]) {
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        match words[0] {
            "cancel" => drop(self.cancel(client)),
            "amend" => {
                let price = words.get(2).map(|_| number(2));
                self.amend(client, Some(number(1)), price);
            }
            "state" => {
                let state = match words[1] {
                    "active" => TradingState::Active,
                    "reducing" => TradingState::Reducing,
                    _ => TradingState::Halted,
                };
                self.apply(AccountInput::SetTradingState {
                    request_id: None,
                    state,
                    by: "ops".to_owned(),
                    reason: "test".to_owned(),
                });
            }
            "kill" => {
                self.apply(AccountInput::Halt {
                    request_id: None,
                    cancel: true,
                    flatten: false,
                    by: "ops".to_owned(),
                    reason: "test".to_owned(),
                });
            }
            "lost" => {
                self.apply(AccountInput::SessionLost {
                    reason_code: ReasonCode::NoAnswer,
                });
            }
            "ready" => drop(self.apply(AccountInput::SessionReady)),
            "later" => {
                self.now = self.now.plus(6 * crate::time::NANOS_PER_SECOND);
                self.apply(AccountInput::Tick);
            }
            "restart" => self.restart(),
            other => panic!("unknown step {other}"),
        }
    }

    /// The account as the journal gives it; nothing of the last input leaves again.
    fn restart(&mut self) {
        let mut account = Account::new();
        for recorded in &self.journal {
            account.fold(recorded).unwrap();
        }
        assert!(account == Account::restore(&account.snapshot()).unwrap());
        self.account = account;
        self.effects.clear();
    }

    fn quantities(&self, client: &str) -> String {
        let order = self.order(client);
        format!(
            "{}+{}+{}={} {}",
            order.filled_quantity.0,
            order.leaves_quantity.0,
            order.canceled_quantity.0,
            order.quantity.0,
            order.status.as_str()
        )
    }
}

/// An order `o` of `quantity` that shows `shown`; for each step what left, and how the order
/// stands: `filled+leaves+canceled=quantity STATUS`.
fn check_at(smallest: i64, quantity: i64, shown: i64, script: &[(&str, &str, &str)]) -> World {
    let mut world = world(smallest);
    world.submit(iceberg("o", quantity, shown));
    for (step, left, expected) in script {
        if *step != "submit" {
            world.play(step);
        }
        let what = format!("after \"{step}\"");
        assert_eq!(world.left(), *left, "{what}: {:?}", world.events());
        assert_eq!(world.quantities("o"), *expected, "{what}");
        invariant::check_account(&world.account).unwrap();
        world.assert_recovers();
    }
    world
}

fn check(script: &[(&str, &str, &str)]) -> World {
    check_at(1, 25, 10, script)
}

/// How often the journal has an event.
fn count(world: &World, wanted: &str) -> usize {
    let events = world.journal.iter();
    events.filter(|it| name(&it.event) == wanted).count()
}

const SENT: (&str, &str, &str) = ("submit", "new o/1 10@10000", "0+25+0=25 SUBMITTED");
const FIRST: (&str, &str, &str) = ("accept 1", "", "0+25+0=25 ACCEPTED");
const SECOND: (&str, &str, &str) = (
    "fill 1 a 10",
    "new o/2 10@10000",
    "10+15+0=25 PARTIALLY_FILLED",
);

#[test]
fn an_iceberg_is_shown_part_by_part_until_it_is_filled() {
    let world = check(&[
        SENT,
        FIRST,
        ("fill 1 a 4", "", "4+21+0=25 PARTIALLY_FILLED"),
        (
            "fill 1 b 6",
            "new o/2 10@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        // Reports that come twice or late, of the part before.
        ("fill 1 b 6", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("accept 1", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("ended 1 10", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("missing 1", "", "10+15+0=25 PARTIALLY_FILLED"),
        (
            "status 1 filled 10 a 4 b 6",
            "",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        ("accept 2", "", "10+15+0=25 PARTIALLY_FILLED"),
        (
            "fill 2 c 10",
            "new o/3 5@10000",
            "20+5+0=25 PARTIALLY_FILLED",
        ),
        // Filled before it was accepted.
        ("fill 3 d 5", "", "25+0+0=25 FILLED"),
        ("accept 3", "", "25+0+0=25 FILLED"),
        ("later", "", "25+0+0=25 FILLED"),
    ]);
    assert_eq!(count(&world, "OrderSliced"), 3);
    assert_eq!(count(&world, "ReportQuarantined"), 0);
    assert_eq!(world.account.net_position(&id(PERP)), 25);
}

#[test]
fn no_rest_is_left_that_is_too_small_for_an_order() {
    check_at(
        6,
        25,
        10,
        &[
            ("submit", "new o/1 10@10000", "0+25+0=25 SUBMITTED"),
            (
                "fill 1 a 10",
                "new o/2 15@10000",
                "10+15+0=25 PARTIALLY_FILLED",
            ),
            ("fill 2 b 15", "", "25+0+0=25 FILLED"),
        ],
    );
    let mut world = world(6);
    world.submit(iceberg("o", 25, 5));
    let order = world.order("o");
    assert_eq!(order.reason_code, Some(ReasonCode::Unsupported));
    assert!(order.reason.contains("show more"), "{}", order.reason);
}

#[test]
fn what_is_unknown_of_a_part_is_asked_for_and_nothing_else_leaves() {
    let world = check(&[
        SENT,
        ("lost", "", "0+25+0=25 UNKNOWN"),
        ("ready", "query o/1", "0+25+0=25 UNKNOWN"),
        ("missing 1", "new o/1 10@10000", "0+25+0=25 SUBMITTED"),
        SECOND,
        ("later", "query o/2", "10+15+0=25 PARTIALLY_FILLED"),
        ("later", "query o/2", "10+15+0=25 PARTIALLY_FILLED"),
        ("lost", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("ready", "query o/2", "10+15+0=25 PARTIALLY_FILLED"),
        (
            "missing 2",
            "new o/2 10@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        ("status 2 working 10 b 3", "", "13+12+0=25 PARTIALLY_FILLED"),
        ("later", "", "13+12+0=25 PARTIALLY_FILLED"),
        ("lost", "", "13+12+0=25 PARTIALLY_FILLED"),
        ("ready", "query o/2", "13+12+0=25 PARTIALLY_FILLED"),
        (
            "status 2 filled 10 b 3 c 7",
            "new o/3 5@10000",
            "20+5+0=25 PARTIALLY_FILLED",
        ),
        // Of a part that it has shown to have, a venue that lost it ends the order.
        ("accept 3", "", "20+5+0=25 PARTIALLY_FILLED"),
        ("missing 3", "", "20+0+5=25 CANCELED"),
    ]);
    assert_eq!(world.order("o").reason_code, Some(ReasonCode::NotAtVenue));
}

#[test]
fn an_execution_that_is_taken_back_is_not_shown_in_another_part() {
    let world = check(&[
        SENT,
        FIRST,
        SECOND,
        ("bust 1 a", "", "0+25+0=25 ACCEPTED"),
        ("accept 2", "", "0+25+0=25 ACCEPTED"),
        (
            "fill 2 b 10",
            "new o/3 5@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        ("fill 3 c 4", "", "14+11+0=25 PARTIALLY_FILLED"),
        // Of a part that works: it may trade again there.
        ("bust 3 c", "", "10+15+0=25 PARTIALLY_FILLED"),
        // The venue trades a half of the first again.
        ("fill 1 d 5", "", "15+10+0=25 PARTIALLY_FILLED"),
        ("restart", "", "15+10+0=25 PARTIALLY_FILLED"),
        ("fill 3 e 5", "", "20+0+5=25 CANCELED"),
        // And then the other half, late.
        ("fill 1 f 5", "", "25+0+0=25 FILLED"),
        ("bust 1 a", "", "25+0+0=25 FILLED"),
    ]);
    assert_eq!(world.account.net_position(&id(PERP)), 25);
    assert_eq!(count(&world, "ReportQuarantined"), 0);
    // The part that was last at the venue, while the next one is held back.
    let world = check(&[
        SENT,
        FIRST,
        ("state halted", "", "0+25+0=25 ACCEPTED"),
        ("fill 1 a 10", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("bust 1 a", "", "0+25+0=25 ACCEPTED"),
        ("state active", "new o/2 10@10000", "0+25+0=25 ACCEPTED"),
        (
            "fill 2 b 10",
            "new o/3 5@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        ("fill 3 c 5", "", "15+0+10=25 CANCELED"),
    ]);
    let reason = world.order("o").reason_code;
    assert_eq!(reason, Some(ReasonCode::ExecutionBusted));
}

#[test]
fn a_late_fill_of_an_earlier_part_makes_the_one_at_the_venue_smaller() {
    check(&[
        SENT,
        FIRST,
        SECOND,
        ("accept 2", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("bust 1 a", "", "0+25+0=25 ACCEPTED"),
        ("fill 1 b 10", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("fill 2 c 2", "", "12+13+0=25 PARTIALLY_FILLED"),
        ("fill 1 d 9", "amend o/2 6@10000", "21+4+0=25 PENDING_AMEND"),
        ("amended 2 6", "", "21+4+0=25 PARTIALLY_FILLED"),
        ("amended 2 6", "", "21+4+0=25 PARTIALLY_FILLED"),
        // Nothing is open any more, and the venue still shows a part.
        ("fill 1 e 4", "cancel o/2", "25+0+0=25 FILLED"),
        ("ended 2 2", "", "25+0+0=25 FILLED"),
    ]);
    check(&[
        SENT,
        FIRST,
        SECOND,
        ("fill 1 b 6", "amend o/2 9@10000", "16+9+0=25 PENDING_AMEND"),
        // One that is refused is not asked for again and again.
        ("refused-amend 2", "query o/2", "16+9+0=25 PARTIALLY_FILLED"),
        ("accept 2", "", "16+9+0=25 PARTIALLY_FILLED"),
    ]);
}

#[test]
fn a_part_that_is_overfilled_halts_the_account_and_no_next_one_leaves() {
    let world = check(&[
        SENT,
        FIRST,
        ("fill 1 a 12", "", "12+13+0=25 PARTIALLY_FILLED"),
        (
            "state active",
            "new o/2 10@10000",
            "12+13+0=25 PARTIALLY_FILLED",
        ),
    ]);
    assert_eq!(count(&world, "ReportQuarantined"), 1);
}

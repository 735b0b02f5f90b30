//! Every pair of state and event, on the machine itself: the fold takes exactly what the table
//! allows, and reports do to the whole account what the table says.

use super::support::*;
use crate::account::Account;
use crate::event::{Event, Hold, Recorded};
use crate::invariant;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::OrderStatus;
use crate::order::table::{EventKind, Next, next as row, resolve};
use crate::risk::ReasonCode;
use crate::venue::{EndReason, RejectReason, VenueEnd, VenueReport};
use crate::{OrderId, UnixNanos, VenueOrderId};

const QUANTITY: i64 = 1_000;

/// Folds `event` behind the account's journal.
fn fold(account: &mut Account, event: Event) -> Result<(), crate::account::FoldError> {
    account.fold(&Recorded {
        sequence: account.sequence() + 1,
        ts: account.last_ts().unwrap(),
        venue_sequence: 0,
        event,
    })
}

fn sliced(order_id: OrderId) -> Event {
    Event::OrderSliced {
        order_id,
        number: 1,
        quantity: Quantity(QUANTITY),
    }
}

fn event(kind: EventKind, order_id: OrderId, filled: i64) -> Event {
    let ts_event = UnixNanos(1);
    let reason_code = ReasonCode::VenueCanceled;
    let reason = String::new();
    let request_id = None;
    let fill = |quantity: i64| Event::OrderFilled {
        order_id: order_id.clone(),
        execution: Box::new(execution("a", "new", SPOT, Side::Buy, quantity, 10_000)),
        late: false,
    };
    match kind {
        EventKind::FilledPart => return fill(1),
        EventKind::FilledWhole => return fill((QUANTITY - filled).max(1)),
        EventKind::Sliced => return sliced(order_id),
        _ => {}
    }
    match kind {
        EventKind::Denied => Event::OrderDenied {
            order_id,
            reason_code,
            reason,
        },
        EventKind::Submitted => Event::OrderSubmitted { order_id },
        EventKind::Accepted => Event::OrderAccepted {
            order_id,
            venue_order_id: VenueOrderId::new("v").unwrap(),
            ts_event,
        },
        EventKind::Rejected => Event::OrderRejected {
            order_id,
            reason_code,
            reason,
            ts_event,
        },
        EventKind::Unknown => Event::OrderUnknown {
            order_id,
            reason_code,
        },
        EventKind::PendingAmend => Event::OrderPendingAmend {
            order_id,
            request_id,
            quantity: Quantity(QUANTITY - 1),
            limit_price: Some(Price(10_000)),
            stop_price: None,
        },
        EventKind::Amended => Event::OrderAmended {
            order_id,
            quantity: Quantity(QUANTITY - 1),
            limit_price: Some(Price(10_000)),
            ts_event,
            stop_price: None,
        },
        EventKind::AmendRejected => Event::OrderAmendRejected {
            order_id,
            reason,
            ts_event,
        },
        EventKind::PendingCancel => Event::OrderPendingCancel {
            order_id,
            request_id,
            reason_code,
        },
        EventKind::CancelRejected => Event::OrderCancelRejected {
            order_id,
            reason,
            ts_event,
        },
        EventKind::Canceled => Event::OrderCanceled {
            order_id,
            reason_code,
            ts_event,
        },
        EventKind::Expired => Event::OrderExpired {
            order_id,
            reason_code,
            ts_event,
        },
        EventKind::Triggered => Event::OrderTriggered { order_id, ts_event },
        EventKind::EndHeld => Event::OrderEndHeld {
            order_id,
            end: VenueEnd::Canceled,
            reason_code,
            cumulative_quantity: Quantity(QUANTITY),
            ts_event,
        },
        EventKind::Held => Event::OrderHeld {
            order_id,
            hold: Hold::Emulated,
        },
        EventKind::Trailed => Event::OrderTrailed {
            order_id,
            stop_price: Price(9_900),
            best: Price(10_000),
        },
        EventKind::FilledPart | EventKind::FilledWhole | EventKind::Sliced => {
            unreachable!("returned above")
        }
        EventKind::BustedPart | EventKind::BustedWhole => unreachable!("busts have their own test"),
    }
}

/// Returns an account whose order "a" shows `status`, and the state below it.
fn bring(status: OrderStatus) -> (World, OrderStatus) {
    use OrderStatus as S;
    let mut world = World::ready();
    let mut request = limit("a", SPOT, Side::Buy, QUANTITY, 10_000);
    match status {
        S::PendingNew => {
            let order_id = OrderId::new(&format!("paper-{}", world.account.sequence() + 1));
            let event = Event::OrderInitialized {
                order_id: order_id.unwrap(),
                quantity: request.quantity,
                request: Box::new(request),
                market: market(9_999, 10_001, world.now),
                expires_at: None,
            };
            fold(&mut world.account, event).unwrap();
            return (world, status);
        }
        S::Denied => request.limit_price = Some(Price(1_000_000_000)),
        _ => {}
    }
    world.submit(request);
    if !matches!(status, S::Denied | S::Submitted | S::Unknown | S::Rejected) {
        world.accept("a");
    }
    let order_id = world.order("a").order_id;
    let kind = match status {
        S::Unknown => Some(EventKind::Unknown),
        S::Rejected => Some(EventKind::Rejected),
        S::Triggered => Some(EventKind::Triggered),
        S::PartiallyFilled => Some(EventKind::FilledPart),
        S::Filled => Some(EventKind::FilledWhole),
        S::PendingAmend => Some(EventKind::PendingAmend),
        S::PendingCancel => Some(EventKind::PendingCancel),
        S::Canceled => Some(EventKind::Canceled),
        S::Expired => Some(EventKind::Expired),
        S::PendingNew | S::Denied | S::Submitted | S::Accepted => None,
    };
    if let Some(kind) = kind {
        let mut event = event(kind, order_id, 0);
        if let Event::OrderFilled { execution, .. } = &mut event {
            execution.exec_id = crate::ExecId::new("old").unwrap();
        }
        fold(&mut world.account, event).unwrap();
    }
    assert_eq!(world.state("a"), status);
    let base = match status {
        S::PendingAmend | S::PendingCancel => S::Accepted,
        other => other,
    };
    (world, base)
}

#[test]
fn the_fold_takes_exactly_what_the_table_allows() {
    for status in OrderStatus::ALL {
        let (world, base) = bring(status);
        let order = world.order("a");
        for kind in EventKind::ALL.into_iter().filter(|kind| !is_bust(*kind)) {
            let mut account = world.account.clone();
            let next = resolve(status, base, kind);
            let event = event(kind, order.order_id.clone(), order.filled_quantity.0);
            let result = fold(&mut account, event);
            let allowed = matches!(next, Next::To(_) | Next::Stay | Next::Restore);
            assert_eq!(result.is_ok(), allowed, "{status:?} {kind:?} {result:?}");
            let Ok(()) = result else { continue };
            let after = account.order(&key("a")).unwrap();
            let expected = match next {
                // Below a change that is under way: that still shows.
                Next::To(to) if row(status, kind) == Next::Below && !to.is_terminal() => status,
                Next::To(to) => to,
                // The amend is settled below a cancel that is still under way.
                Next::Restore
                    if (status, kind) == (OrderStatus::PendingCancel, EventKind::AmendRejected) =>
                {
                    status
                }
                Next::Restore => base,
                // An answered amend shows what is below it, a state with a change shows that.
                _ if kind == EventKind::Amended && status == OrderStatus::PendingAmend => base,
                _ => status,
            };
            assert_eq!(after.status, expected, "{status:?} {kind:?}");
            invariant::check_order(after).unwrap();
        }
    }
}

fn is_bust(kind: EventKind) -> bool {
    matches!(kind, EventKind::BustedPart | EventKind::BustedWhole)
}

#[test]
fn a_bust_undoes_a_fill_in_every_state_whichever_comes_first() {
    for status in OrderStatus::ALL {
        for quantity in [1, QUANTITY] {
            let (mut world, _) = bring(status);
            let before = world.order("a");
            let fill = execution("a", "x", SPOT, Side::Buy, quantity, 10_000);
            let bust = VenueReport::Busted {
                client_order_id: cid("a"),
                exec_id: fill.exec_id.clone(),
                instrument_id: id(SPOT),
                ts_event: UnixNanos(2),
            };
            let (cash, net) = (
                world.account.cash().clone(),
                world.account.net_position(&id(SPOT)),
            );
            let mut early = World {
                account: world.account.clone(),
                journal: Vec::new(),
                effects: crate::account::Effects::default(),
                now: world.now,
            };
            world.report(VenueReport::Filled(fill.clone()));
            world.report(bust.clone());
            early.report(bust.clone());
            early.report(VenueReport::Filled(fill.clone()));
            for world in [&mut world, &mut early] {
                // Each again changes nothing.
                world.report(bust.clone());
                assert!(world.events().is_empty(), "{status:?}");
                world.report(VenueReport::Filled(fill.clone()));
                assert!(world.events().is_empty(), "{status:?}");
                let after = world.order("a");
                assert_eq!(after.filled_quantity, before.filled_quantity, "{status:?}");
                assert_eq!(after.filled_notional, before.filled_notional, "{status:?}");
                assert_eq!(world.account.net_position(&id(SPOT)), net, "{status:?}");
                for (currency, amount) in &cash {
                    assert_eq!(
                        world.account.cash().get(currency),
                        Some(amount),
                        "{status:?}"
                    );
                }
                invariant::check_account(&world.account).unwrap();
            }
        }
    }
}

fn report(kind: EventKind, filled: i64) -> Option<VenueReport> {
    let (client_order_id, ts_event) = (cid("a"), UnixNanos(1));
    let ended = |end| VenueReport::Ended {
        client_order_id: client_order_id.clone(),
        end,
        reason: EndReason::Other,
        cumulative_quantity: Quantity(filled),
        ts_event,
    };
    let fill = |quantity: i64| {
        VenueReport::Filled(execution("a", "new", SPOT, Side::Buy, quantity, 10_000))
    };
    Some(match kind {
        EventKind::Accepted => accepted("a", ts_event),
        EventKind::Rejected => VenueReport::Rejected {
            client_order_id,
            reason: RejectReason::Other,
            text: String::new(),
            ts_event,
        },
        EventKind::Amended => VenueReport::Amended {
            client_order_id,
            quantity: Quantity(QUANTITY - 1),
            limit_price: None,
            ts_event,
            stop_price: None,
        },
        EventKind::AmendRejected => VenueReport::AmendRejected {
            client_order_id,
            text: String::new(),
            ts_event,
        },
        EventKind::CancelRejected => VenueReport::CancelRejected {
            client_order_id,
            text: String::new(),
            ts_event,
        },
        EventKind::Canceled => ended(VenueEnd::Canceled),
        EventKind::Expired => ended(VenueEnd::Expired),
        EventKind::FilledPart => fill(1),
        EventKind::FilledWhole => fill((QUANTITY - filled).max(1)),
        _ => return None,
    })
}

#[test]
fn a_report_does_what_the_table_says_and_what_cannot_be_is_set_aside() {
    for status in OrderStatus::ALL {
        for kind in EventKind::ALL {
            let (mut world, base) = bring(status);
            let filled = world.order("a").filled_quantity.0;
            let Some(report) = report(kind, filled) else {
                continue;
            };
            let next = resolve(status, base, kind);
            world.report(report);
            let events = world.events();
            let quarantined = events.contains(&"ReportQuarantined".to_owned());
            // An overfill is set aside and booked at the same time.
            let overfill = status == OrderStatus::Filled
                && matches!(kind, EventKind::FilledPart | EventKind::FilledWhole);
            assert_eq!(
                quarantined,
                next == Next::Illegal || overfill,
                "{status:?} {kind:?}"
            );
            if matches!(next, Next::Illegal | Next::Redundant) {
                assert_eq!(world.state("a"), status, "{kind:?}");
            }
            if let Next::To(to) = row(status, kind) {
                assert_eq!(world.state("a"), to, "{status:?} {kind:?}");
            }
            let is_fill = matches!(kind, EventKind::FilledPart | EventKind::FilledWhole);
            let filled_now = world.order("a").filled_quantity.0;
            assert_eq!(world.account.net_position(&id(SPOT)), filled_now);
            assert_eq!(filled_now > filled, is_fill, "{status:?} {kind:?}");
        }
    }
}

//! What a strategy holds, followed from the account's events.

use super::support::*;
use crate::strategy_session::events::Happening;
use crate::strategy_session::holdings::Holdings;
use crate::strategy_session::machine::Input;
use apex_bus::message::AccountEvent;
use apex_domain::UnixNanos;
use apex_domain::event::{Event, Recorded};
use apex_domain::market::Side;
use std::sync::Arc;

fn split(numerator: u32, denominator: u32, sequence: u64) -> AccountEvent {
    let event = Event::InstrumentSplit {
        request_id: None,
        instrument_id: instrument_id(),
        numerator,
        denominator,
    };
    AccountEvent {
        account_id: owner().account_id,
        recorded: Arc::new(Recorded {
            sequence,
            ts: UnixNanos(0),
            venue_sequence: 0,
            event,
        }),
        order: None,
    }
}

#[test]
fn a_split_changes_the_units_of_the_position() {
    for (held, parts, expected) in [(200, (3, 1), 600), (-5, (1, 2), -2), (1, (1, 2), 0)] {
        let mut holdings = Holdings::new(owner().strategy_id, &summary(held), []);
        holdings.fold(&split(parts.0, parts.1, 11));
        assert_eq!(
            holdings.position(&instrument_id()),
            expected,
            "{held} by {parts:?}"
        );
        // Told again, as after a gap.
        holdings.fold(&split(parts.0, parts.1, 11));
        assert_eq!(holdings.position(&instrument_id()), expected);
        assert_eq!(holdings.positions().count(), usize::from(expected != 0));
    }
}

#[test]
fn a_target_after_a_split_counts_in_the_new_units() {
    let mut run = Run::new(200, Vec::new(), false);
    run.apply(Input::Happened(vec![Happening::Account(split(2, 1, 11))]));
    let order = submitted(&run.target("0.5"));
    assert_eq!((order.side, order.quantity.0), (Side::Buy, 100));
}

#[test]
fn both_sides_of_a_hedging_account_are_held_together() {
    let mut summary = summary(200);
    summary.positions.push(position(&owner().strategy_id, -50));
    let holdings = Holdings::new(owner().strategy_id, &summary, []);
    assert_eq!(holdings.position(&instrument_id()), 150);
}

//! What holds for every calendar at every instant.

use super::{all, date};
use crate::calendar::{Calendar, CalendarError, Hours, Session, SessionKind};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use proptest::prelude::*;

fn sessions(calendar: &Calendar) -> &[Session] {
    let whole = calendar.sessions(date("2000-01-01"), date("2037-12-31"));
    whole.unwrap()
}

/// An instant at which neither the last answer nor the next is out of range.
fn inner() -> impl Strategy<Value = UnixNanos> {
    let (first, last) = (
        super::at("2000-01-10T00:00:00Z"),
        super::at("2037-12-20T00:00:00Z"),
    );
    // Whole minutes hit openings and closes; any nanosecond hits what lies between.
    let minute = 60 * NANOS_PER_SECOND;
    prop_oneof![
        (first.0 / minute..last.0 / minute).prop_map(move |at| UnixNanos(at * minute)),
        (first.0..last.0).prop_map(UnixNanos),
    ]
}

#[test]
fn sessions_are_in_order_and_never_overlap() {
    for calendar in all() {
        let sessions = sessions(calendar);
        assert!(sessions.len() > 9_000, "{}", calendar.name());
        for pair in sessions.windows(2) {
            assert!(pair[0].open < pair[0].close, "{pair:?}");
            assert!(pair[0].close <= pair[1].open, "{pair:?}");
            assert!(pair[0].trading_date <= pair[1].trading_date, "{pair:?}");
        }
    }
}

#[test]
fn every_session_is_found_again_at_its_ends() {
    for calendar in all() {
        for session in sessions(calendar) {
            let inside = [session.open, session.close.plus(-1)];
            for ts in inside {
                assert_eq!(calendar.session_at(ts), Ok(Some(*session)));
                assert_eq!(calendar.trading_date(ts), Ok(session.trading_date));
            }
            if session.kind == SessionKind::Regular {
                let found = calendar.regular_session(session.trading_date);
                assert_eq!(found, Ok(Some(*session)));
            }
        }
    }
}

#[test]
fn outside_of_the_range_every_question_is_refused() {
    for (name, first, last) in [
        (
            "XNYS",
            "2000-01-01T00:00:00-05:00",
            "2037-12-31T23:59:59.999999999-05:00",
        ),
        (
            "XLON",
            "2000-01-01T00:00:00Z",
            "2037-12-31T23:59:59.999999999Z",
        ),
        (
            "FX",
            "1999-12-31T17:00:00-05:00",
            "2037-12-31T16:59:59.999999999-05:00",
        ),
        (
            "CRYPTO",
            "2000-01-01T00:00:00Z",
            "2037-12-31T23:59:59.999999999Z",
        ),
    ] {
        let found = all().into_iter().find(|one| one.name() == name);
        let calendar = found.unwrap();
        let (first, last) = (super::at(first), super::at(last));
        assert!(calendar.session_at(first).is_ok(), "{name}");
        assert!(calendar.session_at(last).is_ok(), "{name}");
        for ts in [
            first.plus(-1),
            last.plus(1),
            UnixNanos::MIN,
            UnixNanos(i64::MAX),
        ] {
            for outcome in [
                calendar.session_at(ts).map(drop),
                calendar.is_open(ts, Hours::Regular).map(drop),
                calendar.next_session(ts, Hours::Extended).map(drop),
                calendar.previous_session(ts, Hours::Extended).map(drop),
                calendar.trading_date(ts).map(drop),
                calendar.next_open(ts).map(drop),
                calendar.next_close(ts).map(drop),
                calendar.day_order_expiry(ts, Hours::Regular).map(drop),
                calendar.day_order_expiry(ts, Hours::Extended).map(drop),
            ] {
                let error = outcome.unwrap_err();
                assert!(matches!(error, CalendarError::OutOfRange { .. }), "{error}");
            }
        }
        // In range, but the answer is not.
        assert!(calendar.next_open(last).is_err(), "{name}");
        assert!(
            calendar.previous_session(first, Hours::Regular).is_err(),
            "{name}"
        );
    }
}

#[test]
fn dates_outside_of_the_range_and_backwards_spans_are_refused() {
    let calendar = all()[0];
    for (from, to, field) in [
        ("1999-12-31", "2000-01-31", "from"),
        ("2037-12-01", "2038-01-01", "to"),
        ("2020-01-02", "2020-01-01", "to"),
    ] {
        let error = calendar.sessions(date(from), date(to)).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{field} ")),
            "{error}"
        );
    }
    assert!(calendar.regular_session(date("2038-01-04")).is_err());
    let weekend = calendar.sessions(date("2018-04-28"), date("2018-04-29"));
    assert_eq!(weekend, Ok(&[][..]));
}

proptest! {
    #[test]
    fn answers_lie_on_their_side_of_the_instant(ts in inner(), which in 0_usize..4) {
        let calendar = all()[which];
        prop_assert!(calendar.next_open(ts).unwrap() > ts);
        prop_assert!(calendar.next_close(ts).unwrap() > ts);
        for hours in [Hours::Regular, Hours::Extended] {
            let next = calendar.next_session(ts, hours).unwrap();
            let previous = calendar.previous_session(ts, hours).unwrap();
            prop_assert!(previous.close <= ts && ts < next.open);
            let expiry = calendar.day_order_expiry(ts, hours).unwrap();
            prop_assert!(expiry > ts);
            // Nobody holds a DAY order over more than a long weekend and a closure.
            prop_assert!(expiry.since(ts) <= 8 * 86_400 * NANOS_PER_SECOND);
        }
    }

    #[test]
    fn between_two_neighbours_there_is_at_most_the_session_under_way(
        ts in inner(),
        which in 0_usize..4,
    ) {
        let calendar = all()[which];
        let previous = calendar.previous_session(ts, Hours::Extended).unwrap();
        let next = calendar.next_session(ts, Hours::Extended).unwrap();
        let now = calendar.session_at(ts).unwrap();
        let whole = sessions(calendar);
        let at = whole.iter().position(|one| *one == previous).unwrap();
        let expected: Vec<Session> = [Some(previous), now, Some(next)].into_iter().flatten().collect();
        prop_assert_eq!(&whole[at..at + expected.len()], &expected[..]);
        prop_assert_eq!(calendar.is_open(ts, Hours::Extended), Ok(now.is_some()));
    }

    #[test]
    fn walking_from_opening_to_opening_comes_back(ts in inner(), which in 0_usize..4) {
        let calendar = all()[which];
        let next = calendar.next_session(ts, Hours::Regular).unwrap();
        let back = calendar.previous_session(next.close, Hours::Regular).unwrap();
        prop_assert_eq!(back, next);
        prop_assert_eq!(calendar.next_close(next.open), Ok(next.close));
        prop_assert_eq!(calendar.regular_session(next.trading_date), Ok(Some(next)));
    }
}

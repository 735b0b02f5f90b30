//! Numbered facts about openings, closes, DAY orders and the turn of the day.

use super::{CRYPTO, FX, XLON, XNYS, at, date};
use crate::calendar::{Calendar, Hours, SessionKind};

/// Compares when a DAY order sent at `sent` expires.
fn check_day_order(calendar: &Calendar, hours: Hours, cases: &[(&str, &str)]) {
    for (sent, expires) in cases {
        let found = calendar.day_order_expiry(at(sent), hours).unwrap();
        assert_eq!(calendar.local(found), *expires, "sent at {sent}");
    }
}

/// Compares the trading date, and the kind of session or `None` between sessions.
fn check_dates(calendar: &Calendar, cases: &[(&str, &str, Option<SessionKind>)]) {
    for (ts, trading_date, kind) in cases {
        let found = calendar.trading_date(at(ts)).unwrap();
        assert_eq!(found, date(trading_date), "{ts}");
        let session = calendar.session_at(at(ts)).unwrap();
        assert_eq!(session.map(|session| session.kind), *kind, "{ts}");
    }
}

#[test]
fn tc_c01_a_day_order_in_new_york_stocks_works_until_16_00_00_and_not_15_59_59() {
    check_day_order(
        &XNYS,
        Hours::Regular,
        &[
            ("2018-04-27T09:30:00-04:00", "2018-04-27T16:00:00-04:00"),
            ("2018-04-27T15:59:59-04:00", "2018-04-27T16:00:00-04:00"),
            (
                "2018-04-27T15:59:59.999999999-04:00",
                "2018-04-27T16:00:00-04:00",
            ),
        ],
    );
}

#[test]
fn tc_c02_a_day_order_sent_at_or_after_the_close_lives_on_the_next_trading_date() {
    check_day_order(
        &XNYS,
        Hours::Regular,
        &[
            // A Friday.
            ("2018-04-27T16:00:00-04:00", "2018-04-30T16:00:00-04:00"),
            ("2018-04-28T12:00:00-04:00", "2018-04-30T16:00:00-04:00"),
            // Before a half day.
            ("2018-11-22T12:00:00-05:00", "2018-11-23T13:00:00-05:00"),
            // Before the opening of the same date.
            ("2018-04-27T04:00:00-04:00", "2018-04-27T16:00:00-04:00"),
        ],
    );
}

#[test]
fn tc_c03_a_currency_day_order_sent_at_18_00_expires_at_17_00_the_next_day() {
    check_day_order(
        &FX,
        Hours::Regular,
        &[
            ("2018-04-25T18:00:00-04:00", "2018-04-26T17:00:00-04:00"),
            ("2018-04-26T16:59:59-04:00", "2018-04-26T17:00:00-04:00"),
            ("2018-04-26T17:00:00-04:00", "2018-04-27T17:00:00-04:00"),
            // Over the weekend, and over the change to summer time.
            ("2018-04-27T17:00:00-04:00", "2018-04-30T17:00:00-04:00"),
            ("2018-03-09T18:00:00-05:00", "2018-03-12T17:00:00-04:00"),
        ],
    );
}

#[test]
fn tc_c04_the_currency_trading_day_turns_at_17_00_in_new_york() {
    let regular = Some(SessionKind::Regular);
    check_dates(
        &FX,
        &[
            ("2018-04-26T16:59:59-04:00", "2018-04-26", regular),
            ("2018-04-26T17:00:00-04:00", "2018-04-27", regular),
            ("2018-04-27T16:59:59-04:00", "2018-04-27", regular),
            ("2018-04-27T17:00:00-04:00", "2018-04-30", None),
            ("2018-04-29T16:59:59-04:00", "2018-04-30", None),
            ("2018-04-29T17:00:00-04:00", "2018-04-30", regular),
        ],
    );
}

#[test]
fn tc_c05_the_coin_trading_day_turns_at_00_00_utc() {
    let regular = Some(SessionKind::Regular);
    check_dates(
        &CRYPTO,
        &[
            ("2018-04-28T23:59:59.999999999Z", "2018-04-28", regular),
            ("2018-04-29T00:00:00Z", "2018-04-29", regular),
        ],
    );
    check_day_order(
        &CRYPTO,
        Hours::Regular,
        &[("2018-04-28T23:59:59Z", "2018-04-29T00:00:00+00:00")],
    );
}

#[test]
fn tc_c06_extended_hours_in_new_york_belong_to_their_date() {
    check_dates(
        &XNYS,
        &[
            ("2018-04-27T03:59:59-04:00", "2018-04-27", None),
            (
                "2018-04-27T04:00:00-04:00",
                "2018-04-27",
                Some(SessionKind::Pre),
            ),
            (
                "2018-04-27T09:29:59-04:00",
                "2018-04-27",
                Some(SessionKind::Pre),
            ),
            (
                "2018-04-27T09:30:00-04:00",
                "2018-04-27",
                Some(SessionKind::Regular),
            ),
            (
                "2018-04-27T16:00:00-04:00",
                "2018-04-27",
                Some(SessionKind::Post),
            ),
            (
                "2018-04-27T19:59:59-04:00",
                "2018-04-27",
                Some(SessionKind::Post),
            ),
            ("2018-04-27T20:00:00-04:00", "2018-04-30", None),
        ],
    );
    let pre = at("2018-04-27T08:00:00-04:00");
    assert_eq!(XNYS.is_open(pre, Hours::Regular), Ok(false));
    assert_eq!(XNYS.is_open(pre, Hours::Extended), Ok(true));
}

#[test]
fn tc_c07_a_day_order_for_extended_hours_works_to_the_end_of_its_trading_date() {
    check_day_order(
        &XNYS,
        Hours::Extended,
        &[
            ("2018-04-27T12:00:00-04:00", "2018-04-27T20:00:00-04:00"),
            ("2018-04-27T19:59:59-04:00", "2018-04-27T20:00:00-04:00"),
            ("2018-04-27T20:00:00-04:00", "2018-04-30T20:00:00-04:00"),
            ("2018-11-23T12:00:00-05:00", "2018-11-23T17:00:00-05:00"),
        ],
    );
}

#[test]
fn tc_c08_auctions_are_at_the_ends_of_the_regular_session() {
    for (calendar, day, open, close) in [
        (
            &XNYS,
            "2018-04-27",
            "2018-04-27T09:30:00-04:00",
            "2018-04-27T16:00:00-04:00",
        ),
        (
            &XNYS,
            "2018-07-03",
            "2018-07-03T09:30:00-04:00",
            "2018-07-03T13:00:00-04:00",
        ),
        (
            &XLON,
            "2018-04-27",
            "2018-04-27T08:00:00+01:00",
            "2018-04-27T16:30:00+01:00",
        ),
        (
            &XLON,
            "2018-12-24",
            "2018-12-24T08:00:00+00:00",
            "2018-12-24T12:30:00+00:00",
        ),
        (
            &FX,
            "2018-04-30",
            "2018-04-29T17:00:00-04:00",
            "2018-04-30T17:00:00-04:00",
        ),
    ] {
        let session = calendar.regular_session(date(day)).unwrap().unwrap();
        assert_eq!(session.trading_date, date(day));
        assert_eq!(calendar.local(session.open), open);
        assert_eq!(calendar.local(session.close), close);
    }
    assert_eq!(XNYS.regular_session(date("2018-04-28")), Ok(None));
    assert_eq!(XNYS.regular_session(date("2018-12-25")), Ok(None));
}

#[test]
fn tc_c09_sessions_are_half_open_also_where_they_touch() {
    let turn = at("2018-04-25T17:00:00-04:00");
    let session = FX.session_at(turn).unwrap().unwrap();
    assert_eq!(session.open, turn);
    assert_eq!(
        FX.previous_session(turn, Hours::Regular).unwrap().close,
        turn
    );
    let next = FX.next_session(turn, Hours::Regular).unwrap();
    assert_eq!(next.open, session.close);
    assert_eq!(FX.next_open(turn), Ok(session.close));
    assert_eq!(FX.next_close(turn), Ok(session.close));
}

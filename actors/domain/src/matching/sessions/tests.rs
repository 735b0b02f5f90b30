//! TC-M35 to TC-M39: sessions by the calendar.

use super::*;
use crate::calendar::parse_instant;
use crate::market::{BarSpec, Level, Quote, Side};
use crate::matching::tests::instrument;
use crate::matching::{BarFill, BarFillOptions, FillModel};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::NewOrder;
use crate::{ClientOrderId, Price, Quantity};

const ID: &str = "BTCUSDT.SIM";

/// A venue, and what it told.
struct Desk {
    venue: InSessions<BarFill>,
    calendar: &'static Calendar,
}

/// What is done at a local time.
enum Do {
    /// A bar of this length in minutes that ends then, of "open close".
    Bar(i64, i64, i64),
    /// Bid and ask.
    Quote(i64, i64),
    /// Time passes.
    Wait,
    Order(&'static str, TimeInForce),
    /// As `Order`, for extended hours too.
    Extended(&'static str, TimeInForce),
}

use Do::{Bar as B, Extended as E, Order as O, Quote as Q, Wait};

impl Desk {
    fn new(calendar: &str) -> Desk {
        let mut listed = instrument(ID);
        listed.rules.calendar = calendar.to_owned();
        let options = BarFillOptions::new(FillModel::NextOpen);
        let venue = InSessions::new(BarFill::new(options, [listed.clone()]), [&listed]);
        let calendar = Calendar::shared(calendar).unwrap();
        Desk { venue, calendar }
    }

    fn take(&mut self, at: &str, what: &Do) -> String {
        let now = parse_instant(at).unwrap();
        let instrument_id = InstrumentId::new(ID).unwrap();
        let mut out = Vec::new();
        match what {
            B(minutes, open, close) => {
                let (low, high) = (open.min(close), open.max(close));
                let bar = Bar {
                    instrument_id,
                    spec: BarSpec::External,
                    open: Price(*open),
                    high: Price(*high),
                    low: Price(*low),
                    close: Price(*close),
                    volume: 0,
                    trade_count: 0,
                    ts_open: now.plus(-minutes * 60_000_000_000),
                    ts_init: now,
                };
                self.venue.on_market(&MarketEvent::Bar(bar), &mut out);
            }
            Q(bid, ask) => {
                let level = |price| Level {
                    price: Price(price),
                    quantity: Quantity(100),
                };
                let quote = Quote {
                    instrument_id,
                    bid: Some(level(*bid)),
                    ask: Some(level(*ask)),
                    ts_event: now,
                    ts_init: now,
                };
                self.venue.on_market(&MarketEvent::Quote(quote), &mut out);
            }
            Wait => {
                while let Some(due) = self.venue.next_due().filter(|due| *due <= now) {
                    self.venue.on_time(due, &mut out);
                }
            }
            O(name, time_in_force) | E(name, time_in_force) => {
                let order = NewOrder {
                    client_order_id: ClientOrderId::new(name).unwrap(),
                    instrument_id,
                    side: Side::Buy,
                    order_type: OrderType::Market,
                    quantity: Quantity(1),
                    limit_price: None,
                    time_in_force: *time_in_force,
                    post_only: false,
                    reduce_only: false,
                    terms: OrderTerms {
                        extended_hours: matches!(what, E(..)),
                        ..OrderTerms::default()
                    },
                };
                self.venue
                    .on_command(now, &VenueCommand::New(order), &mut out);
            }
        }
        self.show(&out)
    }

    fn show(&self, reports: &[VenueReport]) -> String {
        let lines = reports.iter().filter_map(|report| match report {
            VenueReport::Filled(execution) => Some(format!(
                "{} @{} {}",
                execution.client_order_id,
                execution.last_price.0,
                &self.calendar.local(execution.ts_event)[5..16]
            )),
            VenueReport::Accepted { .. } => None,
            VenueReport::Rejected { reason, .. } => Some(format!("{reason:?}")),
            other => Some(format!("{other:?}")),
        });
        lines.collect::<Vec<_>>().join(", ")
    }
}

/// Plays a script at local times, and compares what each step led to.
fn check(calendar: &str, script: &[(&str, Do, &str)]) {
    let mut desk = Desk::new(calendar);
    for (at, what, expected) in script {
        assert_eq!(desk.take(at, what), *expected, "{calendar} at {at}");
    }
}

use TimeInForce::{AtClose, AtOpen, Gtc, Ioc};

#[test]
fn tc_m35_minutes_open_and_close_with_the_calendar() {
    // The day before Independence Day is a half day.
    check(
        "XNYS",
        &[
            ("2024-07-03T12:59:00-04:00", B(1, 100, 101), ""),
            ("2024-07-03T12:59:00-04:00", O("c", AtClose), ""),
            ("2024-07-03T12:59:00-04:00", O("o", AtOpen), ""),
            (
                "2024-07-03T13:00:00-04:00",
                B(1, 102, 103),
                "c @103 07-03T13:00",
            ),
            // Too late, and nothing outside of the session fills.
            ("2024-07-03T13:00:00-04:00", O("late", AtClose), ""),
            ("2024-07-03T13:00:00-04:00", O("m", Gtc), ""),
            ("2024-07-03T13:01:00-04:00", B(1, 104, 104), ""),
            ("2024-07-03T13:02:00-04:00", B(1, 105, 105), ""),
            (
                "2024-07-05T09:31:00-04:00",
                B(1, 110, 111),
                "o @110 07-05T09:30, m @110 07-05T09:30",
            ),
            ("2024-07-05T09:31:00-04:00", O("next", AtOpen), ""),
            ("2024-07-05T15:59:00-04:00", B(1, 111, 112), ""),
            (
                "2024-07-05T16:00:00-04:00",
                B(1, 112, 113),
                "late @113 07-05T16:00",
            ),
            (
                "2024-07-08T09:31:00-04:00",
                B(1, 120, 121),
                "next @120 07-08T09:30",
            ),
        ],
    );
}

#[test]
fn tc_m36_rows_of_a_day_open_and_close_once_each() {
    // As a file has them: one time a row, over the begin of summer time and a weekend.
    check(
        "XNYS",
        &[
            ("2024-03-07T00:00:00+00:00", B(0, 100, 101), ""),
            ("2024-03-07T00:00:00+00:00", O("o", AtOpen), ""),
            ("2024-03-07T00:00:00+00:00", O("c", AtClose), ""),
            ("2024-03-07T00:00:00+00:00", O("i", Ioc), ""),
            (
                "2024-03-08T00:00:00+00:00",
                B(0, 110, 111),
                "o @110 03-07T19:00, i @110 03-07T19:00, c @111 03-07T16:00",
            ),
            ("2024-03-08T00:00:00+00:00", O("d", AtClose), ""),
            ("2024-03-08T00:00:00+00:00", O("p", AtOpen), ""),
            (
                "2024-03-11T00:00:00+00:00",
                B(0, 120, 121),
                "p @120 03-10T20:00, d @121 03-08T16:00",
            ),
        ],
    );
}

#[test]
fn tc_m37_rows_of_minutes_close_with_the_next_days_first() {
    // Rows that bear the begin of their minute: the last of the day is 16:29.
    check(
        "XLON",
        &[
            ("2024-03-28T16:28:00+00:00", B(0, 100, 101), ""),
            ("2024-03-28T16:28:00+00:00", O("c", AtClose), ""),
            ("2024-03-28T16:29:00+00:00", B(0, 102, 103), ""),
            ("2024-03-28T16:29:00+00:00", O("late", AtClose), ""),
            ("2024-03-28T16:29:00+00:00", O("o", AtOpen), ""),
            // After Easter, in summer time.
            (
                "2024-04-02T08:00:00+01:00",
                B(0, 110, 111),
                "c @103 03-28T16:30, o @110 04-02T08:00",
            ),
            (
                "2024-04-03T08:00:00+01:00",
                B(0, 120, 121),
                "late @111 04-02T16:30",
            ),
        ],
    );
}

#[test]
fn tc_m38_quotes_close_by_the_clock() {
    check(
        "XLON",
        &[
            ("2024-03-28T16:00:00+00:00", Q(100, 102), ""),
            ("2024-03-28T16:29:00+00:00", O("c", AtClose), ""),
            ("2024-03-28T16:29:59+00:00", Wait, ""),
            ("2024-03-28T16:30:00+00:00", Wait, "c @102 03-28T16:30"),
            ("2024-03-28T16:31:00+00:00", O("o", AtOpen), ""),
            ("2024-03-28T16:31:00+00:00", O("m", Gtc), ""),
            ("2024-03-28T16:40:00+00:00", Q(110, 112), ""),
            ("2024-04-02T07:59:59+01:00", Q(114, 116), ""),
            (
                "2024-04-02T08:00:00+01:00",
                Q(120, 122),
                "o @122 04-02T08:00, m @122 04-02T08:00",
            ),
        ],
    );
}

#[test]
fn tc_m115_bars_of_extended_hours_fill_what_asks_for_them() {
    check(
        "XNYS",
        &[
            ("2024-07-03T12:58:00-04:00", B(1, 99, 100), ""),
            ("2024-07-03T12:58:00-04:00", O("c", AtClose), ""),
            // The last minute of a half day is not there.
            ("2024-07-03T12:59:00-04:00", B(1, 100, 101), ""),
            (
                "2024-07-03T13:01:00-04:00",
                B(1, 104, 104),
                "c @101 07-03T13:00",
            ),
            ("2024-07-03T13:01:00-04:00", O("m", Gtc), ""),
            ("2024-07-03T13:01:00-04:00", O("i", Ioc), "Halted"),
            ("2024-07-03T13:01:00-04:00", E("e", Gtc), ""),
            ("2024-07-03T13:01:00-04:00", E("o", AtOpen), ""),
            (
                "2024-07-03T13:02:00-04:00",
                B(1, 105, 105),
                "e @105 07-03T13:01",
            ),
            ("2024-07-03T16:59:00-04:00", E("f", Gtc), ""),
            // Begins within those hours and ends behind them.
            ("2024-07-03T17:01:00-04:00", B(2, 106, 106), ""),
            ("2024-07-03T17:01:00-04:00", E("g", Ioc), "Halted"),
            (
                "2024-07-05T04:01:00-04:00",
                B(1, 107, 107),
                "f @107 07-05T04:00",
            ),
            (
                "2024-07-05T09:31:00-04:00",
                B(1, 110, 111),
                "o @110 07-05T09:30, m @110 07-05T09:30",
            ),
        ],
    );
}

#[test]
fn tc_m116_rows_and_quotes_know_extended_hours_by_their_time() {
    check(
        "XNYS",
        &[
            // Rows that bear one time: the one at the close is the session's last.
            ("2024-07-05T15:59:00-04:00", B(0, 100, 101), ""),
            ("2024-07-05T15:59:00-04:00", E("e", Gtc), ""),
            (
                "2024-07-05T16:00:00-04:00",
                B(0, 102, 103),
                "e @102 07-05T16:00",
            ),
            ("2024-07-05T16:00:00-04:00", E("f", Gtc), ""),
            ("2024-07-05T16:00:00-04:00", O("m", Gtc), ""),
            (
                "2024-07-05T16:01:00-04:00",
                B(0, 104, 105),
                "f @104 07-05T16:01",
            ),
            ("2024-07-05T20:01:00-04:00", B(0, 106, 107), ""),
            (
                "2024-07-08T09:31:00-04:00",
                B(0, 108, 109),
                "m @108 07-08T09:31",
            ),
        ],
    );
    check(
        "XNYS",
        &[
            ("2024-07-05T15:59:00-04:00", Q(100, 102), ""),
            ("2024-07-05T15:59:00-04:00", O("c", AtClose), ""),
            ("2024-07-05T16:00:00-04:00", Wait, "c @102 07-05T16:00"),
            ("2024-07-05T16:00:01-04:00", O("m", Gtc), ""),
            ("2024-07-05T16:00:01-04:00", E("e", Gtc), ""),
            (
                "2024-07-05T16:00:02-04:00",
                Q(103, 104),
                "e @104 07-05T16:00",
            ),
            ("2024-07-05T20:00:00-04:00", E("late", Ioc), "Halted"),
            ("2024-07-05T20:00:00-04:00", E("w", Gtc), ""),
            ("2024-07-05T20:30:00-04:00", Q(105, 106), ""),
            (
                "2024-07-08T04:00:00-04:00",
                Q(107, 108),
                "w @108 07-08T04:00",
            ),
            (
                "2024-07-08T09:30:00-04:00",
                Q(109, 110),
                "m @110 07-08T09:30",
            ),
        ],
    );
}

#[test]
fn tc_m39_a_market_that_never_closes_is_left_alone() {
    let mut desk = Desk::new("CRYPTO");
    assert!(desk.venue.clocks.is_empty());
    assert_eq!(desk.take("2024-03-28T00:00:00+00:00", &Q(100, 102)), "");
    assert_eq!(desk.venue.next_due(), None);
}

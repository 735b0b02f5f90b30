//! Markets whose trading days follow each other without a break.

use super::{MONDAY_TO_FRIDAY, hours};
use crate::calendar::{CalendarSpec, SessionHours, SessionKind, Weekday};

/// Spot currencies: from Sunday to Friday 17:00 in New York, where the trading day turns at 17:00.
/// No holidays: the market as a whole has none, and what a venue leaves out is added as single
/// days.
pub(super) fn fx() -> CalendarSpec {
    let day = SessionHours {
        opens_day_before: true,
        ..hours(SessionKind::Regular, (17, 0), (17, 0))
    };
    CalendarSpec {
        name: "FX".to_owned(),
        time_zone: "America/New_York".to_owned(),
        weekdays: MONDAY_TO_FRIDAY.to_vec(),
        hours: vec![day],
        half_day_hours: Vec::new(),
        holidays: Vec::new(),
        half_days: Vec::new(),
        days: Vec::new(),
    }
}

/// Never closed; the day turns at 00:00 UTC, as venues of coins count their days.
pub(super) fn crypto() -> CalendarSpec {
    let weekend = [Weekday::Saturday, Weekday::Sunday];
    CalendarSpec {
        name: "CRYPTO".to_owned(),
        time_zone: "UTC".to_owned(),
        weekdays: [&MONDAY_TO_FRIDAY[..], &weekend].concat(),
        hours: vec![hours(SessionKind::Regular, (0, 0), (24, 0))],
        half_day_hours: Vec::new(),
        holidays: Vec::new(),
        half_days: Vec::new(),
        days: Vec::new(),
    }
}

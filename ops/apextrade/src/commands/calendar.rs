//! `apextrade calendar`.

use crate::cli::CalendarArgs;
use crate::output;
use anyhow::{Context, Result, anyhow, bail};
use apex_domain::UnixNanos;
use apex_domain::calendar::{
    Calendar, CalendarError, CalendarSpec, Date, DayEntry, Hours, NAMES, Session, SessionKind,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Lists sessions, or says what the calendar is at an instant.
pub fn run(args: &CalendarArgs) -> Result<ExitCode> {
    let mut spec = CalendarSpec::builtin(&args.name)?;
    if let Some(path) = &args.days {
        spec = spec.with_days(&days(path, &args.name)?);
    }
    let calendar = Calendar::new(&spec)?;
    match (args.at, args.from, args.to) {
        (Some(ts), _, _) => at(&calendar, ts, args.json)?,
        (None, Some(from), Some(to)) => list(&calendar, from, to, args.json)?,
        _ => bail!("what is asked is missing: give --at, or --from and --to"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the entries of one calendar from a file that may have those of others as well.
fn days(path: &Path, calendar: &str) -> Result<Vec<DayEntry>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read days file \"{}\"", path.display()))?;
    parse_days(&text, calendar).with_context(|| format!("days file \"{}\"", path.display()))
}

fn parse_days(text: &str, calendar: &str) -> Result<Vec<DayEntry>> {
    use figment::providers::{Format, Toml};
    let mut tables: BTreeMap<String, Vec<DayEntry>> = figment::Figment::from(Toml::string(text))
        .extract()
        .map_err(|error| anyhow!("{error}"))?;
    // A name that is spelled wrong would leave the market open.
    if let Some(name) = tables.keys().find(|name| !NAMES.contains(&name.as_str())) {
        CalendarSpec::builtin(name)?;
    }
    Ok(tables.remove(calendar).unwrap_or_default())
}

fn list(calendar: &Calendar, from: Date, to: Date, as_json: bool) -> Result<()> {
    let sessions = calendar.sessions(from, to)?;
    if as_json {
        let list: Vec<Value> = sessions.iter().map(|one| session(calendar, one)).collect();
        let special: Vec<Value> = calendar
            .special_days(from, to)
            .map(|(date, name)| json!({"date": date, "name": name}))
            .collect();
        let answer = json!({
            "calendar": calendar.name(),
            "time_zone": calendar.time_zone(),
            "from": from,
            "to": to,
            "sessions": list,
            "special_days": special,
        });
        crate::say!("{answer}");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = sessions
        .iter()
        .map(|one| {
            vec![
                one.trading_date.to_string(),
                kind(one.kind).to_owned(),
                calendar.local(one.open),
                calendar.local(one.close),
            ]
        })
        .collect();
    output::table(&["DATE", "SESSION", "OPEN", "CLOSE"], &rows);
    for (date, name) in calendar.special_days(from, to) {
        let closed = calendar.regular_session(date)?.is_none();
        let word = if closed { "closed" } else { "special hours" };
        crate::say!("{date}  {word}: {name}");
    }
    Ok(())
}

/// What the calendar says at an instant. Answers that lie beyond its range are `None`.
struct State {
    local_date: Date,
    session: Option<Session>,
    trading_date: Option<Date>,
    next_open: Option<UnixNanos>,
    next_close: Option<UnixNanos>,
    day_order_expiry: Option<UnixNanos>,
    day_order_expiry_extended: Option<UnixNanos>,
}

impl State {
    fn at(calendar: &Calendar, ts: UnixNanos) -> Result<State> {
        // This is where an instant out of range ends.
        let session = calendar.session_at(ts)?;
        Ok(State {
            local_date: calendar.local_date(ts),
            session,
            trading_date: in_range(calendar.trading_date(ts))?,
            next_open: in_range(calendar.next_open(ts))?,
            next_close: in_range(calendar.next_close(ts))?,
            day_order_expiry: in_range(calendar.day_order_expiry(ts, Hours::Regular))?,
            day_order_expiry_extended: in_range(calendar.day_order_expiry(ts, Hours::Extended))?,
        })
    }

    fn is_open(&self) -> bool {
        self.session
            .is_some_and(|session| session.kind == SessionKind::Regular)
    }
}

fn in_range<T>(answer: Result<T, CalendarError>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(CalendarError::OutOfRange { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn at(calendar: &Calendar, ts: UnixNanos, as_json: bool) -> Result<()> {
    let state = State::at(calendar, ts)?;
    let day_name = calendar.day_name(state.local_date);
    if as_json {
        let answer = json!({
            "calendar": calendar.name(),
            "time_zone": calendar.time_zone(),
            "at_ns": ts,
            "local": calendar.local(ts),
            "day_name": day_name,
            "trading_date": state.trading_date,
            "session": state.session.map(|one| session(calendar, &one)),
            "is_open": state.is_open(),
            "is_open_extended": state.session.is_some(),
            "next_open_ns": state.next_open,
            "next_close_ns": state.next_close,
            "day_order_expiry_ns": state.day_order_expiry,
            "day_order_expiry_extended_ns": state.day_order_expiry_extended,
        });
        crate::say!("{answer}");
        return Ok(());
    }
    let known = |ts: Option<UnixNanos>| {
        ts.map_or_else(|| "beyond the calendar".to_owned(), |ts| calendar.local(ts))
    };
    let now = match state.session {
        Some(session) => format!("open, {} session", kind(session.kind)),
        None => "closed".to_owned(),
    };
    let day = day_name.map_or_else(String::new, |name| format!(", {name}"));
    crate::say!("{} at {}: {now}{day}", calendar.name(), calendar.local(ts));
    if let Some(date) = state.trading_date {
        crate::say!("trading date {date}");
    }
    crate::say!("next open {}", known(state.next_open));
    crate::say!("next close {}", known(state.next_close));
    crate::say!(
        "a DAY order expires {}, for extended hours {}",
        known(state.day_order_expiry),
        known(state.day_order_expiry_extended)
    );
    Ok(())
}

fn session(calendar: &Calendar, session: &Session) -> Value {
    json!({
        "kind": kind(session.kind),
        "trading_date": session.trading_date,
        "open": calendar.local(session.open),
        "open_ns": session.open,
        "close": calendar.local(session.close),
        "close_ns": session.close,
    })
}

fn kind(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Pre => "pre",
        SessionKind::Regular => "regular",
        SessionKind::Post => "post",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::calendar::DayHours;

    #[test]
    fn an_operator_s_days_are_read_by_calendar() {
        let text = r#"
            [[XNYS]]
            date = "2026-03-04"
            name = "Mourning"
            hours = "closed"

            [[XNYS]]
            date = "2026-03-05"
            name = "Late opening"
            hours = { special = [{ kind = "regular", opens = "12:00", closes = "16:00" }] }

            [[XLON]]
            date = "2026-03-06"
            name = "Half a day"
            hours = "half-day"
        "#;
        let found = parse_days(text, "XNYS").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].hours, DayHours::Closed);
        let DayHours::Special(hours) = &found[1].hours else {
            panic!("{found:?}");
        };
        assert_eq!(hours[0].opens.to_string(), "12:00");
        assert_eq!(
            parse_days(text, "XLON").unwrap()[0].hours,
            DayHours::HalfDay
        );
        assert!(parse_days(text, "FX").unwrap().is_empty());
    }

    #[test]
    fn a_days_file_that_is_wrong_says_where() {
        for (text, expected) in [
            (
                "[[XNYZ]]\ndate = \"2026-03-04\"\nname = \"x\"\nhours = \"closed\"",
                "XNYZ",
            ),
            (
                "[[XNYS]]\ndate = \"2026-02-30\"\nname = \"x\"\nhours = \"closed\"",
                "2026-02-30",
            ),
            (
                "[[XNYS]]\ndate = \"2026-03-04\"\nname = \"x\"\nhours = \"shut\"",
                "shut",
            ),
            (
                "[[XNYS]]\ndate = \"2026-03-04\"\nhours = \"closed\"",
                "name",
            ),
            ("[[XNYS]]\nday = \"2026-03-04\"", "day"),
        ] {
            let error = parse_days(text, "XNYS").unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}

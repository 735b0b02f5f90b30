//! `apextrade bars check`.

use crate::cli::CheckBarsArgs;
use crate::commands::client::fields;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result};
use apex_domain::{InstrumentId, UnixNanos};
use apex_storage::compare::{BarDifference, Comparison};
use apex_storage::port::series::{DAY_NS, TimeRange};
use serde_json::json;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Days that are checked where it is not said from when on: as many as trades are kept by default.
const DAYS: i64 = 30;

/// Compares recorded bars with those of the engine. Exit status 1 when one differs.
pub fn run(args: &CheckBarsArgs, settings: &Settings) -> Result<ExitCode> {
    let data_dir = args.data.data_dir.as_ref().unwrap_or(&settings.data_dir);
    let instrument = args.instrument.as_deref().map(InstrumentId::in_command);
    let instrument = instrument.transpose().context("bad INSTRUMENT")?;
    let range = days(args.from, args.to);
    let found = apex_node::bars::check(data_dir, &settings.servers, instrument.as_ref(), range)
        .context("cannot check the recorded bars")?;
    let mut all = Comparison::default();
    found.iter().for_each(|(_, one)| all.add(one.clone()));
    if args.json {
        crate::say!("{}", as_json(range, &found, &all));
    } else {
        print(range, &found, &all);
    }
    Ok(match all.differ {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Returns whole days: the one of `from` to the one of the moment before `to`.
fn days(from: Option<UnixNanos>, to: Option<UnixNanos>) -> TimeRange {
    let last = to
        .unwrap_or_else(now)
        .0
        .saturating_sub(1)
        .div_euclid(DAY_NS);
    let first = match from {
        Some(from) => from.0.div_euclid(DAY_NS),
        None => last - DAYS + 1,
    };
    TimeRange {
        from: UnixNanos(first.saturating_mul(DAY_NS)),
        to: UnixNanos((last + 1).saturating_mul(DAY_NS)),
    }
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixNanos(since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }))
}

fn as_json(
    range: TimeRange,
    found: &[(InstrumentId, Comparison)],
    all: &Comparison,
) -> serde_json::Value {
    let first = |found: &Comparison| found.first.as_ref().map(difference);
    let one = |(id, found): &(InstrumentId, Comparison)| {
        json!({
            "instrument_id": id.as_str(),
            "compared": found.compared,
            "differ": found.differ,
            "unsettled": found.unsettled,
            "first_difference": first(found),
        })
    };
    json!({
        "equal": all.differ == 0,
        "from_ns": range.from.0,
        "to_ns": range.to.0,
        "compared": all.compared,
        "differ": all.differ,
        "unsettled": all.unsettled,
        "first_difference": first(all),
        "instruments": found.iter().map(one).collect::<Vec<_>>(),
    })
}

fn difference(first: &BarDifference) -> serde_json::Value {
    json!({
        "instrument_id": first.instrument_id.as_str(),
        "interval": first.roll_up.name(),
        "interval_ns": first.roll_up.interval_ns(),
        "ts_open_ns": first.ts_open.0,
        "field": first.field,
        "stored": first.stored,
        "made": first.made,
    })
}

fn print(range: TimeRange, found: &[(InstrumentId, Comparison)], all: &Comparison) {
    let row = |(id, found): &(InstrumentId, Comparison)| {
        vec![
            id.to_string(),
            found.compared.to_string(),
            found.differ.to_string(),
            found.unsettled.to_string(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    table(&["INSTRUMENT", "COMPARED", "DIFFER", "UNSETTLED"], &rows);
    if all.unsettled > 0 {
        crate::say!(
            "{} bars were not compared: their trades are being written",
            all.unsettled
        );
    }
    let (from, to) = (fields::time(range.from.0), fields::time(range.to.0));
    match &all.first {
        None => crate::say!("equal: {} bars from {from} to {to}", all.compared),
        Some(first) => crate::say!(
            "differs: the {} bar of {} that opens at {}: {} is {} as stored, {} by its trades; see \
             docs/guide/series.md for how it is made again",
            first.roll_up.name(),
            first.instrument_id,
            fields::time(first.ts_open.0),
            first.field,
            first.stored,
            first.made
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_whole_days_and_its_end_is_not_in_it() {
        let day = |number: i64, more: i64| Some(UnixNanos(number * DAY_NS + more));
        let range = |first: i64, behind: i64| TimeRange {
            from: UnixNanos(first * DAY_NS),
            to: UnixNanos(behind * DAY_NS),
        };
        assert_eq!(days(day(5, 7), day(6, 0)), range(5, 6));
        assert_eq!(days(day(5, 7), day(6, 1)), range(5, 7));
        assert_eq!(days(None, day(100, 0)), range(70, 100));
        let today = now().0.div_euclid(DAY_NS);
        assert_eq!(days(None, None).to.0, (today + 1) * DAY_NS);
    }
}

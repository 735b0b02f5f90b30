//! Backups of time series in a database of their own.

use super::world::{DAY, World, connect, declare, fill_series, id, trade, write};
use super::*;
use crate::backup::manifest::Manifest;
use crate::port::series::{DAY_NS, Kind, Series};
use crate::postgres::{PgJournals, PgSeries, PgServer, migrate};
use apex_domain::time::UnixNanos;

/// A database of series beside that of journals.
fn apart(world: &World) -> (PgServer, PgSeries) {
    let server = world.another("series");
    migrate(&server).unwrap();
    let series = PgSeries::open(&server).unwrap();
    fill_series(&series);
    (server, series)
}

fn take(world: &World, series: &PgServer, begun_ns: u64) -> Manifest {
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        series: Some(series),
        ..Source::folder(&data)
    };
    let copied = copy(&source, &world.place, begun_ns, &mut |_, _| {}).unwrap();
    copied.finish("00").unwrap().manifest
}

#[test]
fn two_databases_come_back_as_two_or_as_one() {
    let Some(world) = World::new() else {
        return;
    };
    let mut journal = PgJournals::new(&world.server)
        .unwrap()
        .open("paper")
        .unwrap();
    write(&mut journal, 3);
    let (series, _) = apart(&world);
    let manifest = take(&world, &series, 1);
    let names = [Holds::Journals, Holds::Series].map(|holds| {
        let name = &manifest.database(holds).unwrap().name;
        name.rsplit('/').next().unwrap().to_owned()
    });
    assert_eq!(names, ["apex", "series"]);

    let (to, to_series) = (world.another("one"), world.another("other"));
    let targets = Targets {
        journals: Some(&to),
        series: Some(&to_series),
    };
    world.bring_back_to(&targets, "two").unwrap();
    world.same_rows("series", "other");
    assert_eq!(
        world.rows("apex", "journal_frame"),
        world.rows("one", "journal_frame")
    );

    let both = world.another("joined");
    world.bring_back(&both, "one").unwrap();
    for table in [
        "series_trade",
        "series_rolled",
        "series_day",
        "series_dirty",
    ] {
        assert_eq!(
            world.rows("series", table),
            world.rows("joined", table),
            "{table}"
        );
    }
    assert_eq!(
        world.rows("apex", "journal_account"),
        world.rows("joined", "journal_account")
    );

    // One that is not empty refuses both.
    let fresh = world.another("fresh");
    let targets = Targets {
        journals: Some(&fresh),
        series: Some(&both),
    };
    let refused = world.bring_back_to(&targets, "three").unwrap_err();
    assert!(
        refused.to_string().contains("/joined is not empty"),
        "{refused}"
    );
    assert_eq!(world.tables("fresh"), [""; 0]);
}

#[test]
fn the_same_database_is_known_by_any_name_and_copied_once() {
    let Some(world) = World::new() else {
        return;
    };
    let again = connect(&world.postgres, "apex");
    assert!(world.server.is_same(&again).unwrap());
    assert!(!world.server.is_same(&world.another("other")).unwrap());
    fill_series(&PgSeries::open(&world.server).unwrap());
    let sessions = std::cell::Cell::new(0);
    let progress = |step: &Step<'_>| {
        if step.what == "series_trade of day 20000" {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL \
                       AND application_name = 'apextrade'";
            let found = world.postgres.query("postgres", sql).unwrap();
            sessions.set(found.parse().unwrap());
        }
    };
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        series: Some(&again),
        progress: &progress,
        ..Source::folder(&data)
    };
    copy(&source, &world.place, 1, &mut |_, _| {}).unwrap();
    assert_eq!(sessions.get(), 1, "transactions that look at the database");
}

#[test]
fn a_day_that_was_dropped_and_written_again_is_copied_again() {
    let Some(world) = World::new() else {
        return;
    };
    let (server, series) = apart(&world);
    let id = declare(&series, "ONE.SIM");
    let day = DAY + 9 * DAY_NS;
    let of_day = |manifest: &Manifest| {
        let database = manifest.database(Holds::Series).unwrap();
        let slices = &database.table("series_trade").unwrap().slices;
        slices.last().unwrap().clone()
    };
    series.write_trades(&id, &[trade(1, day)]).unwrap();
    let first = of_day(&take(&world, &server, 1));
    assert_eq!(of_day(&take(&world, &server, 2)), first);
    // As many rows as before, and others.
    let end = UnixNanos(day + DAY_NS);
    series.forget(Kind::Trades, end).unwrap();
    series.write_trades(&id, &[trade(2, day)]).unwrap();
    let second = of_day(&take(&world, &server, 3));
    assert_eq!(second.rows, first.rows);
    assert_ne!(second.parts, first.parts);
    // Another history of the same numbers is not taken for this one.
    let to = world.another("copy");
    migrate(&to).unwrap();
    let copy = PgSeries::open(&to).unwrap();
    let id = declare(&copy, "ANOTHER.SIM");
    copy.write_trades(&id, &[trade(2, day + 1)]).unwrap();
    let other = of_day(&take(&world, &to, 4));
    assert_ne!(other.parts, second.parts);
}

#[test]
fn a_day_is_not_settled_under_a_backup_and_nobody_waits_for_it() {
    let Some(world) = World::new() else {
        return;
    };
    let series = PgSeries::open(&world.server).unwrap();
    fill_series(&series);
    let later = UnixNanos(DAY + 3 * DAY_NS);
    let index = "SELECT amname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
                 JOIN pg_am ON pg_am.oid = relam WHERE indrelid = 'series_trade_d20001'::regclass";
    let data = world.path("data");
    let tried = std::cell::RefCell::new(None);
    let progress = |step: &Step<'_>| {
        if step.what == "series_rolled" && tried.borrow().is_none() {
            *tried.borrow_mut() = Some(series.maintain(later));
        }
    };
    let source = Source {
        series: Some(&world.server),
        progress: &progress,
        ..Source::folder(&data)
    };
    copy(&source, &world.place, 1, &mut |_, _| {}).unwrap();
    let tried = tried.into_inner().expect("it was tried");
    tried.expect("it is no error");
    assert_eq!(world.postgres.query("apex", index).unwrap(), "brin");
    series.maintain(later).unwrap();
    assert_eq!(world.postgres.query("apex", index).unwrap(), "btree");
    series
        .write_trades(&id("ETH.SIM"), &[trade(7_000, DAY + 1)])
        .unwrap();
}

#[test]
fn roll_ups_that_are_no_rows_are_made_of_the_trades() {
    let Some(world) = World::new() else {
        return;
    };
    let (server, series) = apart(&world);
    take(&world, &server, 1);
    // As one that was taken on TimescaleDB: chunks are its own, and roll-ups are views.
    let mut found = find(&world.place, None).unwrap().unwrap();
    for database in &mut found.manifest.databases {
        let is_row = |name: &str| !["series_day", "series_rolled"].contains(&name);
        if database.holds == Holds::Series {
            database.layout = Some("timescale".to_owned());
            database.tables.retain(|table| is_row(&table.name));
        }
    }
    let (to, to_series) = (world.another("one"), world.another("other"));
    let targets = Targets {
        journals: Some(&to),
        series: Some(&to_series),
    };
    restore(&world.place, &found, &world.path("two"), &targets, &|_| {}).unwrap();
    series.roll_up().unwrap();
    assert!(!world.rows("series", "series_rolled").is_empty());
    for table in ["series_trade", "series_rolled", "series_dirty"] {
        assert_eq!(
            world.rows("series", table),
            world.rows("other", table),
            "{table}"
        );
    }
}

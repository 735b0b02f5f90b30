//! Backups of time series in a database of their own.

use super::world::{DAY, World, connect, declare, fill_series, id, trade, write};
use super::*;
use crate::backup::databases::{Slice, SliceOf};
use crate::backup::manifest::Manifest;
use crate::port::series::{DAY_NS, Kind, Series};
use crate::postgres::{Dump, PgJournals, PgSeries, PgServer, migrate};
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

    // So does one that the backup has nothing for.
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        ..Source::folder(&data)
    };
    world.copied(&source, 2).unwrap();
    let refused = world.bring_back_to(&targets, "three").unwrap_err();
    assert!(
        refused.to_string().contains("/joined is not empty"),
        "{refused}"
    );
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
    // A partition that was made again from elsewhere, with the same numbers and other prices.
    let replace = "CREATE TABLE other (LIKE series_trade_d20009 INCLUDING ALL); \
                   INSERT INTO other SELECT * FROM series_trade_d20009; \
                   UPDATE other SET price = price + 1; \
                   DROP TABLE series_trade_d20009; \
                   ALTER TABLE other RENAME TO series_trade_d20009; \
                   ALTER TABLE series_trade ATTACH PARTITION series_trade_d20009 \
                   FOR VALUES FROM ('1728777600000000000') TO ('1728864000000000000')";
    assert_eq!(day, 1_728_777_600_000_000_000);
    world.postgres.query("series", replace).unwrap();
    let third = of_day(&take(&world, &server, 4));
    assert_eq!(third.rows, second.rows);
    assert_ne!(third.parts, second.parts);
    assert_eq!(of_day(&take(&world, &server, 5)), third);
}

#[test]
fn another_history_of_the_same_numbers_is_copied_again() {
    let Some(world) = World::new() else {
        return;
    };
    drop(apart(&world));
    // All alike but for a price: a copy of a database has the numbers of its files too.
    let left = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'series'";
    world.postgres.query("postgres", left).unwrap();
    let copied = "CREATE DATABASE copy TEMPLATE series";
    world.postgres.query("postgres", copied).unwrap();
    let server = connect(&world.postgres, "series");
    let to = connect(&world.postgres, "copy");
    let other = "UPDATE series_trade_d20000 SET price = price + 1";
    world.postgres.query("copy", other).unwrap();
    let of_day = |manifest: &Manifest| {
        let database = manifest.database(Holds::Series).unwrap();
        let slices = database.table("series_trade").unwrap().slices.iter();
        let of = |slice: &&Slice| matches!(slice.of, SliceOf::Day { day: 20_000, .. });
        slices.clone().find(of).unwrap().clone()
    };
    let (first, second) = (
        of_day(&take(&world, &server, 1)),
        of_day(&take(&world, &to, 2)),
    );
    // What tells days apart within one history is the same.
    assert_eq!((&second.of, second.rows), (&first.of, first.rows));
    assert_ne!(second.parts, first.parts);
}

#[test]
fn the_journals_are_not_looked_at_while_series_of_another_database_are_copied() {
    let Some(world) = World::new() else {
        return;
    };
    let (series, _) = apart(&world);
    let open = std::cell::RefCell::new(Vec::new());
    let progress = |step: &Step<'_>| {
        if step.what == "series_trade of day 20000" {
            let sql = "SELECT datname FROM pg_stat_activity WHERE backend_xmin IS NOT NULL \
                       AND application_name = 'apextrade'";
            open.borrow_mut()
                .push(world.postgres.query("postgres", sql).unwrap());
        }
    };
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        series: Some(&series),
        progress: &progress,
        ..Source::folder(&data)
    };
    copy(&source, &world.place, 1, &mut |_, _| {}).unwrap();
    let open = open.into_inner();
    assert!(!open.is_empty());
    assert!(open.iter().all(|of| of == "series"), "{open:?}");
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
    under_a_backup(&world, || series.maintain(later)).expect("it is no error");
    assert_eq!(world.postgres.query("apex", index).unwrap(), "brin");
    series.maintain(later).unwrap();
    assert_eq!(world.postgres.query("apex", index).unwrap(), "btree");
    series
        .write_trades(&id("ETH.SIM"), &[trade(7_000, DAY + 1)])
        .unwrap();
}

/// Does something once while a backup reads the series.
fn under_a_backup<T>(world: &World, act: impl Fn() -> T) -> T {
    when_it_reads(world, "series_rolled", act)
}

/// Does something once while a backup of journals and series reads a table.
fn when_it_reads<T>(world: &World, table: &str, act: impl Fn() -> T) -> T {
    let data = world.path("data");
    let done = std::cell::RefCell::new(None);
    let progress = |step: &Step<'_>| {
        if step.what == table && done.borrow().is_none() {
            *done.borrow_mut() = Some(act());
        }
    };
    let source = Source {
        journals: Some(&world.server),
        series: Some(&world.server),
        progress: &progress,
        ..Source::folder(&data)
    };
    copy(&source, &world.place, 1, &mut |_, _| {}).unwrap();
    done.into_inner().expect("the backup reads the series")
}

#[test]
fn days_are_not_dropped_under_a_backup_and_go_behind_it() {
    let Some(world) = World::new() else {
        return;
    };
    let series = PgSeries::open(&world.server).unwrap();
    fill_series(&series);
    let before = UnixNanos(DAY + DAY_NS);
    let dropped = under_a_backup(&world, || series.forget(Kind::Trades, before));
    assert_eq!(dropped.expect("it is no error"), 0);
    assert_eq!(series.forget(Kind::Trades, before).unwrap(), 2);
}

#[test]
fn a_day_is_not_dropped_either_before_a_backup_has_come_to_it() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let series = PgSeries::open(&world.server).unwrap();
    let before = UnixNanos(DAY + DAY_NS);
    // Journals come first, and the days are seen as of the same moment.
    let dropped = when_it_reads(&world, "record", || series.forget(Kind::Trades, before));
    assert_eq!(dropped.expect("it is no error"), 0);
    assert_eq!(series.forget(Kind::Trades, before).unwrap(), 2);
}

#[test]
fn whoever_waits_for_a_long_table_shows_that_it_lives() {
    let Some(world) = World::new() else {
        return;
    };
    let calls = std::cell::Cell::new(0);
    let waiting = || {
        calls.set(calls.get() + 1);
        let mark = "backup/writers/backup-1".to_owned();
        // Ends a wait that has no end otherwise.
        match calls.get() {
            ..5 => Ok(()),
            _ => Err(StorageError::StalledWriter { mark }),
        }
    };
    let dump = Dump::begin(&world.server).unwrap().while_waiting(&waiting);
    let dump = dump.with_piece(Duration::from_millis(10));
    let refused = dump.rows("SELECT 1 FROM pg_sleep(600)", &mut |_| Ok(()));
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, StorageError::StalledWriter { .. }),
        "{refused}"
    );
}

#[test]
fn a_server_that_is_busy_with_a_large_table_is_not_called_away() {
    let Some(world) = World::new() else {
        return;
    };
    let dump = Dump::begin(&world.server).unwrap();
    let dump = dump.with_patience(Duration::from_millis(100));
    let dump = dump.with_piece(Duration::from_millis(30));
    let refused = dump.rows("SELECT 1 FROM pg_sleep(60)", &mut |_| Ok(()));
    let refused = refused.unwrap_err();
    assert!(matches!(refused, StorageError::TooSlow { .. }), "{refused}");
    assert!(
        refused.to_string().contains("pg_stat_activity"),
        "{refused}"
    );
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
    let restoring = restore(&world.place, &found, &world.path("two"), &targets, &|_| {});
    restoring.unwrap().finish().unwrap();
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

//! Backups of databases, on a real server.

use super::world::{DAY, LEFT_OUT, World, declare, id, trade, write};
use super::*;
use crate::ChainHash;
use crate::Journals;
use crate::backup::databases::{IDENTITY, TABLES};
use crate::port::journals::AUDIT_JOURNAL;
use crate::port::series::{BarRow, RollUp, Rows, Series, TimeRange};
use crate::postgres::{
    PgJournal, PgJournals, PgRecords, PgSeries, PgServer, migrate, schema_version,
};
use std::cell::RefCell;

fn rolled(series: &PgSeries) -> Vec<BarRow> {
    let of = |roll_up| -> Rows<BarRow> {
        series
            .rolled(&id("ETH.SIM"), roll_up, TimeRange::ALL)
            .unwrap()
    };
    let all = RollUp::ALL.into_iter().flat_map(of);
    all.map(Result::unwrap).collect()
}

#[test]
fn every_table_of_the_schema_is_copied_or_left_out_on_purpose() {
    let Some(world) = World::new() else {
        return;
    };
    PgSeries::open(&world.server).unwrap();
    let mut known: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    known.extend(LEFT_OUT);
    known.sort_unstable();
    assert_eq!(world.tables("apex"), known);
    for table in &TABLES {
        let sql = format!(
            "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute \
             WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped",
            table.name
        );
        let mut columns: Vec<&str> = table.columns.split(',').collect();
        columns.sort_unstable();
        assert_eq!(
            world.postgres.query("apex", &sql).unwrap(),
            columns.join(",")
        );
    }
}

#[test]
fn a_database_comes_back_row_by_row_and_goes_on() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let (taken, shown) = world.take(1).unwrap();
    let of = |id: &str| shown.iter().filter(|(of, _)| of == id).count();
    assert_eq!((of("paper"), of("other"), of(AUDIT_JOURNAL)), (300, 2, 0));
    let ends = taken.manifest.journals.iter();
    let ends: Vec<_> = ends
        .map(|it| (it.account_id.as_str(), it.sequence))
        .collect();
    assert_eq!(ends, [("empty", 0), ("other", 2), ("paper", 300)]);
    assert!(taken.manifest.has_journals_in_database());
    assert_eq!(
        taken.manifest.schema(),
        Some(schema_version(&world.server).unwrap())
    );

    let to = world.another("restored");
    world.bring_back(&to, "restored").unwrap();
    world.same_rows("apex", "restored");
    assert_eq!(
        world.rows("apex", IDENTITY),
        world.rows("restored", IDENTITY)
    );
    let token = world.path("restored/admin.token");
    assert_eq!(fs::read_to_string(token).unwrap(), "of a person");
    let left = world
        .postgres
        .query("restored", "SELECT to_regclass('restore_unfinished')");
    assert_eq!(left.unwrap(), "");

    // Both sides go on alike: new numbers, new frames, and what waited to be rolled up.
    let (one, other) = (
        PgSeries::open(&world.server).unwrap(),
        PgSeries::open(&to).unwrap(),
    );
    let before = rolled(&one);
    assert!(before.len() > 8, "{}", before.len());
    for (series, server) in [(&one, &world.server), (&other, &to)] {
        let new = declare(series, "NEW.SIM");
        series.write_trades(&new, &[trade(1, DAY)]).unwrap();
        series
            .write_trades(&id("ETH.SIM"), &[trade(6_000, DAY + 9)])
            .unwrap();
        series.roll_up().unwrap();
        let mut journal = PgJournals::new(server).unwrap().open("paper").unwrap();
        write(&mut journal, 3);
        assert_eq!(journal.snapshot_latest().unwrap().unwrap().sequence, 2);
    }
    assert_eq!(rolled(&one), rolled(&other));
    assert_ne!(rolled(&one), before);
    for table in [
        "series_instrument",
        "series_stream",
        "series_trade",
        "series_rolled",
    ] {
        assert_eq!(
            world.rows("apex", table),
            world.rows("restored", table),
            "{table}"
        );
    }
    let chain = |server: &PgServer| -> ChainHash {
        let journals = PgJournals::new(server).unwrap();
        let report = journals.verify("paper", &mut |_| {}).unwrap();
        assert!(report.ok(), "{report:?}");
        report.head.chain
    };
    assert_eq!(chain(&world.server), chain(&to));
}

/// Opens the account with enough that parts of it can be moved.
fn half_covered(world: &World) -> PgJournal {
    let mut journal = world.journals().open("paper").unwrap();
    for _ in 0..2 {
        write(&mut journal, 150);
        let sequence = journal.head().sequence;
        journal.snapshot_write(sequence, b"state").unwrap();
    }
    journal
}

fn cut_rows(world: &World, journal: &mut PgJournal) -> u64 {
    let job = journal.closing().unwrap().expect("there is something");
    let closed = job().unwrap().expect("it is stored");
    journal.cut(closed).unwrap();
    let base = world
        .postgres
        .query("apex", "SELECT sequence FROM journal_base");
    base.unwrap().parse().unwrap()
}

#[test]
fn segments_that_were_moved_come_back_as_rows() {
    let Some(world) = World::new() else {
        return;
    };
    let mut journal = half_covered(&world);
    let whole = world.rows("apex", "journal_frame");
    world.take(1).unwrap();
    let base = cut_rows(&world, &mut journal);
    assert!(base > 100, "{base}");
    // What an earlier backup has of them is used again, with the times of their writing.
    let (again, shown) = world.take(2).unwrap();
    assert_eq!(shown.len(), 300);
    assert!(again.copied_bytes < again.known_bytes / 2, "{again:?}");
    let to = world.another("again");
    world.bring_back(&to, "again").unwrap();
    let groups = again.manifest.database(Holds::Journals).unwrap();
    let groups = &groups.table("journal_frame").unwrap().slices;
    assert!(groups.len() > 2, "{}", groups.len());
    let rows = world.rows("again", "journal_frame");
    let same = |count: usize| rows.lines().take(count).eq(whole.lines().take(count));
    assert!(
        same(groups[0].rows as usize),
        "the first group is another one"
    );
    assert_eq!(rows.lines().count(), 300);

    // Without an earlier one they come from the bucket, and a restore needs none.
    fs::remove_dir_all(world.path("place/data/backup")).unwrap();
    world.take(3).unwrap();
    let to = world.another("anew");
    world.bring_back(&to, "anew").unwrap();
    assert_eq!(world.rows("anew", "journal_base"), "");
    let report = PgJournals::new(&to)
        .unwrap()
        .verify("paper", &mut |_| {})
        .unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.records, report.head), (300, journal.head()));

    // Without their bucket there is no backup.
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        ..Source::folder(&data)
    };
    let refused = world.copied(&source, 4).unwrap_err().to_string();
    assert!(
        refused.starts_with("APEX_S3_ENDPOINT is not set"),
        "{refused}"
    );
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let (first, _) = world.take(1).unwrap();
    let (same, _) = world.take(2).unwrap();
    assert_eq!(
        (same.copied_parts, same.known_bytes),
        (0, first.copied_bytes)
    );
    let series = PgSeries::open(&world.server).unwrap();
    series
        .write_trades(&id("ETH.SIM"), &[trade(6_000, DAY + 9)])
        .unwrap();
    let mut journal = PgJournals::new(&world.server)
        .unwrap()
        .open("paper")
        .unwrap();
    write(&mut journal, 1);
    let labels = RefCell::new(Vec::new());
    let progress = |step: &Step<'_>| labels.borrow_mut().push(step.what.to_owned());
    let data = world.path("data");
    let source = Source {
        journals: Some(&world.server),
        series: Some(&world.server),
        progress: &progress,
        ..Source::folder(&data)
    };
    let (third, _) = world.copied(&source, 3).unwrap();
    let labels = labels.into_inner();
    let days: Vec<&String> = labels.iter().filter(|it| it.contains("of day")).collect();
    // No other day was read.
    assert!(!days.is_empty());
    assert!(
        days.iter().all(|it| *it == "series_trade of day 20000"),
        "{days:?}"
    );
    // The last group of frames, that day, and small tables.
    assert!(
        third.copied_bytes < first.copied_bytes / 2,
        "{third:?} {first:?}"
    );
    // It needs nothing of those before.
    let keep = Keep {
        newest: 1,
        also: None,
    };
    let pruned = prune(&world.place, keep, i64::MAX / 2, Duration::ZERO).unwrap();
    assert_eq!(pruned.removed.len(), 2);
    assert!(pruned.removed_parts > 0);
    let to = world.another("third");
    world.bring_back(&to, "third").unwrap();
    world.same_rows("apex", "third");
}

#[test]
fn a_restore_that_did_not_end_is_started_by_nobody() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let (taken, _) = world.take(1).unwrap();
    let journals = taken.manifest.database(Holds::Journals).unwrap();
    let lost = journals.table("journal_frame").unwrap().slices[1].parts[0].hash;
    let key = blob_key(&lost).unwrap();
    let content = world.place.get(&key).unwrap().unwrap();
    world.place.delete(&key).unwrap();
    let to = world.another("half");
    let refused = world.bring_back(&to, "half").unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("backup {:020} is damaged: {key} is missing", 1)
    );
    // Nothing starts there, and no other restore begins there.
    fs::remove_dir_all(world.path("half")).unwrap();
    let refusals = [
        migrate(&to).map(drop),
        crate::postgres::migrate_empty(&to),
        PgJournals::new(&to).map(drop),
        PgRecords::new(&to).map(drop),
        PgSeries::open(&to).map(drop),
        world.bring_back(&to, "half"),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, StorageError::UnfinishedDatabase { .. }),
            "{refused}"
        );
        assert!(
            refused.to_string().contains("APEX_DATABASE_URL"),
            "{refused}"
        );
    }
    // One that is made anew takes it.
    world.place.put(&key, &mut &content[..]).unwrap();
    let anew = world.another("anew");
    world.bring_back(&anew, "half").unwrap();
    world.same_rows("apex", "anew");
}

#[test]
fn what_has_all_its_rows_is_started_by_nobody_until_the_restore_is_finished() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    world.take(1).unwrap();
    let (to, to_series) = (world.another("one"), world.another("other"));
    let targets = Targets {
        journals: Some(&to),
        series: Some(&to_series),
    };
    let found = find(&world.place, None).unwrap().unwrap();
    let folder = world.path("two");
    let restoring = restore(&world.place, &found, &folder, &targets, &|_| {}).unwrap();
    // All is there, and who restores reads it.
    assert_eq!(
        world.rows("apex", "journal_frame"),
        world.rows("one", "journal_frame")
    );
    let index = "SELECT count(*) FROM pg_class WHERE relname LIKE 'series_trade_d%_read'";
    let indexes = |database: &str| world.postgres.query(database, index).unwrap();
    assert_eq!(indexes("other"), indexes("apex"));
    let journals = PgJournals::new(restoring.journals().unwrap()).unwrap();
    assert!(journals.verify("paper", &mut |_| {}).unwrap().ok());
    let unfinished = |refused: StorageError| {
        let is_it = matches!(
            refused,
            StorageError::UnfinishedDatabase { .. } | StorageError::UnfinishedRestore { .. }
        );
        assert!(is_it, "{refused}");
    };
    unfinished(PgJournals::new(&to).map(drop).unwrap_err());
    unfinished(PgSeries::open(&to_series).map(drop).unwrap_err());
    unfinished(DataDir::open(&folder).map(drop).unwrap_err());
    restoring.finish().unwrap();
    PgJournals::new(&to).unwrap();
    PgSeries::open(&to_series).unwrap();
    DataDir::open(&folder).unwrap();
}

#[test]
fn what_is_not_empty_is_left_as_it_is() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    world.take(1).unwrap();
    let to = world.another("taken");
    let mine = "CREATE TABLE mine (a int); INSERT INTO mine VALUES (7)";
    world.postgres.query("taken", mine).unwrap();
    let refused = world.bring_back(&to, "one").unwrap_err();
    assert!(
        matches!(refused, StorageError::NotEmptyDatabase { .. }),
        "{refused}"
    );
    assert_eq!(world.tables("taken"), ["mine"]);
    let refused = world.bring_back(&world.server, "two").unwrap_err();
    assert!(
        refused.to_string().contains("/apex is not empty"),
        "{refused}"
    );
    PgJournals::new(&world.server).unwrap();
}

#[test]
fn a_backup_goes_back_to_the_kind_of_place_that_it_is_of() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    world.take(1).unwrap();
    let refused = world
        .bring_back_to(&Targets::default(), "folder")
        .unwrap_err();
    let expected = format!(
        "APEX_DATABASE_URL is not set, and backup {:020} is of the database",
        1
    );
    assert!(refused.to_string().starts_with(&expected), "{refused}");
    assert!(!world.path("folder").exists());

    let dir = DataDir::open(&world.path("files")).unwrap();
    EmbeddedJournal::open(&dir, "paper", Options::default()).unwrap();
    drop(dir);
    let files = world.path("files");
    world.copied(&Source::folder(&files), 2).unwrap();
    let to = world.another("empty");
    let refused = world.bring_back(&to, "folder").unwrap_err();
    let expected = format!(
        "APEX_DATABASE_URL is set, and backup {:020} has its journals in files",
        2
    );
    assert!(refused.to_string().starts_with(&expected), "{refused}");
    assert_eq!(world.tables("empty"), [""; 0]);
}

#[test]
fn a_schema_that_is_newer_is_not_copied_in_part() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                 VALUES (99, 'later', '2026-01-01T00:00:00Z', '1')";
    world.postgres.query("apex", later).unwrap();
    PgJournals::new(&world.server).expect("it is used for all else");
    let refused = world.take(1).unwrap_err();
    assert!(
        matches!(refused, StorageError::NewerVersion { found: 99, .. }),
        "{refused}"
    );
    assert!(find(&world.place, None).unwrap().is_none());
}

#[test]
fn a_damaged_journal_of_a_database_is_no_backup() {
    let Some(world) = World::new() else {
        return;
    };
    world.fill();
    let damage = "UPDATE journal_frame SET frame = set_byte(frame, 500, 1) WHERE last_sequence = 7 \
                  AND account_id = 'paper'";
    world.postgres.query("apex", damage).unwrap();
    let refused = world.take(1).unwrap_err();
    let place = "journal_frame of paper";
    assert!(
        matches!(&refused, StorageError::Damaged { position, .. }
            if position.segment == place && position.sequence == 7),
        "{refused}"
    );
    let lost = "DELETE FROM journal_frame WHERE account_id = 'paper' AND last_sequence >= 7";
    world.postgres.query("apex", lost).unwrap();
    let refused = world.take(2).unwrap_err();
    assert!(matches!(refused, StorageError::Damaged { .. }), "{refused}");
    assert!(find(&world.place, None).unwrap().is_none());
}

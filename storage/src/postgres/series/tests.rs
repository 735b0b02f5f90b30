//! What only a database can show of time series.

use super::*;
use crate::port::series::DAY_NS;
use crate::postgres::{ServerOptions, migrate};
use crate::testkit::{Postgres, here};
use apex_domain::number::{Price, Quantity};

const DAY: i64 = 20_000 * DAY_NS;

fn open(postgres: &Postgres) -> (PgSeries, InstrumentId) {
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("the server answers");
    migrate(&server).expect("the tables are made");
    let series = PgSeries::open(&server).expect("it opens");
    let id = InstrumentId::new("BTC/USD.ALPACA").expect("an id");
    let (price, quantity) = (2, 5);
    let declared = series.declare(&id, Decimals { price, quantity });
    declared.expect("it is declared");
    (series, id)
}

fn trade(sequence: u64, ts: i64) -> TradeRow {
    TradeRow {
        sequence,
        price: Price(100 + sequence as i64),
        quantity: Quantity(2),
        aggressor: None,
        trade_id: 9,
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    }
}

fn asked(postgres: &Postgres, sql: &str) -> String {
    postgres.query("apex", sql).expect("it answers")
}

#[test]
fn a_day_is_open_with_brin_then_settled_with_btree_then_dropped() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (series, id) = open(&postgres);
    if series.layout() == Layout::Timescale {
        return;
    }
    series.maintain(UnixNanos(DAY + 5)).expect("days ahead");
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'series_trade'::regclass";
    assert_eq!(asked(&postgres, partitions), "3");
    series.write_trades(&id, &[trade(1, DAY)]).expect("stored");
    let index = "SELECT amname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
                 JOIN pg_am ON pg_am.oid = relam WHERE indrelid = 'series_trade_d20000'::regclass";
    assert_eq!(asked(&postgres, index), "brin");
    // Not before an hour after its end.
    let end = DAY + DAY_NS;
    series.maintain(UnixNanos(end + 5)).expect("too early");
    assert_eq!(asked(&postgres, index), "brin");
    let later = UnixNanos(end + 3_600_000_000_000);
    series.maintain(later).expect("it is settled");
    assert_eq!(asked(&postgres, index), "btree");
    assert_eq!(
        series.forget(Kind::Trades, UnixNanos(end)).expect("it is"),
        1
    );
    let gone = "SELECT to_regclass('series_trade_d20000') IS NULL";
    assert_eq!(asked(&postgres, gone), "t");
    // Another process may not know that it is gone.
    lock(&series.known).days.insert(("series_trade", 20_000));
    series.write_trades(&id, &[trade(2, DAY)]).expect("stored");
    assert_eq!(asked(&postgres, "SELECT count(*) FROM series_trade"), "1");
}

#[test]
fn people_read_the_same_through_the_views() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (series, id) = open(&postgres);
    let trades = [trade(1, DAY), trade(2, DAY + 1)];
    series.write_trades(&id, &trades).expect("stored");
    series.roll_up().expect("they are made");
    let rolled = "SELECT instrument_id, price_decimals, open, high, low, close, volume, trade_count \
                  FROM market_rolled WHERE interval_ns = 3600000000000";
    let expected = "BTC/USD.ALPACA|2|101|102|101|102|4|2";
    assert_eq!(asked(&postgres, rolled), expected);
    let names = "SELECT count(*) FROM market_trade, market_quote, market_bar";
    assert_eq!(asked(&postgres, names), "0");
}

#[test]
fn a_batch_that_a_killed_server_left_in_doubt_is_stored_once() {
    let Some(mut postgres) = here(Postgres::start()) else {
        return;
    };
    let (series, id) = open(&postgres);
    let batch = |round: u64| -> Vec<TradeRow> {
        let first = round * 500 + 1;
        (first..first + 500)
            .map(|n| trade(n, DAY + n as i64))
            .collect()
    };
    let writer = std::thread::spawn({
        let (series, id) = (series.clone(), id.clone());
        move || {
            let mut failed = 0;
            for round in 0..60 {
                let rows = batch(round);
                while let Err(error) = series.write_trades(&id, &rows) {
                    assert!(error.must_abort(), "{error}");
                    failed += 1;
                    std::thread::yield_now();
                }
            }
            failed
        }
    });
    let reached = |least: u64| {
        while series.last_sequence(&id, Stream::Trades).unwrap_or(0) < least {
            std::thread::yield_now();
        }
    };
    for least in [2_000, 8_000] {
        reached(least);
        postgres.kill().expect("it is killed");
        postgres.restart().expect("it starts again");
    }
    let failed = writer.join().expect("no panic");
    assert!(failed > 0, "no batch was in doubt");
    let count = "SELECT count(*), count(DISTINCT sequence), min(sequence), max(sequence) \
                 FROM series_trade";
    assert_eq!(asked(&postgres, count), "30000|30000|1|30000");
    assert_eq!(series.gaps(&id, Stream::Trades).expect("none"), []);
}

#[test]
fn a_reader_is_told_when_the_server_goes_away_in_the_midst() {
    let Some(mut postgres) = here(Postgres::start()) else {
        return;
    };
    let (series, id) = open(&postgres);
    // More than the pages ahead and the buffers of a connection hold.
    for batch in 0..4_u64 {
        let first = batch * 60_000 + 1;
        let rows: Vec<TradeRow> = (first..first + 60_000)
            .map(|n| trade(n, DAY + n as i64))
            .collect();
        series.write_trades(&id, &rows).expect("stored");
    }
    let mut reader = series.trades(&id, TimeRange::ALL).expect("it reads");
    assert_eq!(reader.next().expect("one").expect("a row").sequence, 1);
    postgres.kill().expect("it is killed");
    let last = reader.last().expect("more rows or an error");
    let error = last.expect_err("not all rows came");
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
}

#[test]
fn rows_do_not_wait_for_a_roll_up_and_what_it_did_not_see_stays_marked() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (series, id) = open(&postgres);
    if series.layout() == Layout::Timescale {
        return;
    }
    series.write_trades(&id, &[trade(1, DAY)]).expect("stored");
    let on = series.on.clone();
    let held = series.on.wait(async move {
        let client = on.connection().await?;
        let hold = "BEGIN; LOCK TABLE series_rolled IN SHARE MODE";
        client.batch_execute(hold).await.expect("it is free");
        Ok(client)
    });
    let held = held.expect("a connection");
    let rolling = {
        let series = series.clone();
        std::thread::spawn(move || series.roll_up())
    };
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'series_rolled'::regclass \
                 AND NOT granted";
    let begun = std::time::Instant::now();
    while asked(&postgres, waits) != "1" {
        assert!(
            begun.elapsed().as_secs() < 30,
            "the roll-up waits for the table"
        );
    }
    // In the minute that is rolled up.
    series
        .write_trades(&id, &[trade(2, DAY + 1)])
        .expect("no waiting");
    assert!(!rolling.is_finished());
    // The lock goes with its connection.
    drop(held);
    rolling.join().expect("no panic").expect("it is made");
    assert_eq!(asked(&postgres, "SELECT count(*) FROM series_dirty"), "1");
    series.roll_up().expect("it is made");
    let count = "SELECT trade_count FROM series_rolled WHERE interval_ns = 60000000000";
    assert_eq!(asked(&postgres, count), "2");
    assert_eq!(asked(&postgres, "SELECT count(*) FROM series_dirty"), "0");
}

#[test]
fn marks_of_a_refresh_that_failed_stay_and_so_do_those_that_were_touched_meanwhile() {
    let Some(postgres) = here(Postgres::start()) else {
        return;
    };
    let (mut series, id) = open(&postgres);
    if series.layout() == Layout::Timescale {
        return;
    }
    series.write_trades(&id, &[trade(1, DAY)]).expect("stored");
    // What the extension would be asked, on a server without it.
    series.layout = Layout::Timescale;
    let refresh = |body: &str| {
        asked(
            &postgres,
            &format!(
                "CREATE OR REPLACE PROCEDURE \
                 refresh_continuous_aggregate(name text, begins int8, ends int8) \
                 LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
            ),
        );
    };
    let marks = || asked(&postgres, "SELECT count(*) FROM series_dirty");
    refresh("RAISE EXCEPTION 'no space left'; ");
    let error = series.roll_up().expect_err("nothing is made");
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(marks(), "1");
    refresh("UPDATE series_dirty SET minute_ns = minute_ns; ");
    series.roll_up().expect("it is made");
    assert_eq!(marks(), "1");
    asked(
        &postgres,
        "CREATE TABLE refreshed (name text, begins int8, ends int8)",
    );
    refresh("INSERT INTO refreshed VALUES (name, begins, ends); ");
    series.roll_up().expect("it is made");
    assert_eq!(marks(), "0");
    let of_a_minute = "SELECT name, ends - begins FROM refreshed WHERE name LIKE '%1m'";
    assert_eq!(
        asked(&postgres, of_a_minute),
        "series_rolled_1m|60000000000"
    );
    assert_eq!(asked(&postgres, "SELECT count(*) FROM refreshed"), "4");
}

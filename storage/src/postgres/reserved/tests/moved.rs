//! Databases that end before a reserve, reserves that were moved away, and owners that noted nothing.

use super::*;
use crate::postgres::look_for_reserves;

fn query(bench: &Bench, sql: &str) -> String {
    bench.postgres.query("apex", sql).expect("it answers")
}

/// Leaves records 3 to 6 in the reserve, and brings the database back to record 1.
fn brought_back(bench: &mut Bench) {
    let mut journal = bench.open();
    commit(&mut journal, 1);
    let at = "SELECT encode(chain, 'hex') FROM journal_account WHERE account_id = 'paper'";
    let chain = query(bench, at);
    commit(&mut journal, 2);
    bench.proxy.set_refusing(true);
    bench.proxy.cut();
    for sequence in 3..=6 {
        commit(&mut journal, sequence);
    }
    drop(journal);
    let proxy = Proxy::start(bench.postgres.port()).expect("a proxy starts");
    bench.cut = Some(std::mem::replace(&mut bench.proxy, proxy));
    query(
        bench,
        &format!(
            "UPDATE journal_account SET sequence = 1, chain = decode('{chain}', 'hex') \
             WHERE account_id = 'paper'"
        ),
    );
    query(bench, "DELETE FROM journal_frame WHERE last_sequence > 1");
    query(bench, "DELETE FROM journal_reserve");
}

fn move_away(bench: &Bench) {
    let reserve = bench.dir.root().join("reserve");
    let aside = bench.dir.root().join("moved away");
    std::fs::rename(reserve.join("paper"), aside).expect("it is moved");
}

#[test]
fn a_database_that_ends_before_a_reserve_is_said_to_be_of_an_earlier_time() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    brought_back(&mut bench);
    for _ in 0..2 {
        let refused = bench.journals().open("paper").expect_err("it is refused");
        let folder = bench.dir.root().join("reserve/paper");
        let text = format!(
            "the reserve \"{}\" of account paper holds records 3 to 6, but its database ends at \
             record 1, before that: it was brought back to an earlier time",
            folder.display()
        );
        assert_eq!(refused.to_string(), text);
    }
    // Nobody has accounted for what is in it, or that was brought back as well.
    let (_folder, other) = on_another_folder(&bench);
    let refused = other.open("paper").expect_err("it lacks records 3 to 6");
    assert!(matches!(refused, StorageError::ReserveElsewhere { .. }));
    bench.holds(1);
}

#[test]
fn a_reserve_that_was_moved_away_is_asked_for_until_it_is_accounted_for() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    brought_back(&mut bench);
    bench.journals().open("paper").expect_err("it is refused");
    let lacking = |bench: &Bench| {
        let holders = bench.journals().elsewhere().expect("it answers");
        let folders = holders.into_iter().map(|holder| holder.folder);
        folders.collect::<Vec<_>>()
    };
    assert_eq!(lacking(&bench), [""; 0], "it is here");
    move_away(&bench);
    let root = bench.dir.root().display().to_string();
    for _ in 0..2 {
        let folders = lacking(&bench);
        assert_eq!(folders.len(), 1, "{folders:?}");
        assert!(folders[0].ends_with(&format!("{root}/reserve/paper, moved away")));
        let server = bench.connect(&bench.postgres.url());
        let looked = look_for_reserves(&server, bench.dir.root()).expect("it answers");
        assert_eq!(looked.0.len(), 1);
    }
    // A forced start that is cut off makes a new reserve, which is not the one that is gone.
    for _ in 0..2 {
        let forced = bench.journals().without_others().expect("it answers");
        drop(forced.open("paper").expect("it is forced"));
        assert_eq!(lacking(&bench).len(), 1);
    }
    let forced = bench.journals().without_others().expect("it answers");
    let mut journal = forced.open("paper").expect("it is forced");
    commit(&mut journal, 2);
    forced.forget_elsewhere("paper").expect("it answers");
    drop(journal);
    assert_eq!(lacking(&bench), [""; 0]);
    commit(&mut bench.open(), 3);
    bench.holds(3);
}

#[test]
fn an_owner_of_an_older_build_is_told_until_one_has_noted_its_folder() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let unnoted = || {
        let owners = bench.journals().unnoted().expect("it answers");
        owners.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unnoted(), [""; 0]);
    let journal = bench.open();
    assert_eq!(unnoted(), [""; 0], "it has noted its folder");
    drop(journal);
    assert_eq!(unnoted(), [""; 0], "and came to an orderly end");
    // One that knows of no folders, before and behind such an end.
    let older = "UPDATE journal_account SET epoch = epoch + 1, owner = 'process 7', \
                 opened_at = '2026-11-26T12:00:00Z'";
    query(&bench, older);
    let text = "the last owner of account paper (process 7, epoch 2, since 2026-11-26T12:00:00Z) was \
                of an older build and did not note its data folder: unless it was this one, it may hold \
                a reserve that this server does not know of";
    assert_eq!(unnoted(), [text]);
    let server = bench.connect(&bench.postgres.url());
    let looked = look_for_reserves(&server, bench.dir.root()).expect("it answers");
    assert_eq!(looked.1.len(), 1);
    // No start is refused for it.
    drop(bench.open());
    assert_eq!(unnoted(), [""; 0]);
    query(&bench, older);
    assert_eq!(unnoted().len(), 1);
    query(&bench, "DELETE FROM journal_reserve");
    assert_eq!(unnoted().len(), 1);
}

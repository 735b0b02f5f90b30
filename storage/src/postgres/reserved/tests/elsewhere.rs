//! Starts on another data folder, and on another database.

use super::*;
use crate::port::journals::AUDIT_JOURNAL;

/// Which accounts other folders may hold a reserve of.
fn accounts(holders: &[ReserveHolder]) -> Vec<&str> {
    holders.iter().map(|it| it.account_id.as_str()).collect()
}

#[test]
fn another_folder_is_refused_what_a_killed_process_may_hold_and_changes_nothing() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    let (_folder, other) = on_another_folder(&bench);
    let epoch = "SELECT epoch FROM journal_account WHERE account_id = 'paper'";
    let before = bench.postgres.query("apex", epoch).expect("it answers");
    let refused = other.open("paper").expect_err("it lacks records 2 to 5");
    let StorageError::ReserveElsewhere { holders } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(accounts(holders), ["paper"]);
    assert_eq!(holders, &other.elsewhere().expect("it answers"));
    let text = refused.to_string();
    let folder = bench.dir.root().display().to_string();
    for word in ["account paper", &folder, "epoch 1", "since 20"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!refused.must_abort());
    let after = bench.postgres.query("apex", epoch).expect("it answers");
    assert_eq!(
        after, before,
        "the owner before is not stopped by a refusal"
    );
    // The folder that has it goes on, and then any does.
    drop(bench.open());
    bench.holds(5);
    drop(other.open("paper").expect("nothing is left anywhere"));
}

#[test]
fn an_orderly_end_lets_any_folder_go_on_and_a_kill_does_not() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let (_folder, other) = on_another_folder(&bench);
    let mut journal = bench.open();
    commit(&mut journal, 1);
    drop(journal);
    let mut journal = other.open("paper").expect("it was ended in order");
    commit(&mut journal, 2);
    // An end while the server is away leaves what it may lack, and says so.
    bench.postgres.pause().expect("it stops");
    commit(&mut journal, 3);
    drop(journal);
    bench.postgres.resume();
    let refused = bench.journals().open("paper");
    assert!(
        matches!(refused, Err(StorageError::ReserveElsewhere { .. })),
        "{refused:?}"
    );
}

#[test]
fn whoever_takes_over_without_the_reserve_is_the_only_owner_and_may_forget_it() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    let (_folder, other) = on_another_folder(&bench);
    let other = other.without_others().expect("it answers");
    let mut journal = other.open("paper").expect("it is forced");
    let mut units = unit(Class::Essential, 2);
    units[0].records[0].payload = b"another decision".to_vec();
    journal.append(&units).expect("it is taken");
    journal.commit().expect("the owner writes");
    // Until it is told that what is lacking is accounted for, the next start is asked again.
    assert_eq!(accounts(&other.elsewhere().expect("it answers")), ["paper"]);
    let (_third, third) = on_another_folder(&bench);
    assert_eq!(third.elsewhere().expect("it answers").len(), 2);
    other.forget_elsewhere("paper").expect("it answers");
    assert_eq!(other.elsewhere().expect("it answers"), []);
    assert_eq!(third.elsewhere().expect("it answers").len(), 1);
    drop(journal);
    assert_eq!(third.elsewhere().expect("it answers"), []);
    // The folder that was passed over is told what it holds.
    let refused = bench.journals().open("paper").expect_err("it conflicts");
    assert!(
        matches!(refused, StorageError::ReserveConflict { .. }),
        "{refused}"
    );
}

#[test]
fn a_start_that_is_refused_for_its_reserve_leaves_the_other_folders_asked() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    left_away(&mut bench);
    // The database has lost its end, or went on without the lock.
    let mut stranger = bench.take_over();
    let mut units = unit(Class::Essential, 2);
    units[0].records[0].payload = b"another decision".to_vec();
    stranger.append(&units).expect("it is taken");
    stranger.commit().expect("the owner writes");
    drop(stranger);
    let (_folder, other) = on_another_folder(&bench);
    for _ in 0..2 {
        let refused = bench.journals().open("paper").expect_err("it conflicts");
        assert!(matches!(refused, StorageError::ReserveConflict { .. }));
        let holders = other.elsewhere().expect("it answers");
        assert_eq!(accounts(&holders), ["paper"]);
        let refused = other.open("paper").expect_err("it lacks records 2 to 5");
        assert!(matches!(refused, StorageError::ReserveElsewhere { .. }));
    }
    // Once somebody has accounted for it, the folder does not bring it up again.
    let other = other.without_others().expect("it answers");
    let journal = other.open("paper").expect("it is forced");
    other.forget_elsewhere("paper").expect("it answers");
    drop(journal);
    let refused = bench.journals().open("paper").expect_err("it conflicts");
    assert!(matches!(refused, StorageError::ReserveConflict { .. }));
    assert_eq!(other.elsewhere().expect("it answers"), []);
}

#[test]
fn an_owner_that_was_itself_passed_over_does_not_forget_the_one_behind_it() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let first = bench.open();
    let (_folder, second) = on_another_folder(&bench);
    // As one that has the account's lock, since the first has lost it.
    let keeper = &second.clone().without_others().expect("it answers").keeper;
    let server = bench.connect(&bench.postgres.url());
    let on = server.clone();
    let (id, keeper) = ("paper".to_owned(), keeper.clone());
    let taken = server.wait(async move {
        let client = on.shared().await?;
        owners::take(&on, &client, &id, Some(&keeper)).await
    });
    assert_eq!(taken.expect("it is forced").epoch, 2);
    bench
        .journals()
        .forget_elsewhere("paper")
        .expect("it answers");
    let holders = bench.journals().elsewhere().expect("it answers");
    assert_eq!(accounts(&holders), ["paper"], "the later owner stays");
    drop(first);
}

#[test]
fn the_audits_journal_is_said_to_be_elsewhere_as_well() {
    let Some(bench) = Bench::new() else {
        return;
    };
    let journal = bench.journals().open(AUDIT_JOURNAL).expect("it opens");
    let (_folder, other) = on_another_folder(&bench);
    let holders = other.elsewhere().expect("it answers");
    assert_eq!(accounts(&holders), [AUDIT_JOURNAL]);
    drop(journal);
}

#[test]
fn a_reserve_of_another_database_is_refused_by_name_and_an_empty_one_moves() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    bench
        .postgres
        .query("postgres", "CREATE DATABASE second")
        .expect("it is made");
    let second = bench.connect(&bench.postgres.url_of("second"));
    migrate(&second).expect("the tables are made");
    let journals = || PgJournals::new(&second).expect("the tables are there");
    drop(bench.open());
    drop(ReservedJournals::new(journals(), &bench.dir).expect("nothing waits"));
    left_away(&mut bench);
    let refused = ReservedJournals::new(journals(), &bench.dir).expect_err("it is another's");
    let text = refused.to_string();
    let ids: Vec<String> = ["apex", "second"]
        .iter()
        .map(|name| {
            let asked = "SELECT database_id FROM journal_database";
            bench.postgres.query(name, asked).expect("it answers")
        })
        .collect();
    for word in ["/apex (", "/second (", ids[0].as_str(), ids[1].as_str()] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(matches!(refused, StorageError::ReserveOfOther { .. }));
    drop(bench.open());
    bench.holds(5);
}

#[test]
fn a_reserve_that_does_not_say_of_which_database_it_is_belongs_to_the_one_it_goes_on_in() {
    let Some(mut bench) = Bench::new() else {
        return;
    };
    let made = bench.postgres.query("postgres", "CREATE DATABASE second");
    made.expect("it is made");
    let second = bench.connect(&bench.postgres.url_of("second"));
    migrate(&second).expect("the tables are made");
    let journals = || PgJournals::new(&second).expect("the tables are there");
    left_away(&mut bench);
    let note = bench.dir.root().join("reserve/database");
    std::fs::remove_file(&note).expect("as an older build has left it");
    // It is not the other's because that came first.
    let other = ReservedJournals::new(journals(), &bench.dir).expect("nothing tells");
    let refused = other
        .open("paper")
        .expect_err("its chain does not go on there");
    assert!(matches!(refused, StorageError::ReserveConflict { .. }));
    assert!(!note.exists());
    drop(bench.open());
    bench.holds(5);
    let asked = "SELECT database_id FROM journal_database";
    let id = bench.postgres.query("apex", asked).expect("it answers");
    let noted = std::fs::read_to_string(&note).expect("it says so now");
    assert!(noted.starts_with(&id), "{noted}");
    std::fs::write(&note, "nothing\n").expect("it is written");
    let refused = ReservedJournals::new(journals(), &bench.dir).expect_err("it says nothing");
    assert!(matches!(refused, StorageError::Damaged { .. }), "{refused}");
}

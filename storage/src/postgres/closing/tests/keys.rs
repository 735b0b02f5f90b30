//! Segments of several databases in one store, and those of earlier builds.

use super::*;

/// Puts the segments of a database where builds before the ids in keys have stored them.
fn as_earlier_builds(bench: &Bench, database: &str) {
    let asked = "SELECT database_id FROM journal_database";
    let id = bench.postgres.query(database, asked).expect("it answers");
    let (prefix, objects) = (format!("journals/{id}/"), &bench.objects.objects);
    let listed = objects.list(&prefix, None, 1_000).expect("a list");
    assert!(listed.len() > 3, "{listed:?}");
    for info in listed {
        let bytes = objects
            .get(&info.key)
            .expect("it is read")
            .expect("it is there");
        let key = info.key.as_str().replace(&prefix, "journals/");
        let key = ObjectKey::new(&key).expect("a key");
        objects.put(&key, &mut &bytes[..]).expect("it is stored");
        objects.delete(&info.key).expect("it goes");
    }
}

fn moved(journal: &mut dyn Journal) -> u64 {
    let closed = stored(journal).expect("there is something");
    journal.cut(closed).expect("it is the owner's");
    closed.sequence()
}

#[test]
fn what_earlier_builds_have_moved_is_read_and_more_is_moved_behind_it() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    let first = moved(&mut journal);
    as_earlier_builds(&bench, "apex");
    let check = |journal: &PgJournal| {
        whole(journal);
        for from in (1..=journal.head().sequence).step_by(4) {
            let mut records = journal.read_from(from).expect("it can be asked");
            let found = records.next().expect("a record").expect("it is whole");
            assert_eq!(found, record(from));
        }
        let report = bench.journals().verify("paper", &mut |_| {});
        let report = report.expect("it is read");
        assert!(report.ok(), "{report:?}");
        assert_eq!(report.head, journal.head());
    };
    check(&journal);
    grow(&mut journal);
    assert!(moved(&mut journal) > first);
    check(&journal);
    // The base leads on from what is where it was, and a segment of it that is lost is missed.
    let lost = ObjectKey::new("journals/paper/00000000000000000001.seg").unwrap();
    assert!(bench.objects.objects.delete(&lost).expect("it goes"));
    let report = bench.journals().verify("paper", &mut |_| {});
    assert!(report.expect("it is read").first_bad.is_some());
}

#[test]
fn databases_with_accounts_of_the_same_names_share_a_store() {
    let Some((bench, mut journal)) = Bench::grown() else {
        return;
    };
    // Another one whose segments end elsewhere, and are in the way of this one's by their old names.
    let make = "CREATE DATABASE other";
    bench.postgres.query("postgres", make).expect("it is made");
    let server = bench.server(&bench.postgres.url_of("other"));
    migrate(&server).expect("the tables are made");
    let objects = bench.objects.clone();
    let others = PgJournals::new(&server).expect("the tables are there");
    let others = others.with_objects(objects).with_sizes(3_000, 8 * 1_024);
    let mut other = others.open("paper").expect("it opens");
    let (class, mut unlike) = (Class::Order, record(1));
    unlike.payload = b"of another platform".to_vec();
    let records = vec![unlike];
    other
        .append(&[Unit { class, records }])
        .expect("it is taken");
    other.commit().expect("it is stored");
    grow(&mut other);
    moved(&mut other);
    as_earlier_builds(&bench, "other");

    moved(&mut journal);
    whole(&journal);
    for (journals, head) in [(bench.journals(), journal.head()), (others, other.head())] {
        let report = journals.verify("paper", &mut |_| {}).expect("it is read");
        assert!(report.ok(), "{report:?}");
        assert_eq!(report.head, head);
    }
    // Also from the midst, where one of the other's begins behind the own one.
    for from in (1..=journal.head().sequence).step_by(4) {
        let records = journal.read_from(from).expect("it can be asked");
        let found = records.map(|item| item.expect("it is whole").sequence);
        assert!(found.eq(from..=journal.head().sequence), "{from}");
    }
    grow(&mut other);
    moved(&mut other);
    let last = other.read_from(2).expect("it can be asked").last();
    assert_eq!(
        last.expect("records").expect("whole").sequence,
        other.head().sequence
    );
}

//! What accounts have decided while their database was away, in backups.

use super::world::{World, write};
use super::*;
use crate::embedded::{FrameBuilder, ReserveFile};
use crate::port::journal::Head;
use crate::postgres::{PgJournals, PgServer, ReservedJournals};
use std::sync::Arc;

const RESERVE_BYTES: u64 = 64 << 10;

/// Leaves a record in the reserve of an account, behind where its journal stands, as a run does that
/// was killed while the database was away. Returns the journal's end with it.
fn leave(dir: &Arc<DataDir>, before: Head) -> Head {
    let (mut reserve, _) = ReserveFile::open(dir, "paper", RESERVE_BYTES).unwrap();
    let mut frame = FrameBuilder::new();
    let sequence = before.sequence + 1;
    frame.push(&Record {
        sequence,
        kind: 1,
        schema: 1,
        payload: format!("{sequence:08000}").into_bytes(),
    });
    let (bytes, sequence, chain) = frame.seal(&before.chain);
    reserve.append(&before, bytes).unwrap();
    Head { sequence, chain }
}

/// A database that ran on one folder, then on another whose host is gone: the backup of the first one, its
/// restore, and the start on it, which is asked for the other's reserve.
#[test]
fn a_reserve_in_another_folder_is_asked_for_on_what_is_restored() {
    let Some(world) = World::new() else {
        return;
    };
    let start = |server: &PgServer, folder: &str| {
        let dir = DataDir::open(&world.path(folder)).unwrap();
        let journals = ReservedJournals::new(PgJournals::new(server).unwrap(), &dir).unwrap();
        (journals, dir)
    };
    let (first, dir) = start(&world.server, "data");
    write(&mut first.open("paper").unwrap(), 3);
    drop((first, dir));
    let (second, dir) = start(&world.server, "gone");
    let mut journal = second.open("paper").unwrap();
    write(&mut journal, 2);
    // Its row stays for as long as it runs, and behind a kill.
    let rows = world.rows("apex", "journal_reserve");
    assert_eq!(rows.lines().count(), 1, "{rows}");
    let (taken, _) = world.take(1).unwrap();
    assert_eq!(taken.manifest.reserves_elsewhere(), 1);
    let to = world.another("restored");
    world.bring_back(&to, "restored").unwrap();
    assert_eq!(world.rows("restored", "journal_reserve"), rows);
    let (anew, _dir) = start(&to, "restored");
    let refused = anew.open("paper").map(drop).unwrap_err();
    assert!(
        matches!(refused, StorageError::ReserveElsewhere { .. }),
        "{refused}"
    );
    assert_eq!(anew.elsewhere().unwrap().len(), 1);
    // The last owner before the backup noted where its reserve is.
    assert_eq!(anew.unnoted().unwrap(), []);

    // A backup of the folder that has it says nothing of it: it is in it, with the folder.
    let gone = world.path("gone");
    let source = Source {
        journals: Some(&world.server),
        ..Source::folder(&gone)
    };
    let (taken, _) = world.copied(&source, 2).unwrap();
    assert_eq!(taken.manifest.reserves_elsewhere(), 0);
    drop((journal, second, dir));
}

/// A reserve that a person has moved out of the folder that is backed up: what is restored asks for it.
#[test]
fn a_reserve_that_was_moved_out_of_the_folder_is_asked_for_on_what_is_restored() {
    let Some(world) = World::new() else {
        return;
    };
    let dir = DataDir::open(&world.path("data")).unwrap();
    let journals = PgJournals::new(&world.server).unwrap();
    let own = ReservedJournals::new(journals, &dir).unwrap();
    let mut open = ["paper", "desk"].map(|id| own.open(id).unwrap());
    open.iter_mut().for_each(|journal| write(journal, 1));
    let reserves = world.path("data").join("reserve");
    std::fs::rename(reserves.join("paper"), world.path("aside")).unwrap();
    let (taken, _) = world.take(1).unwrap();
    assert_eq!(taken.manifest.reserves_elsewhere(), 1);
    let to = world.another("restored");
    world.bring_back(&to, "restored").unwrap();
    let anew = DataDir::open(&world.path("restored")).unwrap();
    let anew = ReservedJournals::new(PgJournals::new(&to).unwrap(), &anew).unwrap();
    anew.open("desk").unwrap();
    let refused = anew.open("paper").map(drop).unwrap_err();
    assert!(
        matches!(refused, StorageError::ReserveElsewhere { .. }),
        "{refused}"
    );
    drop(open);
}

#[test]
fn a_reserve_is_in_it_as_long_as_the_database_lacks_it() {
    let Some(world) = World::new() else {
        return;
    };
    let dir = DataDir::open(&world.path("data")).unwrap();
    let journals = PgJournals::new(&world.server).unwrap();
    let mut journal = journals.open("paper").unwrap();
    write(&mut journal, 5);
    let end = leave(&dir, journal.head());
    let (taken, shown) = world.take(1).unwrap();
    assert_eq!(shown.len(), 5, "what is not in the database is not folded");
    let waits = |taken: &Taken| {
        taken
            .manifest
            .files
            .iter()
            .any(|it| it.path.starts_with("reserve/"))
    };
    assert!(waits(&taken));
    let to = world.another("merged");
    world.bring_back(&to, "merged").unwrap();
    let dir = DataDir::open(&world.path("merged")).unwrap();
    let merged = ReservedJournals::new(PgJournals::new(&to).unwrap(), &dir).unwrap();
    assert_eq!(merged.open("paper").unwrap().head(), end);

    // The same record comes to the database, and what was left here is behind it.
    write(&mut journal, 1);
    assert_eq!(journal.head(), end);
    write(&mut journal, 2);
    let (taken, _) = world.take(2).unwrap();
    assert!(!waits(&taken));
    let to = world.another("passed");
    world.bring_back(&to, "passed").unwrap();
    let dir = DataDir::open(&world.path("passed")).unwrap();
    let passed = ReservedJournals::new(PgJournals::new(&to).unwrap(), &dir).unwrap();
    assert_eq!(passed.open("paper").unwrap().head().sequence, 8);
}

//! Every kind of tampering, on real files and on rows of PostgreSQL, is found at its record.

use super::*;
use crate::embedded::{DataDir, EmbeddedJournals, Header, Options};
use crate::port::journals::{AUDIT_JOURNAL, Journals};
use crate::postgres::{PgJournals, PgServer, ServerOptions, migrate};
use crate::testkit::{Postgres, here};
use crate::{FolderObjects, verify};
use std::path::{Path, PathBuf};

const RECORDS: u64 = 6;

/// Writes an audit with a checkpoint behind each second record; record `other` says something else.
fn write(journals: &dyn Journals, objects: &FolderObjects, other: Option<u64>) {
    let mut log = AuditLog::open(journals).expect("it opens");
    for sequence in 1..=RECORDS {
        let what = if other == Some(sequence) {
            "forged"
        } else {
            "actual"
        };
        let content = format!("{what} action {sequence}");
        log.append(content.as_bytes()).expect("it is staged");
        log.commit().expect("it is durable");
        if other.is_none() && sequence % 2 == 0 {
            let checkpoint = log.checkpoint().expect("it has records");
            put_checkpoint(objects, &checkpoint, 1).expect("it is stored");
        }
    }
}

fn journals(root: &Path) -> EmbeddedJournals {
    let dir = DataDir::open(root).expect("a free folder");
    EmbeddedJournals::new(&dir, Options::default())
}

fn segment(root: &Path) -> PathBuf {
    let folder = root.join("journal").join(AUDIT_JOURNAL);
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut paths = files.map(|file| file.expect("a file").path());
    paths
        .find(|path| path.extension().is_some_and(|it| it == "seg"))
        .expect("a segment")
}

/// Start and length of each frame.
fn frames(content: &[u8]) -> Vec<(usize, usize)> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Ok(header) = Header::parse(&content[at..]) {
        frames.push((at, header.frame_bytes()));
        at += header.frame_bytes();
    }
    frames
}

fn look(root: &Path, objects: &FolderObjects) -> AuditReport {
    check(
        None,
        |each| verify::verify(root, AUDIT_JOURNAL, each),
        |id| Checkpoints::of(objects, id),
    )
    .expect("it can be read")
}

/// Changes the frames of an audit's file and returns the first bad record.
fn tampered(change: impl FnOnce(&mut Vec<u8>, &[(usize, usize)])) -> Option<BadRecord> {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = FolderObjects::open(&folder.path().join("objects")).expect("it opens");
    write(&journals(folder.path()), &objects, None);
    let path = segment(folder.path());
    let mut content = std::fs::read(&path).expect("it is read");
    let (length, frames) = (content.len(), frames(&content));
    assert_eq!(frames.len() as u64, RECORDS);
    change(&mut content, &frames);
    content.resize(length, 0);
    std::fs::write(&path, content).expect("it is written");
    look(folder.path(), &objects).first_bad
}

fn sequence(found: Option<BadRecord>) -> u64 {
    found.expect("it is seen").sequence
}

#[test]
fn an_audit_that_nobody_touched_is_sound() {
    assert_eq!(tampered(|_, _| {}), None);
}

#[test]
fn an_edited_record_is_named() {
    let found = tampered(|content, frames| {
        let (start, length) = frames[3];
        content[start + length - 20] ^= 1;
    });
    assert_eq!(sequence(found), 4);
}

#[test]
fn a_deleted_record_is_named() {
    let found = tampered(|content, frames| {
        let (start, length) = frames[2];
        content.drain(start..start + length);
    });
    assert_eq!(sequence(found), 3);
}

#[test]
fn records_in_another_order_are_named() {
    let found = tampered(|content, frames| {
        let ((first, length), (second, other)) = (frames[1], frames[2]);
        assert_eq!(length, other);
        let (before, behind) = content.split_at_mut(second);
        before[first..first + length].swap_with_slice(&mut behind[..length]);
    });
    assert_eq!(sequence(found), 2);
}

#[test]
fn a_cut_off_end_is_named_up_to_the_last_checkpoint() {
    for (kept, expected) in [(5, Some(6)), (3, Some(4)), (0, Some(1)), (6, None)] {
        let found = tampered(|content, frames| {
            let end = frames.get(kept).map_or(content.len(), |(start, _)| *start);
            content.truncate(end);
        });
        // An empty audit whose beginning nobody noted has no checkpoints to be held against.
        let seen = found.map(|bad| bad.sequence);
        assert_eq!(seen, expected.filter(|_| kept > 0), "{kept} kept");
    }
}

#[test]
fn a_history_written_anew_with_all_its_checksums_is_seen_by_the_checkpoints() {
    let folder = tempfile::tempdir().expect("a folder");
    let objects = FolderObjects::open(&folder.path().join("objects")).expect("it opens");
    let (real, forged) = (folder.path().join("real"), folder.path().join("forged"));
    write(&journals(&real), &objects, None);
    write(&journals(&forged), &objects, Some(4));
    assert_eq!(look(&real, &objects).first_bad, None);
    let found = look(&forged, &objects);
    assert_eq!(sequence(found.first_bad), 3, "the checkpoint at 2 agrees");
}

fn rows_tampered(changes: &[&str]) -> Option<Option<BadRecord>> {
    let postgres = here(Postgres::start())?;
    let options = ServerOptions::new("APEX_DATABASE_URL", &postgres.url());
    let server = PgServer::connect(options).expect("it answers");
    migrate(&server).expect("the tables are made");
    let journals = PgJournals::new(&server).expect("the tables are there");
    let folder = tempfile::tempdir().expect("a folder");
    let objects = FolderObjects::open(folder.path()).expect("it opens");
    write(&journals, &objects, None);
    for change in changes {
        postgres.query("apex", change).expect("rows are changed");
    }
    let report = check(
        None,
        |each| journals.verify(AUDIT_JOURNAL, each),
        |id| Checkpoints::of(&objects, id),
    );
    Some(report.expect("it can be read").first_bad)
}

#[test]
fn rows_that_were_changed_are_named() {
    let edit = "UPDATE journal_frame SET frame = set_byte(frame, 130, 0) \
                WHERE account_id = '=audit' AND last_sequence = 4";
    let delete = "DELETE FROM journal_frame WHERE account_id = '=audit' AND last_sequence = 3";
    let reorder = "UPDATE journal_frame AS frame SET frame = other.frame FROM journal_frame AS other \
                   WHERE frame.account_id = '=audit' AND other.account_id = '=audit' \
                   AND frame.last_sequence IN (2, 3) \
                   AND other.last_sequence = 5 - frame.last_sequence";
    let cut = [
        "DELETE FROM journal_frame WHERE account_id = '=audit' AND last_sequence > 3",
        // The end is told as it then is, so that only a checkpoint knows of more.
        "UPDATE journal_account SET sequence = 3 WHERE account_id = '=audit'",
    ];
    let cases: [(&[&str], Option<u64>); 5] = [
        (&[], None),
        (&[edit], Some(4)),
        (&[delete], Some(3)),
        (&[reorder], Some(2)),
        (&cut, Some(4)),
    ];
    for (changes, expected) in cases {
        let Some(found) = rows_tampered(changes) else {
            return;
        };
        let seen = found.map(|bad| bad.sequence);
        assert_eq!(seen, expected, "{changes:?}");
    }
}

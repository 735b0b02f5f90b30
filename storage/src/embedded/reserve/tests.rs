use super::*;
use crate::disk::{Crash, SimDisk};
use crate::embedded::frame::genesis;
use crate::embedded::frame::tests::frame;

const BYTES: u64 = 16 * 1024;

fn open(disk: &SimDisk) -> Result<(ReserveFile, Option<Left>), StorageError> {
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new("/data"));
    ReserveFile::open(&dir, "paper", BYTES)
}

/// Where an account stands that the server has up to record 4.
fn at_server() -> Head {
    Head {
        sequence: 4,
        chain: genesis("paper"),
    }
}

/// Returns frames that follow, of one record each.
fn following(count: u64) -> Vec<(Head, Vec<u8>)> {
    let mut before = at_server();
    let mut made = Vec::new();
    for number in 0..count {
        // No aligned run of 512 zeros, as with payloads of ours.
        let payload = vec![1 + number as u8; 300 + 40 * number as usize];
        let bytes = frame(before.sequence + 1, &[&payload], &before.chain);
        let header = Header::parse(&bytes).expect("a frame just made");
        made.push((before, bytes));
        before = Head {
            sequence: header.last,
            chain: header.chain,
        };
    }
    made
}

fn fill(reserve: &mut ReserveFile, count: u64) -> u64 {
    let mut done = 0;
    for (before, bytes) in following(count) {
        if reserve.append(&before, &bytes).is_err() {
            break;
        }
        done += 1;
    }
    done
}

fn sequences(left: &Option<Left>) -> Vec<u64> {
    let frames = left.as_ref().map(|left| &left.frames[..]);
    let frames = frames.unwrap_or_default().iter();
    frames.map(|kept| kept.after.sequence).collect()
}

#[test]
fn what_was_kept_comes_back_with_what_it_follows() {
    let disk = SimDisk::new();
    let (mut reserve, left) = open(&disk).expect("a new reserve");
    assert!(left.is_none());
    assert_eq!(reserve.left_bytes(), BYTES);
    assert_eq!(fill(&mut reserve, 3), 3);
    let (mut reserve, left) = open(&disk.crash(Crash::LoseUnsynced)).expect("it opens");
    assert_eq!(sequences(&left), [5, 6, 7]);
    let left = left.expect("something was left");
    assert_eq!(left.before, at_server());
    assert_eq!(left.frames[1].records()[0].sequence, 6);
    reserve.clear().expect("it is emptied");
    assert_eq!(reserve.left_bytes(), BYTES);
}

#[test]
fn it_takes_what_it_has_room_for_and_keeps_its_space_when_it_is_emptied() {
    let disk = SimDisk::new();
    let (mut reserve, _) = open(&disk).expect("a new reserve");
    disk.set_capacity(Some(disk.used_bytes()));
    for _ in 0..3 {
        let taken = fill(&mut reserve, 100);
        assert!((10..100).contains(&taken), "{taken} frames");
        let (before, bytes) = following(100).swap_remove(taken as usize);
        let full = reserve.append(&before, &bytes).expect_err("it is full");
        assert!(matches!(full, StorageError::Full { .. }), "{full}");
        reserve.clear().expect("it is emptied without new space");
        let (_, left) = open(&disk.crash(Crash::LoseUnsynced)).expect("it opens");
        assert!(left.is_none());
    }
}

#[test]
fn without_space_there_is_no_reserve_to_promise() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(BYTES / 2));
    let error = open(&disk).expect_err("there is no space");
    assert!(
        error.to_string().contains("the journal's reserve"),
        "{error}"
    );
}

#[test]
fn a_power_cut_at_any_moment_leaves_all_that_was_kept_or_an_empty_reserve() {
    let mut whole = 0;
    for operations in 0..120 {
        for crash in [
            Crash::LoseUnsynced,
            Crash::KeepAll,
            Crash::KeepPrefix(100),
            Crash::KeepSectors(0x5555_5555_5555_5555),
        ] {
            let disk = SimDisk::new();
            disk.cut_power_after(operations);
            let (mut kept, mut clears) = (0, false);
            if let Ok((mut reserve, _)) = open(&disk) {
                kept = fill(&mut reserve, 8);
                clears = kept == 8;
                if clears && reserve.clear().is_ok() {
                    whole += 1;
                }
            }
            let (mut reserve, left) = open(&disk.crash(crash)).expect("it opens after a crash");
            let found = sequences(&left);
            let all: Vec<u64> = (5..5 + found.len() as u64).collect();
            assert_eq!(found, all, "{operations} {crash:?}");
            // One more may be there whole: it was written and its sync not answered.
            let fits = (kept..=kept + 1).contains(&(found.len() as u64));
            assert!(
                fits || (clears && found.is_empty()),
                "{operations} {crash:?}: {found:?}"
            );
            reserve.clear().expect("it is emptied");
            assert_eq!(fill(&mut reserve, 8), 8, "{operations} {crash:?}");
        }
    }
    assert!(whole > 0, "the loop never came to its end");
}

#[test]
fn damage_is_refused_with_its_place() {
    let disk = SimDisk::new();
    let (mut reserve, _) = open(&disk).expect("a new reserve");
    fill(&mut reserve, 3);
    let name = format!("{:020}-{}.seg", 5, genesis("paper"));
    let path = Path::new("/data/reserve/paper").join(&name);
    let file = disk.open(&path, Open::Write).expect("the file in use");
    file.write_at(&[0xFF], 90).expect("a byte is changed");
    let error = open(&disk).expect_err("it is damaged");
    let text = format!("damaged at segment {name} byte 0 (sequence 5): checksum mismatch");
    assert_eq!(error.to_string(), text);
    let other = Path::new("/data/reserve/paper/other.seg");
    disk.rename(&path, other).expect("it is renamed");
    let error = open(&disk).expect_err("its name says nothing");
    assert!(
        error.to_string().contains("malformed reserve name"),
        "{error}"
    );
}

#[test]
fn one_that_cannot_be_made_anew_for_want_of_space_has_no_room() {
    let disk = SimDisk::new();
    let (mut reserve, _) = open(&disk).expect("a new reserve");
    assert_eq!(fill(&mut reserve, 3), 3);
    drop(reserve);
    // Another build has a larger one, and the disk is full by now.
    disk.set_capacity(Some(disk.used_bytes()));
    let dir = DataDir::on_disk(Arc::new(disk.clone()), Path::new("/data"));
    let opened = ReserveFile::open(&dir, "paper", 2 * BYTES);
    let (mut reserve, left) = opened.expect("what was left is used first");
    assert_eq!(sequences(&left), [5, 6, 7]);
    reserve.clear().expect("it is emptied");
    assert_eq!(reserve.left_bytes(), 0);
    let (before, bytes) = following(1).swap_remove(0);
    let refused = reserve.append(&before, &bytes);
    assert!(
        matches!(refused, Err(StorageError::Full { .. })),
        "{refused:?}"
    );
}

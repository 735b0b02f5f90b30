//! The bytes of a table: a file header, and entries with a check each.

use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64;

use crate::embedded::frame::u64_at;
use crate::embedded::tail::lacks_a_sector;
use crate::port::records::{MAX_CHANGES, MAX_CHANGES_BYTES, MAX_KEY_BYTES};

pub(super) const FILE_MAGIC: [u8; 4] = *b"AXRT";
pub(super) const FILE_HEAD_BYTES: usize = 8;

/// Without groups. What a table is written as until its first group, so that an older build reads
/// it.
pub(super) const VERSION_SINGLE: u16 = 1;
/// With groups.
pub(super) const VERSION: u16 = 2;

const ENTRY_MAGIC: [u8; 4] = *b"AXRE";
const HEAD_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;

/// Largest body: a group as large as the port lets one be.
const MAX_BODY_BYTES: usize =
    GROUP_HEAD_BYTES + MAX_CHANGES_BYTES + MAX_CHANGES * (CHANGE_HEAD_BYTES + MAX_KEY_BYTES);

const PUT: u8 = 1;
const DELETE: u8 = 2;
const GROUP: u8 = 3;

const GROUP_HEAD_BYTES: usize = 1 + 8 + 2;
const CHANGE_HEAD_BYTES: usize = 1 + 2 + 4;

/// What becomes of a key: its new value, or `None` when it goes.
pub(super) type Row<'a> = (&'a str, Option<&'a [u8]>);

/// What an entry says.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// In the order they are applied in.
    pub rows: Vec<Row<'a>>,
    /// Other than 0: which change over several tables of this one it is part of. It counts when
    /// that change is noted as made.
    pub change: u64,
}

pub(super) fn file_head(version: u16) -> Vec<u8> {
    let mut head = FILE_MAGIC.to_vec();
    head.extend_from_slice(&version.to_le_bytes());
    head.extend_from_slice(&[0, 0]);
    head
}

/// Returns the bytes that a key with its value takes in a file that is written anew.
pub(super) fn entry_bytes(key: &str, value: &[u8]) -> u64 {
    (HEAD_BYTES + 3 + key.len() + value.len() + CHECK_BYTES) as u64
}

/// Returns the bytes of a whole entry with this body.
pub(super) fn whole_bytes(body: &[u8]) -> usize {
    HEAD_BYTES + body.len() + CHECK_BYTES
}

/// Returns an entry of one key.
pub(super) fn encode_one((key, value): Row<'_>) -> Vec<u8> {
    let bytes = value.unwrap_or_default();
    let mut body = Vec::with_capacity(3 + key.len() + bytes.len());
    body.push(operation(value));
    // Key and value are within their limits, here and below, so the casts keep the values.
    body.extend_from_slice(&(key.len() as u16).to_le_bytes());
    body.extend_from_slice(key.as_bytes());
    body.extend_from_slice(bytes);
    framed(&body)
}

/// Returns an entry of several keys, which count together or not at all.
pub(super) fn encode_group(change: u64, rows: &[Row<'_>]) -> Vec<u8> {
    let mut body = vec![GROUP];
    body.extend_from_slice(&change.to_le_bytes());
    body.extend_from_slice(&(rows.len() as u16).to_le_bytes());
    for (key, value) in rows {
        let bytes = value.unwrap_or_default();
        body.push(operation(*value));
        body.extend_from_slice(&(key.len() as u16).to_le_bytes());
        body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(bytes);
    }
    framed(&body)
}

fn operation(value: Option<&[u8]>) -> u8 {
    if value.is_some() { PUT } else { DELETE }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut entry = Vec::with_capacity(whole_bytes(body));
    entry.extend_from_slice(&ENTRY_MAGIC);
    entry.extend_from_slice(&(body.len() as u32).to_le_bytes());
    entry.extend_from_slice(&xxh3_64(&entry[..8]).to_le_bytes());
    entry.extend_from_slice(body);
    let check = xxh3_64(body);
    entry.extend_from_slice(&check.to_le_bytes());
    entry
}

/// Reads a body; `None` when it is none of a file of this version.
pub(super) fn decode(body: &[u8], version: u16) -> Option<Entry<'_>> {
    if body.first() == Some(&GROUP) && version >= VERSION {
        return decode_group(&body[1..]);
    }
    let (head, rest) = body.split_first_chunk::<3>()?;
    let key_bytes = usize::from(u16::from_le_bytes([head[1], head[2]]));
    let (key, value) = rest.split_at_checked(key_bytes)?;
    Some(Entry {
        rows: vec![row(head[0], key, value)?],
        change: 0,
    })
}

fn decode_group(rest: &[u8]) -> Option<Entry<'_>> {
    let (change, rest) = rest.split_first_chunk()?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut rows = Vec::new();
    for _ in 0..u16::from_le_bytes(*count) {
        let (head, more) = rest.split_first_chunk::<CHANGE_HEAD_BYTES>()?;
        let key_bytes = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let value_bytes = u32::from_le_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let (key, more) = more.split_at_checked(key_bytes)?;
        let (value, more) = more.split_at_checked(value_bytes)?;
        rows.push(row(head[0], key, value)?);
        rest = more;
    }
    rest.is_empty().then_some(Entry {
        rows,
        change: u64::from_le_bytes(*change),
    })
}

fn row<'a>(operation: u8, key: &'a [u8], value: &'a [u8]) -> Option<Row<'a>> {
    let key = std::str::from_utf8(key).ok()?;
    match operation {
        PUT => Some((key, Some(value))),
        DELETE => Some((key, None)),
        _ => None,
    }
}

/// Returns the length of the body when the head of an entry is whole.
fn body_bytes(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    if head[..4] != ENTRY_MAGIC || xxh3_64(&head[..8]) != u64_at(head, 8) {
        return None;
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    (length <= MAX_BODY_BYTES).then_some(length)
}

/// Returns the body of a whole entry at the front.
pub(super) fn whole_entry(bytes: &[u8]) -> Option<&[u8]> {
    let length = body_bytes(bytes)?;
    let rest = bytes.get(HEAD_BYTES..HEAD_BYTES + length + CHECK_BYTES)?;
    let (body, check) = rest.split_at(length);
    (xxh3_64(body) == u64_at(check, 0)).then_some(body)
}

/// Returns whether what follows the last whole entry is a write that was never finished: a prefix,
/// or one of which some sectors never arrived. (See `tail.rs`; here the file ends with its data.)
pub(super) fn is_unfinished(rest: &[u8], offset: u64) -> bool {
    if memmem::find_iter(&rest[1..], &ENTRY_MAGIC).any(|at| whole_entry(&rest[1 + at..]).is_some())
    {
        return false;
    }
    match body_bytes(rest) {
        Some(length) if rest.len() < HEAD_BYTES + length + CHECK_BYTES => true,
        Some(_) => lacks_a_sector(rest, offset),
        None => rest.len() < HEAD_BYTES || lacks_a_sector(rest, offset),
    }
}

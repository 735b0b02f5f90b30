//! A file system in memory that behaves as badly as a real one may.
//!
//! Each file has what programs see and what a power cut leaves; only `sync_data` and `sync_folder`
//! move things from the first to the second. A failed sync drops the writes it should have made
//! durable, as Linux does: programs still see them, and no later sync brings them to the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Open};

/// What a crash leaves of writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// All of it: the process died, the machine did not.
    KeepAll,
    /// Nothing: the power went.
    LoseUnsynced,
    /// The first bytes of each file's last unsynced write.
    KeepPrefix(usize),
    /// Of each file's last unsynced write, those aligned 512-byte sectors whose bit (their number
    /// modulo 64) is set: disks write sectors in any order.
    KeepSectors(u64),
}

const SECTOR: u64 = 512;

#[derive(Debug, Clone, Default)]
struct Node {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync: offset and bytes.
    unsynced: Vec<(u64, Vec<u8>)>,
    /// The last write that a failed sync dropped: a part of it may have reached the disk.
    dropped: Option<(u64, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    folders: BTreeSet<PathBuf>,
    next_node: u64,
    capacity_bytes: Option<u64>,
    /// A sync of a file opened under a name with this ending fails when the count is down to zero.
    failing_sync: Option<(u64, &'static str)>,
    /// Changing operations until the power goes and everything fails.
    operations_left: Option<u64>,
    syncs: u64,
    writes: u64,
    /// Reads of files, and opens of those that were there.
    reads: u64,
    longest_write: Option<usize>,
}

/// A file system in memory with faults. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// Returns an empty, faultless disk of unlimited size.
    pub fn new() -> Self {
        SimDisk::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while holding the lock has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Limits the bytes of all files together; `None` is no limit. Growing a file past it writes
    /// what fits and then says that there is no space.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity_bytes = bytes;
    }

    /// Returns the bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Of files opened under a name with this ending (empty: of all files), lets `successes` more
    /// syncs succeed and the one after them fail with EIO.
    pub fn fail_sync_after(&self, successes: u64, ending: &'static str) {
        self.lock().failing_sync = Some((successes, ending));
    }

    /// Lets this many more changing operations (writes, syncs, new names) succeed; then the power
    /// is gone and every further one fails. `crash` shows what is left.
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().operations_left = Some(operations);
    }

    /// Lets no write take more than this many bytes at once; `None` lifts it.
    pub fn set_longest_write(&self, bytes: Option<usize>) {
        self.lock().longest_write = bytes;
    }

    /// Returns how many writes and how many syncs of files there were.
    pub fn writes_and_syncs(&self) -> (u64, u64) {
        let state = self.lock();
        (state.writes, state.syncs)
    }

    /// Returns how often a file was opened that was there, or read.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Returns a disk with what a crash at this moment leaves, without faults or limit.
    pub fn crash(&self, crash: Crash) -> SimDisk {
        let state = self.lock();
        let keep_names = crash == Crash::KeepAll;
        let names = if keep_names {
            state.names.clone()
        } else {
            state.durable_names.clone()
        };
        let nodes = state
            .nodes
            .iter()
            .map(|(id, node)| (*id, node.after(crash)))
            .collect();
        let left = State {
            nodes,
            durable_names: names.clone(),
            names,
            folders: state.folders.clone(),
            next_node: state.next_node,
            ..State::default()
        };
        SimDisk {
            state: Arc::new(Mutex::new(left)),
        }
    }

    /// Returns a file's content as programs see it.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let node = state.names.get(path)?;
        Some(state.nodes.get(node)?.seen.clone())
    }

    /// Replaces a file's content, durably: for tests that damage it.
    pub fn set_content(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.lock();
        let id = state.name(path);
        state.durable_names.insert(path.to_owned(), id);
        state.nodes.insert(
            id,
            Node {
                durable: bytes.clone(),
                seen: bytes,
                ..Node::default()
            },
        );
    }
}

impl Node {
    fn in_flight(&self) -> Option<&(u64, Vec<u8>)> {
        self.unsynced.last().or(self.dropped.as_ref())
    }

    fn after(&self, crash: Crash) -> Node {
        let mut left = self.durable.clone();
        match crash {
            Crash::KeepAll => left.clone_from(&self.seen),
            Crash::LoseUnsynced => {}
            Crash::KeepPrefix(bytes) => {
                if let Some((offset, written)) = self.in_flight() {
                    put(&mut left, *offset, &written[..bytes.min(written.len())]);
                }
            }
            Crash::KeepSectors(mask) => {
                if let Some((offset, written)) = self.in_flight() {
                    keep_sectors(&mut left, *offset, written, mask);
                }
            }
        }
        Node {
            seen: left.clone(),
            durable: left,
            ..Node::default()
        }
    }
}

fn keep_sectors(left: &mut Vec<u8>, offset: u64, written: &[u8], mask: u64) {
    let mut at = offset;
    let end = offset + written.len() as u64;
    while at < end {
        let sector_end = ((at / SECTOR + 1) * SECTOR).min(end);
        if mask >> (at / SECTOR % 64) & 1 == 1 {
            let range = (at - offset) as usize..(sector_end - offset) as usize;
            put(left, at, &written[range]);
        }
        at = sector_end;
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl State {
    fn used_bytes(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.nodes.get(id))
            .map(|n| n.seen.len() as u64)
            .sum()
    }

    /// Counts a changing operation; fails it when the power is gone.
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn name(&mut self, path: &Path) -> u64 {
        if let Some(id) = self.names.get(path) {
            return *id;
        }
        self.next_node += 1;
        self.names.insert(path.to_owned(), self.next_node);
        self.next_node
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        if how != Open::Create {
            let id = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            state.reads += 1;
            return Ok(Box::new(SimFile {
                disk: self.clone(),
                path: path.to_owned(),
                id,
            }));
        }
        state.spend()?;
        // A new file, also over an old name: a crash keeps the old one until the folder is synced.
        state.names.remove(path);
        let id = state.name(path);
        state.nodes.insert(id, Node::default());
        Ok(Box::new(SimFile {
            disk: self.clone(),
            path: path.to_owned(),
            id,
        }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.lock()
            .folders
            .extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock();
        Ok(state
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder))
            .cloned()
            .collect())
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock();
        Ok(state
            .folders
            .iter()
            .filter(|path| path.parent() == Some(folder))
            .cloned()
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend()?;
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend()?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.spend()?;
        let inside = |path: &PathBuf| path.parent() == Some(folder);
        let mut durable = std::mem::take(&mut state.durable_names);
        durable.retain(|path, _| !inside(path));
        durable.extend(
            state
                .names
                .iter()
                .filter(|(p, _)| inside(p))
                .map(|(p, n)| (p.clone(), *n)),
        );
        state.durable_names = durable;
        Ok(())
    }

    fn free_bytes(&self, _folder: &Path) -> io::Result<u64> {
        let state = self.lock();
        Ok(state
            .capacity_bytes
            .map_or(u64::MAX, |c| c.saturating_sub(state.used_bytes())))
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    id: u64,
}

impl SimFile {
    fn with<T>(&self, f: impl FnOnce(&mut Node) -> T) -> T {
        f(self.disk.lock().nodes.entry(self.id).or_default())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.lock().reads += 1;
        self.with(|node| {
            let start = (offset as usize).min(node.seen.len());
            let read = buffer.len().min(node.seen.len() - start);
            buffer[..read].copy_from_slice(&node.seen[start..start + read]);
            Ok(read)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.spend()?;
        state.writes += 1;
        let mut take = bytes.len().min(state.longest_write.unwrap_or(usize::MAX));
        let used = state.used_bytes();
        let capacity = state.capacity_bytes;
        let node = state.nodes.entry(self.id).or_default();
        if let Some(capacity) = capacity {
            let limit = node.seen.len() as u64 + capacity.saturating_sub(used);
            take = take.min(limit.saturating_sub(offset) as usize);
            if take == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        put(&mut node.seen, offset, &bytes[..take]);
        node.unsynced.push((offset, bytes[..take].to_vec()));
        Ok(take)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.spend()?;
        state.syncs += 1;
        let mut fails = false;
        if let Some((left, ending)) = state.failing_sync
            && self.path.to_string_lossy().ends_with(ending)
        {
            fails = left == 0;
            state.failing_sync = left.checked_sub(1).map(|left| (left, ending));
        }
        let node = state.nodes.entry(self.id).or_default();
        let written = std::mem::take(&mut node.unsynced);
        if fails {
            node.dropped = written.into_iter().next_back();
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::IO.raw_os_error(),
            ));
        }
        for (offset, bytes) in written {
            put(&mut node.durable, offset, &bytes);
        }
        node.durable.truncate(node.seen.len());
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|node| Ok(node.seen.len() as u64))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.spend()?;
        let node = state.nodes.entry(self.id).or_default();
        node.seen.resize(bytes as usize, 0);
        node.unsynced
            .retain(|(offset, written)| offset + written.len() as u64 <= bytes);
        Ok(())
    }
}

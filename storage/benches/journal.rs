//! Durable records per second of the embedded journal, beside bare `write` + `fdatasync` of the
//! same bytes to a zero-filled file in the same folder and run.
//!
//! `cargo bench -p apex-storage --bench journal [-- FOLDER]`; the folder decides which disk is
//! measured (default: the system's temporary folder). The two take turns, round by round, so that a
//! disk whose speed drifts treats them alike.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use apex_storage::{
    Class, DataDir, EmbeddedJournal, Journal, JournalError, MemoryStore, Options, Record, Unit,
};

const PAYLOAD_BYTES: usize = 128;
const BATCHES: [usize; 3] = [1, 64, 1024];
const ROUNDS: usize = 12;
const ROUND: Duration = Duration::from_millis(250);

/// Records that were made durable, and how long each batch took.
#[derive(Default)]
struct Measured {
    records: u64,
    batches: Vec<Duration>,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.records as f64 / self.batches.iter().sum::<Duration>().as_secs_f64()
    }

    fn percentile_us(&mut self, permille: usize) -> u128 {
        self.batches.sort_unstable();
        let index = (self.batches.len() * permille / 1000).min(self.batches.len() - 1);
        self.batches[index].as_micros()
    }
}

/// One decision per record, as the account actor hands them in.
fn units(count: usize) -> Vec<Unit> {
    let record = Record {
        sequence: 0,
        kind: 1,
        schema: 1,
        payload: vec![0x5A; PAYLOAD_BYTES],
    };
    vec![
        Unit {
            class: Class::Order,
            records: vec![record]
        };
        count
    ]
}

/// Appends and commits one batch for `ROUND`.
fn run_journal(
    journal: &mut dyn Journal,
    units: &mut [Unit],
    measured: &mut Measured,
) -> Result<(), JournalError> {
    let begin = Instant::now();
    while begin.elapsed() < ROUND {
        let next = journal.head().sequence + 1;
        for (unit, sequence) in units.iter_mut().zip(next..) {
            unit.records[0].sequence = sequence;
        }
        let start = Instant::now();
        journal.append(units)?;
        black_box(journal.commit()?);
        measured.batches.push(start.elapsed());
        measured.records += units.len() as u64;
    }
    Ok(())
}

/// The same bytes with nothing around them: a zero-filled file, written from its start again when
/// it is at its end.
struct Bare {
    file: File,
    at: u64,
}

const BARE_BYTES: usize = 64 << 20;

impl Bare {
    fn new(folder: &Path) -> std::io::Result<Bare> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(folder.join("bare"))?;
        file.write_all_at(&vec![0; BARE_BYTES], 0)?;
        file.sync_all()?;
        Ok(Bare { file, at: 0 })
    }

    fn run(
        &mut self,
        bytes: &[u8],
        records: usize,
        measured: &mut Measured,
    ) -> std::io::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < ROUND {
            if self.at as usize + bytes.len() > BARE_BYTES {
                self.at = 0;
            }
            let start = Instant::now();
            self.file.write_all_at(bytes, self.at)?;
            self.file.sync_data()?;
            measured.batches.push(start.elapsed());
            measured.records += records as u64;
            self.at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Bytes of a batch in the journal: frame header and trailer, and a header per record.
fn frame_bytes(records: usize) -> usize {
    72 + records * (15 + PAYLOAD_BYTES) + 12
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`, and `cargo test` runs nothing here without it.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let parent = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let parent = parent.map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(&parent)?;
    println!(
        "embedded journal in {}, {PAYLOAD_BYTES}-byte payloads",
        parent.display()
    );
    println!(
        "{:>6} {:>14} {:>12} {:>6} {:>8} {:>8} {:>12} {:>12} {:>13}",
        "batch",
        "journal rec/s",
        "bare rec/s",
        "ratio",
        "p50 us",
        "p99.9",
        "bare p50 us",
        "bare p99.9",
        "memory rec/s"
    );
    let dir = DataDir::open(&folder.path().join("data"))?;
    let memory = MemoryStore::new();
    for batch in BATCHES {
        let account = format!("batch-{batch}");
        let mut journal = EmbeddedJournal::open(&dir, &account, Options::default())?;
        let mut bare = Bare::new(folder.path())?;
        let bytes = vec![0x5A; frame_bytes(batch)];
        let mut units = units(batch);
        let (mut ours, mut baseline) = (Measured::default(), Measured::default());
        for _ in 0..ROUNDS {
            run_journal(&mut journal, &mut units, &mut ours)?;
            bare.run(&bytes, batch, &mut baseline)?;
        }
        let mut in_memory = Measured::default();
        run_journal(&mut memory.open(&account)?, &mut units, &mut in_memory)?;
        println!(
            "{batch:>6} {:>14.0} {:>12.0} {:>6.2} {:>8} {:>8} {:>12} {:>12} {:>13.0}",
            ours.per_second(),
            baseline.per_second(),
            ours.per_second() / baseline.per_second(),
            ours.percentile_us(500),
            ours.percentile_us(999),
            baseline.percentile_us(500),
            baseline.percentile_us(999),
            in_memory.per_second(),
        );
    }
    Ok(())
}

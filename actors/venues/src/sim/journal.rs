//! What the simulated venue remembers: one JSON line for each order, command and report.
//!
//! All lines of one command are one batch, written by one `write` before anything of it is
//! answered, so they survive the death of the process. Surviving the death of the machine needs
//! the option `sync`. A torn last batch was never answered and is cut off at the next start.
//!
//! A limit order that was taken, and its acceptance (cut here; one line each in the file):
//!
//! ```json
//! {"batch":1,"last":false,"ts":1,"account_id":"a","entry":{"order":{"client_order_id":"x","instrument_id":"BTCUSDT.SIM","side":"Buy",...}}}
//! {"batch":1,"last":true,"ts":1,"account_id":"a","entry":{"report":{"sequence":1,"report":{"Accepted":{"client_order_id":"x",...}}}}}
//! ```

use super::SimVenueError;
use apex_domain::matching::RestoredOrder;
use apex_domain::order::trigger::Watch;
use apex_domain::venue::{
    FundingPayment, NewOrder, RejectReason, VenueCommand, VenueControl, VenueEnd, VenueReport,
    VenueStatus,
};
use apex_domain::{
    AccountId, ClientOrderId, InstrumentId, Price, Quantity, UnixNanos, VenueOrderId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Stands as the account of what the venue itself decided.
pub const VENUE: &str = "VENUE";

/// The journal's name in the venue's data folder.
pub const FILE_NAME: &str = "venue.jsonl";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Number of the batch, dense from 1.
    pub batch: u64,
    /// True on the last line of its batch.
    pub last: bool,
    pub ts: UnixNanos,
    pub account_id: AccountId,
    pub entry: Entry,
}

/// What a line states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// An order that the venue took. Exactly one line for each.
    Order(NewOrder),
    /// An order that the venue refused.
    Refused(NewOrder),
    /// An amend or cancel, whatever became of it. Queries change nothing and are not kept.
    Command(VenueCommand),
    /// What the venue itself decided; under the account [`VENUE`].
    Control(VenueControl),
    /// What a trailing stop waits for, as the market stood when it was taken.
    Watching {
        client_order_id: ClientOrderId,
        watch: Watch,
    },
    /// An order of the venue's own that closes a position of the account. It never rests.
    Liquidation {
        venue_order_id: VenueOrderId,
        order: NewOrder,
    },
    /// A contract that has ended was settled at this mark; under the account [`VENUE`].
    Settled {
        instrument_id: InstrumentId,
        mark: Price,
    },
    /// A report with its number in the account's stream.
    Report { sequence: u64, report: VenueReport },
}

/// What a journal adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Every order, taken or refused, in the order of arrival.
    pub orders: Vec<(AccountId, RestoredOrder)>,
    /// What the venue itself decided, in order.
    pub controls: Vec<VenueControl>,
    /// The contracts that were settled, and at which mark.
    pub settled: Vec<(InstrumentId, Price)>,
    /// All reports of each account; the report numbered n is at n - 1.
    pub reports: BTreeMap<AccountId, Vec<VenueReport>>,
    /// The latest time of any line: everything until then was worked off, funding too.
    pub last_ts: Option<UnixNanos>,
    /// Lines so far; more than any number that an id was ever made from.
    pub lines: u64,
    /// Number of the last whole batch.
    pub batch: u64,
    index: BTreeMap<(AccountId, ClientOrderId), usize>,
}

impl Recovered {
    /// Returns the payments of funding to each account, in order.
    pub fn funding(&self) -> impl Iterator<Item = (&AccountId, &FundingPayment)> {
        let reports = self.reports.iter();
        reports.flat_map(|(account_id, reports)| {
            reports.iter().filter_map(move |report| match report {
                VenueReport::Funding { payment, .. } => Some((account_id, payment)),
                _ => None,
            })
        })
    }

    /// Adds a line. Errors: what is wrong with it.
    fn add(&mut self, line: JournalLine) -> Result<(), String> {
        let account_id = line.account_id;
        match line.entry {
            Entry::Order(order) => self.add_order(account_id, order, VenueStatus::Working)?,
            Entry::Refused(order) => {
                let key = (account_id.clone(), order.client_order_id.clone());
                // A repeated id is refused too, and the order that has it stays.
                if !self.index.contains_key(&key) {
                    self.add_order(account_id, order, VenueStatus::Rejected)?;
                }
            }
            Entry::Command(_) => {}
            Entry::Control(control) => self.controls.push(control),
            Entry::Settled {
                instrument_id,
                mark,
            } => self.settled.push((instrument_id, mark)),
            Entry::Watching {
                client_order_id,
                watch,
            } => {
                let order = self.order_mut(&account_id, &client_order_id);
                let order = order.ok_or_else(|| format!("no order {client_order_id} to watch"))?;
                order.watch = Some(watch);
            }
            Entry::Liquidation {
                venue_order_id,
                order,
            } => {
                let id = order.client_order_id.clone();
                // What of it does not fill is gone, and no report says so.
                self.add_order(account_id.clone(), order, VenueStatus::Canceled)?;
                if let Some(order) = self.order_mut(&account_id, &id) {
                    order.venue_order_id = venue_order_id;
                }
            }
            Entry::Report { sequence, report } => {
                self.add_report(&account_id, &report)?;
                let reports = self.reports.entry(account_id).or_default();
                reports.push(report);
                if sequence != reports.len() as u64 {
                    return Err(format!("report {sequence}, expected {}", reports.len()));
                }
            }
        }
        self.last_ts = self.last_ts.max(Some(line.ts));
        self.lines += 1;
        self.batch = line.batch;
        Ok(())
    }

    fn add_order(
        &mut self,
        account_id: AccountId,
        order: NewOrder,
        status: VenueStatus,
    ) -> Result<(), String> {
        let key = (account_id.clone(), order.client_order_id.clone());
        let restored = RestoredOrder {
            // Stands in until the report with the real one, which refused orders do not get.
            venue_order_id: VenueOrderId::new("NONE").map_err(|error| error.to_string())?,
            status,
            filled_quantity: Quantity::ZERO,
            executions: Vec::new(),
            watch: None,
            order,
        };
        if self.index.insert(key, self.orders.len()).is_some() {
            return Err("order was taken twice".to_owned());
        }
        self.orders.push((account_id, restored));
        Ok(())
    }

    fn order_mut(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
    ) -> Option<&mut RestoredOrder> {
        let at = *self.index.get(&(account_id.clone(), id.clone()))?;
        Some(&mut self.orders[at].1)
    }

    fn add_report(&mut self, account_id: &AccountId, report: &VenueReport) -> Result<(), String> {
        let Some(id) = report.client_order_id() else {
            // Funding, which the reports themselves keep.
            return Ok(());
        };
        let Some(order) = self.order_mut(account_id, id) else {
            return match report {
                // A command for an order that never was.
                VenueReport::AmendRejected { .. } | VenueReport::CancelRejected { .. } => Ok(()),
                _ => Err(format!("report for the unknown order {id}")),
            };
        };
        apply(order, report)
    }
}

/// Takes what a report says of its order.
fn apply(order: &mut RestoredOrder, report: &VenueReport) -> Result<(), String> {
    match report {
        VenueReport::Accepted { venue_order_id, .. } => {
            order.venue_order_id = venue_order_id.clone();
        }
        VenueReport::Filled(execution) => {
            order.filled_quantity = order
                .filled_quantity
                .checked_add(execution.last_quantity)
                .map_err(|error| format!("filled quantity {error}"))?;
            order.executions.push(execution.clone());
            if order.filled_quantity >= order.order.quantity {
                order.status = VenueStatus::Filled;
            }
        }
        VenueReport::Amended {
            quantity,
            limit_price,
            stop_price,
            ..
        } => {
            order.order.quantity = *quantity;
            order.order.limit_price = *limit_price;
            order.order.terms.stop_price = *stop_price;
        }
        VenueReport::Triggered { .. } => {
            order.order.order_type = order.order.order_type.triggered();
            order.watch = None;
        }
        VenueReport::Busted { exec_id, .. } => {
            let busted = order.executions.iter().position(|e| e.exec_id == *exec_id);
            if let Some(busted) = busted {
                let quantity = order.executions.remove(busted).last_quantity;
                order.filled_quantity = order.filled_quantity.saturating_sub(quantity);
                if order.status == VenueStatus::Filled {
                    order.status = VenueStatus::Canceled;
                }
            }
        }
        VenueReport::Ended { end, .. } => {
            order.status = match end {
                VenueEnd::Canceled => VenueStatus::Canceled,
                VenueEnd::Expired => VenueStatus::Expired,
            };
        }
        VenueReport::Rejected { reason, .. } => {
            if *reason != RejectReason::DuplicateClientOrderId {
                order.status = VenueStatus::Rejected;
            }
        }
        VenueReport::AmendRejected { .. }
        | VenueReport::CancelRejected { .. }
        | VenueReport::Status { .. }
        | VenueReport::NotFound { .. }
        | VenueReport::Funding { .. } => {}
    }
    Ok(())
}

/// Reads the whole batches of a journal; a torn last one is left out. This is how a test reads
/// the ground truth while the venue runs.
///
/// Errors: [`SimVenueError::Journal`], [`SimVenueError::Damaged`].
pub fn read(path: &Path) -> Result<Recovered, SimVenueError> {
    read_to(path, &mut Vec::new()).map(|(recovered, _)| recovered)
}

/// Returns what the journal holds and the length of its whole batches in bytes.
fn read_to(path: &Path, bytes: &mut Vec<u8>) -> Result<(Recovered, u64), SimVenueError> {
    let io = |source| SimVenueError::Journal {
        path: path.to_owned(),
        source,
    };
    bytes.clear();
    File::open(path)
        .and_then(|mut file| file.read_to_end(bytes))
        .map_err(io)?;
    let mut recovered = Recovered::default();
    let mut batch = Vec::new();
    let (mut offset, mut whole, mut number) = (0_usize, 0_u64, 0_usize);
    while let Some(length) = memchr::memchr(b'\n', &bytes[offset..]) {
        number += 1;
        let damaged = |reason: String| SimVenueError::Damaged {
            path: path.to_owned(),
            line: number,
            reason,
        };
        let text = &bytes[offset..offset + length];
        offset += length + 1;
        let line: JournalLine =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if line.batch != recovered.batch + 1 {
            let expected = recovered.batch + 1;
            return Err(damaged(format!(
                "batch {}, expected {expected}",
                line.batch
            )));
        }
        let is_last = line.last;
        batch.push(line);
        if is_last {
            for line in batch.drain(..) {
                recovered.add(line).map_err(damaged)?;
            }
            whole = offset as u64;
        }
    }
    Ok((recovered, whole))
}

/// The open journal of a running venue.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    batch: u64,
    sync: bool,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens or makes the journal of a folder, cuts a torn tail and returns what it held. With
    /// `sync` each batch is on the disk before it counts as written.
    pub(super) fn open(folder: &Path, sync: bool) -> Result<(Journal, Recovered), SimVenueError> {
        let path = folder.join(FILE_NAME);
        let io = |source| SimVenueError::Journal {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        // Two venues in one folder would mix their batches. The lock goes with the process.
        file.try_lock().map_err(|error| io(error.into()))?;
        let (recovered, length) = read_to(&path, &mut Vec::new())?;
        file.set_len(length).map_err(io)?;
        file.seek(SeekFrom::Start(length)).map_err(io)?;
        let journal = Journal {
            file,
            batch: recovered.batch,
            sync,
            buffer: Vec::new(),
            path,
        };
        Ok((journal, recovered))
    }

    /// Writes one batch. After an error the file's end is not known: the venue has to stop and
    /// recover.
    pub(super) fn append(
        &mut self,
        ts: UnixNanos,
        entries: Vec<(AccountId, Entry)>,
    ) -> Result<(), SimVenueError> {
        if entries.is_empty() {
            return Ok(());
        }
        let io = |source| SimVenueError::Journal {
            path: self.path.clone(),
            source,
        };
        self.batch += 1;
        self.buffer.clear();
        let count = entries.len();
        for (n, (account_id, entry)) in entries.into_iter().enumerate() {
            let line = JournalLine {
                batch: self.batch,
                last: n + 1 == count,
                ts,
                account_id,
                entry,
            };
            serde_json::to_writer(&mut self.buffer, &line).map_err(|error| io(error.into()))?;
            self.buffer.push(b'\n');
        }
        self.file.write_all(&self.buffer).map_err(io)?;
        if self.sync {
            self.file.sync_data().map_err(io)?;
        }
        Ok(())
    }
}

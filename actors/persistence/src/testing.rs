//! What the tests of this crate share: records, a listener, and a journal that is watched.

use crate::writer::Notices;
use apex_bus::message::JournalHealth;
use apex_domain::account::{Account, AccountInput, Effects};
use apex_domain::event::{AccountMode, Recorded};
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{Order, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::risk::MarketRef;
use apex_domain::venue::VenueReport;
use apex_domain::{AccountId, ClientOrderId, Currency, Price, StrategyId, UnixNanos, VenueOrderId};
use apex_storage::{
    Class, ClosingJob, DurableSequence, Head, Journal, JournalError, JournalState, MemoryJournal,
    MemoryStore, Record, RecordIter, Snapshot, SnapshotIter, SnapshotJob, Unit,
};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bounds a wait that ends at once unless something is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Returns `count` records from `first` on, each of so many bytes.
pub fn records(first: u64, count: u64, bytes: usize) -> Vec<Record> {
    let record = |sequence| Record {
        sequence,
        kind: crate::KIND_ACCOUNT_EVENT,
        schema: 1,
        payload: vec![0x5A; bytes],
    };
    (first..first + count).map(record).collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Durable(u64),
    Health(JournalHealth),
    Failed(String),
    Panicked,
}

/// Writes down what it is told. Where the process would end, the thread does.
pub struct Listener(Sender<Notice>);

impl Listener {
    pub fn new() -> (Listener, Receiver<Notice>) {
        let (told, heard) = channel();
        (Listener(told), heard)
    }

    fn tell(&self, notice: Notice) {
        let _ = self.0.send(notice);
    }
}

impl Notices for Listener {
    fn durable(&self, sequence: u64) {
        self.tell(Notice::Durable(sequence));
    }

    fn shared(&self, _: u64) {}

    fn health(&self, health: JournalHealth) {
        self.tell(Notice::Health(health));
    }

    fn failed(&self, error: &JournalError) -> ! {
        self.tell(Notice::Failed(error.to_string()));
        // Without the panic hook's message on standard error.
        std::panic::resume_unwind(Box::new("the process would end here"))
    }

    fn panicked(&self) {
        self.tell(Notice::Panicked);
    }
}

/// Returns what was told until now.
pub fn heard(notices: &Receiver<Notice>) -> Vec<Notice> {
    notices.try_iter().collect()
}

/// Waits for `wanted`, and returns what came before it.
pub fn wait_for(notices: &Receiver<Notice>, wanted: &Notice) -> Vec<Notice> {
    let mut before = Vec::new();
    loop {
        let notice = notices.recv_timeout(PATIENCE).unwrap();
        if notice == *wanted {
            return before;
        }
        before.push(notice);
    }
}

/// What a test does with a [`Watched`] journal.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<Watching>>);

#[derive(Default)]
struct Watching {
    appended: usize,
    /// Units of each commit.
    commits: Vec<usize>,
    probes: usize,
    always_batch_full: bool,
    away: bool,
    /// Snapshots are stored beside the commits, each when the other end says so.
    stores: Option<Arc<Mutex<Receiver<()>>>>,
    closings: usize,
    panics: bool,
    /// Tells of a commit that begins, and lets it go on when the other end says so.
    gate: Option<(Sender<()>, Receiver<()>)>,
}

impl Watch {
    pub fn commits(&self) -> Vec<usize> {
        self.0.lock().unwrap().commits.clone()
    }

    pub fn probes(&self) -> usize {
        self.0.lock().unwrap().probes
    }

    pub fn always_batch_full(&self) {
        self.0.lock().unwrap().always_batch_full = true;
    }

    /// The server that keeps the journal goes away, or comes back.
    pub fn set_away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    pub fn panics(&self) {
        self.0.lock().unwrap().panics = true;
    }

    /// From now on each snapshot is stored when the returned sender says so, or fails without it.
    pub fn slow_snapshots(&self) -> Sender<()> {
        let (go, goes) = channel();
        self.0.lock().unwrap().stores = Some(Arc::new(Mutex::new(goes)));
        go
    }

    /// How often it was asked for work of moving old records.
    pub fn closings(&self) -> usize {
        self.0.lock().unwrap().closings
    }

    /// Holds each commit up: it tells the returned receiver, and waits for the returned sender.
    /// Dropping both lets all through.
    pub fn gate(&self) -> (Receiver<()>, Sender<()>) {
        let (begins, begun) = channel();
        let (go, goes) = channel();
        self.0.lock().unwrap().gate = Some((begins, goes));
        (begun, go)
    }
}

/// A journal in memory that counts what is done with it.
pub struct Watched {
    journal: MemoryJournal,
    watch: Watch,
}

impl Watched {
    pub fn open(store: &MemoryStore) -> (Watched, Watch) {
        let watch = Watch::default();
        let journal = store.open("paper").unwrap();
        let watched = Watched {
            journal,
            watch: watch.clone(),
        };
        (watched, watch)
    }
}

impl Journal for Watched {
    fn append(&mut self, units: &[Unit]) -> Result<(), JournalError> {
        let mut watch = self.watch.0.lock().unwrap();
        if watch.panics {
            drop(watch);
            std::panic::resume_unwind(Box::new("a broken invariant"));
        }
        if watch.always_batch_full {
            return Err(JournalError::BatchFull { limit_bytes: 1 });
        }
        self.journal.append(units)?;
        watch.appended += units.len();
        Ok(())
    }

    fn commit(&mut self) -> Result<DurableSequence, JournalError> {
        let gate = {
            let mut watch = self.watch.0.lock().unwrap();
            let units = std::mem::take(&mut watch.appended);
            watch.commits.push(units);
            watch.gate.take()
        };
        if let Some((begins, goes)) = gate {
            let open = begins.send(()).is_err() || goes.recv().is_err();
            if !open {
                self.watch.0.lock().unwrap().gate = Some((begins, goes));
            }
        }
        self.journal.commit()
    }

    fn read_from(&self, sequence: u64) -> Result<RecordIter, JournalError> {
        self.journal.read_from(sequence)
    }

    fn snapshot_write(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), JournalError> {
        self.journal.snapshot_write(sequence, bytes)
    }

    fn snapshot_job(
        &mut self,
        sequence: u64,
        bytes: Vec<u8>,
    ) -> Result<Option<SnapshotJob>, JournalError> {
        self.snapshot_write(sequence, &bytes)?;
        let stores = self.watch.0.lock().unwrap().stores.clone();
        Ok(stores.map(|goes| -> SnapshotJob {
            Box::new(move || {
                let goes = goes.lock().unwrap().recv();
                goes.map_err(|error| JournalError::SnapshotFailed {
                    path: "paper".into(),
                    source: Arc::new(std::io::Error::other(error)),
                })
            })
        }))
    }

    fn closing(&self) -> Result<Option<ClosingJob>, JournalError> {
        self.watch.0.lock().unwrap().closings += 1;
        Ok(None)
    }

    fn snapshot_latest(&self) -> Result<Option<Snapshot>, JournalError> {
        self.journal.snapshot_latest()
    }

    fn snapshots(&self) -> Result<SnapshotIter, JournalError> {
        self.journal.snapshots()
    }

    fn head(&self) -> Head {
        self.journal.head()
    }

    fn state(&self) -> JournalState {
        if self.watch.0.lock().unwrap().away {
            return JournalState::Away { bytes_left: 1 };
        }
        self.journal.state()
    }

    fn probe(&mut self) -> Result<JournalState, JournalError> {
        self.watch.0.lock().unwrap().probes += 1;
        self.journal.probe()
    }
}

/// An account with a script of its own, and everything that it decided.
pub struct Scripted {
    pub account: Account,
    pub events: Vec<Recorded>,
    /// The order of each event, as it stood right after it.
    pub orders: Vec<Option<Arc<Order>>>,
}

impl Scripted {
    /// Opens an account and submits and acknowledges so many orders.
    pub fn with_orders(count: usize) -> Scripted {
        let definition = SimInstrument::defaults().remove(0);
        let mut scripted = Scripted {
            account: Account::new(),
            events: Vec::new(),
            orders: Vec::new(),
        };
        scripted.apply(AccountInput::Open {
            account_id: AccountId::new("paper").unwrap(),
            base_currency: Currency::new("USDT").unwrap(),
            mode: AccountMode::Paper,
        });
        let instrument = Box::new(definition.instrument.clone());
        scripted.apply(AccountInput::DefineInstrument(instrument));
        for n in 0..count {
            scripted.order(&format!("o{n}"));
        }
        scripted
    }

    /// Returns the order that [`Scripted::with_orders`] submits under this id.
    pub fn request(client: &str) -> SubmitOrder {
        let definition = SimInstrument::defaults().remove(0);
        SubmitOrder {
            client_order_id: ClientOrderId::new(client).unwrap(),
            strategy_id: StrategyId::manual(),
            instrument_id: definition.instrument.instrument_id.clone(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: definition.lot,
            limit_price: Some(Price(definition.start_price.0)),
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        }
    }

    fn order(&mut self, client: &str) {
        let request = Scripted::request(client);
        let client_order_id = request.client_order_id.clone();
        self.apply(AccountInput::Submit {
            request: Box::new(request),
            market: MarketRef::default(),
        });
        let report = VenueReport::Accepted {
            client_order_id,
            venue_order_id: VenueOrderId::new(&format!("v-{client}")).unwrap(),
            ts_event: UnixNanos(1),
        };
        self.apply(AccountInput::Report {
            venue_sequence: 0,
            report,
        });
    }

    pub fn apply(&mut self, input: AccountInput) {
        let mut effects = Effects::with_orders();
        let now = UnixNanos(self.events.len() as i64 + 1);
        self.account.apply(now, input, &mut effects);
        self.events.extend(effects.events);
        self.orders.extend(effects.orders);
    }

    /// Returns the events in a journal of their own.
    pub fn journal(&self) -> MemoryJournal {
        let mut journal = MemoryStore::new().open("paper").unwrap();
        for recorded in &self.events {
            append(&mut journal, crate::to_record(recorded));
        }
        journal
    }
}

/// Makes one record durable.
pub fn append(journal: &mut dyn Journal, record: Record) {
    let unit = Unit {
        class: Class::Essential,
        records: vec![record],
    };
    journal.append(&[unit]).unwrap();
    journal.commit().unwrap();
}

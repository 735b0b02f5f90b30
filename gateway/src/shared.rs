//! What all services of one gateway share.

use crate::audit::Auditor;
use crate::auth::{Access, Caller, Rate};
use crate::fanout::Fanout;
use crate::market::Market;
use crate::near;
use crate::options::Limits;
use crate::status;
use crate::strategy_sessions::KnownStrategies;
use crate::stream;
use apex_bus::alerts::AlertDesk;
use apex_bus::handle::{AccountHandle, Platform};
use apex_bus::market::MarketHub;
use apex_bus::preferences::Preferences;
use apex_domain::{AccountId, Instrument, InstrumentId, UnixNanos};
use apex_proto::FieldErrors;
use apex_proto::convert::order::unknown_instrument;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Request, Status};

/// What all services of one gateway share. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    pub platform: Platform,
    pub access: Access,
    /// How fast a user may call; commands of a session count as calls.
    pub rate: Rate,
    pub limits: Limits,
    pub fanout: Fanout,
    pub(crate) market: Market,
    /// Records what is changed; `None` where a run keeps no audit, as a replay.
    pub auditor: Option<Auditor>,
    pub streams: Streams,
    /// What raises alerts; `None` where a run raises none, as a replay.
    pub alerts: Option<Arc<dyn AlertDesk>>,
    pub preferences: Option<Arc<dyn Preferences>>,
    /// Strategies that may be named before they have traded.
    pub sessions: KnownStrategies,
    /// True once the gateway stops: streams end with a reason.
    pub stopping: watch::Receiver<bool>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

/// Free places for server streams, by kind.
#[derive(Clone, Debug)]
pub struct Streams {
    pub orders: Arc<Semaphore>,
    pub market_data: Arc<Semaphore>,
    pub accounts: Arc<Semaphore>,
    pub strategies: Arc<Semaphore>,
    pub sessions: Arc<Semaphore>,
    pub alerts: Arc<Semaphore>,
    /// Turns to read a journal.
    pub history: Arc<Semaphore>,
    /// Turns to fold an account as it was.
    pub past: Arc<Semaphore>,
}

/// Journals that are read at a time, for streams that resume or lag.
const HISTORY_READERS: usize = 2;

/// Accounts that are folded at a time to show them as they were. Each takes a processor for as
/// long as it lasts, and the memory of one account; more would slow each other and trading.
const PAST_READERS: usize = 1;

/// Sessions of strategies at a time. Each has seats of its own at the market's topics, which seat 256
/// readers, and strategies of this process and recorders need some.
const STRATEGIES: usize = 192;

impl Streams {
    pub fn new(per_kind: usize) -> Streams {
        let places = || Arc::new(Semaphore::new(per_kind));
        Streams {
            orders: places(),
            market_data: places(),
            accounts: places(),
            strategies: Arc::new(Semaphore::new(per_kind.min(STRATEGIES))),
            sessions: Arc::new(Semaphore::new(per_kind.min(STRATEGIES))),
            alerts: places(),
            history: Arc::new(Semaphore::new(HISTORY_READERS)),
            past: Arc::new(Semaphore::new(PAST_READERS)),
        }
    }
}

/// Returns who called. The token check puts it there before any service is reached.
///
/// Errors: `UNAUTHENTICATED` when a service is served without that check.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(status::unauthenticated)
}

/// Returns once the gateway stops, or is gone.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the gateway was dropped without a word, which comes to the same.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// Returns the time as clients are told it.
pub fn wall_clock() -> UnixNanos {
    apex_bus::clock::Clock::Wall.now()
}

impl Shared {
    /// Returns an account that is granted to the caller.
    ///
    /// Errors: `PERMISSION_DENIED` when it is not, whether it exists or not; `NOT_FOUND`.
    pub fn account(&self, caller: &Caller, id: &AccountId) -> Result<AccountHandle, Status> {
        if !caller.may(id) {
            return Err(status::account_not_granted());
        }
        self.platform.accounts.get(id).ok_or_else(|| {
            let known = self.accounts(caller);
            status::account_not_found(id, known.iter().map(|it| it.account_id().as_str()))
        })
    }

    /// Reads a request that names instruments; one that is not known is refused with the nearest
    /// names.
    ///
    /// Errors: `INVALID_ARGUMENT` with every field that cannot be read.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&dyn Fn(&InstrumentId) -> Option<Instrument>) -> Result<T, FieldErrors>,
    ) -> Result<T, Status> {
        let market = &self.platform.market;
        let unknown = RefCell::new(Vec::new());
        let find = |id: &InstrumentId| {
            let found = market.instrument(id);
            if found.is_none() {
                unknown.borrow_mut().push(id.clone());
            }
            found
        };
        read(&find).map_err(|mut errors| {
            let known = market.instruments();
            let known = || known.iter().map(|it| it.instrument_id.as_str());
            for id in unknown.take() {
                let advice = near::advice(id.as_str(), known());
                errors.advise(&unknown_instrument(&id), &advice);
            }
            status::invalid(&errors)
        })
    }

    /// Refuses an instrument that is named and that this process does not know.
    ///
    /// Errors: `NOT_FOUND` with the field and the nearest names.
    pub fn check_instrument(&self, field: &str, id: Option<&InstrumentId>) -> Result<(), Status> {
        match id {
            Some(id) if self.platform.market.instrument(id).is_none() => {
                Err(self.instrument_not_found(field, id))
            }
            _ => Ok(()),
        }
    }

    /// Returns the refusal of an unknown instrument, with the nearest names.
    pub fn instrument_not_found(&self, field: &str, id: &InstrumentId) -> Status {
        let known = self.platform.market.instruments();
        let known = known.iter().map(|it| it.instrument_id.as_str());
        status::instrument_not_found(field, id, known)
    }

    /// Returns the accounts that are granted to the caller, in order of id.
    pub fn accounts(&self, caller: &Caller) -> Vec<AccountHandle> {
        let accounts = self.platform.accounts.all();
        let granted = |handle: &&AccountHandle| caller.may(handle.account_id());
        accounts.values().filter(granted).cloned().collect()
    }

    /// Returns the named account, or all that are granted when none is named.
    ///
    /// Errors: as [`Shared::account`]; an id that is none.
    pub fn scope(&self, caller: &Caller, account_id: &str) -> Result<Vec<AccountHandle>, Status> {
        if account_id.is_empty() {
            return Ok(self.accounts(caller));
        }
        let id = AccountId::new(account_id)
            .map_err(|error| status::invalid_field("account_id", error))?;
        self.account(caller, &id).map(|handle| vec![handle])
    }

    /// Opens the stream of a session, if there is a place for one. The session looks itself whether its
    /// caller is still let in, since what is commanded in it ends with that too.
    ///
    /// Errors: `RESOURCE_EXHAUSTED`.
    pub fn open_session<T>(
        &self,
        places: &Arc<Semaphore>,
    ) -> Result<(stream::Sender<T>, stream::Receiver<T>), Status> {
        let permit = places
            .clone()
            .try_acquire_owned()
            .map_err(|_| status::too_many_streams(self.limits.streams_per_kind))?;
        Ok(stream::channel(self.limits.stalled_client, permit, None))
    }

    /// Opens a stream, if there is a place for one. It is cut when its caller is no longer let in.
    ///
    /// Errors: `RESOURCE_EXHAUSTED`.
    pub fn open<T>(
        &self,
        caller: &Caller,
        places: &Arc<Semaphore>,
    ) -> Result<(stream::Sender<T>, stream::Receiver<T>), Status> {
        let permit = self.place(places)?;
        let guard = stream::Guard::new(&self.access, caller);
        Ok(stream::channel(
            self.limits.stalled_client,
            permit,
            Some(guard),
        ))
    }

    /// Takes a place for a stream.
    ///
    /// Errors: `RESOURCE_EXHAUSTED`.
    pub(crate) fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
        let permit = places.clone().try_acquire_owned();
        permit.map_err(|_| status::too_many_streams(self.limits.streams_per_kind))
    }

    /// Returns the caller as its credential and user stand now, for streams that run on.
    ///
    /// Errors: `UNAUTHENTICATED` once it is no longer let in.
    pub fn renew(&self, caller: &Caller) -> Result<Caller, Status> {
        self.access
            .renew(caller)
            .ok_or_else(status::unauthenticated)
    }

    pub fn definitions(&self) -> Definitions {
        Definitions {
            market: self.platform.market.clone(),
            known: BTreeMap::new(),
        }
    }
}

/// Definitions of instruments, each fetched once.
#[derive(Debug)]
pub struct Definitions {
    market: MarketHub,
    known: BTreeMap<InstrumentId, Instrument>,
}

impl Definitions {
    /// Returns the definition by which numbers of the instrument are written.
    ///
    /// Errors: `UNAVAILABLE` while this process does not have it.
    pub fn get(&mut self, id: &InstrumentId) -> Result<&Instrument, Status> {
        if !self.known.contains_key(id) {
            let found = self.market.instrument(id);
            let instrument = found.ok_or_else(|| status::no_definition(id))?;
            self.known.insert(id.clone(), instrument);
        }
        self.known.get(id).ok_or_else(|| status::no_definition(id))
    }
}

//! Reads of an account as it was: `as_of_ns`.
//!
//! The account is folded from its journal on a blocking thread, apart from the account that trades.

use super::account::write_position;
use crate::shared::{Shared, wall_clock};
use crate::status;
use apex_bus::handle::{EventHistory, PastError};
use apex_bus::message::{AccountSummary, OrderFilter, Page};
use apex_domain::account::Account;
use apex_domain::order::{Order, OrderKey};
use apex_domain::portfolio::Position;
use apex_domain::{AccountId, Instrument, InstrumentId, Price, UnixNanos};
use apex_proto::convert::order as wire;
use apex_proto::v1;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// A time in the past that one call asks for.
#[derive(Clone, Debug)]
pub(super) struct Past<'a> {
    shared: &'a Shared,
    at: UnixNanos,
    /// The call names its account, so that one which was opened later is an error.
    named: bool,
    until: Instant,
}

impl<'a> Past<'a> {
    /// Reads `as_of_ns` of a call about `account_id`, which is empty for all accounts. Zero is now,
    /// which is none.
    ///
    /// Errors: a time below zero or in the future.
    pub fn read(
        shared: &'a Shared,
        as_of_ns: i64,
        account_id: &str,
    ) -> Result<Option<Past<'a>>, Status> {
        let now = wall_clock();
        if as_of_ns < 0 {
            return Err(status::invalid_field(
                "as_of_ns",
                "must not be negative: give nanoseconds since 1970, or 0 for now",
            ));
        }
        if as_of_ns > now.0 {
            return Err(status::invalid_field(
                "as_of_ns",
                format!("is in the future: it is {} now, and 0 asks for now", now.0),
            ));
        }
        Ok((as_of_ns != 0).then(|| Past {
            shared,
            at: UnixNanos(as_of_ns),
            named: !account_id.is_empty(),
            until: Instant::now() + shared.limits.past,
        }))
    }

    /// Asks the account as it was; `None` when it was opened later and the call does not name it.
    ///
    /// Errors: the one that it names was opened later, it cannot be read, or there was not enough
    /// time.
    pub async fn ask<T: Send + 'static>(
        &self,
        id: &AccountId,
        question: impl FnOnce(&Account) -> T + Send + 'static,
    ) -> Result<Option<T>, Status> {
        match self.try_ask(id, question).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(PastError::NotOpenYet { .. }) if !self.named => Ok(None),
            Err(error) => Err(status::past(&error)),
        }
    }

    async fn try_ask<T: Send + 'static>(
        &self,
        id: &AccountId,
        question: impl FnOnce(&Account) -> T + Send + 'static,
    ) -> Result<Result<T, PastError>, Status> {
        let turns = self.shared.streams.past.clone();
        let turn = match timeout_at(self.until, turns.acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(status::shutting_down()),
            Err(_) => return Err(status::past_is_busy(self.shared.limits.past)),
        };
        let history: Arc<dyn EventHistory> = self.shared.platform.history.clone();
        let (id, at) = (id.clone(), self.at);
        let limit = self.until.saturating_duration_since(Instant::now());
        let read = move || {
            // Held to the end: a caller that goes away does not make room for one more.
            let _turn = turn;
            let account = history.as_of(&id, at, limit)?;
            Ok(question(&account))
        };
        // The runtime is going down, or the reader panicked: the client asks elsewhere.
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|_| status::shutting_down())
    }

    /// Asks for the account's sums.
    ///
    /// Errors: as [`Past::ask`].
    pub async fn account(&self, id: &AccountId) -> Result<Option<v1::Account>, Status> {
        let summary = self.ask(id, summary).await?.flatten();
        Ok(summary.map(|summary| v1::Account {
            journal: v1::JournalHealth::Unspecified.into(),
            as_of_ns: self.at.0,
            valuation: v1::Valuation::Journal.into(),
            ..super::account::account(&summary)
        }))
    }

    /// Asks for a page of orders and the cursor of the next one.
    ///
    /// Errors: as [`Past::ask`].
    pub async fn orders(
        &self,
        id: &AccountId,
        filter: OrderFilter,
        page: Page,
    ) -> Result<(Vec<v1::Order>, Option<u64>), Status> {
        let question = move |account: &Account| {
            let (orders, next) = filter.page(account, &page);
            let orders: Result<_, Status> = orders.iter().map(|one| write(account, one)).collect();
            orders.map(|orders| (orders, next))
        };
        self.ask(id, question)
            .await?
            .unwrap_or(Ok((Vec::new(), None)))
    }

    /// Asks for a page of executions and the cursor of the next one. What the venue has taken back
    /// since then still counts.
    ///
    /// Errors: as [`Past::ask`].
    pub async fn executions(
        &self,
        id: &AccountId,
        page: Page,
    ) -> Result<(Vec<v1::Execution>, Option<u64>), Status> {
        let account_id = id.clone();
        let question = move |account: &Account| {
            let (records, next) = page.of_executions(account);
            let written = records.iter().map(|record| {
                let id = &record.execution.instrument_id;
                let instrument = account.instruments().get(id);
                let instrument = instrument.ok_or_else(|| status::no_definition(id))?;
                Ok(wire::execution(&account_id, record, instrument))
            });
            let written: Result<Vec<_>, Status> = written.collect();
            written.map(|executions| (executions, next))
        };
        self.ask(id, question)
            .await?
            .unwrap_or(Ok((Vec::new(), None)))
    }

    /// Asks for one order; `None` when it came later.
    ///
    /// Errors: as [`Past::ask`].
    pub async fn order(&self, id: &AccountId, key: OrderKey) -> Result<Option<v1::Order>, Status> {
        let question = move |account: &Account| {
            let order = account.order(&key);
            order.map(|order| write(account, order)).transpose()
        };
        self.ask(id, question).await?.unwrap_or(Ok(None))
    }

    /// Asks for the positions, flat ones too.
    ///
    /// Errors: as [`Past::ask`].
    pub async fn positions(&self, id: &AccountId) -> Result<PastPositions, Status> {
        let positions = self.ask(id, PastPositions::of).await?;
        Ok(positions.unwrap_or_default())
    }
}

/// The positions of an account as they were, with what they are written and valued by.
#[derive(Debug, Default)]
pub(super) struct PastPositions {
    pub positions: Vec<Position>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    prices: BTreeMap<InstrumentId, Price>,
}

impl PastPositions {
    fn of(account: &Account) -> PastPositions {
        PastPositions {
            positions: account.positions().cloned().collect(),
            instruments: account.instruments().clone(),
            prices: account.last_prices(),
        }
    }

    /// Errors: `UNAVAILABLE` for a position without a definition, which no account has.
    pub fn write(&self, id: &AccountId, position: &Position) -> Result<v1::Position, Status> {
        let instrument_id = &position.instrument_id;
        let instrument = self.instruments.get(instrument_id);
        let instrument = instrument.ok_or_else(|| status::no_definition(instrument_id))?;
        let price = self.prices.get(instrument_id).copied();
        Ok(write_position(id, position, instrument, price))
    }
}

/// Writes an order by the definition of its instrument as it was then.
fn write(account: &Account, order: &Order) -> Result<v1::Order, Status> {
    let id = &order.request.instrument_id;
    let instrument = account.instruments().get(id);
    let instrument = instrument.ok_or_else(|| status::no_definition(id))?;
    Ok(wire::order(order, instrument))
}

/// The journal holds no market, so the account is valued by what its events saw of it.
fn summary(account: &Account) -> Option<AccountSummary> {
    let equity = account.equity(&account.last_prices());
    AccountSummary::of(account, &equity)
}

//! `RiskService.ListTradingStateChanges`: who halted and resumed, read from the journal.

use super::order::enter;
use crate::auth::Caller;
use crate::page::{self, Place};
use crate::shared::Shared;
use crate::status;
use apex_bus::handle::EventHistory;
use apex_domain::AccountId;
use apex_domain::event::{Event, Recorded};
use apex_proto::convert::enums;
use apex_proto::v1;
use std::sync::Arc;
use tonic::Status;

/// Records of one journal that are read at a time: a few milliseconds of a processor.
const BATCH: usize = 4_096;

/// Records that one call looks at. Changes are rare and journals long: a page that has looked at
/// so many ends there, full or not, so that a call stays within its time.
const LOOKED_AT: usize = 65_536;

/// Errors: a field that cannot be taken, an account that is not granted, a journal that cannot be
/// read.
pub(super) async fn list(
    shared: &Shared,
    caller: &Caller,
    request: &v1::ListTradingStateChangesRequest,
) -> Result<v1::ListTradingStateChangesResponse, Status> {
    let size = page::size(request.page_size)?;
    let mut place = Place::read(&request.page_token)?;
    let mut page = Page {
        changes: Vec::new(),
        size,
        looked_at: 0,
    };
    for account in shared.scope(caller, &request.account_id)? {
        let account_id = account.account_id();
        let Some(cursor) = enter(&mut place, account_id) else {
            continue;
        };
        let stopped_at = match page.is_full() {
            true => Some(cursor.unwrap_or(0)),
            false => page.read(shared, account_id, cursor.unwrap_or(0)).await?,
        };
        if let Some(sequence) = stopped_at {
            let next = Place {
                account_id: account_id.clone(),
                cursor: Some(sequence),
            };
            return Ok(page.answer(Some(&next)));
        }
    }
    Ok(page.answer(None))
}

struct Page {
    changes: Vec<v1::TradingStateChange>,
    size: usize,
    looked_at: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.changes.len() >= self.size || self.looked_at >= LOOKED_AT
    }

    /// Reads one journal behind `after`. Returns the last sequence looked at when the page is full
    /// before the journal's end.
    async fn read(
        &mut self,
        shared: &Shared,
        account_id: &AccountId,
        mut after: u64,
    ) -> Result<Option<u64>, Status> {
        loop {
            let records = records(shared, account_id.clone(), after).await?;
            let is_last = records.len() < BATCH;
            for recorded in records {
                if self.is_full() {
                    return Ok(Some(after));
                }
                after = recorded.sequence;
                self.looked_at += 1;
                self.changes.extend(change(account_id, &recorded));
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    fn answer(self, next: Option<&Place>) -> v1::ListTradingStateChangesResponse {
        v1::ListTradingStateChangesResponse {
            changes: self.changes,
            next_page_token: next.map(Place::write).unwrap_or_default(),
        }
    }
}

async fn records(shared: &Shared, id: AccountId, after: u64) -> Result<Vec<Recorded>, Status> {
    // Few read at a time: reading takes a processor, and trading needs it more.
    let Ok(_turn) = shared.streams.history.acquire().await else {
        return Err(status::shutting_down());
    };
    let history: Arc<dyn EventHistory> = shared.platform.history.clone();
    let read = move || history.records(&id, after, BATCH);
    match tokio::task::spawn_blocking(read).await {
        Ok(records) => records.map_err(|error| status::history(&error)),
        // The runtime is going down, or the reader panicked: the client asks elsewhere.
        Err(_) => Err(status::shutting_down()),
    }
}

fn change(account_id: &AccountId, recorded: &Recorded) -> Option<v1::TradingStateChange> {
    let Event::TradingStateChanged {
        state, by, reason, ..
    } = &recorded.event
    else {
        return None;
    };
    Some(v1::TradingStateChange {
        account_id: account_id.to_string(),
        sequence: recorded.sequence,
        ts_ns: recorded.ts.0,
        trading_state: enums::trading_state(*state).into(),
        by: by.clone(),
        reason: reason.clone(),
    })
}

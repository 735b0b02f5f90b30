//! `OrderService.StreamOrders`: every event once, in order, from any point on.
//!
//! Per account the stream knows the last sequence that it dealt with. A live event with the next
//! sequence is passed on, one at or below it was seen, and one above it (or word of a gap) means
//! that the journal has to be read first. So joining history and the live topic, falling behind
//! and gaps are one and the same case.

use super::{order, strategy_names};
use crate::auth::Caller;
use crate::fanout::Heard;
use crate::shared::{Definitions, Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::handle::{AccountHandle, EventHistory};
use apex_bus::message::{AccountEvent, OrderFilter};
use apex_domain::AccountId;
use apex_proto::convert::event::order_event;
use apex_proto::v1;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Status;

/// Events that are read from a journal at once: two or three megabytes. A journal that is read by
/// several streams at different places is folded from its beginning for each batch, so a batch is
/// large.
const HISTORY_BATCH: usize = 4_096;

/// The last sequence that was dealt with, per account.
type Seen = BTreeMap<AccountId, u64>;

/// Opens the stream.
///
/// Errors: a field that cannot be taken, an account that is not granted, no place for a stream.
pub(super) async fn begin(
    shared: &Shared,
    caller: Caller,
    request: v1::StreamOrdersRequest,
) -> Result<Receiver<v1::StreamOrdersResponse>, Status> {
    let filter = order::read_filter(&request.instrument_id, &request.strategy_id, false)?;
    let instrument_id = filter.instrument_id.as_ref();
    shared.check_instrument("instrument_id", instrument_id)?;
    let accounts = shared.scope(&caller, &request.account_id)?;
    strategy_names::check_filter(shared, &accounts, &filter).await?;
    // Listen before asking where the accounts stand: nothing falls between the two.
    let heard = shared
        .fanout
        .subscribe()
        .ok_or_else(status::shutting_down)?;
    let seen = place(&accounts, &request).await?;
    // Those that there are already and that the stream leaves out; any other one is new.
    let known = shared.platform.accounts.all();
    let left_out = known.keys().filter(|id| !seen.contains_key(*id)).cloned();
    let left_out = request.account_id.is_empty().then(|| left_out.collect());
    let (sender, receiver) = shared.open(&caller, &shared.streams.orders)?;
    let stream = OrderStream {
        shared: shared.clone(),
        definitions: shared.definitions(),
        caller,
        filter,
        seen,
        left_out,
        sender,
    };
    tokio::spawn(stream.run(heard));
    Ok(receiver)
}

/// Returns where the stream begins in each account.
async fn place(
    accounts: &[AccountHandle],
    request: &v1::StreamOrdersRequest,
) -> Result<Seen, Status> {
    if request.from_sequence != 0 && request.account_id.is_empty() {
        return Err(status::invalid_field(
            "account_id",
            "is required with from_sequence",
        ));
    }
    let resumed = read_token(&request.resume_token)?;
    let mut seen = Seen::new();
    for account in accounts {
        let summary = account
            .summary()
            .await
            .map_err(|error| status::command(&error))?;
        let (field, wanted) = if request.resume_token.is_empty() {
            ("from_sequence", request.from_sequence.checked_sub(1))
        } else {
            // An account that is newer than the token is wanted from its beginning.
            let id = account.account_id();
            ("resume_token", Some(resumed.get(id).copied().unwrap_or(0)))
        };
        if wanted.is_some_and(|wanted| wanted > summary.sequence) {
            let last = summary.sequence;
            let description = format!("is ahead of the account, whose last sequence is {last}");
            return Err(status::invalid_field(field, description));
        }
        seen.insert(
            account.account_id().clone(),
            wanted.unwrap_or(summary.sequence),
        );
    }
    Ok(seen)
}

/// Reads `account=sequence` pairs.
fn read_token(token: &str) -> Result<Seen, Status> {
    let bad = || status::invalid_field("resume_token", "is not one that a stream sent");
    let mut seen = Seen::new();
    for pair in token.split(',').filter(|pair| !pair.is_empty()) {
        let (account, sequence) = pair.split_once('=').ok_or_else(bad)?;
        let account_id = AccountId::new(account).map_err(|_| bad())?;
        seen.insert(account_id, sequence.parse().map_err(|_| bad())?);
    }
    Ok(seen)
}

fn write_token(seen: &Seen) -> String {
    let pairs: Vec<String> = seen
        .iter()
        .map(|(id, sequence)| format!("{id}={sequence}"))
        .collect();
    pairs.join(",")
}

struct OrderStream {
    shared: Shared,
    definitions: Definitions,
    caller: Caller,
    filter: OrderFilter,
    seen: Seen,
    /// Of a stream over all accounts, those that were there and not granted when it began.
    left_out: Option<BTreeSet<AccountId>>,
    sender: Sender<v1::StreamOrdersResponse>,
}

impl OrderStream {
    async fn run(mut self, heard: broadcast::Receiver<Heard>) {
        // The client has been told whatever there is to say of the end.
        let Err(Over) = self.follow(heard).await;
    }

    async fn follow(&mut self, mut heard: broadcast::Receiver<Heard>) -> Result<Infallible, Over> {
        self.heartbeat().await?;
        self.catch_up_all().await?;
        let pause = self.shared.limits.heartbeat;
        let mut beat = interval_at(Instant::now() + pause, pause);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = self.shared.stopping.clone();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                _ = beat.tick() => {
                    self.check_permission()?;
                    self.heartbeat().await?;
                }
                heard = heard.recv() => match heard {
                    Ok(Heard::Event(event)) => self.live(event).await?,
                    Ok(Heard::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.catch_up_all().await?;
                    }
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(self.sender.end(status::shutting_down()));
                    }
                },
            }
        }
    }

    fn check_permission(&mut self) -> Result<(), Over> {
        self.caller = self
            .shared
            .renew(&self.caller)
            .map_err(|status| self.sender.end(status))?;
        if self
            .seen
            .keys()
            .all(|account_id| self.caller.may(account_id))
        {
            Ok(())
        } else {
            Err(self.sender.end(status::account_not_granted()))
        }
    }

    async fn heartbeat(&self) -> Result<(), Over> {
        let heartbeat = v1::Heartbeat {
            ts_ns: wall_clock().0,
        };
        self.send(v1::stream_orders_response::Item::Heartbeat(heartbeat))
            .await
    }

    async fn send(&self, item: v1::stream_orders_response::Item) -> Result<(), Over> {
        let resume_token = write_token(&self.seen);
        self.sender
            .send(v1::StreamOrdersResponse {
                item: Some(item),
                resume_token,
            })
            .await
    }

    async fn live(&mut self, event: AccountEvent) -> Result<(), Over> {
        let Some(last) = self.last_of(&event.account_id) else {
            return Ok(());
        };
        let sequence = event.recorded.sequence;
        if sequence > last + 1 {
            return self.catch_up(&event.account_id.clone()).await;
        }
        if sequence == last + 1 {
            self.pass_on(event).await
        } else {
            Ok(())
        }
    }

    /// Returns the last sequence of an account that was dealt with; `None` for one that the stream
    /// leaves out. One that was made since the stream began joins it with all of its orders.
    fn last_of(&mut self, account_id: &AccountId) -> Option<u64> {
        if let Some(last) = self.seen.get(account_id) {
            return Some(*last);
        }
        let left_out = self.left_out.as_ref()?;
        if left_out.contains(account_id) || !self.caller.may(account_id) {
            return None;
        }
        self.seen.insert(account_id.clone(), 0);
        Some(0)
    }

    async fn catch_up_all(&mut self) -> Result<(), Over> {
        for account_id in self.shared.platform.accounts.all().keys() {
            self.last_of(account_id);
        }
        let accounts: Vec<AccountId> = self.seen.keys().cloned().collect();
        for account_id in accounts {
            self.catch_up(&account_id).await?;
        }
        Ok(())
    }

    /// Passes on what the journal has behind the last sequence.
    async fn catch_up(&mut self, account_id: &AccountId) -> Result<(), Over> {
        loop {
            let after = self.seen.get(account_id).copied().unwrap_or(0);
            let events = match self.history(account_id.clone(), after).await {
                Ok(events) => events,
                Err(status) => return Err(self.sender.end(status)),
            };
            let is_last = events.len() < HISTORY_BATCH;
            for event in events {
                self.pass_on(event).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn history(&self, id: AccountId, after: u64) -> Result<Vec<AccountEvent>, Status> {
        // Few read at a time: reading takes a processor, and trading needs it more.
        let Ok(_turn) = self.shared.streams.history.acquire().await else {
            return Err(status::shutting_down());
        };
        let history: Arc<dyn EventHistory> = self.shared.platform.history.clone();
        let read = move || history.events(&id, after, HISTORY_BATCH);
        match tokio::task::spawn_blocking(read).await {
            Ok(events) => events.map_err(|error| status::history(&error)),
            // The runtime is going down, or the reader panicked: the client resumes elsewhere.
            Err(_) => Err(status::shutting_down()),
        }
    }

    /// Counts an event as seen and sends it when it is of an order that the client wants.
    async fn pass_on(&mut self, event: AccountEvent) -> Result<(), Over> {
        self.seen
            .insert(event.account_id.clone(), event.recorded.sequence);
        let Some(order) = &event.order else {
            return Ok(());
        };
        if !wants(&self.filter, order) {
            return Ok(());
        }
        let instrument = match self.definitions.get(&order.request.instrument_id) {
            Ok(instrument) => instrument,
            Err(status) => return Err(self.sender.end(status)),
        };
        match order_event(&event.account_id, &event.recorded, order, instrument) {
            Some(event) => {
                self.send(v1::stream_orders_response::Item::Event(event))
                    .await
            }
            None => Ok(()),
        }
    }
}

fn wants(filter: &OrderFilter, order: &apex_domain::order::Order) -> bool {
    let request = &order.request;
    filter
        .instrument_id
        .as_ref()
        .is_none_or(|id| *id == request.instrument_id)
        && filter
            .strategy_id
            .as_ref()
            .is_none_or(|id| *id == request.strategy_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_out_and_in() {
        let id = |text| AccountId::new(text).unwrap();
        let seen = Seen::from([(id("a.1"), 0), (id("b-2"), u64::MAX)]);
        assert_eq!(read_token(&write_token(&seen)).unwrap(), seen);
        assert!(read_token("").unwrap().is_empty());
    }

    #[test]
    fn a_token_that_no_stream_sent_is_refused() {
        for token in ["x", "a=", "a=-1", "=1", "a b=1", "a=1;b=2"] {
            assert!(read_token(token).is_err(), "{token}");
        }
    }
}

//! `StrategyService.StreamStrategyEvents`: what happens to strategies, to who may see their accounts.

use super::strategy::Deployed;
use super::strategy_wire as wire;
use crate::auth::Caller;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::strategies::{StrategyEvent, StrategyEvents};
use apex_domain::{AccountId, StrategyId};
use apex_proto::convert::text;
use apex_proto::field::Fields;
use apex_proto::v1;
use apex_proto::v1::stream_strategy_events_response::Item;
use std::convert::Infallible;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Status;

/// Events that are read at a time: a few microseconds under their lock.
const BATCH: usize = 256;

impl Deployed<'_> {
    /// Errors: a field that cannot be taken, an account that is not granted, no place for a stream.
    pub fn stream(
        self,
        caller: Caller,
        request: &v1::StreamStrategyEventsRequest,
    ) -> Result<Receiver<v1::StreamStrategyEventsResponse>, Status> {
        let mut fields = Fields::new();
        let account_id = text::optional(
            &mut fields,
            "account_id",
            &request.account_id,
            AccountId::new,
        );
        let strategy_id = text::optional(
            &mut fields,
            "strategy_id",
            &request.strategy_id,
            StrategyId::new,
        );
        let token = fields.take("resume_token", read_token(&request.resume_token));
        let taken = fields.finish(account_id.zip(strategy_id).zip(token));
        let ((account_id, strategy_id), token) =
            taken.map_err(|errors| status::invalid(&errors))?;
        if let Some(account_id) = &account_id {
            self.shared.account(&caller, account_id)?;
        }
        let events = self.desk.events();
        let (place, gap) = place(&events, token);
        let (sender, receiver) = self.shared.open(&caller, &self.shared.streams.strategies)?;
        let stream = EventStream {
            shared: self.shared.clone(),
            caller,
            account_id,
            strategy_id,
            events,
            place,
            sender,
        };
        tokio::spawn(stream.run(gap));
        Ok(receiver)
    }
}

/// A place in the events of one start of the platform.
type Token = (i64, u64);

fn read_token(token: &str) -> Result<Option<Token>, &'static str> {
    const BAD: &str = "is not one that a stream sent";
    if token.is_empty() {
        return Ok(None);
    }
    let (epoch, sequence) = token.split_once(':').ok_or(BAD)?;
    let epoch = epoch.parse().map_err(|_| BAD)?;
    Ok(Some((epoch, sequence.parse().map_err(|_| BAD)?)))
}

/// Returns behind which event a stream begins, and what is not known from before.
fn place(events: &StrategyEvents, token: Option<Token>) -> (u64, Option<v1::StrategyEventGap>) {
    match token {
        None => (events.last(), None),
        // A number that was not given yet is of no event: the next ones are all news.
        Some((epoch, sequence)) if epoch == events.epoch() => (sequence.min(events.last()), None),
        // All of this start is news.
        Some(_) => {
            let gap = v1::StrategyEventGap {
                events: 0,
                reason:
                    "the platform was started anew: what happened in between is not told here, \
                         look at ListStrategies"
                        .to_owned(),
            };
            (0, Some(gap))
        }
    }
}

struct EventStream {
    shared: Shared,
    caller: Caller,
    account_id: Option<AccountId>,
    strategy_id: Option<StrategyId>,
    events: StrategyEvents,
    /// The last event that was dealt with.
    place: u64,
    sender: Sender<v1::StreamStrategyEventsResponse>,
}

impl EventStream {
    async fn run(mut self, gap: Option<v1::StrategyEventGap>) {
        // The client is gone or was cut, and was told why.
        let Err(Over) = self.follow(gap).await;
    }

    async fn follow(&mut self, gap: Option<v1::StrategyEventGap>) -> Result<Infallible, Over> {
        if let Some(gap) = gap {
            self.send(Item::Gap(gap)).await?;
        }
        let mut beat = interval(self.shared.limits.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = self.shared.stopping.clone();
        let mut news = self.events.watch();
        loop {
            // Before the read: what comes behind it is heard of.
            news.borrow_and_update();
            if self.read().await? && !*stopping.borrow() {
                continue;
            }
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                _ = beat.tick() => self.heartbeat().await?,
                changed = news.changed() => if changed.is_err() {
                    return Err(self.sender.end(status::shutting_down()));
                },
            }
        }
    }

    /// Sends what is there, a bounded number of events at a time; true when there may be more.
    async fn read(&mut self) -> Result<bool, Over> {
        let read = self.events.after(self.place, BATCH);
        if read.lost > 0 {
            self.place += read.lost;
            let gap = v1::StrategyEventGap {
                events: read.lost,
                reason: "they are not kept any more: look at ListStrategies".to_owned(),
            };
            self.send(Item::Gap(gap)).await?;
        }
        for event in &read.events {
            self.place = event.sequence;
            if self.wants(event) {
                self.send(Item::Event(wire::event(event))).await?;
            }
        }
        Ok(read.events.len() == BATCH)
    }

    fn wants(&self, event: &StrategyEvent) -> bool {
        let account_id = self.account_id.as_ref();
        let strategy_id = self.strategy_id.as_ref();
        self.caller.may(&event.account_id)
            && account_id.is_none_or(|id| *id == event.account_id)
            && strategy_id.is_none_or(|id| *id == event.strategy_id)
    }

    async fn heartbeat(&mut self) -> Result<(), Over> {
        let renewed = self.shared.renew(&self.caller);
        self.caller = renewed.map_err(|status| self.sender.end(status))?;
        if let Some(account_id) = &self.account_id
            && !self.caller.may(account_id)
        {
            return Err(self.sender.end(status::account_not_granted()));
        }
        let ts_ns = wall_clock().0;
        self.send(Item::Heartbeat(v1::Heartbeat { ts_ns })).await
    }

    async fn send(&mut self, item: Item) -> Result<(), Over> {
        let message = v1::StreamStrategyEventsResponse {
            item: Some(item),
            resume_token: format!("{}:{}", self.events.epoch(), self.place),
        };
        self.sender.send(message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_domain::UnixNanos;

    #[test]
    fn a_token_of_another_start_begins_at_the_first_event_and_says_so() {
        let events = StrategyEvents::new(UnixNanos(7));
        let at = |token: &str| place(&events, read_token(token).unwrap());
        assert_eq!(at(""), (0, None));
        assert_eq!(at("7:0"), (0, None));
        assert_eq!(at("7:99").0, 0, "a number that was not given yet");
        assert!(at("6:3").1.is_some());
        for bad in ["x", "7", "7:", ":1", "7:-1", "7:1:1"] {
            assert!(read_token(bad).is_err(), "{bad}");
        }
    }
}

//! `AccountService.StreamAccount`: the newest state of an account, a few times a second at most.

use super::account::{account, write_position};
use crate::auth::Caller;
use crate::fanout::Heard;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::handle::AccountHandle;
use apex_domain::AccountId;
use apex_proto::v1;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Status;

/// A person sees no more than four changes a second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// Marks move without any event of the account; so often equity is looked at all the same.
const MARKS: Duration = Duration::from_secs(1);

/// Opens the stream.
///
/// Errors: a field that cannot be taken, an account that is not granted, no place for a stream.
pub(super) fn begin(
    shared: &Shared,
    caller: Caller,
    request: &v1::StreamAccountRequest,
) -> Result<Receiver<v1::StreamAccountResponse>, Status> {
    let id = AccountId::new(&request.account_id)
        .map_err(|error| status::invalid_field("account_id", error))?;
    let handle = shared.account(&caller, &id)?;
    let heard = shared
        .fanout
        .subscribe()
        .ok_or_else(status::shutting_down)?;
    let (sender, receiver) = shared.open(&caller, &shared.streams.accounts)?;
    let stream = AccountStream {
        shared: shared.clone(),
        caller,
        handle,
        sender,
        last: None,
    };
    tokio::spawn(stream.run(heard));
    Ok(receiver)
}

struct AccountStream {
    shared: Shared,
    caller: Caller,
    handle: AccountHandle,
    sender: Sender<v1::StreamAccountResponse>,
    last: Option<v1::StreamAccountResponse>,
}

impl AccountStream {
    async fn run(mut self, heard: broadcast::Receiver<Heard>) {
        // The client has been told whatever there is to say of the end.
        let Err(Over) = self.follow(heard).await;
    }

    async fn follow(&mut self, mut heard: broadcast::Receiver<Heard>) -> Result<Infallible, Over> {
        let mut beat = interval(self.shared.limits.heartbeat);
        let mut marks = interval(MARKS);
        for timer in [&mut beat, &mut marks] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut stopping = self.shared.stopping.clone();
        let mut not_before = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                _ = beat.tick() => self.heartbeat().await?,
                _ = marks.tick() => {}
                heard = heard.recv() => match heard {
                    Ok(Heard::Event(event)) if event.account_id != *self.handle.account_id() => {
                        continue;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => {
                        return Err(self.sender.end(status::shutting_down()));
                    }
                },
            }
            tokio::time::sleep_until(not_before).await;
            // What came in the meantime is in the state that is about to be asked for.
            heard = heard.resubscribe();
            self.state().await?;
            not_before = Instant::now() + SHORTEST_PAUSE;
        }
    }

    async fn heartbeat(&mut self) -> Result<(), Over> {
        self.caller = self
            .shared
            .renew(&self.caller)
            .map_err(|status| self.sender.end(status))?;
        if !self.caller.may(self.handle.account_id()) {
            return Err(self.sender.end(status::account_not_granted()));
        }
        let heartbeat = v1::Heartbeat {
            ts_ns: wall_clock().0,
        };
        let message = v1::StreamAccountResponse {
            heartbeat: Some(heartbeat),
            ..Default::default()
        };
        self.sender.send(message).await
    }

    /// Sends the state when it is another one than was sent last.
    async fn state(&mut self) -> Result<(), Over> {
        let message = match self.read().await {
            Ok(message) => message,
            Err(status) => return Err(self.sender.end(status)),
        };
        if self.last.as_ref() == Some(&message) {
            return Ok(());
        }
        self.last = Some(message.clone());
        self.sender.send(message).await
    }

    async fn read(&self) -> Result<v1::StreamAccountResponse, Status> {
        let summary = self
            .handle
            .summary()
            .await
            .map_err(|error| status::command(&error))?;
        let market = &self.shared.platform.market;
        let mut definitions = self.shared.definitions();
        let mut positions = Vec::new();
        for position in summary
            .positions
            .iter()
            .filter(|position| !position.is_flat())
        {
            let mark = market.mark(&position.instrument_id);
            let instrument = definitions.get(&position.instrument_id)?;
            positions.push(write_position(
                &summary.account_id,
                position,
                instrument,
                mark,
            ));
        }
        Ok(v1::StreamAccountResponse {
            account: Some(account(&summary)),
            positions,
            heartbeat: None,
        })
    }
}

//! `SystemService.StreamAlerts`: what is open, then what changes.
//!
//! The stream looks at the newest view whenever there is one, and sends every alert that changed
//! behind the last that it sent. So a client that reads slowly is told the newest state of each and
//! holds nobody up, and one that resumes misses none.

use super::alerts::{desk, may_see};
use crate::auth::Caller;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::alerts::AlertsView;
use apex_domain::alert::Alert;
use apex_proto::convert::alert as wire;
use apex_proto::v1;
use apex_proto::v1::stream_alerts_response::Item;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tonic::Status;

/// Opens the stream.
///
/// Errors: a token that no stream gave, no place for a stream, a run without alerts.
pub(super) fn begin(
    shared: &Shared,
    caller: Caller,
    request: &v1::StreamAlertsRequest,
) -> Result<Receiver<v1::StreamAlertsResponse>, Status> {
    let view = desk(shared)?.view();
    let resumed = read_token(&view.borrow().origin, &request.resume_token)?;
    let (sender, receiver) = shared.open(&caller, &shared.streams.alerts)?;
    let stream = AlertStream {
        shared: shared.clone(),
        caller,
        sender,
        told: resumed.unwrap_or_default(),
        open_only: resumed.is_none(),
    };
    tokio::spawn(stream.run(view));
    Ok(receiver)
}

/// Returns behind which change the stream goes on; `None` begins anew, as behind a token of alerts
/// that are not these any more.
fn read_token(origin: &str, token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let bad = || status::invalid_field("resume_token", "is not one that a stream gave");
    let (of, sequence) = token.rsplit_once(':').ok_or_else(bad)?;
    let sequence = sequence.parse().map_err(|_| bad())?;
    Ok((of == origin).then_some(sequence))
}

struct AlertStream {
    shared: Shared,
    caller: Caller,
    sender: Sender<v1::StreamAlertsResponse>,
    /// The change that was told last.
    told: u64,
    /// Nothing was told yet: what is over is no news.
    open_only: bool,
}

impl AlertStream {
    async fn run(mut self, view: watch::Receiver<Arc<AlertsView>>) {
        // The client has been told whatever there is to say of the end.
        let Err(Over) = self.follow(view).await;
    }

    async fn follow(
        &mut self,
        mut view: watch::Receiver<Arc<AlertsView>>,
    ) -> Result<Infallible, Over> {
        let mut beat = interval(self.shared.limits.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = self.shared.stopping.clone();
        let newest = view.borrow_and_update().clone();
        self.tell(&newest).await?;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                _ = beat.tick() => {
                    let origin = view.borrow().origin.clone();
                    self.heartbeat(&origin).await?;
                }
                changed = view.changed() => {
                    if changed.is_err() {
                        return Err(self.sender.end(status::shutting_down()));
                    }
                    let newest = view.borrow_and_update().clone();
                    self.tell(&newest).await?;
                }
            }
        }
    }

    async fn heartbeat(&mut self, origin: &str) -> Result<(), Over> {
        self.caller = self
            .shared
            .renew(&self.caller)
            .map_err(|status| self.sender.end(status))?;
        let heartbeat = v1::Heartbeat {
            ts_ns: wall_clock().0,
        };
        let message = v1::StreamAlertsResponse {
            item: Some(Item::Heartbeat(heartbeat)),
            resume_token: self.token(origin),
        };
        self.sender.send(message).await
    }

    fn token(&self, origin: &str) -> String {
        format!("{origin}:{}", self.told)
    }

    /// Sends what changed, in the order in which it did.
    async fn tell(&mut self, view: &AlertsView) -> Result<(), Over> {
        if view.sequence == self.told {
            self.open_only = false;
            return Ok(());
        }
        let is_news = |alert: &&Arc<Alert>| {
            alert.sequence > self.told
                && (!self.open_only || alert.is_open())
                && may_see(&self.caller, alert.account_id.as_ref())
        };
        let mut news: Vec<Arc<Alert>> = view.alerts.values().filter(is_news).cloned().collect();
        news.sort_by_key(|alert| alert.sequence);
        for alert in news {
            self.told = alert.sequence;
            let message = v1::StreamAlertsResponse {
                item: Some(Item::Alert(wire::alert(&view.origin, &alert))),
                resume_token: self.token(&view.origin),
            };
            self.sender.send(message).await?;
        }
        // Behind what is not the caller's, too.
        self.told = view.sequence;
        self.open_only = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_where_it_was_given() {
        assert_eq!(read_token("ab", "").unwrap(), None);
        assert_eq!(read_token("ab", "ab:7").unwrap(), Some(7));
        assert_eq!(read_token("ab", "cd:7").unwrap(), None, "of other alerts");
        for bad in ["x", "ab:", "ab:-1", "ab:x"] {
            assert!(read_token("ab", bad).is_err(), "{bad}");
        }
    }
}

//! The engine's channels: an outbox each, and how each does.

use super::Engine;
use crate::alerts::channel::{Message, NotTaken};
use apex_bus::alerts::ChannelState;
use apex_domain::UnixNanos;
use apex_domain::alert::{
    Alert, ChannelLimits, Delivery, Job, Notice, Outbox, Outcomes, Parcel, Tried,
};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Line {
    outbox: Outbox,
    state: ChannelState,
}

/// All channels.
pub struct Outgoing {
    lines: BTreeMap<String, Line>,
    limits: ChannelLimits,
    /// Grows when the queues begin anew: what was under way before is no matter of theirs.
    generation: u64,
    changed: bool,
}

impl Outgoing {
    pub fn new(kinds: Vec<(String, &'static str)>, limits: ChannelLimits) -> Outgoing {
        let line = |(name, kind): (String, &'static str)| {
            let state = ChannelState {
                name: name.clone(),
                kind,
                ..ChannelState::default()
            };
            let outbox = Outbox::new(limits);
            (name, Line { outbox, state })
        };
        Outgoing {
            lines: kinds.into_iter().map(line).collect(),
            limits,
            generation: 0,
            changed: false,
        }
    }

    /// Takes up what alerts say is still to be sent.
    pub fn begin_anew(&mut self, book: &BTreeMap<u64, Arc<Alert>>) {
        self.generation += 1;
        for (name, line) in &mut self.lines {
            line.outbox = Outbox::new(self.limits);
            for alert in book.values() {
                for notice in [Notice::Fired, Notice::Resolved] {
                    let number = alert.number;
                    let parcel = Parcel { number, notice };
                    let since = match notice {
                        Notice::Fired => alert.ts_fired,
                        Notice::Resolved => alert.ts_resolved.unwrap_or(alert.ts_fired),
                    };
                    match alert.delivery(notice, name) {
                        Some(Delivery::Pending) => {
                            // No more waited before, so there is room.
                            let _ = line.outbox.offer(parcel, since);
                        }
                        Some(Delivery::HeldBack) => line.outbox.hold(parcel),
                        _ => {}
                    }
                }
            }
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.lines.keys().cloned().collect()
    }

    pub fn waiting(&self, channel: &str) -> usize {
        let line = self.lines.get(channel);
        line.map_or(0, |line| line.outbox.waiting())
    }

    pub fn offer(&mut self, channel: &str, parcel: Parcel, since: UnixNanos) {
        if let Some(line) = self.lines.get_mut(channel) {
            // That there is room was looked at before.
            let _ = line.outbox.offer(parcel, since);
            self.changed = true;
        }
    }

    pub fn dropped(&mut self, channel: &str) {
        if let Some(line) = self.lines.get_mut(channel) {
            line.state.dropped += 1;
            self.changed = true;
        }
    }

    /// Returns true once after something changed that is shown.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub fn states(&self) -> Vec<ChannelState> {
        let state = |line: &Line| ChannelState {
            waiting: line.outbox.waiting(),
            held_back: line.outbox.held(),
            failures: line.outbox.failures(),
            ..line.state.clone()
        };
        self.lines.values().map(state).collect()
    }
}

/// A message that a channel is to send now.
#[derive(Clone, Debug)]
pub struct Errand {
    pub channel: String,
    pub generation: u64,
    pub message: Message,
}

impl Engine {
    /// Returns what is to be sent now: one message a channel at the most, each answered by
    /// [`Engine::sent`].
    pub fn errands(&mut self, now: UnixNanos) -> Vec<Errand> {
        let mut errands = Vec::new();
        for channel in self.outgoing.names() {
            let mut outcomes = Outcomes::new();
            let line = self.outgoing.lines.get_mut(&channel);
            let job = line.and_then(|line| line.outbox.next(now, &mut outcomes));
            self.note(&channel, outcomes);
            let origin = &self.head.value.origin;
            let message = match job {
                None => continue,
                Some(Job::Summary(count)) => Some(Message::summary(origin, now, count)),
                Some(Job::One(parcel)) => {
                    let alert = self.book.get(&parcel.number);
                    alert.map(|alert| Message::of(origin, alert, parcel.notice))
                }
            };
            let generation = self.outgoing.generation;
            match message {
                Some(message) => errands.push(Errand {
                    channel,
                    generation,
                    message,
                }),
                // It was forgotten meanwhile: nothing is told of it.
                None => {
                    if let Some(line) = self.outgoing.lines.get_mut(&channel) {
                        line.outbox.done(now, Tried::Refused, 0);
                    }
                }
            }
        }
        errands
    }

    /// Takes how an errand ended, and makes it durable.
    pub fn sent(
        &mut self,
        now: UnixNanos,
        (channel, generation): (&str, u64),
        result: &Result<(), NotTaken>,
        jitter: u16,
    ) {
        if generation != self.outgoing.generation {
            return;
        }
        let Some(line) = self.outgoing.lines.get_mut(channel) else {
            return;
        };
        let state = &mut line.state;
        let tried = match result {
            Ok(()) => {
                state.last_sent = Some(now);
                state.last_error.clear();
                Tried::Taken
            }
            Err(refused) => {
                if state.last_error != refused.why {
                    tracing::warn!(channel, why = refused.why, "an alert was not taken");
                }
                state.last_error.clone_from(&refused.why);
                if refused.for_good {
                    Tried::Refused
                } else {
                    Tried::Failed
                }
            }
        };
        let outcomes = line.outbox.done(now, tried, jitter);
        self.outgoing.changed = true;
        self.note(channel, outcomes);
        self.flush();
    }

    /// Notes what became of notices.
    fn note(&mut self, channel: &str, outcomes: Outcomes) {
        for (parcel, delivery) in outcomes {
            if let Some(line) = self.outgoing.lines.get_mut(channel) {
                let state = &mut line.state;
                match delivery {
                    Delivery::Sent => state.sent += 1,
                    Delivery::Failed => state.failed += 1,
                    Delivery::Dropped => state.dropped += 1,
                    Delivery::Summarized => state.summarized += 1,
                    Delivery::Pending | Delivery::Muted | Delivery::HeldBack => {}
                }
            }
            if let Some(alert) = self.book.get(&parcel.number) {
                let mut alert = Alert::clone(alert);
                alert.set_delivery(parcel.notice, channel, delivery);
                self.put(alert);
            }
        }
    }
}

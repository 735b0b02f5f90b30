//! What one channel is sent, and when: one message at a time, no more than its rate, again after a
//! failure, and a summary of what was more.

use super::{Delivery, Notice};
use crate::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};
use std::collections::VecDeque;

/// The span of the rate.
const MINUTE_NS: i64 = 60 * NANOS_PER_SECOND;

/// How long after the first failure it is tried again; doubled with each one that follows.
const FIRST_RETRY_NS: i64 = NANOS_PER_SECOND;

/// The longest pause between attempts: soon enough for a channel that is back.
const LONGEST_RETRY_NS: i64 = MINUTE_NS;

/// What is tried for so long is news no more.
const GIVE_UP_NS: i64 = NANOS_PER_DAY;

/// Bounds of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Messages in any minute; what is more is told in one summary. At least 1.
    pub per_minute: u32,
    /// Notices that wait at the most. A further one is dropped, and counted.
    pub waiting: usize,
}

/// A notice of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parcel {
    pub number: u64,
    pub notice: Notice,
}

/// What the shell is to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    One(Parcel),
    /// So many notices were held back.
    Summary(usize),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    Taken,
    /// Whether it arrived is not known, or the channel could take it later.
    Failed,
    /// The channel will not take this message, however often it is sent.
    Refused,
}

/// The queue of one channel.
#[derive(Clone, Debug)]
pub struct Outbox {
    limits: ChannelLimits,
    /// With when each came up; oldest first.
    waiting: VecDeque<(Parcel, UnixNanos)>,
    held: Vec<Parcel>,
    sending: Option<Sending>,
    /// When the newest messages left; as many as the rate allows.
    left: VecDeque<UnixNanos>,
    failures: u32,
    not_before: UnixNanos,
}

#[derive(Clone, Copy, Debug)]
enum Sending {
    One(Parcel, UnixNanos),
    /// The first so many of those held.
    Summary(usize),
}

/// What became of notices.
pub type Outcomes = Vec<(Parcel, Delivery)>;

impl Outbox {
    pub fn new(limits: ChannelLimits) -> Outbox {
        Outbox {
            limits: ChannelLimits {
                per_minute: limits.per_minute.max(1),
                ..limits
            },
            waiting: VecDeque::new(),
            held: Vec::new(),
            sending: None,
            left: VecDeque::new(),
            failures: 0,
            not_before: UnixNanos::MIN,
        }
    }

    /// Returns how many notices wait, those held back not counted.
    pub fn waiting(&self) -> usize {
        let under_way = matches!(self.sending, Some(Sending::One(..)));
        self.waiting.len() + usize::from(under_way)
    }

    /// Returns how many are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns how often it failed since it was taken last.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes a notice that came up at `since`, and returns how it stands.
    pub fn offer(&mut self, parcel: Parcel, since: UnixNanos) -> Delivery {
        if self.waiting.len() >= self.limits.waiting {
            return Delivery::Dropped;
        }
        self.waiting.push_back((parcel, since));
        Delivery::Pending
    }

    /// Takes a notice that an earlier run held back.
    pub fn hold(&mut self, parcel: Parcel) {
        self.held.push(parcel);
    }

    /// Returns what is to be sent now, if anything, and what became of others meanwhile. One that was
    /// returned is under way until [`Outbox::done`].
    pub fn next(&mut self, now: UnixNanos, outcomes: &mut Outcomes) -> Option<Job> {
        if self.sending.is_some() || now < self.not_before {
            return None;
        }
        while self
            .left
            .front()
            .is_some_and(|at| now.since(*at) >= MINUTE_NS)
        {
            self.left.pop_front();
        }
        if self.left.len() >= self.limits.per_minute as usize {
            for (parcel, _) in self.waiting.drain(..) {
                self.held.push(parcel);
                outcomes.push((parcel, Delivery::HeldBack));
            }
            return None;
        }
        if !self.held.is_empty() {
            let count = self.held.len();
            self.sending = Some(Sending::Summary(count));
            return Some(Job::Summary(count));
        }
        let (parcel, since) = self.waiting.pop_front()?;
        self.sending = Some(Sending::One(parcel, since));
        Some(Job::One(parcel))
    }

    /// Takes how the attempt ended that was under way; `jitter` is anything from 0 to 1,000. Returns
    /// what became of notices by it.
    pub fn done(&mut self, now: UnixNanos, tried: Tried, jitter: u16) -> Outcomes {
        let Some(sending) = self.sending.take() else {
            return Vec::new();
        };
        // It may have arrived, whatever was answered.
        self.left.push_back(now);
        if tried == Tried::Failed {
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.plus(pause(self.failures, jitter));
        } else {
            self.failures = 0;
        }
        match (sending, tried) {
            (Sending::One(parcel, _), Tried::Taken) => vec![(parcel, Delivery::Sent)],
            (Sending::One(parcel, _), Tried::Refused) => vec![(parcel, Delivery::Failed)],
            (Sending::One(parcel, since), Tried::Failed) => {
                // What failed took no place of the rate: the next attempt may leave.
                self.left.pop_back();
                if now.since(since) >= GIVE_UP_NS {
                    return vec![(parcel, Delivery::Failed)];
                }
                self.waiting.push_front((parcel, since));
                Vec::new()
            }
            (Sending::Summary(count), Tried::Taken | Tried::Refused) => {
                let told = match tried {
                    Tried::Taken => Delivery::Summarized,
                    _ => Delivery::Failed,
                };
                let of_summary = self.held.drain(..count.min(self.held.len()));
                of_summary.map(|parcel| (parcel, told)).collect()
            }
            (Sending::Summary(_), Tried::Failed) => {
                self.left.pop_back();
                Vec::new()
            }
        }
    }
}

/// Returns how long to wait after so many failures, a fifth more or less, so that many do not come
/// back at one moment.
fn pause(failures: u32, jitter: u16) -> i64 {
    let doubled = FIRST_RETRY_NS.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let pause = doubled.min(LONGEST_RETRY_NS);
    pause / 10 * 8 + pause / 10 * 4 / 1_000 * i64::from(jitter.min(1_000))
}

//! Which request ids were answered, for the same answer when one is repeated.

use crate::event::{Command, PositionMode};
use crate::id::{Currency, InstrumentId, RequestId};
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::store::OrderIndex;
use crate::order::{AmendOrder, OrderStatus};
use crate::risk::{Limits, TradingState};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How long a request id is kept: seven days, as the contract promises.
const KEEP_NS: i64 = 7 * 24 * 3_600 * NANOS_PER_SECOND;

/// The newest ones that are kept however old they seem: one event that was written while the clock
/// was wrong must not make the account forget what it has just answered.
const KEEP_AT_LEAST: usize = 1_024;

/// What a request changed. Another content under the same id is another request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Subject {
    Cash(Currency, Money, String),
    Limits(Box<Limits>),
    /// With the reason that was given.
    TradingState(TradingState, String),
    Amend(OrderIndex, Amended),
    Cancel(OrderIndex),
    /// With what it touched when it was taken.
    Command(Box<Command>, Vec<Touched>),
    Split(InstrumentId, u32, u32),
    PositionMode(PositionMode),
}

/// What a command over several orders found, for each that it names or means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Touched {
    Working(OrderIndex),
    /// It had ended already, and how.
    Ended(OrderStatus),
    Missing,
}

/// What an amend changed: each value before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amended {
    pub quantity: (Quantity, Quantity),
    pub limit_price: (Option<Price>, Option<Price>),
    pub stop_price: (Option<Price>, Option<Price>),
}

impl Amended {
    /// Returns true for a request that would have done the same: the journal holds what an amend
    /// came to, not which of the values it named.
    pub fn is_as(&self, request: &AmendOrder) -> bool {
        request.quantity.unwrap_or(self.quantity.0) == self.quantity.1
            && request.limit_price.or(self.limit_price.0) == self.limit_price.1
            && request.stop_price.or(self.stop_price.0) == self.stop_price.1
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub subject: Subject,
    pub sequence: u64,
}

/// Answered requests. Forgotten by the time of later requests' events, never by a clock, so that
/// a recovered account remembers the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Requests {
    answered: BTreeMap<RequestId, Answered>,
    by_age: VecDeque<(UnixNanos, RequestId)>,
}

impl Requests {
    pub fn get(&self, request_id: Option<&RequestId>) -> Option<&Answered> {
        self.answered.get(request_id?)
    }

    pub fn remember(
        &mut self,
        request_id: Option<&RequestId>,
        subject: Subject,
        sequence: u64,
        ts: UnixNanos,
    ) {
        if let Some(request_id) = request_id {
            let answered = Answered { subject, sequence };
            if self.answered.insert(request_id.clone(), answered).is_none() {
                self.by_age.push_back((ts, request_id.clone()));
            }
        }
        while let Some((oldest, id)) = self.by_age.front() {
            if ts.since(*oldest) <= KEEP_NS || self.by_age.len() <= KEEP_AT_LEAST {
                break;
            }
            self.answered.remove(id);
            self.by_age.pop_front();
        }
    }
}

//! What the platform and an account say to each other about a share.

use crate::id::{AccountId, Currency};
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// The place of a share among all that an account was ever offered: a later one replaces an
/// earlier one, and an earlier one that arrives late changes nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ShareTerm {
    /// Counts the starts of the platform's side: what one before the last said is void.
    pub epoch: u64,
    /// Counts what was said to this account within the epoch, from 1.
    pub version: u64,
}

/// An account's share, as it stands in its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformShare {
    pub term: ShareTerm,
    /// The platform's currency, in which the share is stated and the account is measured by it.
    pub currency: Currency,
    /// What the account's worst case may come to, inclusive; `None` is no limit.
    pub share: Option<Money>,
}

/// What the platform wants of an account's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareChange {
    /// Keep what you have; without a share, take your worst case. Fences what was offered before.
    Confirm,
    /// Take this. An account that needs more of what it has keeps that much.
    Set(Money),
    /// There is no limit any more.
    Lift,
}

/// What the platform says to an account. The same one may arrive twice, late or never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareOffer {
    pub term: ShareTerm,
    pub currency: Currency,
    pub change: ShareChange,
    /// Number of the newest ask that this is the last word on; 0 for none.
    pub answers: u64,
}

/// What an account says of itself, once it is durable. A newer one replaces an older one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareReport {
    pub account_id: AccountId,
    /// Sequence of the account's journal.
    pub sequence: u64,
    /// `None` for an account that never had a share.
    pub share: Option<PlatformShare>,
    /// The account's worst case in the currency of its share; `None` where it cannot be measured.
    pub exposure: Option<Money>,
    /// What waits for a larger share.
    pub ask: Option<Ask>,
}

impl ShareReport {
    /// Returns the term of the account's share, that before all others where it has none.
    pub fn term(&self) -> ShareTerm {
        let share = self.share.as_ref();
        share.map(|share| share.term).unwrap_or_default()
    }
}

/// An account's wish for a larger share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ask {
    /// Another one for each ask of an account, over all of its runs; never 0.
    pub number: u64,
    /// The share that everything that waits needs together.
    pub wanted: Money,
}

/// What an order would do to its account's worst case, in the currency of the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Without it.
    pub worst: Money,
    /// What it adds, above zero. For several orders at once, the most that they could add.
    pub added: Money,
}

//! Orders that belong together: what one does when another trades or ends.
//!
//! FIX 1385 names the contingencies. A list is decided as one: its orders are all taken or all
//! denied, unless its contingency is [`Contingency::None`], a batch of orders that only travel
//! together.

use super::SubmitOrder;
use crate::id::{ClientOrderId, OrderListId};
use crate::number::Quantity;
use serde::{Deserialize, Serialize};

/// How the orders of a list depend on each other (FIX 1385).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Contingency {
    /// They do not: each has its own outcome.
    None,
    /// One cancels the other: a fill of one, or its end, cancels the rest.
    Oco,
    /// One triggers the others: the first is the parent, and its fill sends the rest.
    Oto,
    /// One updates the others: a fill of one takes its quantity from the rest.
    Ouo,
    /// The first is the entry; the rest protect what it bought or sold, and update each other.
    Bracket,
}

/// Which fill of a parent releases its children.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ReleaseRule {
    /// The complete fill. A parent that ends partly filled releases them for what was filled.
    #[default]
    Full,
    /// Each fill, for as much as is filled so far.
    Partial,
}

/// A list of orders as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitList {
    /// The client's own id of the list (FIX 66), unique per account for ever.
    pub list_id: OrderListId,
    pub contingency: Contingency,
    pub release: ReleaseRule,
    /// Whether a cancel or expiry of one order of the list ends the rest of it.
    pub cascade: bool,
    /// 2 to 16 orders (1 to 100 without a contingency); the parent first.
    pub orders: Vec<SubmitOrder>,
}

/// What the journal keeps of a list: the orders themselves follow as events of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDefinition {
    pub list_id: OrderListId,
    pub contingency: Contingency,
    pub release: ReleaseRule,
    pub cascade: bool,
    pub members: Vec<ClientOrderId>,
    /// Total quantity that each member was asked for with, in the order of `members`.
    pub quantities: Vec<Quantity>,
}

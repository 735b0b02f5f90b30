//! Orders: what is asked for, what became of it.

pub(crate) mod entry;
pub mod list;
pub(crate) mod lists;
pub mod placement;
pub(crate) mod store;
pub mod table;
pub mod terms;
pub mod tracked;
pub mod trigger;
pub mod types;
pub mod validate;

pub use list::{Contingency, ListDefinition, ReleaseRule, SubmitList};
pub use terms::{OrderTerms, PositionSide, SelfTradePrevention, TrailingOffset, TriggerType};
pub use tracked::TrackedOrder;
pub use types::{
    AmendOrder, Misfit, Order, OrderKey, OrderStatus, OrderType, SubmitOrder, TimeInForce,
};

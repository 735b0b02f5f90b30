//! Orders: what is asked for, what became of it.

pub(crate) mod entry;
pub(crate) mod store;
pub mod table;
pub mod types;

pub use types::{
    AmendOrder, Misfit, Order, OrderKey, OrderStatus, OrderType, SubmitOrder, TimeInForce,
};

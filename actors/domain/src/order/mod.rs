//! Orders: what is asked for, what became of it.

pub mod types;

pub use types::{AmendOrder, Order, OrderKey, OrderStatus, OrderType, SubmitOrder, TimeInForce};

//! Orders: what is asked for, what became of it.

pub mod types;

pub use types::{
    AmendOrder, Misfit, Order, OrderKey, OrderStatus, OrderType, SubmitOrder, TimeInForce,
};

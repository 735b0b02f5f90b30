//! The pure core: values of the trade and the machines that decide about money, orders and time.
//!
//! A machine is `apply(now, input) -> effects`: no I/O, no clock, no randomness from outside, no
//! async, no logging, no hash-order iteration and no floating-point money. What a machine decided
//! is an [`event::Event`]; folding the same events again gives the same state, byte for byte, so a
//! journal is the whole truth of an account.
//!
//! What is not here: sockets, files, threads, the machine's time zone, protobuf, a venue's wire.
//! Those belong to the shells round this crate.
//!
//! Start reading at [`account`], the machine that owns risk, orders and portfolio of one account;
//! then [`order`] for the life of an order and [`market`] for what comes in.

pub mod access;
pub mod account;
pub mod audit;
pub mod bar;
pub mod book;
pub mod calendar;
pub mod event;
pub mod funding;
pub mod happening;
pub mod hash;
pub mod id;
pub mod indicator;
pub mod instrument;
pub mod invariant;
pub mod market;
pub mod matching;
pub mod money;
pub mod number;
pub mod order;
pub mod portfolio;
pub mod reconcile;
pub mod risk;
pub mod time;
pub mod venue;

pub use account::Account;
pub use hash::state_hash;
pub use id::{
    AccountId, ClientOrderId, Currency, ExecId, InstrumentId, OrderId, OrderListId, RequestId,
    StrategyId, VenueOrderId,
};
pub use instrument::Instrument;
pub use money::{Money, Rate};
pub use number::{Decimal, NumberError, Price, Quantity};
pub use time::UnixNanos;

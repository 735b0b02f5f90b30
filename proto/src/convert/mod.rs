//! Conversions between the wire and the domain, one file an area.
//!
//! Functions that read a request collect every violation into
//! [`FieldErrors`](crate::FieldErrors). Functions that write an answer cannot fail.

pub mod access;
pub mod account;
pub mod enums;
pub mod event;
pub mod instrument;
pub mod market;
pub mod order;
pub mod order_book;
pub mod platform;
pub mod reconcile;
pub mod risk;
pub mod text;

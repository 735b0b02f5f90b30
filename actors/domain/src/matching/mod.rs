//! Matching: what a venue does with orders, as pure machines.
//!
//! [`order_book`] matches single orders by price and time. [`book_fill`] is a
//! [`crate::venue::VenueModel`] that fills our orders against replayed market data;
//! [`BarFill`] is one over bars, quotes or prints, where there is no book.

mod bar_fill;
pub mod book_fill;
mod ledger;
pub mod order_book;
mod resting;
mod rules;
#[cfg(test)]
mod tests;
mod visible_book;

pub use bar_fill::{BarFill, BarFillOptions, FillModel};
pub use book_fill::BookFill;
pub use ledger::RestoredOrder;

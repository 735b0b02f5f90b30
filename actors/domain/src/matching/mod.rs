//! Matching: what a venue does with orders, as pure machines.
//!
//! [`order_book`] matches single orders by price and time. [`book_fill`] is a
//! [`crate::venue::VenueModel`] that fills our orders against replayed market data.

pub mod order_book;

//! Market data: feeds with their own state per instrument, and what a process publishes of them.
//!
//! Bars and books are made before the topics, so that a slow reader never suffers in them.
//! [`replay`] is the pure part of the feed that plays recordings: bytes in, events out, no clock.
//!
//! What is not here: a venue's wire (apex-venues), what a book or a bar is (apex-domain), and
//! any order.
//!
//! Start reading at [`publisher`].

pub mod publisher;
pub mod replay;
pub mod sim;

pub use publisher::Publisher;
pub use sim::{Member, SimMarketActor, SimMarketArgs, SimMarketMessage, SimSession, order_feed};

//! Market data: feeds with their own state per instrument, and what a process publishes of them.
//!
//! Bars and books are made before the topics, so that a slow reader never suffers in them.
//!
//! What is not here: a venue's wire (apex-venues), what a book or a bar is (apex-domain), and
//! any order.
//!
//! Start reading at [`publisher`].

pub mod publisher;
pub mod sim;

pub use publisher::Publisher;
pub use sim::{SimMarketActor, SimMarketArgs, SimMarketMessage, SimSession};

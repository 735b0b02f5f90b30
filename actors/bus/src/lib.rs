//! The in-process bus: typed topics that carry data between actors, and the supervision of those
//! actors.
//!
//! ractor carries lifecycle, supervision and commands; its mailboxes are unbounded and a cast that
//! answered `Ok` acknowledges nothing. So data goes over [`topic`]s: bounded rings with a stated
//! policy for slow subscribers, on which every drop is counted and announced.
//!
//! What this crate does not do: it decides nothing about trading (that is `apex-domain`), it does
//! no I/O, and it does not cross processes (that is `apex-remote`, with the same interface).
//!
//! Start reading at [`topic::Topic`], then [`topic::Subscription::drain`], then [`supervision`].

pub mod access;
pub mod accounts;
pub mod audit;
pub mod clock;
pub mod exposure;
pub mod handle;
pub mod market;
pub mod market_history;
pub mod message;
pub mod order_feed;
pub mod supervision;
pub mod topic;
pub mod venue;

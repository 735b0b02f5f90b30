//! The roles of one process, put together: storage, accounts, market, venue, strategies, gateway.
//!
//! What is not here: how any of them works. A role is short enough to read in a minute; what it
//! is made of lives in the crates below.
//!
//! Start reading at [`up`] for what every node has, then [`sim`] and [`replay`] for the two kinds
//! of market.

pub mod account;
pub mod alerts;
pub mod audit;
pub mod backup;
pub mod bars;
pub mod charter;
pub mod choice;
pub mod credentials;
mod desk;
pub mod edge;
pub mod error;
mod exposure;
pub mod hot;
mod market;
pub mod marks;
pub mod metrics;
pub mod options;
pub mod origin;
mod preferences;
pub mod recorder;
pub mod replay;
mod restore;
pub mod roster;
pub mod sim;
pub mod stop;
pub mod stores;
pub mod strategies;
pub mod up;
pub mod venue_link;
pub mod venue_snapshots;
pub mod verify;

pub use choice::StrategyChoice;
pub use error::NodeError;

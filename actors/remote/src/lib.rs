//! What runs in another process than the accounts: the same strategies, over gRPC.
//!
//! [`strategy_host`] is the child process that a live strategy runs in. It speaks
//! `StrategyService.Connect`, the protocol that a strategy in any language speaks, and drives the
//! same `Runner` that a backtest drives. [`strategy_session`] is the other end of that protocol.
//!
//! What is not here: decisions about orders (the account's), who may connect, and how the process
//! is started and restarted (the node's).
//!
//! Start reading at [`strategy_host::run`], then [`strategy_session`].

pub mod strategy_host;
pub mod strategy_session;

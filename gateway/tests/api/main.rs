//! The gateway over a real socket: a real account behind it, a journal in memory and a venue that
//! answers at once.

mod account;
mod alert_rules;
mod alerts;
mod audit;
mod desk;
mod edge;
mod harness;
mod lists;
mod market;
mod names;
mod order_book;
mod orders;
mod past;
mod position_mode;
mod preferences;
mod reconcile;
mod risk;
mod splits;
mod strategies;
mod streams;
mod who;

//! The gateway over a real socket: a real account behind it, a journal in memory and a venue that
//! answers at once.

mod account;
mod alert_rules;
mod alerts;
mod audit;
mod battery;
mod cuts;
mod deployed;
mod desk;
mod drain;
mod edge;
mod fuzz;
mod harness;
mod limits;
mod lists;
mod login;
mod market;
mod market_resume;
mod names;
mod order_book;
mod order_session;
mod order_session_ends;
mod orders;
mod past;
mod position_mode;
mod preferences;
mod reconcile;
mod risk;
mod session_client;
mod splits;
mod strategies;
mod streams;
mod users;
mod who;

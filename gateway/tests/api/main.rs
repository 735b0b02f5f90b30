//! The gateway over a real socket: a real account behind it, a journal in memory and a venue that
//! answers at once.

mod account;
mod audit;
mod battery;
mod cuts;
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
mod orders;
mod past;
mod position_mode;
mod reconcile;
mod risk;
mod splits;
mod strategies;
mod streams;
mod who;

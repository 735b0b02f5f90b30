//! Venues: what comes over their wires and lies in their files, turned into the platform's words.
//!
//! Everything here is about foreign bytes. A codec takes a frame and gives typed values with exact
//! decimals or a typed error that says what is wrong and where; it never panics, whatever it is
//! fed. Recordings and CSV files are read in the same spirit: a broken line is counted and
//! skipped, a wholly wrong file is refused.
//!
//! What is not here: books, bars, orders and every other decision (`apex-domain`), the replay of
//! several recordings as one feed (`apex-market-data`), protobuf (`apex-proto`).
//!
//! Start reading at [`binance`] for a wire, at [`capture`] for recordings of it and at [`csv`] for
//! files of bars, quotes and ticks. [`sim`] is a venue of our own in a process of its own.

pub mod binance;
pub mod capture;
pub mod csv;
pub mod currency;
pub mod decimal;
pub mod input;
pub mod registry;
pub mod sim;

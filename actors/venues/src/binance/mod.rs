//! Binance spot and USD-M futures: the public market streams.
//!
//! [`Codec`] turns the bytes of a frame into a [`Message`], whose methods make the platform's
//! events once the instrument is known. Both markets share the codec; what differs is stated at
//! the fields (`pu`, event times) and in the book rule of `apex_domain::book`.
//!
//! Source: the vendor's web-socket-streams and rest-api documents for spot, and recorded traffic
//! of both markets.

mod codec;
mod convert;
mod error;
mod instrument;
mod message;
mod scan;

pub use codec::Codec;
pub use convert::Misfit;
pub use error::{WireError, WireErrorKind};
pub use instrument::{Market, instrument, instrument_id};
pub use message::{BookTicker, ControlAnswer, Depth, DepthSnapshot, Message, Print, WireLevel};

#[cfg(test)]
mod tests;

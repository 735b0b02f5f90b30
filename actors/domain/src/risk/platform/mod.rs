//! The limit over all accounts together, held by shares.
//!
//! Accounts decide alone, each on its own journal, so none can look at a sum over all of them.
//! Instead the platform owns the limit and hands each account a share of it, which is an event in
//! the account's journal; an account keeps its worst case within its share. The sum of what was
//! handed out never exceeds the limit, so neither does the sum of what was taken within it.
//! `docs/adr/0006` says why, and what happens to an order that needs more than the share.
//!
//! Start reading at [`share`], what the two sides say to each other; [`machine`] is the platform's
//! side, `plan` what it hands out; the account's side is `account/share.rs`.

pub mod machine;
mod plan;
pub mod record;
pub mod share;

pub use machine::{
    AccountShare, ChangeRefusal, Outbound, PlatformChange, PlatformEffects, PlatformExposure,
    PlatformInput, PlatformLimit, PlatformView,
};
pub use record::RecordError;
pub use share::{Ask, Growth, PlatformShare, ShareChange, ShareOffer, ShareReport, ShareTerm};

#[cfg(test)]
mod tests;

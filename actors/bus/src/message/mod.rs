//! What actors say to each other, one file an actor.

pub mod account;

pub use account::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    ClosingAnswer, CommandError, JournalHealth, OrderFilter, Page, ReconcileState, VenueLink,
};

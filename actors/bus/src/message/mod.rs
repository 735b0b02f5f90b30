//! What actors say to each other, one file an actor.

pub mod account;
pub mod exposure;

pub use account::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, AccountSummary,
    CommandError, JournalHealth, OrderFilter, PAGE_LIMIT, Page, VenueLink,
};
pub use exposure::{ExposureError, ExposureMessage};
